//! The status to publish: formed anew from what is so, compared with what is there, written only when it differs.

use super::decide::LeafFacts;
use super::ready::Outcome;
use crate::conditions::{settle, whole_seconds};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use keywright_crds::{CertificateRevision, CertificateStatus, ObjectApproval};

/// The status that says `outcome`.
///
/// `old`: the status now on the object. `generation`: of the spec that was looked at. `history`: how many issuances to
/// list. A blocked Certificate keeps what was known of its last issuance.
pub fn status(
    old: &CertificateStatus,
    outcome: &Outcome,
    generation: i64,
    history: usize,
    now: Timestamp,
) -> CertificateStatus {
    let mut status = CertificateStatus {
        observed_generation: Some(generation),
        conditions: settle(&old.conditions, &outcome.facts(), generation, now),
        ..old.clone()
    };
    if let Some(leaf) = outcome.leaf() {
        put(&mut status, leaf);
    }
    status.approval = approval(old.approval.as_ref(), outcome, now);
    status.revisions.truncate(history);
    status
}

/// The approval that is waited for, or was used by what lies in the Secret now. One that nothing needs any more goes.
fn approval(old: Option<&ObjectApproval>, outcome: &Outcome, now: Timestamp) -> Option<ObjectApproval> {
    let old = old.cloned();
    match outcome {
        Outcome::AwaitingApproval { approval, .. } => Some(approval.clone()),
        Outcome::Current { leaf, .. } => old
            .filter(|a| a.used_at.is_some() || u64::try_from(a.revision).ok() == Some(leaf.revision))
            .map(|a| ObjectApproval {
                log_index: leaf
                    .log_index
                    .and_then(|i| i64::try_from(i).ok())
                    .filter(|_| a.used_at.is_none())
                    .or(a.log_index),
                used_at: a.used_at.clone().or_else(|| Some(Time(whole_seconds(now)))),
                ..a
            }),
        Outcome::Waiting { .. }
        | Outcome::ApprovalNotTaken { .. }
        | Outcome::PolicyDenied { .. }
        | Outcome::SignerUnavailable { .. }
        | Outcome::PoliciesChange { .. }
        | Outcome::AnswerUnusable { .. }
        | Outcome::SecretNotWritten { .. }
        | Outcome::Blocked { .. } => old,
    }
}

fn put(status: &mut CertificateStatus, leaf: &LeafFacts) {
    let revision = i64::try_from(leaf.revision).unwrap_or(i64::MAX);
    let log_index = leaf.log_index.and_then(|index| i64::try_from(index).ok());
    status.not_before = Some(Time(leaf.not_before));
    status.not_after = Some(Time(leaf.not_after));
    status.renewal_time = Some(Time(leaf.renewal));
    status.revision = Some(revision);
    status.serial_number = Some(leaf.serial.clone());
    status.log_index = log_index;
    status.issuer_uid.clone_from(&leaf.issuer_uid);
    status.authority_key_id.clone_from(&leaf.authority_key_id);
    if status.revisions.first().is_none_or(|last| last.serial_number != leaf.serial) {
        let entry = CertificateRevision {
            revision,
            serial_number: leaf.serial.clone(),
            not_before: Time(leaf.not_before),
            not_after: Time(leaf.not_after),
            log_index,
        };
        status.revisions.insert(0, entry);
    }
}
