//! The log for everybody, read-only: `GET /checkpoint`, `/checkpoint.cosigned` and `/tile/...`, as c2sp.org/tlog-tiles says.
//!
//! Serves files of the log's folder and nothing else: a path is parsed into a tile and written anew from it, so no path
//! of the asker ever reaches the disk. A partial tile that a wider one has replaced is cut from that one.

use super::disk::{DiskError, LogDir, join_bundle};
use super::tile::{FULL, Row, parse};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// The routes over the log in this folder.
pub fn routes(dir: LogDir) -> Router {
    Router::new()
        .route("/checkpoint", get(|dir| note(dir, "checkpoint")))
        .route("/checkpoint.cosigned", get(|dir| note(dir, "checkpoint.cosigned")))
        .route("/tile/{*path}", get(tile))
        .with_state(dir)
}

async fn note(State(dir): State<LogDir>, name: &'static str) -> Response {
    match tokio::fs::read(dir.root().join(name)).await {
        Ok(note) => {
            let headers =
                [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
            (headers, note).into_response()
        }
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn tile(State(dir): State<LogDir>, Path(path): Path<String>) -> Response {
    let Some((row, n, width)) = parse(&format!("tile/{path}")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let read = tokio::task::spawn_blocking(move || read(&dir, row, n, width)).await;
    match read {
        Ok(Ok(bytes)) => {
            // What a tile of a given width holds never changes.
            let headers = [
                (header::CONTENT_TYPE, "application/octet-stream"),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, bytes).into_response()
        }
        Ok(Err(DiskError::Damaged { .. } | DiskError::Missing(_))) => StatusCode::NOT_FOUND.into_response(),
        Ok(Err(_)) | Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn read(dir: &LogDir, row: Row, n: u64, width: usize) -> Result<Vec<u8>, DiskError> {
    match row {
        Row::Hashes(level) => Ok(dir.hashes(level, n, width)?.concat()),
        Row::Entries => {
            let mut bundle = Vec::new();
            for entry in dir.entries(n, width.min(FULL))? {
                join_bundle(&mut bundle, &entry);
            }
            Ok(bundle)
        }
    }
}
