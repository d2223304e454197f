//! Makes sure that what is published counts.
//!
//! A leader that was paused in the midst of a write can finish it after its successor has asked the signer for the same
//! again. What it publishes then was superseded, and nothing in the cluster may tell so. So each certificate that this
//! process did not issue itself is looked up once at the signer, many in one request; one that does not count is
//! displaced.

use crate::context::Context;
use aws_lc_rs::digest::{SHA256, digest};
use keywright_controllers_core::certificate::decide::LeafFacts;
use keywright_crds::Certificate;
use keywright_signer_protocol::v1alpha1::{Counting, LookUpRequest, RequestKey};
use kube::runtime::reflector::ObjectRef;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Requests in one look-up: what the signer takes.
const BATCH: usize = 256;
/// How long to wait before a signer that gave no answer is asked again.
const AGAIN: Duration = Duration::from_secs(10);

/// First half of a SHA-256: ten thousand texts in less memory than they take.
type Short = [u8; 16];

fn short(text: &str) -> Short {
    let mut short = Short::default();
    short.copy_from_slice(&digest(&SHA256, text.as_bytes()).as_ref()[..16]);
    short
}

/// What this process knows to count, what is to be looked up, and what turned out not to count.
#[derive(Default)]
pub struct Confirmations {
    /// Serial that counts, by UID.
    counting: Mutex<HashMap<Short, Short>>,
    waiting: Mutex<BTreeMap<String, Doubt>>,
    superseded: Mutex<HashMap<String, String>>,
    asked: Notify,
}

/// A certificate of which it is not known whether it counts.
#[derive(Clone)]
struct Doubt {
    step: u64,
    serial: String,
    object: ObjectRef<Certificate>,
}

impl Confirmations {
    /// The signer answered this process with it.
    pub(crate) fn note(&self, uid: &str, serial: &str) {
        lock(&self.counting).insert(short(uid), short(serial));
    }

    /// A certificate is published: it is looked up, unless it is known to count.
    pub(crate) fn published(&self, cert: &Certificate, uid: &str, leaf: &LeafFacts) {
        if leaf.revision == 0 || lock(&self.counting).get(&short(uid)) == Some(&short(&leaf.serial)) {
            return;
        }
        let doubt =
            Doubt { step: leaf.revision, serial: leaf.serial.clone(), object: ObjectRef::from_obj(cert) };
        lock(&self.waiting).insert(uid.to_owned(), doubt);
        self.asked.notify_one();
    }

    /// The serial of this object that does not count, if one was found.
    pub(crate) fn superseded(&self, uid: &str) -> Option<String> {
        lock(&self.superseded).get(uid).cloned()
    }

    /// Forgets all objects but these.
    pub(crate) fn keep_only(&self, live: &HashSet<String>) {
        let kept: HashSet<Short> = live.iter().map(|uid| short(uid)).collect();
        lock(&self.counting).retain(|uid, _| kept.contains(uid));
        lock(&self.waiting).retain(|uid, _| live.contains(uid));
        lock(&self.superseded).retain(|uid, _| live.contains(uid));
    }

    fn take(&self) -> Vec<(String, Doubt)> {
        let mut waiting = lock(&self.waiting);
        let all: Vec<String> = waiting.keys().take(BATCH).cloned().collect();
        all.into_iter().filter_map(|uid| waiting.remove_entry(&uid)).collect()
    }

    /// Not looked up after all; what came up meanwhile is newer.
    fn put_back(&self, doubts: Vec<(String, Doubt)>) {
        let mut waiting = lock(&self.waiting);
        for (uid, doubt) in doubts {
            waiting.entry(uid).or_insert(doubt);
        }
    }

    /// What the signer says of one. True: another certificate counts.
    fn settle(&self, uid: String, doubt: &Doubt, counting: &Counting) -> bool {
        if counting.serial.is_empty() || is_serial(&doubt.serial, &counting.serial) {
            self.note(&uid, &doubt.serial);
            return false;
        }
        lock(&self.superseded).insert(uid, doubt.serial.clone());
        true
    }
}

