//! `ApprovalRequest` and `ApprovalDecision`: one effect to be approved, and one vote of one person.
//!
//! Both never change after they were made. Who made them is stamped by the admission webhook from `userInfo`, whatever
//! the author wrote. Terminal phases are frozen by a rule on the whole object, see `definition`.

#![expect(unreachable_pub, reason = "KubeSchema copies each public struct into a function body")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ApprovalClassSpec, rules, shape};

/// One effect that people are asked to agree to. Immutable.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[kube(
    group = "keywright.dev",
    version = "v1alpha1",
    kind = "ApprovalRequest",
    namespaced,
    status = "ApprovalRequestStatus",
    derive = "PartialEq",
    shortname = "kwreq",
    category = "keywright",
    doc = "One exact effect that people are asked to agree to. It is granted once, to this effect and no other."
)]
#[x_kube(validation = rules::spec_is_immutable("ApprovalRequest"))]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRequestSpec {
    /// The object that it is about.
    pub target_ref: TargetRef,

    /// What is to happen, such as IssueCertificate; the same word stands in the effect.
    #[schemars(schema_with = "shape::action")]
    pub action: String,

    /// SHA-256 of effect: sha256: and 64 lower-case hexadecimal digits.
    #[schemars(schema_with = "shape::effect_digest")]
    pub effect_digest: String,

    /// The effect as canonical JSON (RFC 8785). The digest is that of these very bytes.
    #[schemars(schema_with = "shape::effect")]
    pub effect: String,

    /// What changes, in words for the people who decide.
    #[schemars(schema_with = "shape::diff")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,

    /// Why it is wanted.
    #[schemars(schema_with = "shape::reason")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// Username of the person on whose behalf it is wanted; they cannot approve it.
    #[schemars(schema_with = "shape::username")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_for: Option<String>,

    /// Name of the ApprovalClass that says who must agree.
    #[schemars(schema_with = "shape::object_name")]
    pub approval_class: String,

    /// Who changed the object since something last came of it, as stamped there when the request was filed, the latest
    /// last: beside the requester and the object's creator these cannot approve it.
    #[schemars(schema_with = "shape::target_editors")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_editors: Vec<TargetEditor>,

    /// Who asked. Stamped at admission; what an author writes here is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<UserIdentity>,
}

/// The object that a request is about.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// API group; absent for the core group.
    #[schemars(schema_with = "shape::short_text")]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,

    /// Kind, such as Certificate.
    #[schemars(schema_with = "shape::action")]
    pub kind: String,

    /// Namespace; absent for cluster-scoped kinds.
    #[schemars(schema_with = "shape::short_text")]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,

    /// Name of the object.
    #[schemars(schema_with = "shape::object_name")]
    pub name: String,

    /// UID: another object of the same name is another target.
    #[schemars(schema_with = "shape::uid")]
    pub uid: String,
}

/// Somebody who changed the object that a request is about.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TargetEditor {
    /// The userInfo.username of the edit.
    #[schemars(schema_with = "shape::username")]
    pub username: String,

    /// The userInfo.uid of the edit.
    #[schemars(schema_with = "shape::username")]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// Somebody as the API server knows them.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct UserIdentity {
    /// The userInfo.username of the request.
    #[schemars(schema_with = "shape::username")]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,

    /// The userInfo.uid of the request.
    #[schemars(schema_with = "shape::username")]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,

    /// The userInfo.groups of the request.
    #[schemars(schema_with = "shape::user_groups")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,

    /// The userInfo.extra of the request.
    #[schemars(schema_with = "shape::user_extra")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Where a request stands.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ApprovalPhase {
    /// Waits for people.
    #[default]
    Pending,
    /// May be used once.
    Approved,
    /// Was used.
    Consumed,
    /// Was used, and can no longer be revoked. Terminal.
    Ended,
    /// Terminal.
    Denied,
    /// Denied after it was used. Terminal.
    Revoked,
    /// Terminal.
    Expired,
    /// Terminal.
    Withdrawn,
    /// Another effect is wanted. Terminal.
    Superseded,
}

