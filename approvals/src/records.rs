//! From objects as the API server stores them to what is decided on.
//!
//! Where a record lacks what admission stamps, it counts for nothing: a request without requester cannot be approved, a vote
//! without approver is nobody's.

use crate::class::{Class, DEFAULT_COUNT, Group, Proof};
use crate::identity::Identity;
use crate::phase::{Phase, Recorded};
use crate::vote::{Request, Signed, Verdict, Vote, vote_name};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use keywright_crds::{
    ApprovalClassSpec, ApprovalDecision, ApprovalPhase, ApprovalProof, ApprovalRequest, ApprovalVerdict,
    UserIdentity, duration,
};

/// A record that does not parse, or lacks what admission stamps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {problem}")]
pub struct Malformed {
    /// Kind and name.
    pub object: String,
    /// What is wrong.
    pub problem: String,
}

fn malformed(object: &str, problem: impl std::fmt::Display) -> Malformed {
    Malformed { object: object.to_owned(), problem: problem.to_string() }
}

/// Somebody, as they were stamped in a spec.
pub fn identity(user: &UserIdentity) -> Identity {
    Identity {
        username: user.username.clone(),
        uid: user.uid.clone(),
        groups: user.groups.iter().cloned().collect(),
        extra: user.extra.clone(),
    }
}

fn life(object: &str, text: &str) -> Result<SignedDuration, Malformed> {
    let duration = duration::parse(text).map_err(|error| malformed(object, error))?;
    SignedDuration::try_from(duration).map_err(|error| malformed(object, error))
}

/// A class of this name. Errors: a duration that is none.
pub fn class(name: &str, spec: &ApprovalClassSpec) -> Result<Class, Malformed> {
    let object = format!("ApprovalClass {name}");
    let group = |group: &keywright_crds::ApprovalGroup| Group {
        name: group.name.clone(),
        members: group.members.iter().cloned().collect(),
        users: group.users.iter().cloned().collect(),
        // A count that cannot be is one that nobody reaches.
        count: group.count.map_or(DEFAULT_COUNT, |count| u32::try_from(count).unwrap_or(u32::MAX)),
    };
    let accounts = spec
        .principals
        .iter()
        .flat_map(|one| one.usernames.iter().map(|account| (account.clone(), one.name.clone())));
    Ok(Class {
        name: name.to_owned(),
        groups: spec.groups.iter().map(group).collect(),
        request_ttl: life(&object, spec.request_ttl_text())?,
        grant_ttl: life(&object, spec.grant_ttl_text())?,
        proof: match spec.proof {
            ApprovalProof::None => Proof::None,
            ApprovalProof::Signature => Proof::Signature,
        },
        service_accounts: spec.service_accounts.iter().cloned().collect(),
        principals: accounts.collect(),
    })
}

/// A request. `creator`: who made its target, as stamped there. Errors: what admission stamps is missing.
pub fn request(object: &ApprovalRequest, creator: Option<Identity>) -> Result<Request, Malformed> {
    let name = format!("ApprovalRequest {}", object.metadata.name.as_deref().unwrap_or_default());
    let missing = |field: &str| malformed(&name, format!("{field} is missing"));
    let requester = object.spec.requester.as_ref().filter(|who| !who.username.is_empty());
    Ok(Request {
        uid: object.metadata.uid.clone().ok_or_else(|| missing("metadata.uid"))?,
        digest: object.spec.effect_digest.parse().map_err(|error| malformed(&name, error))?,
        created: created(object.metadata.creation_timestamp.as_ref())
            .ok_or_else(|| missing("metadata.creationTimestamp"))?,
        requester: identity(requester.ok_or_else(|| missing("spec.requester"))?),
        requested_for: object.spec.requested_for.clone(),
        target_creator: creator,
    })
}

fn created(time: Option<&Time>) -> Option<Timestamp> {
    time.map(|time| time.0)
}

/// The phase that was written down; none: nothing was.
pub fn recorded(object: &ApprovalRequest) -> Option<Recorded> {
    let phase = object.status.as_ref()?.phase?;
    Some(Recorded { phase: phase.into() })
}

impl From<ApprovalPhase> for Phase {
    fn from(written: ApprovalPhase) -> Self {
        match written {
            ApprovalPhase::Pending => Self::Pending,
            ApprovalPhase::Approved => Self::Approved,
            ApprovalPhase::Consumed => Self::Consumed,
            ApprovalPhase::Ended => Self::Ended,
            ApprovalPhase::Denied => Self::Denied,
            ApprovalPhase::Revoked => Self::Revoked,
            ApprovalPhase::Expired => Self::Expired,
            ApprovalPhase::Withdrawn => Self::Withdrawn,
            ApprovalPhase::Superseded => Self::Superseded,
        }
    }
}

impl From<Phase> for ApprovalPhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Pending => Self::Pending,
            Phase::Approved => Self::Approved,
            Phase::Consumed => Self::Consumed,
            Phase::Ended => Self::Ended,
            Phase::Denied => Self::Denied,
            Phase::Revoked => Self::Revoked,
            Phase::Expired => Self::Expired,
            Phase::Withdrawn => Self::Withdrawn,
            Phase::Superseded => Self::Superseded,
        }
    }
}

/// Who made an object, as admission stamped its annotations; none: nobody is known.
pub fn creator(meta: &ObjectMeta) -> Option<Identity> {
    let annotation = |name: &str| meta.annotations.as_ref().and_then(|all| all.get(name)).cloned();
    Some(Identity {
        username: annotation("keywright.dev/requester-username").filter(|name| !name.is_empty())?,
        uid: annotation("keywright.dev/requester-uid").unwrap_or_default(),
        groups: annotation("keywright.dev/requester-groups")
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect(),
        ..Identity::default()
    })
}

/// A vote for the request with this UID; none: it is for another, or nobody's. The right to vote is still to be asked for.
pub fn vote(object: &ApprovalDecision, request_uid: &str) -> Option<Vote> {
    let spec = &object.spec;
    let approver = spec.approver.as_ref().filter(|who| !who.username.is_empty())?;
    if spec.request_ref.uid != request_uid {
        return None;
    }
    let name = object.metadata.name.clone()?;
    // One person has one vote: an object under another name was not made by the rules.
    if name != vote_name(request_uid, &approver.username) {
        return None;
    }
    Some(Vote {
        name,
        request_uid: spec.request_ref.uid.clone(),
        digest: spec.effect_digest.parse().ok()?,
        verdict: match spec.verdict {
            ApprovalVerdict::Approve => Verdict::Approve,
            ApprovalVerdict::Deny => Verdict::Deny,
        },
        approver: identity(approver),
        may_approve: false,
        created: created(object.metadata.creation_timestamp.as_ref())?,
        signed: if spec.signature.is_some() { Signed::Unchecked } else { Signed::No },
    })
}
