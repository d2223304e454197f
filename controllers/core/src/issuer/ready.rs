//! What an issuer says of itself: the closed list of reasons, and the only place with these words.

#![allow(missing_docs, reason = "the fields of a variant are described by the variant")]

use super::decide::renewal;
use crate::approval::consent::{Refused as Unagreed, Waiting as Awaited};
use crate::certificate::decide::Waiting;
use crate::certificate::effect::hours;
use crate::certificate::valid::SpecProblem;
use crate::conditions::{Facts, State, settle, whole_seconds};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use keywright_crds::{AuthorityStatus, IssuerRef, IssuerStatus, ObjectApproval};
use keywright_pki::certificate::{Certificate, ParseError};
use keywright_signer_protocol::v1alpha1 as signer;

/// How a plan ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The signer holds the authority. `used`: the approval that made it so.
    Current { authority: Box<AuthorityStatus>, created: bool, used: Option<ObjectApproval> },
    /// People have to agree first. `authority`: as it is meanwhile, where the signer was asked.
    AwaitingApproval { on: Awaited, approval: ObjectApproval, authority: Option<Box<AuthorityStatus>> },
    /// People did not agree.
    ApprovalRefused { because: Unagreed, authority: Option<Box<AuthorityStatus>> },
    /// The signer does not take an approval that seemed to hold.
    ApprovalNotTaken { words: String },
    /// A policy denies its next certificate.
    PolicyDenied { words: String, authority: Option<Box<AuthorityStatus>> },
    /// The parent has to come first.
    Waiting { on: Waiting, parent: IssuerRef },
    /// The signer gave no answer, or could not sign just now.
    SignerUnavailable { words: String },
    /// The signer has read other policies than were asked here, and goes on when both have read the same.
    PoliciesChange { words: String },
    /// The signer holds another key for this object than its status says, or none where there was one.
    KeyLost { words: String },
    /// The spec makes no sense.
    Invalid { problem: SpecProblem },
    /// The signer refused; its field, rule and fix.
    Refused { words: String },
    /// The signer refused an edit that loosens, or changes, what was fixed when the key was made.
    LooseningRefused { words: String },
}

impl Outcome {
    /// State, reason and words. `signs`: whether the object shows an authority, which goes on as it was.
    pub fn facts(&self, signs: bool) -> Facts {
        let or = |so: State, without: State| if signs { so } else { without };
        let meanwhile = if signs { " Meanwhile the authority signs as before." } else { "" };
        let (state, reason, message) = match self {
            Self::AwaitingApproval { on, .. } => (
                or(State::Changing, State::InProgress),
                "AwaitingApproval",
                // The command stays last, to be copied.
                format!("{}{}", if signs { "The authority signs as before. " } else { "" }, on.words()),
            ),
            Self::ApprovalRefused { because, .. } => {
                let (reason, words) = because.words();
                let fix = "edit the spec, or delete that request to ask again.";
                (or(State::Kept, State::Failed), reason, format!("{words}; {fix}{meanwhile}"))
            }
            Self::PolicyDenied { words, .. } => {
                (or(State::Kept, State::Failed), "PolicyDenied", format!("{words}.{meanwhile}"))
            }
            Self::ApprovalNotTaken { words } => (
                or(State::Changing, State::InProgress),
                "ApprovalNotTaken",
                format!("The signer does not take the approval: {words}. It is tried again.{meanwhile}"),
            ),
            Self::Current { authority, .. } => (
                State::Current,
                "AuthorityReady",
                format!(
                    "The authority can sign; its certificate is valid until {} and is renewed at {}.",
                    shown(authority.not_after.as_ref()),
                    shown(authority.renewal_time.as_ref())
                ),
            ),
            Self::Waiting { on: Waiting::IssuerMissing, parent } => (
                State::InProgress,
                "ParentNotFound",
                format!(
                    "spec.authority.issuerRef: {} {:?} does not exist; create it, or name another.",
                    parent.kind.name(),
                    parent.name
                ),
            ),
            Self::Waiting { on: Waiting::IssuerNotReady { why }, parent } => (
                State::InProgress,
                "ParentNotReady",
                format!(
                    "spec.authority.issuerRef: {} {:?} cannot sign yet: {why}",
                    parent.kind.name(),
                    parent.name
                ),
            ),
            Self::SignerUnavailable { words } => (
                State::InProgress,
                "SignerUnavailable",
                format!("The signer could not be asked: {words}. It is tried again."),
            ),
            Self::PoliciesChange { words } => (
                State::InProgress,
                "PoliciesChange",
                format!("Policies just changed: {words}. It is tried again."),
            ),
            Self::KeyLost { words } => (
                State::Failed,
                "KeyLost",
                format!(
                    "The signer does not hold the key that status.authority shows: {words} Bring the signer's volume back, or \
                     create an issuer of another name and move its certificates there."
                ),
            ),
            Self::Invalid { problem } => (State::Failed, "InvalidSpec", problem.to_string()),
            Self::Refused { words } => (State::Failed, "Refused", format!("The signer refused: {words}")),
            Self::LooseningRefused { words } => (
                State::Failed,
                "LooseningRefused",
                format!("What was fixed when the key was made can only become tighter: {words}"),
            ),
        };
        Facts { state, reason, message }
    }
}

