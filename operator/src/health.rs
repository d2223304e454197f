//! What probes and dashboards ask: plain HTTP, read only. Metrics are in Prometheus' text format.
//!
//! Alive means that this process answers; it never depends on another. Ready means that the caches are filled, so that
//! this process leads or could lead.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;

/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4";

/// Told by the wiring, read by the probe.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// From now on the probe succeeds, or fails.
    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }
}

/// Serves `/healthz`, `/readyz` and `/metrics` until the process ends. Errors: the address is taken or not ours.
pub(crate) async fn serve(
    address: SocketAddr,
    readiness: Readiness,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Result<(), std::io::Error> {
    let listener = TcpListener::bind(address).await?;
    let app = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(move || async move { ([(CONTENT_TYPE, TEXT)], metrics()) }))
        .with_state(readiness);
    axum::serve(listener, app).await
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.0.load(Ordering::Acquire) {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the caches are not filled yet, or this process is ending")
    }
}
