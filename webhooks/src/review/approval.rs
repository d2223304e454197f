//! Requests for approval, and votes. Rule letters are those of docs/webhook.md.
//!
//! Each of these is decided again by the operator and by the signer; here its author learns at once.

use super::records::{self, Decision, Request, Unread};
use super::{Denial, Facts, Needs, Rule, World};
use crate::attempt::{Action, Attempt};
use crate::kind::Kind;
use crate::stamp;
use keywright_approvals::effect::canonical;
use keywright_approvals::{EffectDigest, Identity, Ignored, Phase, Signed, Verdict, Vote, vote_name};
use kube::core::DynamicObject;
use serde_json::Value;

/// What a vote is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Ballot {
    /// The `ApprovalRequest` of the name that the vote gives.
    pub request: Option<DynamicObject>,
    /// The class that it names.
    pub class: Option<DynamicObject>,
    /// Who made the request's target, as stamped there.
    pub target_creator: Option<Identity>,
    /// Whether the voter holds verb `approve` on the class, by SubjectAccessReview.
    pub may_approve: bool,
}

pub(super) fn needs(attempt: &Attempt<'_>) -> Needs {
    let Action::Create { new } = attempt.action else { return Needs::Nothing };
    match attempt.kind {
        Kind::ApprovalRequest => match records::spec::<Request>("ApprovalRequest", new) {
            Ok(request) => {
                Needs::Class { name: request.approval_class, namespace: attempt.namespace.to_owned() }
            }
            // The schema or the rule below says what is wrong.
            Err(_) => Needs::Nothing,
        },
        Kind::ApprovalDecision => match records::spec::<Decision>("ApprovalDecision", new) {
            Ok(vote) => {
                Needs::Ballot { namespace: attempt.namespace.to_owned(), request: vote.request_ref.name }
            }
            Err(_) => Needs::Nothing,
        },
        Kind::Certificate | Kind::Issuer | Kind::ClusterIssuer | Kind::Policy | Kind::ApprovalClass => {
            Needs::Nothing
        }
    }
}

/// A new request: its class exists, and its digest is that of its effect. Later edits are refused by its schema.
pub(super) fn request(attempt: &Attempt<'_>, world: &World) -> Result<(), Denial> {
    let Action::Create { new } = attempt.action else { return Ok(()) };
    let request: Request = records::spec("ApprovalRequest", new).map_err(|error| unread(&error))?;
    let effect: Value = serde_json::from_str(&request.effect).map_err(|error| {
        bad_effect(
            format!("spec.effect is no JSON: {error}"),
            "write the effect as canonical JSON (RFC 8785)",
        )
    })?;
    let form = canonical(&effect)
        .map_err(|error| bad_effect(format!("spec.{error}"), "write an effect that has a canonical form"))?;
    if form != request.effect.as_bytes() {
        return Err(bad_effect(
            "spec.effect is not in canonical form, so its bytes are not what the digest is of".to_owned(),
            "write it as canonical JSON (RFC 8785): sorted members, no blanks",
        ));
    }
    if effect.get("action").and_then(Value::as_str) != Some(&request.action) {
        return Err(bad_effect(
            format!("spec.action {:?} is not the effect's", request.action),
            "write the same action in both",
        ));
    }
    let digest =
        EffectDigest::of(&effect).map_err(|error| bad_effect(error.to_string(), "mend the effect"))?;
    if request.effect_digest != digest.to_string() {
        return Err(bad_effect(
            format!("spec.effectDigest is not that of spec.effect, which is {digest}"),
            "write that one",
        ));
    }
    match &world.facts {
        Facts::Class { exists: true, waiting } => not_too_many(attempt, world, *waiting),
        Facts::Class { exists: false, .. }
        | Facts::Nothing
        | Facts::Claimants(_)
        | Facts::Ballot(_)
        | Facts::Bundle(_)
        | Facts::Unknown(_) => Err(Denial::new(
            Rule::RequestClass,
            format!("spec.approvalClass: there is no ApprovalClass {:?}", request.approval_class),
            "name one that is there: kubectl get approvalclasses",
        )),
    }
}

/// Approvers are not flooded by one requester. The operator's own requests are as many as there are Certificates that need
/// one; who may make those, and how many, is a matter of RBAC and quota.
fn not_too_many(attempt: &Attempt<'_>, world: &World, waiting: Option<usize>) -> Result<(), Denial> {
    if attempt.who.username == world.operator {
        return Ok(());
    }
    let waiting =
        waiting.ok_or_else(|| Denial::unobserved("the list of ApprovalRequests has not been read yet"))?;
    if waiting < world.most_waiting {
        return Ok(());
    }
    let (who, namespace, most) = (&attempt.who.username, attempt.namespace, world.most_waiting);
    Err(Denial::new(
        Rule::RequestsWaiting,
        format!(
            "{waiting} requests of {who:?} wait for people in namespace {namespace:?} already; {most} may"
        ),
        "take back what is not needed by kubectl keywright deny NAME, or wait until some are decided; then the same request \
         can be filed",
    ))
}

fn bad_effect(problem: String, fix: &str) -> Denial {
    Denial::new(Rule::RequestEffect, problem, fix)
}

