//! Requests, votes and classes as far as reviews look at them, and as the pure decisions of `keywright-approvals` take
//! them. The schemas of the kinds are what bounds them; here only what is used is read.

use jiff::{SignedDuration, Timestamp};
use keywright_approvals::{Class, Group, Proof, Verdict};
use keywright_crds::{TargetEditor, duration};
use kube::core::DynamicObject;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// A stored object that does not read: of a later version, or from before its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {name:?} does not read: {problem}")]
pub(super) struct Unread {
    kind: &'static str,
    name: String,
    problem: String,
}

/// The spec of an `ApprovalDecision`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Decision {
    pub(super) request_ref: RequestRef,
    pub(super) effect_digest: String,
    verdict: Word,
    pub(super) signature: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RequestRef {
    pub(super) name: String,
    pub(super) uid: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Word {
    Approve,
    Deny,
}

/// The spec of an `ApprovalRequest`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) effect_digest: String,
    pub(super) effect: String,
    pub(super) action: String,
    pub(super) approval_class: String,
    pub(super) requested_for: Option<String>,
    #[serde(default)]
    pub(super) target_editors: Vec<TargetEditor>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClassSpec {
    groups: Vec<GroupSpec>,
    #[serde(rename = "requestTTL")]
    request_ttl: Option<String>,
    #[serde(rename = "grantTTL")]
    grant_ttl: Option<String>,
    proof: Option<ProofWord>,
    #[serde(default)]
    service_accounts: Vec<String>,
    #[serde(default)]
    principals: Vec<PrincipalSpec>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum ProofWord {
    None,
    Signature,
}

#[derive(Debug, Clone, Deserialize)]
struct GroupSpec {
    name: String,
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    users: Vec<String>,
    count: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
struct PrincipalSpec {
    name: String,
    #[serde(default)]
    usernames: Vec<String>,
}

/// The spec of an object as `T`.
pub(super) fn spec<T: DeserializeOwned>(kind: &'static str, object: &DynamicObject) -> Result<T, Unread> {
    let value = object.data.get("spec").cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|error| unread(kind, object, &error))
}

fn unread(kind: &'static str, object: &DynamicObject, problem: &dyn std::fmt::Display) -> Unread {
    Unread { kind, name: object.metadata.name.clone().unwrap_or_default(), problem: problem.to_string() }
}

/// A class.
pub(super) fn class(object: &DynamicObject) -> Result<Class, Unread> {
    let spec: ClassSpec = spec("ApprovalClass", object)?;
    let life = |text: Option<&str>, default| -> Result<SignedDuration, Unread> {
        let parsed = text.map(duration::parse).transpose();
        let life = parsed.map_err(|error| unread("ApprovalClass", object, &error))?;
        Ok(life.and_then(|life| SignedDuration::try_from(life).ok()).unwrap_or(default))
    };
    let group = |group: GroupSpec| Group {
        name: group.name,
        members: group.members.into_iter().collect(),
        users: group.users.into_iter().collect(),
        count: group.count.unwrap_or(keywright_approvals::class::DEFAULT_COUNT),
    };
    let accounts = |person: PrincipalSpec| {
        person.usernames.into_iter().map(move |username| (username, person.name.clone()))
    };
    let principals: BTreeMap<String, String> = spec.principals.into_iter().flat_map(accounts).collect();
    Ok(Class {
        name: object.metadata.name.clone().unwrap_or_default(),
        request_ttl: life(spec.request_ttl.as_deref(), SignedDuration::from_hours(24))?,
        grant_ttl: life(spec.grant_ttl.as_deref(), SignedDuration::from_hours(1))?,
        groups: spec.groups.into_iter().map(group).collect(),
        proof: match spec.proof {
            None | Some(ProofWord::None) => Proof::None,
            Some(ProofWord::Signature) => Proof::Signature,
        },
        service_accounts: spec.service_accounts.into_iter().collect(),
        principals,
    })
}

impl Decision {
    pub(super) fn verdict(&self) -> Verdict {
        match self.verdict {
            Word::Approve => Verdict::Approve,
            Word::Deny => Verdict::Deny,
        }
    }
}

/// `metadata.creationTimestamp`; the epoch for an object that is not stored yet.
pub(super) fn created(object: &DynamicObject) -> Timestamp {
    object.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}
