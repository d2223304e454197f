//! From objects as the API server stores them to what is decided on.
//!
//! Where a record lacks what admission stamps, it counts for nothing: a request without requester cannot be approved, a vote
//! without approver is nobody's.

use crate::class::{Class, DEFAULT_COUNT, Group, Proof};
use crate::identity::{Authors, Identity};
use crate::phase::{Phase, Recorded};
use crate::vote::{Request, Signed, Verdict, Vote, vote_name};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use keywright_crds::{
    ApprovalClassSpec, ApprovalDecision, ApprovalPhase, ApprovalProof, ApprovalRequest, ApprovalVerdict,
    TargetEditor, TargetRef, UserIdentity, duration,
};

/// Annotation with the usernames of those who changed a spec since something last came of it: one a line, the latest last.
pub const EDITOR_USERNAMES: &str = "keywright.dev/editor-usernames";
/// Annotation with their UIDs, line for line; absent when none has one.
pub const EDITOR_UIDS: &str = "keywright.dev/editor-uids";

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

/// A request. `authors`: of its target, as stamped there now; whoever the request names as editors counts too. Errors: what
/// admission stamps is missing.
pub fn request(object: &ApprovalRequest, authors: Authors) -> Result<Request, Malformed> {
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
        authors: with_editors(authors, object.spec.target_editors.iter().map(editor)),
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

/// The authors, and these editors besides. They are written by who files a request, and can only keep more people apart.
pub fn with_editors(mut authors: Authors, named: impl Iterator<Item = Identity>) -> Authors {
    for who in named {
        if !authors.editors.contains(&who) {
            authors.editors.push(who);
        }
    }
    authors
}

/// Whether an object of our kinds can be where a target is said to be. Whoever files a request may write any text there, and
/// asking for what cannot exist is an error that never passes.
pub fn can_exist(target: &TargetRef) -> bool {
    let is_name = |text: &str| {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        !text.is_empty() && text.len() <= 253 && text.bytes().all(good)
    };
    let is_placed =
        if target.kind == "ClusterIssuer" { target.namespace.is_empty() } else { is_name(&target.namespace) };
    is_placed && is_name(&target.name)
}

/// Who made and who changed an object, as admission stamped its annotations.
pub fn authors(meta: &ObjectMeta) -> Authors {
    Authors { creator: creator(meta), editors: editors(meta) }
}

fn editors(meta: &ObjectMeta) -> Vec<Identity> {
    let lines =
        |name: &str| meta.annotations.as_ref().and_then(|all| all.get(name)).map(|text| text.split('\n'));
    let Some(usernames) = lines(EDITOR_USERNAMES) else { return Vec::new() };
    let uids = lines(EDITOR_UIDS).into_iter().flatten().chain(std::iter::repeat(""));
    let somebody = |(username, uid): (&str, &str)| Identity {
        username: username.to_owned(),
        uid: uid.to_owned(),
        ..Identity::default()
    };
    usernames.zip(uids).filter(|(username, _)| !username.is_empty()).map(somebody).collect()
}

/// An editor as a request names them.
pub fn editor(named: &TargetEditor) -> Identity {
    Identity { username: named.username.clone(), uid: named.uid.clone(), ..Identity::default() }
}

/// The editors of an object, as a request for it names them.
pub fn named_editors(meta: &ObjectMeta) -> Vec<TargetEditor> {
    let name = |who: Identity| TargetEditor { username: who.username, uid: who.uid };
    editors(meta).into_iter().map(name).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(usernames: &str, uids: Option<&str>) -> ObjectMeta {
        let notes = [(EDITOR_USERNAMES, Some(usernames)), (EDITOR_UIDS, uids)];
        let notes = notes.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.to_owned())));
        ObjectMeta { annotations: Some(notes.collect()), ..ObjectMeta::default() }
    }

    #[test]
    fn editors_are_read_line_for_line_with_their_uids_where_there_are_any() {
        let read = |usernames, uids| -> Vec<(String, String)> {
            editors(&meta(usernames, uids)).into_iter().map(|who| (who.username, who.uid)).collect()
        };
        let pair = |username: &str, uid: &str| (username.to_owned(), uid.to_owned());
        assert_eq!(read("ann\nbob", None), [pair("ann", ""), pair("bob", "")]);
        assert_eq!(read("ann\nbob", Some("u-a\n")), [pair("ann", "u-a"), pair("bob", "")]);
        assert_eq!(read("ann\nbob", Some("u-a")), [pair("ann", "u-a"), pair("bob", "")]);
        assert_eq!(read("", None), []);
        assert_eq!(editors(&ObjectMeta::default()), []);
    }

    #[test]
    fn a_target_that_no_object_can_be_is_told_from_one_that_may_be_there() {
        let long = "a".repeat(254);
        for (kind, namespace, name, may) in [
            ("Certificate", "shop", "web", true),
            ("ClusterIssuer", "", "root", true),
            ("ClusterIssuer", "shop", "root", false),
            ("Certificate", "", "web", false),
            ("Certificate", "10.0.0.0/8", "web", false),
            ("Issuer", "shop", "a b", false),
            ("Issuer", "shop", "", false),
            ("Certificate", "shop", long.as_str(), false),
        ] {
            let target = TargetRef {
                kind: kind.to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                ..TargetRef::default()
            };
            assert_eq!(can_exist(&target), may, "{kind} {namespace}/{name}");
        }
    }

    #[test]
    fn whom_a_request_names_counts_beside_who_is_stamped_now() {
        let ann = Identity { username: "ann".to_owned(), ..Identity::default() };
        let bob = Identity { username: "bob".to_owned(), ..Identity::default() };
        let now = Authors { creator: None, editors: vec![bob.clone()] };
        let both = with_editors(now, [ann.clone(), bob.clone()].into_iter());
        assert_eq!(both.editors, [bob, ann]);
    }
}
