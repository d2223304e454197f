//! What a look has come to and could not leave behind yet: a certificate whose Secret was not written, a refusal.
//!
//! Only saves asking the signer again. Whoever loses it (a crash) asks again with another key, and the signer records
//! the earlier certificate as superseded.

use jiff::Timestamp;
use keywright_pki::certificate::Certificate;
use keywright_pki::key::PrivateKey;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A certificate that was signed, and its key.
pub(super) struct Made {
    pub(super) effect: String,
    pub(super) step: u64,
    pub(super) key: PrivateKey,
    pub(super) leaf: Certificate,
    pub(super) log_index: u64,
    /// The operator's time of the look that asked for it.
    pub(super) asked: Timestamp,
}

/// By UID of the Certificate.
#[derive(Default)]
pub struct Unpublished {
    made: Mutex<HashMap<String, Made>>,
    asked: Mutex<HashMap<String, Asked>>,
    refused: Mutex<HashMap<String, (String, String)>>,
    newest: Mutex<HashMap<String, u64>>,
    policies: Mutex<String>,
}

/// A key whose certificate was asked for, with no answer yet.
struct Asked {
    step: u64,
    effect: String,
    key: PrivateKey,
}

impl Unpublished {
    /// Notes the digest of the policies in force at the signer. It is part of what people agree to; after a restart the
    /// first refusal says it again.
    pub(super) fn learn_policies(&self, digest: &str) {
        digest.clone_into(&mut lock(&self.policies));
    }

    /// The digest that the signer said last; empty: it has none, or did not say yet.
    pub(super) fn policies(&self) -> String {
        lock(&self.policies).clone()
    }

    /// Takes what was made for exactly this step and effect; anything else that lies here is dropped.
    pub(super) fn take(&self, uid: &str, step: u64, effect: &str) -> Option<Made> {
        lock(&self.made).remove(uid).filter(|made| made.step == step && made.effect == effect)
    }

    /// Keeps what could not be published.
    pub(super) fn keep(&self, uid: &str, made: Made) {
        lock(&self.made).insert(uid.to_owned(), made);
    }

    /// Takes the key that was asked with for exactly this step and effect: with the same key the signer gives the answer
    /// it may have stored, and nothing has to be superseded.
    pub(super) fn take_key(&self, uid: &str, step: u64, effect: &str) -> Option<PrivateKey> {
        let asked = lock(&self.asked).remove(uid)?;
        (asked.step == step && asked.effect == effect).then_some(asked.key)
    }

    /// Keeps the key of a request that got no answer.
    pub(super) fn keep_key(&self, uid: &str, step: u64, effect: &str, key: PrivateKey) {
        lock(&self.asked).insert(uid.to_owned(), Asked { step, effect: effect.to_owned(), key });
    }

    /// The signer has signed this step for the object, whatever the cluster remembers.
    pub(super) fn behind(&self, uid: &str, newest: u64) {
        lock(&self.newest).insert(uid.to_owned(), newest);
    }

    /// The newest step that the signer told of; 0 if it never had to.
    pub(super) fn newest(&self, uid: &str) -> u64 {
        lock(&self.newest).get(uid).copied().unwrap_or(0)
    }

    /// The signer's words, if it has refused this very ask before. `ask`: what was asked of which authority.
    pub(super) fn refusal(&self, uid: &str, ask: &str) -> Option<String> {
        lock(&self.refused).get(uid).filter(|(asked, _)| asked == ask).map(|(_, words)| words.clone())
    }

    /// Remembers a refusal.
    pub(super) fn refused(&self, uid: &str, ask: String, words: String) {
        lock(&self.refused).insert(uid.to_owned(), (ask, words));
    }

    /// Forgets all objects but these: a key whose Certificate is gone is wiped.
    pub fn keep_only(&self, live: &HashSet<String>) {
        lock(&self.made).retain(|uid, _| live.contains(uid));
        lock(&self.asked).retain(|uid, _| live.contains(uid));
        lock(&self.refused).retain(|uid, _| live.contains(uid));
        lock(&self.newest).retain(|uid, _| live.contains(uid));
    }

    /// Forgets an object.
    pub fn forget(&self, uid: &str) {
        lock(&self.made).remove(uid);
        lock(&self.asked).remove(uid);
        lock(&self.refused).remove(uid);
        lock(&self.newest).remove(uid);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
