//! What a Certificate says of itself: the closed list of reasons, and the only place with these words.

#![allow(missing_docs, reason = "the fields of a variant are described by the variant")]

use super::decide::{Blocked, LeafFacts, Plan, Waiting};
use super::effect::hours;
use super::held::Obstacle;
use super::valid::{SpecProblem, ValidCertificate};
use crate::approval::consent::Waiting as Awaited;
use crate::conditions::{Facts, State};
use keywright_crds::{IssuerRef, ObjectApproval};

/// How a plan ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The Secret holds what is wanted.
    Current { leaf: LeafFacts, renewed: bool },
    /// Something else has to come first.
    Waiting { on: Waiting, issuer: IssuerRef, leaf: Option<LeafFacts> },
    /// People have to agree first.
    AwaitingApproval { on: Awaited, approval: ObjectApproval, leaf: Option<LeafFacts> },
    /// The signer does not take an approval that seemed to hold: somebody's rights, or the effect, changed meanwhile.
    ApprovalNotTaken { words: String, leaf: Option<LeafFacts> },
    /// A policy denies what is asked for.
    PolicyDenied { words: String, leaf: Option<LeafFacts> },
    /// The signer gave no answer, or could not sign just now.
    SignerUnavailable { words: String, leaf: Option<LeafFacts> },
    /// The signer has read other policies than were asked here, and goes on when both have read the same.
    PoliciesChange { words: String, leaf: Option<LeafFacts> },
    /// The signer's answer is not what was asked for.
    AnswerUnusable { words: String, leaf: Option<LeafFacts> },
    /// The API server refused to store the Secret: a quota, a policy, a missing permission.
    SecretNotWritten { words: String, leaf: Option<LeafFacts> },
    /// Only a person can mend it.
    Blocked { because: Blocked, secret: String },
}

/// What is so when nothing had to be done, or nothing can be.
///
/// `None` for the plans that act: what they end in is known when they have been carried out.
pub fn at_rest(plan: &Plan, cert: &ValidCertificate) -> Option<Outcome> {
    match plan {
        Plan::Rest { leaf } => Some(Outcome::Current { leaf: leaf.clone(), renewed: false }),
        Plan::Wait { on, leaf } => {
            Some(Outcome::Waiting { on: on.clone(), issuer: cert.issuer.clone(), leaf: leaf.clone() })
        }
        Plan::Stop { because } => {
            Some(Outcome::Blocked { because: because.clone(), secret: cert.secret_name.clone() })
        }
        Plan::Sign { .. } | Plan::Republish { .. } => None,
    }
}

/// A spec that makes no sense.
pub fn invalid(problem: SpecProblem, secret: &str) -> Outcome {
    Outcome::Blocked { because: Blocked::Spec(problem), secret: secret.to_owned() }
}

impl Outcome {
    /// The certificate in the Secret, where there is one.
    pub fn leaf(&self) -> Option<&LeafFacts> {
        match self {
            Self::Current { leaf, .. } => Some(leaf),
            Self::Waiting { leaf, .. }
            | Self::AwaitingApproval { leaf, .. }
            | Self::ApprovalNotTaken { leaf, .. }
            | Self::PolicyDenied { leaf, .. }
            | Self::SignerUnavailable { leaf, .. }
            | Self::PoliciesChange { leaf, .. }
            | Self::AnswerUnusable { leaf, .. }
            | Self::SecretNotWritten { leaf, .. } => leaf.as_ref(),
            Self::Blocked { .. } => None,
        }
    }

