//! One batch: a connection of its own, one request, the head of the answer, and it is closed. Nothing is kept in between.

use crate::arguments::Target;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// How long everything takes at most, from the name to the head of the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Untaken {
    #[error("no connection: {0}")]
    NoConnection(#[from] std::io::Error),
    #[error("its name cannot stand in a certificate")]
    Name,
    #[error("what was said is no HTTP: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the request cannot be formed: {0}")]
    Unformed(#[from] http::Error),
    #[error("it answered {0}")]
    Refused(StatusCode),
    #[error("no answer within {} seconds", PATIENCE.as_secs())]
    TooSlow,
}

/// Posts an `ExportTraceServiceRequest`, once. Another try is not worth its memory: the next batch is one.
pub(crate) async fn post(target: &Target, agent: &str, body: Vec<u8>) -> Result<(), Untaken> {
    tokio::time::timeout(PATIENCE, deliver(target, agent, body)).await.unwrap_or(Err(Untaken::TooSlow))
}

async fn deliver(target: &Target, agent: &str, body: Vec<u8>) -> Result<(), Untaken> {
    let to = &target.endpoint;
    let request = Request::post(to.path.as_str())
        .header(HOST, to.authority.as_str())
        .header(USER_AGENT, agent)
        .header(CONTENT_TYPE, "application/x-protobuf")
        .body(Full::new(Bytes::from(body)))?;
    let stream = match to.address() {
        Some(address) => TcpStream::connect(address).await?,
        None => TcpStream::connect((to.host.as_str(), to.port)).await?,
    };
    let Some(tls) = &target.tls else { return exchange(stream, request).await };
    let name = ServerName::try_from(to.host.clone()).map_err(|_| Untaken::Name)?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
    exchange(stream, request).await
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(), Untaken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with this function, whatever the other end still sends.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let status = sender.send_request(request).await?.status();
    if status.is_success() { Ok(()) } else { Err(Untaken::Refused(status)) }
}
