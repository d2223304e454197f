//! The key-encryption key from wherever it is kept, and its rotation.
//!
//! ```text
//! file        -> 32 bytes, the key itself
//! custodian   -> STATE/kek.json holds it wrapped; a new state folder gets a new one
//!
//! rewrap:  old key opened -> new envelope stored -> one commit (all rows, head, log entry) -> old envelope removed
//!            crash: nothing happened ^   leftover envelope ^            leftover envelope ^
//! ```
//! The one commit of the ledger is what changes keys; a crash before it leaves the old one in force, after it the new
//! one, and doing the same again ends what was begun. The ledger's head says which key it is under; that is only used to
//! choose, opening proves it.

use crate::authority::binding;
use crate::ids::Uid;
use crate::ledger::{AuthorityRow, Batch, KeyState, LedgerError, sealed_under};
use crate::log::entry::{Entry, Kind as EntryKind};
use crate::refusal::Refusal;
use crate::seal::{Kek, KekError, SealError, Sealed};
use crate::store::{self, Store, StoreError};
use keywright_ambient::{Entropy, NoEntropy};
use keywright_custody::{Custodian, CustodyError, Envelope, Envelopes, Keeper, KekSpec, Kind, RootKey};
use keywright_secmem::Full;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

/// Why there is no key-encryption key, or why it could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// Its file.
    #[error(transparent)]
    File(#[from] KekError),
    /// Its custodian.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The ledger does not tell what it is sealed under.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The state folder does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sealed key did not open: nothing was changed.
    #[error("re-wrap: {what}: {source}; nothing was changed")]
    Sealed {
        /// Which.
        what: String,
        /// Why.
        source: SealError,
    },
    /// The log entry does not encode.
    #[error(transparent)]
    Entry(#[from] Refusal),
    /// No randomness.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// No guarded memory.
    #[error(transparent)]
    Full(#[from] Full),
    /// The state folder cannot be made.
    #[error("state folder: {0}; see that the volume is mounted, writable and not full")]
    Disk(#[from] std::io::Error),
}

impl KeepError {
    /// Whether the key that was found is another one than the state folder's.
    fn is_wrong_key(&self) -> bool {
        matches!(self, Self::Custody(error) if error.kind == Kind::WrongKey)
    }
}

fn wrong(what: String, rule: String, fix: &str) -> KeepError {
    CustodyError::new(Kind::WrongKey, what, rule, fix).into()
}

/// A custodian's root key, as a key-encryption key, if it is the one that its envelope says.
fn unwrapped(custodian: &Custodian, envelope: &Envelope) -> Result<Kek, KeepError> {
    let kek = Kek::from_root(&custodian.unwrap(envelope)?)?;
    if hex::encode(kek.id()) == envelope.root {
        return Ok(kek);
    }
    let rule = "the root key in an envelope is another one than the envelope says".to_owned();
    Err(wrong("kek.json".into(), rule, "restore the state folder as a whole from one backup"))
}

/// A new root key, its envelope durable beside the state before it seals anything.
fn new_root(
    custodian: &Custodian,
    state: &Path,
    mut envelopes: Envelopes,
    entropy: &dyn Entropy,
) -> Result<Kek, KeepError> {
    let root = RootKey::generate(entropy)?;
    let kek = Kek::from_root(&root)?;
    let envelope = custodian.wrap(&root, &hex::encode(kek.id()), entropy)?;
    // Proves before anything depends on it that what was wrapped can be unwrapped.
    unwrapped(custodian, &envelope)?;
    envelopes.envelopes.push(envelope);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state)?;
    envelopes.store(state)?;
    Ok(kek)
}

/// The key-encryption key of this state folder, from where `spec` says it is kept.
///
/// A state folder that does not exist yet gets a new root key, unless it is a file's, which is never made here.
/// Errors: kept elsewhere, another key than the state folder's, or the custodian's.
pub fn open(spec: &KekSpec, state: &Path, entropy: &dyn Entropy) -> Result<Kek, KeepError> {
    let under = sealed_under(state)?.map(hex::encode);
    if let KekSpec::Passphrase(_) = spec {
        tracing::warn!(
            "THE STATE IS SEALED UNDER A PASSPHRASE: for development only. Whoever copies the state folder can guess at it at leisure; use a file, a token or a transit key"
        );
    }
    let custodian = match Keeper::of(spec) {
        Keeper::Custodian(custodian) => custodian,
        Keeper::File(path) => {
            let kek = Kek::read(path)?;
            return match under {
                Some(under) if under != hex::encode(kek.id()) => Err(wrong(
                    spec.to_string(),
                    format!(
                        "the state folder is sealed under key {under}, this file holds {}",
                        hex::encode(kek.id())
                    ),
                    "name the right file, or re-wrap with `keywright-signer kek rewrap --from ... --to ...`",
                )),
                Some(_) | None => Ok(kek),
            };
        }
    };
    let envelopes = Envelopes::load(state)?;
    let Some(under) = under else {
        // A new state folder, or one whose start was cut off right after its envelope was written.
        let begun = envelopes.envelopes.iter().rev().find(|envelope| custodian.fits(&envelope.wrapped));
        if let Some(envelope) = begun {
            return unwrapped(&custodian, envelope);
        }
        let kek = new_root(&custodian, state, envelopes, entropy)?;
        tracing::info!(custodian = %spec, key = hex::encode(kek.id()), "root key made and wrapped");
        return Ok(kek);
    };
    match envelopes.of(&under) {
        Some(envelope) if custodian.fits(&envelope.wrapped) => unwrapped(&custodian, envelope),
        Some(envelope) => Err(wrong(
            spec.to_string(),
            format!("the state folder's key {under} is kept by {}", envelope.wrapped.custodian()),
            "name that one in --kek, or re-wrap with `keywright-signer kek rewrap --from ... --to ...`",
        )),
        None => Err(wrong(
            spec.to_string(),
            format!("the state folder is sealed under key {under}, of which kek.json has no envelope"),
            "restore kek.json from the same backup, or name the file that holds this key: --kek file:PATH",
        )),
    }
}

/// As [`open`], but what is still sealed under `old` is re-wrapped first. `now`: seconds since the Unix epoch.
pub fn open_or_rewrap(
    spec: &KekSpec,
    old: Option<&KekSpec>,
    state: &Path,
    now: u64,
    entropy: &dyn Entropy,
) -> Result<Kek, KeepError> {
    match (open(spec, state, entropy), old) {
        (Err(error), Some(old)) if error.is_wrong_key() => {
            tracing::info!(from = %old, to = %spec, "the state is sealed under the old key; re-wrapping");
            rewrap(old, spec, state, now, entropy)?;
            open(spec, state, entropy)
        }
        (Ok(kek), Some(old)) => {
            tracing::info!(%old, "the old key-encryption key is not needed any more");
            Ok(kek)
        }
        (result, _) => result,
    }
}

/// What a re-wrap did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrapped {
    /// Identifier of the key that sealed everything before.
    pub from: String,
    /// Identifier of the key that does now.
    pub to: String,
    /// How many sealed keys were re-wrapped, the log's own included.
    pub keys: usize,
}

/// The key to re-wrap to: a file's own, or a new root key. Of envelopes that an earlier try left none is used: beside one
/// that never came into force lies, after a crash between commit and removal, one that was replaced.
fn target(spec: &KekSpec, state: &Path, from: &str, entropy: &dyn Entropy) -> Result<Kek, KeepError> {
    match Keeper::of(spec) {
        Keeper::Custodian(custodian) => {
            let mut envelopes = Envelopes::load(state)?;
            envelopes.envelopes.retain(|envelope| envelope.root == from);
            new_root(&custodian, state, envelopes, entropy)
        }
        Keeper::File(path) => Ok(Kek::read(path)?),
    }
}

/// Seals everything of the state folder under another key-encryption key. The signer must be stopped.
///
/// `from` and `to` may name the same custodian: its root key is then replaced, and wrapped by the newest version of its
/// key. Errors: nothing was changed. After a crash, do the same again.
pub fn rewrap(
    from: &KekSpec,
    to: &KekSpec,
    state: &Path,
    now: u64,
    entropy: &dyn Entropy,
) -> Result<Rewrapped, KeepError> {
    if sealed_under(state)?.is_none() {
        let fix = "name the right --state-dir; a new state folder needs no re-wrap";
        return Err(wrong(state.display().to_string(), "there is no ledger to re-wrap".into(), fix));
    }
    let old = match open(from, state, entropy) {
        Err(error) if from != to && error.is_wrong_key() => {
            // A crash after the commit: what is left is to remove the old envelope.
            let Ok(kek) = open(to, state, entropy) else { return Err(error) };
            let id = hex::encode(kek.id());
            forget_all_but(&id, to, state)?;
            return Ok(Rewrapped { from: id.clone(), to: id, keys: 0 });
        }
        other => Arc::new(other?),
    };
    let old_id = hex::encode(old.id());
    let new = Arc::new(target(to, state, &old_id, entropy)?);
    let new_id = hex::encode(new.id());
    if old_id == new_id {
        let fix = "name another key in --to: `keywright-signer kek create` makes one";
        return Err(wrong(to.to_string(), format!("holds key {new_id}, which is in force already"), fix));
    }
    let (store, rows) = Store::open(state, &old, entropy, now)?;
    let Store { ledger, publisher, .. } = store;
    let head = ledger.head().clone();
    let again = |what: String, sealed: &Sealed, binding: &[u8]| {
        let rewrapped = old.rewrap(sealed, binding, &new, entropy);
        rewrapped.map_err(|source| KeepError::Sealed { what, source })
    };
    let log_key = again("log key".into(), &head.log_key, &store::binding(&head.origin, &head.log_public))?;
    let authorities = rows
        .into_iter()
        .map(|(uid, row)| {
            // Of a destroyed key nothing is left to wrap.
            if row.state() == KeyState::Destroyed {
                return Ok((uid, row));
            }
            let sealed = again(format!("authority {uid}"), &row.sealed, &binding(uid, &row))?;
            Ok((uid, AuthorityRow { sealed, ..row }))
        })
        .collect::<Result<Vec<(Uid, AuthorityRow)>, KeepError>>()?;
    let keys = authorities.len() + 1;
    let entry = Entry::new(EntryKind::Key, now)
        .with("event", "rewrapped")
        .with("from", old_id.as_str())
        .with("to", new_id.as_str())
        .with("custody", to.kind())
        .with("keys", keys as u64);
    let too_long = || Refusal::internal("the entry of a re-wrap does not encode");
    let batch =
        Batch { entries: vec![entry.encode().ok_or_else(too_long)?], authorities, ..Batch::default() };
    tracing::info!(from = old_id, to = new_id, keys, "re-wrapping");
    publisher.finish();
    ledger.rekey(Arc::clone(&new), log_key, batch)?;
    // Opens everything under the new key, and publishes the entry.
    let (store, _) = Store::open(state, &new, entropy, now)?;
    store.publisher.finish();
    forget_all_but(&new_id, to, state)?;
    tracing::info!(from = old_id, to = new_id, keys, "re-wrapped");
    Ok(Rewrapped { from: old_id, to: new_id, keys })
}

/// Removes the envelopes of keys that are no longer in force; all of them when the key is in a file.
fn forget_all_but(root: &str, spec: &KekSpec, state: &Path) -> Result<(), KeepError> {
    let mut envelopes = Envelopes::load(state)?;
    let is_in_force = |envelope: &Envelope| envelope.root == root && !matches!(spec, KekSpec::File(_));
    if !envelopes.envelopes.iter().all(is_in_force) {
        envelopes.envelopes.retain(is_in_force);
        envelopes.store(state)?;
    }
    Ok(())
}

/// What a state folder says of its key-encryption key, without opening anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Identifier of the key in force; none: the state folder is new.
    pub under: Option<String>,
    /// Identifier and custodian of each envelope.
    pub envelopes: Vec<(String, String)>,
}

/// Reads what `kek status` shows. Errors: in use by a running signer, or unreadable.
pub fn status(state: &Path) -> Result<Status, KeepError> {
    let under = sealed_under(state)?.map(hex::encode);
    let envelopes = Envelopes::load(state)?.envelopes;
    let shown = envelopes.into_iter().map(|one| {
        let custodian = one.wrapped.custodian();
        (one.root, custodian)
    });
    Ok(Status { under, envelopes: shown.collect() })
}

/// Makes the key that `spec` names: a file, an AES key in a token, a transit key. Errors: it exists.
pub fn create(spec: &KekSpec, entropy: &dyn Entropy) -> Result<(), KeepError> {
    match Keeper::of(spec) {
        Keeper::Custodian(custodian) => Ok(custodian.create(entropy)?),
        Keeper::File(path) => Ok(Kek::create(path, entropy)?),
    }
}
