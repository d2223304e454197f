//! Reading a TLS folder, again whenever its content changed.

use super::verify::{client_config, public_server_config, server_config};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The one DNS name that a signer's certificate carries, whatever its address is; clients verify against it.
pub const SERVER_NAME: &str = "keywright-signer";

/// SHA-256 of the DER of a SubjectPublicKeyInfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin(pub [u8; 32]);

impl Pin {
    /// The pin of a certificate, or `None` when it is not one.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let parsed = rustls::server::ParsedCertificate::try_from(certificate).ok()?;
        Some(Self::of_spki(&parsed.subject_public_key_info()))
    }

    /// The pin of a SubjectPublicKeyInfo in DER.
    pub fn of_spki(spki: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, spki);
        let mut pin = [0; 32];
        pin.copy_from_slice(digest.as_ref());
        Self(pin)
    }
}

/// What a peer is trusted to do. Closed: a folder that names another role does not load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May ask for authorities and certificates.
    Operator,
    /// A signer; the only role a client talks to.
    Signer,
    /// May ask how the signer is, nothing else.
    Observer,
}

/// One pinned peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name, for logs and for the rules that name callers.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// The pinned peers of one end, by pin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peers(HashMap<Pin, Peer>);

impl Peers {
    /// The peer with this key, if it is pinned.
    pub fn find(&self, pin: &Pin) -> Option<&Peer> {
        self.0.get(pin)
    }

    /// Reads `peers.json`. Errors: not JSON, an unknown role, a pin that is not 64 hex digits, a pin given twice.
    pub fn parse(json: &[u8]) -> Result<Self, TlsError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            peers: Vec<Entry>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Entry {
            name: String,
            role: Role,
            spki_sha256: String,
        }
        let file: File = serde_json::from_slice(json).map_err(|e| TlsError::Peers(e.to_string()))?;
        let mut peers = HashMap::new();
        for entry in file.peers {
            let mut pin = [0; 32];
            hex::decode_to_slice(&entry.spki_sha256, &mut pin).map_err(|_| {
                TlsError::Peers(format!("spkiSha256 of {:?} must be 64 hex digits", entry.name))
            })?;
            let name = entry.name;
            if peers.insert(Pin(pin), Peer { name: name.clone(), role: entry.role }).is_some() {
                return Err(TlsError::Peers(format!("the key of {name:?} is listed twice; keep one entry")));
            }
        }
        Ok(Self(peers))
    }
}

/// Why a TLS folder cannot be used. Nothing in it quotes a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or unreadable.
    #[error(
        "{path}: cannot be read ({source}); the TLS folder needs ca.crt, tls.crt, tls.key and peers.json"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not the PEM that its name promises.
    #[error("{file}: must hold PEM of {what}; write it again")]
    Pem {
        /// The file's name.
        file: &'static str,
        /// What was expected.
        what: &'static str,
    },
    /// `peers.json` does not parse.
    #[error(
        "peers.json: {0}; it reads {{\"peers\": [{{\"name\": \"...\", \"role\": \"operator\", \"spkiSha256\": \"64 hex digits\"}}]}}"
    )]
    Peers(String),
    /// The pieces do not fit together (key and certificate differ, a root that is none).
    #[error("the TLS folder does not fit together: {0}; write ca.crt, tls.crt and tls.key of one issuance")]
    Unfit(String),
}

/// What a TLS folder held when it was last read whole.
pub struct Material {
    /// This end's certificate, then its intermediates.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) roots: Arc<RootCertStore>,
    /// Who may be at the other end.
    pub peers: Arc<Peers>,
}

struct Files {
    ca: Vec<u8>,
    crt: Vec<u8>,
    key: Vec<u8>,
    peers: Vec<u8>,
}

impl Files {
    fn read(dir: &Path) -> Result<Self, TlsError> {
        let read = |name: &str| {
            let path = dir.join(name);
            std::fs::read(&path).map_err(|source| TlsError::Read { path, source })
        };
        Ok(Self {
            ca: read("ca.crt")?,
            crt: read("tls.crt")?,
            key: read("tls.key")?,
            peers: read("peers.json")?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for file in [&self.ca, &self.crt, &self.key, &self.peers] {
            context.update(&(file.len() as u64).to_be_bytes());
            context.update(file);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }

    fn parse(&self) -> Result<Material, TlsError> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(&self.ca) {
            let root = root.map_err(|_| TlsError::Pem { file: "ca.crt", what: "certificates" })?;
            roots.add(root).map_err(|e| TlsError::Unfit(format!("ca.crt: {e}")))?;
        }
        let chain = CertificateDer::pem_slice_iter(&self.crt)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| TlsError::Pem { file: "tls.crt", what: "certificates" })?;
        if roots.is_empty() || chain.is_empty() {
            let file = if chain.is_empty() { "tls.crt" } else { "ca.crt" };
            return Err(TlsError::Pem { file, what: "at least one certificate" });
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| TlsError::Pem { file: "tls.key", what: "one private key" })?;
        Ok(Material { chain, key, roots: Arc::new(roots), peers: Arc::new(Peers::parse(&self.peers)?) })
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Best effort without a dependency of its own: the key's text does not outlive its parsing.
        self.key.fill(0);
        std::hint::black_box(&self.key);
    }
}

struct Current {
    digest: [u8; 32],
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    public: Arc<ServerConfig>,
    peers: Arc<Peers>,
}

/// A TLS folder and the configurations made from its newest content.
///
/// Cheap to clone; all clones share what was read.
#[derive(Clone)]
pub struct TlsFolder {
    dir: Arc<Path>,
    current: Arc<Mutex<Arc<Current>>>,
}

impl std::fmt::Debug for TlsFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsFolder").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl TlsFolder {
    /// Reads the folder for the first time. Errors: anything missing or wrong in it.
    pub fn open(dir: &Path) -> Result<Self, TlsError> {
        let current = load(&Files::read(dir)?)?;
        Ok(Self { dir: dir.into(), current: Arc::new(Mutex::new(Arc::new(current))) })
    }

    /// The server configuration of the folder as it is now.
    pub fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.fresh().server)
    }

    /// The server configuration towards everybody, without client certificates, of the folder as it is now.
    pub fn public_server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.fresh().public)
    }

    /// The client configuration of the folder as it is now.
    pub fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.fresh().client)
    }

    /// The pinned peers of the folder as it is now.
    pub fn peers(&self) -> Arc<Peers> {
        Arc::clone(&self.fresh().peers)
    }

    /// The pinned peers as last read; never touches the disk.
    pub fn known_peers(&self) -> Arc<Peers> {
        Arc::clone(&self.held().peers)
    }

    fn held(&self) -> Arc<Current> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fresh(&self) -> Arc<Current> {
        let held = self.held();
        let read = Files::read(&self.dir)
            .and_then(|files| if files.digest() == held.digest { Ok(None) } else { load(&files).map(Some) });
        match read {
            Ok(None) => held,
            Ok(Some(new)) => {
                let new = Arc::new(new);
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
                tracing::info!(dir = %self.dir.display(), "TLS files changed and were read again");
                new
            }
            Err(error) => {
                tracing::warn!(dir = %self.dir.display(), %error, "TLS files unusable; the last good ones stay in force");
                held
            }
        }
    }
}

fn load(files: &Files) -> Result<Current, TlsError> {
    let material = files.parse()?;
    Ok(Current {
        digest: files.digest(),
        server: Arc::new(server_config(&material)?),
        client: Arc::new(client_config(&material)?),
        public: Arc::new(public_server_config(&material)?),
        peers: Arc::clone(&material.peers),
    })
}
