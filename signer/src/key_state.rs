//! The life of a key, changed by hand with the signer stopped: never by a request, so never by the operator alone.
//!
//! ```text
//! Active <-> Retiring     certifies no new authorities, leaves still
//!    \        /
//!     Disabled            signs nothing until it is enabled again
//!        |
//!     Destroyed           for ever: the sealed key is gone from its row, and its name is never used again
//! ```
//! Each change is an entry in the log. Destroying removes the sealed bytes from the ledger; copies in backups and in pages
//! not yet used again stay sealed, until the key-encryption key is changed and its old value destroyed. A key in a token
//! is forgotten here and has to be deleted in the token.

use crate::ids::Uid;
use crate::ledger::{AuthorityRow, KeyState};
use crate::log::entry::Kind;
use crate::path::Turn;
use crate::refusal::Refusal;
use crate::seal::Sealed;
use crate::store::{Store, StoreError};

/// Why a key's state is not changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// No such key.
    #[error("{0}: this signer has no such authority; `key list` names those it has")]
    Unknown(Uid),
    /// It is destroyed, or should be destroyed while in use.
    #[error("{uid}: a key that is {from} does not become {to}; {fix}")]
    Refused {
        /// Which.
        uid: Uid,
        /// As it is.
        from: &'static str,
        /// As wanted.
        to: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// A row of another version.
    #[error("{0}: its state is unknown to this version")]
    Unreadable(Uid),
    /// The state folder.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refusal> for StateError {
    fn from(refusal: Refusal) -> Self {
        Self::Store(refusal.into())
    }
}

/// As in the log and on the command line.
pub fn name(state: KeyState) -> &'static str {
    match state {
        KeyState::Active => "active",
        KeyState::Retiring => "retiring",
        KeyState::Disabled => "disabled",
        KeyState::Destroyed => "destroyed",
    }
}

/// Whether a key may go from one state to another; the text says what to do where it may not.
pub fn may_change(from: KeyState, to: KeyState) -> Result<(), &'static str> {
    match (from, to) {
        (KeyState::Destroyed, _) => Err("make a new authority"),
        (KeyState::Active | KeyState::Retiring, KeyState::Destroyed) => {
            Err("disable it first, to see what breaks")
        }
        (KeyState::Active, KeyState::Active)
        | (KeyState::Retiring, KeyState::Retiring)
        | (KeyState::Disabled, KeyState::Disabled) => Err("it is so already"),
        (KeyState::Active, KeyState::Retiring | KeyState::Disabled)
        | (KeyState::Retiring, KeyState::Active | KeyState::Disabled)
        | (KeyState::Disabled, KeyState::Active | KeyState::Retiring | KeyState::Destroyed) => Ok(()),
    }
}

/// Changes the state of one key, durably and logged, and closes the store. `now`: seconds since the Unix epoch.
pub fn change(
    store: Store,
    rows: Vec<(Uid, AuthorityRow)>,
    uid: Uid,
    to: KeyState,
    now: u64,
) -> Result<(), StateError> {
    let (_, mut row) = rows.into_iter().find(|(name, _)| *name == uid).ok_or(StateError::Unknown(uid))?;
    let from = KeyState::try_from(row.state).map_err(|_| StateError::Unreadable(uid))?;
    may_change(from, to).map_err(|fix| StateError::Refused { uid, from: name(from), to: name(to), fix })?;
    row.state = to.into();
    if to == KeyState::Destroyed {
        row.sealed = Sealed::default();
    }
    let Store { mut ledger, publisher, .. } = store;
    let mut turn = Turn::new(&ledger, now);
    let entry = turn
        .entry(Kind::Key)
        .with("authority", uid.to_string())
        .with("event", name(to))
        .with("from", name(from))
        .with("caller", "offline");
    turn.enter(&entry)?;
    turn.store_row(uid, row);
    let committed = turn.commit(&mut ledger, publisher.progress().published()).map_err(StoreError::from)?;
    publisher.send(committed.entries);
    Ok(ledger.settle(publisher.finish()).map_err(StoreError::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destroyed_is_for_ever_and_comes_only_after_disabled() {
        let all = [KeyState::Active, KeyState::Retiring, KeyState::Disabled, KeyState::Destroyed];
        for from in all {
            assert!(may_change(KeyState::Destroyed, from).is_err());
            assert_eq!(may_change(from, KeyState::Destroyed).is_ok(), from == KeyState::Disabled);
            assert!(may_change(from, from).is_err());
        }
        assert!(may_change(KeyState::Disabled, KeyState::Active).is_ok());
        assert!(may_change(KeyState::Active, KeyState::Retiring).is_ok());
    }
}