/// Whether a serial number as text is these octets, whatever zeros lead.
fn is_serial(text: &str, octets: &[u8]) -> bool {
    let bare = |text: &str| text.trim_start_matches('0').to_owned();
    bare(text) == bare(&hex::encode(octets))
}

/// Looks up what waits, until the process ends; resolves never.
pub(crate) async fn follow(ctx: &Context) {
    loop {
        ctx.confirmations.asked.notified().await;
        loop {
            let doubts = ctx.confirmations.take();
            if doubts.is_empty() {
                break;
            }
            look_up(ctx, doubts).await;
        }
    }
}

async fn look_up(ctx: &Context, doubts: Vec<(String, Doubt)>) {
    let key = |(uid, doubt): &(String, Doubt)| RequestKey { object_uid: uid.clone(), step: doubt.step };
    let request =
        LookUpRequest { fencing_token: ctx.fencing_token, request_keys: doubts.iter().map(key).collect() };
    match ctx.signer.look_up(request).await {
        Ok(answer) => {
            for ((uid, doubt), counting) in doubts.into_iter().zip(&answer.counting) {
                if ctx.confirmations.settle(uid, &doubt, counting) {
                    let name = doubt.object.name.as_str();
                    tracing::warn!(name, serial = doubt.serial, "what is published was superseded");
                    ctx.queues.certificates.push(doubt.object);
                }
            }
        }
        Err(error) => {
            tracing::debug!(%error, "not looked up; it is tried again");
            ctx.confirmations.put_back(doubts);
            tokio::time::sleep(AGAIN).await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(serial: &str, revision: u64) -> LeafFacts {
        let at = jiff::Timestamp::UNIX_EPOCH;
        LeafFacts {
            not_before: at,
            not_after: at,
            renewal: at,
            serial: serial.to_owned(),
            revision,
            log_index: None,
            issuer_uid: None,
            authority_key_id: None,
        }
    }

    fn counting(serial: &[u8]) -> Counting {
        Counting { serial: serial.to_vec(), log_index: 1 }
    }

    #[test]
    fn what_this_process_did_not_issue_is_looked_up_once() {
        let all = Confirmations::default();
        let cert = Certificate::new("web", keywright_crds::CertificateSpec::default());
        all.note("own", "0a");
        all.published(&cert, "own", &leaf("0a", 1));
        assert!(all.take().is_empty(), "its own counts");
        all.published(&cert, "other", &leaf("0b", 2));
        let doubts = all.take();
        assert_eq!((doubts[0].0.as_str(), doubts[0].1.step), ("other", 2));
        assert!(!all.settle("other".into(), &doubts[0].1, &counting(&[0x0b])));
        all.published(&cert, "other", &leaf("0b", 2));
        assert!(all.take().is_empty(), "it is known to count");
        all.published(&cert, "other", &leaf("0c", 2));
        assert_eq!(all.take().len(), 1, "another one is another question");
    }

    #[test]
    fn what_does_not_count_is_remembered_and_what_the_signer_does_not_know_is_left_alone() {
        let all = Confirmations::default();
        let doubt = |serial: &str| Doubt {
            step: 1,
            serial: serial.to_owned(),
            object: ObjectRef::new("web").within("default"),
        };
        let table: [(&str, &[u8], bool); 4] =
            [("0b", &[0x0c], true), ("0b", &[], false), ("b", &[0, 0x0b], false), ("0b", &[0x0b, 0], true)];
        for (n, (serial, octets, superseded)) in table.into_iter().enumerate() {
            let uid = n.to_string();
            assert_eq!(all.settle(uid.clone(), &doubt(serial), &counting(octets)), superseded, "{n}");
            assert_eq!(all.superseded(&uid).is_some(), superseded, "{n}");
        }
        all.keep_only(&HashSet::new());
        assert_eq!(all.superseded("0"), None);
    }
}
