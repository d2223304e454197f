//! What probes and dashboards ask: plain HTTP, read only. Metrics are in Prometheus' text format.
//!
//! Alive means that this process answers. Ready means that an admission through the API server has come back.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use keywright_webhooks::serve::readiness::Readiness;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4";

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

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, String) {
    match readiness.problem() {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, problem),
    }
}
