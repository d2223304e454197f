//! The poster of notices against receivers on this machine, good and bad ones, over real sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "everything here is a test")]

use http::HeaderName;
use keywright_controllers::notice::{Answer, Https, Parcel, Post, Unanswered};
use keywright_controllers_core::notice::{Endpoint, SIGNATURE, Verdict, judge, signature};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_rustls::TlsAcceptor;

/// How a receiver behaves once it has read a request.
#[derive(Clone, Copy)]
enum Way {
    Says(&'static str),
    /// The same after a while.
    Slowly(&'static str),
    /// Says nothing, and keeps the connection.
    Hangs,
    /// Says nothing, and closes.
    Closes,
    /// Says yes, and sends a body without end.
    Floods,
}

/// A receiver; its port, and the requests that it got.
async fn receiver(way: Way, tls: Option<TlsAcceptor>) -> (u16, UnboundedReceiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, got) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (sender, tls) = (sender.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => serve(stream, way, &sender).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, way, &sender).await;
                        }
                    }
                }
            });
        }
    });
    (port, got)
}

async fn serve<S>(mut stream: S, way: Way, got: &tokio::sync::mpsc::UnboundedSender<String>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    got.send(request(&mut stream).await).unwrap();
    let answer = match way {
        Way::Says(answer) => answer,
        Way::Slowly(answer) => {
            tokio::time::sleep(Duration::from_secs(2)).await;
            answer
        }
        Way::Hangs => return std::future::pending().await,
        Way::Closes => return,
        Way::Floods => "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n",
    };
    stream.write_all(answer.as_bytes()).await.unwrap();
    if matches!(way, Way::Floods) {
        let some = vec![b'x'; 65_536];
        while stream.write_all(&some).await.is_ok() {}
    }
    let _ = stream.shutdown().await;
}

/// Head and body.
async fn request<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.unwrap();
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if count == 0 || body.len() >= length.parse::<usize>().unwrap() {
            return String::from_utf8(bytes).unwrap();
        }
    }
}

fn parcel(url: &str) -> Parcel {
    Parcel {
        to: Endpoint::parse(url.as_bytes()).unwrap(),
        roots: None,
        headers: Vec::new(),
        body: b"{\"a\":1}".to_vec(),
    }
}

async fn post(way: Way) -> Result<Answer, Unanswered> {
    let (port, _got) = receiver(way, None).await;
    Https.post(parcel(&format!("http://127.0.0.1:{port}/token"))).await
}

fn verdict(answer: &Answer) -> Verdict {
    judge(answer.status, answer.retry_after.as_deref(), "2030-01-01T00:00:00Z".parse().unwrap())
}

#[tokio::test]
async fn what_a_receiver_says_is_heard_slow_or_fast_and_no_body_is_waited_for() {
    let again = |seconds| Verdict::Again { pause: Some(Duration::from_secs(seconds)) };
    let moved =
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/other\r\nContent-Length: 0\r\n\r\n";
    let busy = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    let broken = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nwhy";
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for (way, wanted) in [
        (Way::Says(ok), Verdict::Delivered),
        (Way::Slowly(ok), Verdict::Delivered),
        (Way::Floods, Verdict::Delivered),
        (Way::Says("HTTP/1.1 202 Accepted\r\n\r\n"), Verdict::Delivered),
        (Way::Says(broken), Verdict::Again { pause: None }),
        (Way::Says(busy), again(7)),
        (Way::Says(moved), Verdict::Refused),
        (Way::Says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), Verdict::Refused),
    ] {
        assert_eq!(verdict(&post(way).await.unwrap()), wanted);
    }
}

#[tokio::test]
async fn whoever_closes_or_speaks_no_http_or_hangs_gave_no_answer() {
    let (closed, odd, hung) =
        tokio::join!(post(Way::Closes), post(Way::Says("SSH-2.0-x\r\n\r\n")), post(Way::Hangs));
    assert_eq!(
        (closed, odd, hung),
        (Err(Unanswered::Broken), Err(Unanswered::Broken), Err(Unanswered::TooSlow))
    );
    let nobody = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
    let answer = Https.post(parcel(&format!("http://127.0.0.1:{nobody}/"))).await;
    assert_eq!(answer, Err(Unanswered::NoConnection(std::io::ErrorKind::ConnectionRefused)));
}

#[tokio::test]
async fn the_request_is_one_that_receivers_take_and_its_signature_is_over_its_body() {
    let (port, mut got) = receiver(Way::Says("HTTP/1.1 200 OK\r\n\r\n"), None).await;
    let mut parcel = parcel(&format!("http://localhost:{port}/services/T/B?x=1"));
    let signed = signature(b"key", "2030-01-01T00:00:00Z".parse().unwrap(), &parcel.body);
    parcel.headers.push((HeaderName::from_static(SIGNATURE), signed.clone()));
    Https.post(parcel).await.unwrap();
    let request = got.recv().await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST /services/T/B?x=1 HTTP/1.1"));
    let headers: Vec<(String, &str)> = lines
        .map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value)).unwrap())
        .collect();
    for (name, value) in [
        ("host", format!("localhost:{port}").as_str()),
        ("content-type", "application/json"),
        ("content-length", "7"),
        ("keywright-signature", &signed),
    ] {
        assert!(headers.iter().any(|(n, v)| n == name && *v == value), "{name} in {headers:?}");
    }
    assert_eq!(body, "{\"a\":1}");
    assert!(signed.starts_with("t=1893456000,v1="));
}

/// A server for `localhost`, and the root of its certificate in PEM.
fn authority() -> (TlsAcceptor, Vec<u8>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut root = rcgen::CertificateParams::default();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = root.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(root, key);
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(["localhost".to_owned()])
        .unwrap()
        .signed_by(&leaf_key, &issuer)
        .unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(leaf_key.serialize_der()).unwrap(),
        )
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), pem.into_bytes())
}

#[tokio::test]
async fn over_tls_only_a_receiver_whose_certificate_is_good_gets_anything() {
    let (tls, root) = authority();
    let (_, stranger) = authority();
    let (port, mut got) = receiver(Way::Says("HTTP/1.1 200 OK\r\n\r\n"), Some(tls)).await;
    let try_it = async |host: &str, roots: Option<&[u8]>| {
        let roots = roots.map(<[u8]>::to_vec);
        Https.post(Parcel { roots, ..parcel(&format!("https://{host}:{port}/token")) }).await
    };
    assert_eq!(try_it("localhost", Some(&root)).await.unwrap().status, 200);
    assert!(got.recv().await.unwrap().starts_with("POST /token "));
    assert_eq!(try_it("localhost", Some(&stranger)).await, Err(Unanswered::Tls));
    assert_eq!(try_it("127.0.0.1", Some(&root)).await, Err(Unanswered::Tls), "another name");
    assert_eq!(try_it("localhost", Some(b"no PEM")).await, Err(Unanswered::NoRoots));
    assert!(try_it("localhost", None).await.is_err(), "no root of the machine's");
    assert!(got.try_recv().is_err(), "nothing was sent to anybody else");
}
