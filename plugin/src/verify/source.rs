//! Where the log's files come from: a folder, or a server. Neither is trusted.

use crate::cli::Limit;
use crate::exit::{Failure, causes};
use crate::inspect::read_file;
use crate::log::tile::Tile;
use crate::material::Material;
use http::header::{HeaderValue, USER_AGENT};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use kube::{Client, Config};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes: a full bundle of the longest entries.
const MAX_LEN: usize = 256 * (65_535 + 2);

/// A log's files.
pub(crate) enum Source {
    /// Under this folder.
    Folder(PathBuf),
    /// Under this URL. The client's base is the URL, so that it has its proxies, timeouts and TLS.
    Server {
        /// Connections.
        client: Box<Client>,
        /// For messages.
        url: String,
    },
}

impl Source {
    /// A folder, or an http or https URL. `ca`: file with the authorities of an https server.
    pub(crate) fn open(place: &str, ca: Option<&Path>, limit: Limit) -> Result<Self, Failure> {
        if !place.starts_with("https://") && !place.starts_with("http://") {
            return Ok(Self::Folder(place.into()));
        }
        let base =
            place.trim_end_matches('/').parse().map_err(|error| Failure::Usage(format!("--log: {error}")))?;
        let mut config = Config::new(base);
        if let Some(path) = ca {
            let material = Material::read(&path.display().to_string(), &read_file(path)?);
            if let Some(problem) = material.problems.first() {
                return Err(Failure::Usage(format!("--log-ca: {problem}")));
            }
            config.root_cert = Some(material.certificates.iter().map(|one| one.der().to_vec()).collect());
        }
        let agent = HeaderValue::from_static(concat!("keywright-plugin/", env!("CARGO_PKG_VERSION")));
        config.headers.push((USER_AGENT, agent));
        config.connect_timeout = limit.0;
        config.read_timeout = limit.0;
        let client = Client::try_from(config)
            .map_err(|error| Failure::Unreachable(format!("--log {place}: {}", causes(&error))))?;
        Ok(Self::Server { client: Box::new(client), url: place.to_owned() })
    }

    /// The signed checkpoint.
    pub(crate) async fn checkpoint(&self) -> Result<Vec<u8>, Failure> {
        self.read("checkpoint").await?.ok_or_else(|| {
            Failure::Unreachable(format!("{self}: there is no file \"checkpoint\"; it is no copy of a log"))
        })
    }

    /// The checkpoint that witnesses cosigned, where the log has one beside its newest.
    pub(crate) async fn cosigned(&self) -> Result<Option<Vec<u8>>, Failure> {
        self.read("checkpoint.cosigned").await
    }

    /// A tile, or a wider one in its place: a log that grew since may have dropped the narrower.
    pub(crate) async fn tile(&self, tile: Tile) -> Result<Vec<u8>, Failure> {
        let mut paths = vec![tile.path()];
        if !tile.is_full() {
            paths.push(tile.full().path());
            paths.extend(self.wider(tile));
        }
        for path in paths {
            if let Some(bytes) = self.read(&path).await? {
                return Ok(bytes);
            }
        }
        let path = tile.path();
        Err(Failure::NotAsWanted(format!("{self}: {path} is missing; the copy is not complete, or was cut")))
    }

    /// Wider partial tiles that a folder holds.
    fn wider(&self, tile: Tile) -> Vec<String> {
        let Self::Folder(root) = self else { return Vec::new() };
        let full = tile.full().path();
        let Ok(files) = std::fs::read_dir(root.join(format!("{full}.p"))) else { return Vec::new() };
        files
            .flatten()
            .filter_map(|file| file.file_name().to_str()?.parse::<u16>().ok())
            .filter(|width| (tile.width + 1..256).contains(width))
            .map(|width| Tile { width, ..tile }.path())
            .collect()
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Folder(root) => match std::fs::read(root.join(path)) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    Ok(None)
                }
                Err(error) => {
                    Err(Failure::Unreachable(format!("cannot read {}: {error}", root.join(path).display())))
                }
            },
            Self::Server { client, url } => fetch(client, url, path).await,
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(root) => write!(f, "{}", root.display()),
            Self::Server { url, .. } => f.write_str(url),
        }
    }
}

async fn fetch(client: &Client, url: &str, path: &str) -> Result<Option<Vec<u8>>, Failure> {
    let unreachable = |words: String| Failure::Unreachable(format!("cannot read {url}/{path}: {words}"));
    let request = http::Request::get(format!("/{path}"))
        .body(Body::empty())
        .map_err(|error| unreachable(error.to_string()))?;
    let response = client.send(request).await.map_err(|error| unreachable(causes(&error)))?;
    match response.status().as_u16() {
        200 => {}
        404 | 410 => return Ok(None),
        other => return Err(unreachable(format!("the server answered {other}"))),
    }
    let body = Limited::new(response.into_body(), MAX_LEN).collect().await;
    body.map(|bytes| Some(bytes.to_bytes().to_vec())).map_err(|error| unreachable(error.to_string()))
}
