//! TLS 1.2 and 1.3, HTTP/1.1, and an end that loses nothing.
//!
//! API servers speak HTTP/1.1 to webhooks and keep connections. Who ends answers each request of its last seconds with
//! `Connection: close`, so that every client comes back by a connection of its own, to somebody else; what is idle after
//! that is closed, and what is under way is finished.

use super::handle::{Half, Reviewer};
use super::readiness::{Readiness, Standing};
use crate::trust::presented::Presented;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Two objects of etcd's limit and the rest of a review.
const LARGEST: usize = 8 * 1024 * 1024;
/// How long a client may take for its handshake, and for the head of a request once it has begun.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Far more than API servers keep; whoever else connects waits.
const CONNECTIONS: usize = 1024;

/// A listener that has not begun.
pub struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    reviewer: Arc<Reviewer>,
    readiness: Readiness,
}

impl Server {
    /// Serves what is presented. Errors: rustls offers no protocol version, a defect.
    pub fn new(
        listener: TcpListener,
        presented: Arc<Presented>,
        reviewer: Arc<Reviewer>,
        readiness: Readiness,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(presented);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)), reviewer, readiness })
    }

    /// Serves until `end` is cancelled; then accepts nothing new, finishes what is under way and returns.
    pub async fn serve(self, end: CancellationToken) {
        let (connections, places) = (TaskTracker::new(), Arc::new(Semaphore::new(CONNECTIONS)));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let stream = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Too many open files, or a client that left: neither ends the listener.
                        tracing::warn!(%error, "a connection was not accepted");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    }
                },
                () = end.cancelled() => break,
            };
            let (acceptor, reviewer) = (self.acceptor.clone(), Arc::clone(&self.reviewer));
            let (readiness, end) = (self.readiness.clone(), end.clone());
            connections.spawn(async move {
                converse(stream, acceptor, reviewer, readiness, end).await;
                drop(place);
            });
        }
        drop(self.listener);
        connections.close();
        connections.wait().await;
    }
}

/// One connection, from handshake to end.
async fn converse(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    reviewer: Arc<Reviewer>,
    readiness: Readiness,
    end: CancellationToken,
) {
    // Answers are small and awaited: nothing is gained by collecting them.
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            return;
        }
        Err(_) => return,
    };
    let service = service_fn(move |request| {
        let (reviewer, readiness) = (Arc::clone(&reviewer), readiness.clone());
        async move {
            let mut response = respond(&reviewer, request).await;
            if readiness.standing() == Standing::Ending {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = end.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn respond(reviewer: &Reviewer, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(half) = Half::at(request.uri().path()) else {
        return plain(StatusCode::NOT_FOUND, "POST /mutate or /validate");
    };
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "POST an AdmissionReview");
    }
    let body = match Limited::new(request.into_body(), LARGEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return plain(StatusCode::PAYLOAD_TOO_LARGE, &error.to_string()),
    };
    match reviewer.answer(half, &body).await {
        Ok(answer) => {
            let mut response = Response::new(Full::new(Bytes::from(answer)));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => unread(&error.to_string()),
    }
}

/// What is no review. The API server shows its user the words of a Status, and of nothing else.
fn unread(error: &str) -> Response<Full<Bytes>> {
    let status = serde_json::json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "BadRequest", "code": 400,
        "message": format!("keywright-webhook cannot read the review: {error}; an object may nest some 120 levels deep"),
    });
    let mut response = plain(StatusCode::BAD_REQUEST, &status.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())));
    *response.status_mut() = status;
    response
}
