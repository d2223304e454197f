//! Health over plain HTTP: `/healthz` (the process answers), `/readyz` (it can sign), and `/metrics` in Prometheus' text
//! format. Read only, and nothing in it names an object or a caller.

use crate::engine::Engine;
use crate::metrics;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use keywright_telemetry::Tracer;
use std::path::PathBuf;
use std::sync::Arc;

/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4";

/// The routes. Ready means: log verified, disk writable at the last commit, not stopping. `ledger`: the file of its tables.
pub fn routes(engine: Arc<Engine>, ledger: PathBuf, tracer: Tracer) -> Router {
    let told = Arc::clone(&engine);
    let tell = move || {
        let bytes = std::fs::metadata(&ledger).ok().map(|file| file.len());
        let mut text = metrics::text(&told.status(), told.counts(), bytes);
        tracer.tell(&mut text);
        async move { ([(CONTENT_TYPE, TEXT)], text) }
    };
    let ready = move || {
        let status = engine.status();
        async move {
            if status.ready {
                (StatusCode::OK, "ok\n".to_owned())
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", status.problem))
            }
        }
    };
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(tell))
}
