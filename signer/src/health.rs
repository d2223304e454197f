//! Health over plain HTTP: `/healthz` (the process answers) and `/readyz` (it can sign).

use crate::engine::Engine;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use std::sync::Arc;

/// The two routes. Ready means: log verified, disk writable at the last commit, not stopping.
pub fn routes(engine: Arc<Engine>) -> Router {
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
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready))
}
