//! The file with the wrapped root key: `STATE/kek.json`.
//!
//! Holds no secret in the clear. It names the root key by its identifier, and the custodian by what it takes to find it
//! again. During a rotation it holds two envelopes, the old and the new; the ledger's head says which is in force. The
//! file is replaced as a whole (written beside, synced, renamed), so a crash leaves the old or the new content.

use crate::error::{CustodyError, Kind};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Version of the file's format.
const VERSION: u32 = 1;
/// Longest file that is read.
const LONGEST: u64 = 1 << 20;

/// The root key, wrapped by one custodian. Binary values are hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "custodian", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Wrapped {
    /// AES-256-GCM in a PKCS#11 token.
    Pkcs11 {
        /// The token's label.
        token: String,
        /// The key's label.
        key: String,
        /// Nonce, 12 bytes.
        nonce: String,
        /// Ciphertext and tag.
        sealed: String,
    },
    /// Encrypted by a transit key.
    Vault {
        /// Server at the time; another address of the same server is fine.
        address: String,
        /// Namespace; empty for none.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        namespace: String,
        /// Where the engine is mounted.
        mount: String,
        /// Name of the key.
        key: String,
        /// As the server gave it: `vault:vN:...`.
        ciphertext: String,
    },
    /// AES-256-GCM under a key derived from a passphrase by Argon2id.
    Passphrase {
        /// Memory, in KiB.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
        /// Salt, 16 bytes.
        salt: String,
        /// Nonce, ciphertext and tag.
        sealed: String,
    },
}

impl Wrapped {
    /// Who can unwrap it, in words.
    pub fn custodian(&self) -> String {
        match self {
            Self::Pkcs11 { token, key, .. } => format!("key {key} in PKCS#11 token {token}"),
            Self::Vault { mount, key, ciphertext, .. } => {
                let version = ciphertext.split(':').nth(1).unwrap_or("v?");
                format!("transit key {mount}/{key} ({version})")
            }
            Self::Passphrase { .. } => "passphrase".to_owned(),
        }
    }
}

/// A wrapped root key and which one it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Identifier of the root key, hexadecimal: what is sealed under it carries the same.
    pub root: String,
    /// The root key.
    #[serde(flatten)]
    pub wrapped: Wrapped,
}

/// All envelopes of a state folder, the newest last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Envelopes {
    version: u32,
    /// One, or two while a rotation is under way.
    pub envelopes: Vec<Envelope>,
}

/// Where the file is.
pub fn path(state: &Path) -> PathBuf {
    state.join("kek.json")
}

fn disk(path: &Path, error: &io::Error) -> CustodyError {
    CustodyError::new(
        Kind::System,
        path.display().to_string(),
        error.to_string(),
        "see that the volume is mounted, writable and not full",
    )
}

impl Envelopes {
    /// Reads the file; none is an empty one. Errors: unreadable, or not in this format.
    pub fn load(state: &Path) -> Result<Self, CustodyError> {
        let path = path(state);
        let wrong = |rule: String| {
            let fix = "restore the state folder as a whole from one backup";
            CustodyError::new(Kind::WrongKey, path.display().to_string(), rule, fix)
        };
        let text = match std::fs::metadata(&path)
            .and_then(|about| if about.len() > LONGEST { Ok(None) } else { std::fs::read(&path).map(Some) })
        {
            Ok(Some(text)) => text,
            Ok(None) => return Err(wrong("is far longer than any envelope".into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(disk(&path, &error)),
        };
        let found: Self =
            serde_json::from_slice(&text).map_err(|error| wrong(format!("does not parse: {error}")))?;
        if found.version != VERSION {
            return Err(wrong(format!("has version {}, this signer reads {VERSION}", found.version)));
        }
        Ok(found)
    }

    /// Replaces the file, durably; with no envelope left, removes it.
    pub fn store(&self, state: &Path) -> Result<(), CustodyError> {
        let path = path(state);
        let result = if self.envelopes.is_empty() {
            std::fs::remove_file(&path)
                .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
        } else {
            self.write(&path)
        };
        result.and_then(|()| File::open(state)?.sync_all()).map_err(|error| disk(&path, &error))
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("json.new");
        let mut text = serde_json::to_vec_pretty(&Self { version: VERSION, ..self.clone() })?;
        text.push(b'\n');
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    }

    /// The envelope of the root key with this identifier (hexadecimal).
    pub fn of(&self, root: &str) -> Option<&Envelope> {
        self.envelopes.iter().rev().find(|envelope| envelope.root == root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_back_as_it_was_written_and_goes_with_its_last_envelope() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Envelopes::load(dir.path()).unwrap(), Envelopes::default());
        let envelope = |root: &str, wrapped| Envelope { root: root.into(), wrapped };
        let all = Envelopes {
            version: VERSION,
            envelopes: vec![
                envelope(
                    "aa",
                    Wrapped::Vault {
                        address: "https://v".into(),
                        namespace: String::new(),
                        mount: "transit".into(),
                        key: "k".into(),
                        ciphertext: "vault:v3:x".into(),
                    },
                ),
                envelope(
                    "bb",
                    Wrapped::Passphrase { memory_kib: 8, passes: 1, salt: "00".into(), sealed: "00".into() },
                ),
            ],
        };
        all.store(dir.path()).unwrap();
        assert_eq!(Envelopes::load(dir.path()).unwrap(), all);
        assert_eq!(all.of("aa").unwrap().wrapped.custodian(), "transit key transit/k (v3)");
        assert!(all.of("cc").is_none());
        Envelopes::default().store(dir.path()).unwrap();
        assert!(!path(dir.path()).exists());
    }

    #[test]
    fn a_file_that_is_no_list_of_envelopes_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for text in
            ["", "{}", "[]", r#"{"version":2,"envelopes":[]}"#, r#"{"version":1,"envelopes":[{"root":"a"}]}"#]
        {
            std::fs::write(path(dir.path()), text).unwrap();
            let error = Envelopes::load(dir.path()).unwrap_err();
            assert_eq!(error.kind, Kind::WrongKey, "{text}: {error}");
        }
    }
}