fn shown(time: Option<&Time>) -> String {
    time.map_or_else(|| "an unknown time".to_owned(), |t| t.0.to_string())
}

/// The status that says `outcome`; what was known of the authority stays where the outcome does not say otherwise.
pub fn status(old: &IssuerStatus, outcome: &Outcome, generation: i64, now: Timestamp) -> IssuerStatus {
    let authority = match outcome {
        Outcome::Current { authority, .. }
        | Outcome::AwaitingApproval { authority: Some(authority), .. }
        | Outcome::ApprovalRefused { authority: Some(authority), .. }
        | Outcome::PolicyDenied { authority: Some(authority), .. } => Some(authority.as_ref().clone()),
        Outcome::AwaitingApproval { authority: None, .. }
        | Outcome::ApprovalRefused { authority: None, .. }
        | Outcome::PolicyDenied { authority: None, .. }
        | Outcome::ApprovalNotTaken { .. }
        | Outcome::Waiting { .. }
        | Outcome::SignerUnavailable { .. }
        | Outcome::PoliciesChange { .. }
        | Outcome::KeyLost { .. }
        | Outcome::Invalid { .. }
        | Outcome::Refused { .. }
        | Outcome::LooseningRefused { .. } => old.authority.clone(),
    };
    IssuerStatus {
        observed_generation: Some(generation),
        conditions: settle(&old.conditions, &outcome.facts(authority.is_some()), generation, now),
        approval: approval(old, outcome, now),
        authority,
    }
}

/// What is waited for, or was used last.
fn approval(old: &IssuerStatus, outcome: &Outcome, now: Timestamp) -> Option<ObjectApproval> {
    let used_before = || old.approval.clone().filter(|approval| approval.used_at.is_some());
    match outcome {
        Outcome::AwaitingApproval { approval, .. } => Some(approval.clone()),
        Outcome::Current { used: Some(used), authority, .. } => Some(ObjectApproval {
            used_at: Some(Time(whole_seconds(now))),
            log_index: authority.log_index,
            revision: authority.revision.unwrap_or(used.revision),
            ..used.clone()
        }),
        // Nobody has to agree any more: what was asked for is given up.
        Outcome::Current { used: None, .. } => used_before(),
        Outcome::ApprovalRefused { .. }
        | Outcome::PolicyDenied { .. }
        | Outcome::ApprovalNotTaken { .. }
        | Outcome::Waiting { .. }
        | Outcome::SignerUnavailable { .. }
        | Outcome::PoliciesChange { .. }
        | Outcome::KeyLost { .. }
        | Outcome::Invalid { .. }
        | Outcome::Refused { .. }
        | Outcome::LooseningRefused { .. } => old.approval.clone(),
    }
}

/// The signer's answer as the status shows it, with the longest life of a leaf below it. Errors: the answer holds a
/// certificate that does not read.
pub fn published(
    answer: &signer::Authority,
    uid: &str,
    max_leaf: Option<SignedDuration>,
) -> Result<AuthorityStatus, ParseError> {
    let own = Certificate::from_der(&answer.certificate)?;
    let mut chain = own.to_pem();
    for parent in &answer.parents {
        chain.push_str(&Certificate::from_der(parent)?.to_pem());
    }
    let validity = own.validity();
    Ok(AuthorityStatus {
        certificate: Some(chain),
        serial_number: Some(own.serial().to_string()),
        subject_key_id: own.subject_key_identifier().map(hex::encode),
        not_before: Some(Time(validity.not_before())),
        not_after: Some(Time(validity.not_after())),
        renewal_time: Some(Time(renewal(&own, uid))),
        max_leaf_duration: max_leaf.map(hours),
        revision: i64::try_from(answer.step).ok(),
        log_index: i64::try_from(answer.log_index).ok(),
    })
}