/// What is so about a request.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRequestStatus {
    /// Generation of the spec that this status speaks of; -1 until the controller has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Where the request stands. Denied, Revoked, Expired, Withdrawn, Superseded and Ended are final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<ApprovalPhase>,

    /// Conditions: Ready, and while they hold Reconciling or Stalled.
    #[schemars(schema_with = "shape::conditions")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,

    /// The class as it was when the request was first seen: later edits of it apply only as far as they tighten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filed_under: Option<ApprovalClassSpec>,

    /// The votes so far, the newest 64; the ApprovalDecisions themselves are what counts.
    #[schemars(schema_with = "shape::vote_summaries")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<VoteSummary>,

    /// Who must still agree.
    #[schemars(schema_with = "shape::missing_approvals")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<MissingApproval>,

    /// Until when the quorum must be complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,

    /// Until when the grant may be used, or a used one be revoked by a denial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_by: Option<Time>,

    /// When the grant was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Time>,

    /// Index of the effect's entry in the signer's log.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_index: Option<i64>,

    /// Notices that were delivered, as target/event.
    #[schemars(schema_with = "shape::notices_sent")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notified: Vec<String>,
}

/// A vote, for people who look at the request.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VoteSummary {
    /// Name of the ApprovalDecision.
    #[schemars(schema_with = "shape::object_name")]
    pub name: String,

    /// Who voted.
    #[schemars(schema_with = "shape::username")]
    pub approver: String,

    /// What they said.
    pub verdict: ApprovalVerdict,

    /// Why it does not count; absent: it does.
    #[schemars(schema_with = "shape::reason")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored: Option<String>,
}

/// How many of a group must still agree.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MissingApproval {
    /// The group's name in the class.
    #[schemars(schema_with = "shape::approval_group_name")]
    pub group: String,

    /// How many more.
    #[schemars(range(min = 1, max = 16))]
    pub count: i32,
}

/// The approval that an object waits for, or that its last effect used.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObjectApproval {
    /// Name of the ApprovalRequest: in the object's own namespace, or the operator's where the object has none.
    #[schemars(schema_with = "shape::object_name")]
    pub request: String,

    /// ApprovalClass that says who must agree.
    #[schemars(schema_with = "shape::object_name")]
    pub class: String,

    /// Digest of the effect: sha256: and 64 lower-case hexadecimal digits.
    #[schemars(schema_with = "shape::effect_digest")]
    pub effect_digest: String,

    /// Number of the issuance that it is for.
    #[schemars(range(min = 0))]
    pub revision: i64,

    /// Once the approval was used: index of the signature's entry in the signer's log.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_index: Option<i64>,

    /// Once the approval was used: when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Time>,
}

/// What a voter says.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ApprovalVerdict {
    /// Agrees.
    Approve,
    /// Does not; final.
    #[default]
    Deny,
}

/// One vote. Immutable.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[kube(
    group = "keywright.dev",
    version = "v1alpha1",
    kind = "ApprovalDecision",
    namespaced,
    derive = "PartialEq",
    shortname = "kwvote",
    category = "keywright",
    doc = "One vote of one person on one ApprovalRequest. Its name follows from request and person, so nobody votes twice."
)]
#[x_kube(validation = rules::spec_is_immutable("ApprovalDecision"))]
#[serde(rename_all = "camelCase")]
pub struct ApprovalDecisionSpec {
    /// The request.
    pub request_ref: RequestRef,

    /// The effect that the voter saw: the request's effectDigest.
    #[schemars(schema_with = "shape::effect_digest")]
    pub effect_digest: String,

    /// Approve or Deny. One valid denial is final.
    pub verdict: ApprovalVerdict,

    /// Why they say so.
    #[schemars(schema_with = "shape::reason")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// For classes with proof Signature: what ssh-keygen -Y sign -n keywright.dev/approval wrote over the statement that the plugin prints.
    #[schemars(schema_with = "shape::ssh_signature")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,

    /// Who votes. Stamped at admission; what an author writes here is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver: Option<UserIdentity>,
}

/// The request that a vote is for.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RequestRef {
    /// Name of the ApprovalRequest in the same namespace.
    #[schemars(schema_with = "shape::object_name")]
    pub name: String,

    /// UID of the ApprovalRequest: a vote for an earlier one of the same name does not count.
    #[schemars(schema_with = "shape::uid")]
    pub uid: String,
}
