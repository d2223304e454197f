//! Posts one notice: a connection of its own, one request, the head of the answer, and it is closed.
//!
//! Notices are few, so nothing is kept open. Follows no redirection, reads no body, uses no proxy. Errors and logs never name
//! the URL, which is a secret, nor what a receiver says, which is a stranger's.

use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderName, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use keywright_controllers_core::notice::Endpoint;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// How long everything takes at most, from the name to the head of the answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What is posted, and where to.
pub struct Parcel {
    /// Where to.
    pub to: Endpoint,
    /// Roots of the receiver's own, in PEM; absent: the machine's.
    pub roots: Option<Vec<u8>>,
    /// Headers beside those of every notice.
    pub headers: Vec<(HeaderName, String)>,
    /// JSON.
    pub body: Vec<u8>,
}

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header `Retry-After`.
    pub retry_after: Option<String>,
}

/// Why there is no answer. Trying again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Its name gives no address.
    #[error("its name gives no address that may be used")]
    NoAddress,
    /// Nobody accepts a connection.
    #[error("no connection ({0:?})")]
    NoConnection(std::io::ErrorKind),
    /// Its certificate is not accepted, or it speaks no TLS of ours.
    #[error(
        "TLS failed; if its certificate is of a private authority, put that into entry ca.crt of its Secret"
    )]
    Tls,
    /// The roots cannot be read.
    #[error(
        "there are no roots to judge its certificate by; put them into entry ca.crt of its Secret, or give the operator a bundle"
    )]
    NoRoots,
    /// What was sent or said is no HTTP.
    #[error("the exchange broke off")]
    Broken,
    /// It took too long.
    #[error("no answer within {} seconds", PATIENCE.as_secs())]
    TooSlow,
}

/// Who carries notices out; another one in tests.
pub trait Post: Send + Sync {
    /// Posts it once.
    fn post(&self, parcel: Parcel) -> BoxFuture<'_, Result<Answer, Unanswered>>;
}

/// Over HTTPS, or HTTP on the own machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Https;

impl Post for Https {
    fn post(&self, parcel: Parcel) -> BoxFuture<'_, Result<Answer, Unanswered>> {
        Box::pin(async move {
            tokio::time::timeout(PATIENCE, deliver(parcel)).await.unwrap_or(Err(Unanswered::TooSlow))
        })
    }
}

async fn deliver(Parcel { to, roots, headers, body }: Parcel) -> Result<Answer, Unanswered> {
    let mut request = Request::post(to.path.as_str())
        .header(HOST, &to.authority)
        .header(USER_AGENT, concat!("keywright-operator/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(|_| Unanswered::Broken)?;
    let stream = connect(&to).await?;
    if !to.tls {
        return exchange(stream, request).await;
    }
    let config = tokio::task::spawn_blocking(move || tls(roots.as_deref())).await;
    let connector = TlsConnector::from(Arc::new(config.map_err(|_| Unanswered::NoRoots)??));
    let name = ServerName::try_from(to.host.clone()).map_err(|_| Unanswered::Tls)?;
    let stream = connector.connect(name, stream).await.map_err(|_| Unanswered::Tls)?;
    exchange(stream, request).await
}

/// To the first address that accepts; without TLS only to the own machine, whatever its name gives.
async fn connect(to: &Endpoint) -> Result<TcpStream, Unanswered> {
    let addresses: Vec<SocketAddr> = lookup_host((to.host.as_str(), to.port))
        .await
        .map_err(|_| Unanswered::NoAddress)?
        .filter(|address| to.tls || address.ip().is_loopback())
        .collect();
    let mut last = Unanswered::NoAddress;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Unanswered::NoConnection(error.kind()),
        }
    }
    Err(last)
}

fn tls(roots: Option<&[u8]>) -> Result<ClientConfig, Unanswered> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(pem) => {
            store.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).filter_map(Result::ok))
        }
        None => store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider)).build();
    let verifier = verifier.map_err(|_| Unanswered::NoRoots)?;
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(versions.map_err(|_| Unanswered::Tls)?.with_webpki_verifier(verifier).with_no_client_auth())
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, Unanswered>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |_| Unanswered::Broken;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends with this function, whatever the other end still sends.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await.map_err(broken)?;
    let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    Ok(Answer { status: answer.status().as_u16(), retry_after: retry_after.map(str::to_owned) })
}

/// Shows nothing of where it goes.
impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}