    /// State, reason and words.
    pub fn facts(&self) -> Facts {
        let (state, reason, message) = match self {
            Self::Current { leaf, .. } => (
                State::Current,
                "Issued",
                format!(
                    "The certificate is valid until {} and is renewed at {}.",
                    leaf.not_after, leaf.renewal
                ),
            ),
            Self::Waiting { on: Waiting::IssuerMissing, issuer, leaf } => (
                State::InProgress,
                "IssuerNotFound",
                format!(
                    "spec.issuerRef: {} {:?} does not exist; create it, or name another.{}",
                    issuer.kind.name(),
                    issuer.name,
                    meanwhile(leaf.as_ref())
                ),
            ),
            Self::Waiting { on: Waiting::IssuerNotReady { why }, issuer, leaf } => (
                State::InProgress,
                "IssuerNotReady",
                format!(
                    "spec.issuerRef: {} {:?} cannot sign yet: {why}{}",
                    issuer.kind.name(),
                    issuer.name,
                    meanwhile(leaf.as_ref())
                ),
            ),
            Self::AwaitingApproval { on, leaf, .. } => {
                (State::InProgress, "AwaitingApproval", format!("{}{}", on.words(), meanwhile(leaf.as_ref())))
            }
            Self::ApprovalNotTaken { words, leaf } => (
                State::InProgress,
                "ApprovalNotTaken",
                format!(
                    "The signer does not take the approval: {words}. It is tried again.{}",
                    meanwhile(leaf.as_ref())
                ),
            ),
            Self::PolicyDenied { words, leaf } => {
                (State::Failed, "PolicyDenied", format!("{words}.{}", meanwhile(leaf.as_ref())))
            }
            Self::SignerUnavailable { words, leaf } => (
                State::InProgress,
                "SignerUnavailable",
                format!("The signer could not sign: {words}. It is tried again.{}", meanwhile(leaf.as_ref())),
            ),
            Self::PoliciesChange { words, leaf } => (
                State::InProgress,
                "PoliciesChange",
                format!("Policies just changed: {words}. It is tried again.{}", meanwhile(leaf.as_ref())),
            ),
            Self::AnswerUnusable { words, leaf } => (
                State::InProgress,
                "AnswerUnusable",
                format!(
                    "The signer's answer was not stored: {words}. It is tried again.{}",
                    meanwhile(leaf.as_ref())
                ),
            ),
            Self::SecretNotWritten { words, leaf } => (
                State::InProgress,
                "SecretNotWritten",
                format!(
                    "The API server refused the Secret: {words}. It is tried again.{}",
                    meanwhile(leaf.as_ref())
                ),
            ),
            Self::Blocked { because, secret } => blocked(because, secret),
        };
        Facts { state, reason, message }
    }
}

fn blocked(because: &Blocked, secret: &str) -> (State, &'static str, String) {
    let (reason, message) = match because {
        Blocked::Spec(problem) => ("InvalidSpec", problem.to_string()),
        Blocked::Limits(problem) => ("OutsideConstraints", problem.to_string()),
        Blocked::Refused { words } => ("Refused", format!("The signer refused: {words}")),
        Blocked::Approval(refused) => {
            let (reason, what) = refused.words();
            let again = "edit the spec, or ask again by kubectl keywright renew";
            return (State::Failed, reason, format!("The certificate is not issued: {what}; {again}."));
        }
        Blocked::Rival { name } => (
            "DuplicateSecretName",
            format!(
                "spec.secretName: Secret {secret:?} belongs to Certificate {name:?}; name another Secret in one of the two."
            ),
        ),
        Blocked::Secret(Obstacle::AnotherType { type_ }) => (
            "SecretOfAnotherType",
            format!(
                "spec.secretName: Secret {secret:?} is of type {type_:?} and a type never changes; name another Secret, or \
                 delete it if nobody needs it."
            ),
        ),
        Blocked::Secret(Obstacle::NotOurs) => (
            "SecretNotOurs",
            format!(
                "spec.secretName: Secret {secret:?} holds entries that Keywright did not write; name another Secret, or \
                 delete it if nobody needs it."
            ),
        ),
        Blocked::Secret(Obstacle::ForeignWriter { manager }) => (
            "ForeignWriter",
            format!(
                "spec.secretName: {manager:?} writes Secret {secret:?} too; stop it from writing, then delete the Secret so \
                 that it is made anew, or name another Secret."
            ),
        ),
    };
    (State::Failed, reason, message)
}

fn meanwhile(leaf: Option<&LeafFacts>) -> String {
    leaf.map_or(String::new(), |leaf| {
        format!(" Meanwhile the Secret holds a certificate valid until {}.", leaf.not_after)
    })
}

/// The Event for a certificate that was just made, in a few words.
pub fn issued_note(leaf: &LeafFacts, cert: &ValidCertificate) -> String {
    let life = leaf.not_after.duration_since(leaf.not_before);
    format!(
        "Revision {} for Secret {:?}: serial {}, life {}, valid until {}.",
        leaf.revision,
        cert.secret_name,
        leaf.serial,
        hours(life),
        leaf.not_after
    )
}
