//! Why no image was written.

use std::path::{Path, PathBuf};

/// None of these gets better by trying again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {doing} {path}: {source}; build first: make images does")]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("--created: {0}; give the seconds since the epoch, as git log -1 --format=%ct does")]
    Created(jiff::Error),
    #[error("--target {0}: images are made for x86_64 and aarch64")]
    Target(String),
    #[error("cargo metadata failed: {0}")]
    Metadata(String),
    #[error("Cargo.lock does not read: {0}")]
    Lock(#[from] toml::de::Error),
    #[error("the answer of cargo metadata does not read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("no crate of this workspace is called {0}")]
    NoCrate(String),
    #[error("an archive cannot be written: {0}")]
    Archive(#[from] std::io::Error),
}

impl Error {
    /// For `map_err` after something was done to a file.
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { doing, path: path.to_path_buf(), source }
    }
}