fn unread(error: &Unread) -> Denial {
    Denial::new(Rule::RecordReads, error.to_string(), "write it as its schema says: kubectl explain")
}

/// A new vote: named after request and voter, for the request and effect that are there, by somebody who may.
pub(super) fn vote(attempt: &Attempt<'_>, world: &World) -> Result<(), Denial> {
    let Action::Create { new } = attempt.action else { return Ok(()) };
    let vote: Decision = records::spec("ApprovalDecision", new).map_err(|error| unread(&error))?;
    let name = vote_name(&vote.request_ref.uid, &attempt.who.username);
    if attempt.name != name {
        return Err(Denial::new(
            Rule::VoteName,
            format!("metadata.name of this vote must be {name:?}, which follows from request and voter"),
            "write that name, or use kubectl keywright approve",
        ));
    }
    let Facts::Ballot(ballot) = &world.facts else {
        return Err(Denial::unobserved("what the vote is about was not looked up"));
    };
    let there =
        ballot.request.as_ref().filter(|there| there.metadata.uid.as_ref() == Some(&vote.request_ref.uid));
    let Some(there) = there else {
        let (name, uid) = (&vote.request_ref.name, &vote.request_ref.uid);
        return Err(Denial::new(
            Rule::VoteRequest,
            format!(
                "spec.requestRef: there is no ApprovalRequest {name:?} with UID {uid:?} in this namespace"
            ),
            "name one that is there: kubectl keywright requests",
        ));
    };
    let request: Request = records::spec("ApprovalRequest", there).map_err(|error| unread(&error))?;
    if let Some(phase) = phase(there).filter(|phase| phase.is_terminal()) {
        return Err(Denial::new(
            Rule::VoteRequest,
            format!(
                "ApprovalRequest {:?} is {} and nothing changes that",
                vote.request_ref.name,
                phase.name()
            ),
            "ask for approval again by a new request",
        ));
    }
    let Some(class) = &ballot.class else {
        return Err(Denial::new(
            Rule::RequestClass,
            format!("the request's ApprovalClass {:?} is gone", request.approval_class),
            "whoever owns it has to restore it",
        ));
    };
    let class = records::class(class).map_err(|error| unread(&error))?;
    let (facts, vote) = facts(attempt, ballot, there, &request, &vote)?;
    // Taking back one's own request needs no seat in any group.
    if vote.verdict == Verdict::Deny
        && vote.digest == facts.digest
        && class.same_person(&facts.requester, &vote.approver)
    {
        return Ok(());
    }
    match keywright_approvals::vote::ignored(&class, &facts, &vote) {
        None => Ok(()),
        Some(why) => Err(Denial::new(Rule::Vote(why), why.to_string(), fix(why, &class.name))),
    }
}

/// Request and vote as the pure decisions take them.
fn facts(
    attempt: &Attempt<'_>,
    ballot: &Ballot,
    there: &DynamicObject,
    request: &Request,
    vote: &Decision,
) -> Result<(keywright_approvals::Request, Vote), Denial> {
    let digest = |text: &str| {
        text.parse().map_err(|error| {
            Denial::new(Rule::RecordReads, format!("spec.{error}"), "copy it from the request")
        })
    };
    let request = keywright_approvals::Request {
        uid: there.metadata.uid.clone().unwrap_or_default(),
        digest: digest(&request.effect_digest)?,
        created: records::created(there),
        requester: stamp::stamped(there, Kind::ApprovalRequest).unwrap_or_default(),
        requested_for: request.requested_for.clone(),
        target_creator: ballot.target_creator.clone(),
    };
    let vote = Vote {
        name: attempt.name.to_owned(),
        request_uid: vote.request_ref.uid.clone(),
        digest: digest(&vote.effect_digest)?,
        verdict: vote.verdict(),
        approver: attempt.who.clone(),
        may_approve: ballot.may_approve,
        created: request.created,
        // Only the signer has the keys to check it with.
        signed: if vote.signature.is_some() { Signed::Unchecked } else { Signed::No },
    };
    Ok((request, vote))
}

fn phase(request: &DynamicObject) -> Option<Phase> {
    request.data.pointer("/status/phase")?.as_str()?.parse().ok()
}

fn fix(why: Ignored, class: &str) -> String {
    match why {
        Ignored::OtherRequest => "vote for the request that is there".to_owned(),
        Ignored::OtherEffect => "look at the request again: kubectl keywright why".to_owned(),
        Ignored::OwnRequest | Ignored::OwnBenefit | Ignored::OwnTarget => {
            "somebody else has to approve it".to_owned()
        }
        Ignored::Machine => format!("a person votes, or ApprovalClass {class:?} names the account"),
        Ignored::NoGroup => format!("a member of a group of ApprovalClass {class:?} votes"),
        Ignored::NotPermitted => {
            format!("grant verb approve on approvalclasses.keywright.dev {class:?} to whoever is to approve")
        }
        Ignored::Unsigned | Ignored::BadSignature => {
            "sign it: kubectl keywright approve --sign KEY".to_owned()
        }
        Ignored::TooLate => "ask for approval again by a new request".to_owned(),
    }
}
