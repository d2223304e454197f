//! From objects as they are stored to what is decided on. Pure.
//!
//! Where a record lacks what admission stamps, it counts for nothing: a request without requester cannot be approved, a vote
//! without approver is nobody's.

use crate::ReadError;
use jiff::{SignedDuration, Timestamp};
use keywright_approvals::class::DEFAULT_COUNT;
use keywright_approvals::{Class, Group, Identity, Phase, Proof, Recorded, Request, Signed, Verdict, Vote};
use keywright_crds::{
    ApprovalClassSpec, ApprovalDecision, ApprovalProof, ApprovalRequest, ApprovalVerdict, UserIdentity,
    duration,
};

fn malformed(object: &str, problem: impl std::fmt::Display) -> ReadError {
    ReadError::Malformed { object: object.to_owned(), problem: problem.to_string() }
}

fn identity(user: &UserIdentity) -> Identity {
    Identity {
        username: user.username.clone(),
        uid: user.uid.clone(),
        groups: user.groups.iter().cloned().collect(),
        extra: user.extra.clone(),
    }
}

fn life(object: &str, text: &str) -> Result<SignedDuration, ReadError> {
    let duration = duration::parse(text).map_err(|error| malformed(object, error))?;
    SignedDuration::try_from(duration).map_err(|error| malformed(object, error))
}

/// A class of this name. Errors: a duration that is none.
pub(crate) fn class(name: &str, spec: &ApprovalClassSpec) -> Result<Class, ReadError> {
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
pub(crate) fn request(object: &ApprovalRequest, creator: Option<Identity>) -> Result<Request, ReadError> {
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

fn created(time: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>) -> Option<Timestamp> {
    time.map(|time| time.0)
}

/// The phase that was written down; none: nothing was.
pub(crate) fn recorded(object: &ApprovalRequest) -> Option<Recorded> {
    use keywright_crds::ApprovalPhase as Written;
    let phase = match object.status.as_ref()?.phase? {
        Written::Pending => Phase::Pending,
        Written::Approved => Phase::Approved,
        Written::Consumed => Phase::Consumed,
        Written::Ended => Phase::Ended,
        Written::Denied => Phase::Denied,
        Written::Revoked => Phase::Revoked,
        Written::Expired => Phase::Expired,
        Written::Withdrawn => Phase::Withdrawn,
        Written::Superseded => Phase::Superseded,
    };
    Some(Recorded { phase })
}

/// A vote for the request with this UID; none: it is for another, or nobody's. The right to vote is still to be asked for.
pub(crate) fn vote(object: &ApprovalDecision, request_uid: &str) -> Option<Vote> {
    let spec = &object.spec;
    let approver = spec.approver.as_ref().filter(|who| !who.username.is_empty())?;
    if spec.request_ref.uid != request_uid {
        return None;
    }
    let name = object.metadata.name.clone()?;
    // One person has one vote: an object under another name was not made by the rules.
    if name != keywright_approvals::vote_name(request_uid, &approver.username) {
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
