//! The state folder: ledger and log opened together, compared, and repaired where a crash cut the log's files short.
//!
//! ```text
//! STATE/journal-0, -1 what is true, as it became so (one durable write per turn)
//! STATE/ledger.redb   the same as tables, a little behind the journal; sealed keys included
//! STATE/log/          the same entries for others to verify; derived, written after
//! STATE/log.vkey      the log's verifier key
//! ```
//! The log may be behind the ledger (a crash between commit and publication) and is then completed. It may never be
//! ahead, shorter than the ledger knows it was, or different: that is tampering or a mixed restore, and refuses to open.

use crate::authority::OpenError;
use crate::ids::Uid;
use crate::ledger::{AuthorityRow, Found, HeadRow, Ledger, LedgerError, TABLES};
use crate::log::audit::{NEWEST, audit};
use crate::log::disk::{DiskError, LogDir, join_bundle};
use crate::log::merkle::leaf_hash;
use crate::log::note::{LogKey, Verifier};
use crate::log::publisher::{Log, Publisher};
use crate::log::tile::{Edge, FULL_U64};
use crate::path::Turn;
use crate::refusal::Refusal;
use crate::seal::{Kek, SealError};
use keywright_ambient::{Entropy, NoEntropy};
use keywright_secmem::{GuardedBytes, wiping_stack};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The log's files.
    #[error(transparent)]
    Log(#[from] DiskError),
    /// A sealed authority.
    #[error(transparent)]
    Authority(#[from] OpenError),
    /// The log's own key.
    #[error("log key: {0}")]
    LogKey(#[from] SealError),
    /// Ledger and log are not of one history.
    #[error("state folder: {0}; restore the state folder as a whole from one backup")]
    Mixed(&'static str),
    /// No randomness.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The disk.
    #[error("state folder {path}: {source}; see that the volume is mounted, writable and not full")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An entry could not be made.
    #[error(transparent)]
    Entry(#[from] Refusal),
}

/// The open state folder.
pub struct Store {
    /// What is true.
    pub ledger: Ledger,
    /// Writes the log's files.
    pub publisher: Publisher,
    /// The log's public key.
    pub verifier: Verifier,
}

/// Path of the log within the state folder.
pub fn log_dir(state: &Path) -> LogDir {
    LogDir::new(state.join("log"))
}

/// The log's verifier key as kept beside it. Errors: missing or not a verifier key.
pub fn read_verifier(state: &Path) -> Result<Verifier, StoreError> {
    let path = state.join("log.vkey");
    let text = std::fs::read_to_string(&path).map_err(|source| StoreError::Io { path, source })?;
    Verifier::parse(&text).ok_or(StoreError::Mixed("log.vkey is no verifier key"))
}

/// What the log's sealed key is bound to.
pub(crate) fn binding(origin: &str, public: &[u8]) -> Vec<u8> {
    [b"keywright log key v1\0", origin.as_bytes(), b"\0", public].concat()
}

fn new_head(kek: &Kek, entropy: &dyn Entropy) -> Result<HeadRow, StoreError> {
    let mut name = [0; 8];
    entropy.fill(&mut name)?;
    let mut seed = GuardedBytes::zeroed(32).map_err(SealError::from)?;
    entropy.fill(&mut seed)?;
    let origin = format!("keywright.dev/signer/{}", hex::encode(name));
    let key = log_key(origin.clone(), &seed).ok_or(SealError::Closed)?;
    let log_public = key.verifier().public().to_vec();
    let log_key = kek.seal(&seed, &binding(&origin, &log_public), entropy)?;
    Ok(HeadRow { origin, log_key, log_public, ..HeadRow::default() })
}

fn open_log_key(head: &HeadRow, kek: &Kek) -> Result<LogKey, StoreError> {
    let seed = kek.open(&head.log_key, &binding(&head.origin, &head.log_public))?;
    Ok(log_key(head.origin.clone(), &seed).ok_or(SealError::Closed)?)
}

fn log_key(origin: String, seed: &[u8]) -> Option<LogKey> {
    wiping_stack(|| LogKey::from_seed(origin, seed.try_into().ok()?))
}

impl Store {
    /// Opens the state folder, or makes a new one where there is nothing; gives the authorities, their keys still sealed.
    ///
    /// Intents without an outcome (a crash in between) are recorded as abandoned: their certificates never left.
    /// Errors: in use, unreadable, edited, cut, or of mixed age. Nothing is repaired but a log that a crash left behind.
    pub fn open(
        state: &Path,
        kek: &Arc<Kek>,
        entropy: &dyn Entropy,
        now: u64,
    ) -> Result<(Self, Vec<(Uid, AuthorityRow)>), StoreError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { path, source }
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(io(state))?;
        let dir = log_dir(state);
        let path = state.join(TABLES);
        let found = Found::open(state, Arc::clone(kek))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(io(&path))?;
        let (head, new) = match found.head() {
            Some(head) => (head.clone(), None),
            None if dir.root().join("checkpoint").exists() => {
                return Err(StoreError::Mixed("there is a log but its ledger is gone"));
            }
            None => {
                let head = new_head(kek, entropy)?;
                (head.clone(), Some(head))
            }
        };
        let key = open_log_key(&head, kek)?;
        let verifier = key.verifier().clone();
        let edge = match dir.checkpoint(&verifier)? {
            None if head.published > 0 => return Err(StoreError::Mixed("the log's checkpoint is missing")),
            None => Edge::default(),
            Some(checkpoint) if checkpoint.size > head.size => {
                return Err(StoreError::Mixed(
                    "the log is longer than the ledger knows: the ledger was put back",
                ));
            }
            Some(checkpoint) if checkpoint.size < head.published => {
                return Err(StoreError::Mixed("the log is shorter than it was: it was cut or put back"));
            }
            Some(checkpoint) => dir.edge(&checkpoint)?,
        };
        audit(&dir, &edge, NEWEST)?;
        let mut frontier = edge.frontier();
        let unfinished = edge.unfinished(0);
        let mut tail = found.entries_from(edge.size() / FULL_U64 * FULL_U64)?;
        let behind = tail.split_off(unfinished.len().min(tail.len()));
        if !tail.iter().map(|entry| leaf_hash(entry)).eq(unfinished.iter().copied()) {
            return Err(StoreError::Mixed(
                "the log's last entries are not the ledger's: one of them was forked",
            ));
        }
        for entry in &behind {
            frontier.push(leaf_hash(entry));
        }
        let is_new = new.is_some();
        let open_intents = found.open_intents()?;
        let authorities = found.authorities()?;
        let mut ledger = found.ready(new, frontier)?;
        let mut bundle = Vec::new();
        for entry in &tail {
            join_bundle(&mut bundle, entry);
        }
        let mut log = Log::new(dir, key, edge, bundle);
        if is_new || !behind.is_empty() || log.size() == 0 {
            log.publish(&behind)?;
        }
        let vkey = state.join("log.vkey");
        std::fs::write(&vkey, format!("{}\n", verifier.text())).map_err(io(&vkey))?;
        let mut turn = Turn::new(&ledger, now);
        for (id, row) in open_intents {
            turn.abandon(id, row, "the signer stopped before its outcome was recorded")?;
        }
        let publisher = Publisher::start(log).map_err(io(state))?;
        let committed = turn.commit(&mut ledger, publisher.progress().published())?;
        publisher.send(committed.entries);
        Ok((Self { ledger, publisher, verifier }, authorities))
    }
}
