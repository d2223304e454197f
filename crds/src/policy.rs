//! `Policy`: rules in Rego over what is asked of issuers and of this suite's own objects.
//!
//! What the rules mean stands in docs/policy.md; they are compiled and asked in `policy/`, never here.

#![expect(unreachable_pub, reason = "KubeSchema copies each public struct into a function body")]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{IssuerKind, is_default, rules, shape};

/// What is asked, of what, and whether the answer holds.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "keywright.dev",
    version = "v1alpha1",
    kind = "Policy",
    plural = "policies",
    status = "PolicyStatus",
    derive = "PartialEq",
    shortname = "kwpolicy",
    category = "keywright",
    doc = "Rules in Rego that are asked at admission, by the operator before it asks the signer, and in the signer, whose answer counts. Whatever is no clear answer denies."
)]
#[x_kube(validation = rules::exactly_one_engine())]
#[serde(rename_all = "camelCase")]
pub struct PolicySpec {
    /// What the policy is asked about. Absent: every Certificate, Issuer and ClusterIssuer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub applies_to: PolicyScope,

    /// Enforce: what it denies is denied. Audit: what it would say is logged and shown as a warning, and changes nothing.
    /// Default: Enforce.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: PolicyMode,

    /// Documents that the rules read as `data.NAME`. At most 64.
    #[schemars(schema_with = "shape::policy_data")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, Value>,

    /// Rules as source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rego: Option<RegoSource>,

    /// Rules as a bundle that `opa build -t wasm` made, with an entry point for each rule that is asked, as
    /// `-e keywright/deny`. Programs built without the feature `wasm` run none; there the policy denies whatever it applies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<PolicyBundle>,
}

/// Whether the answers of a policy hold.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyMode {
    /// What it denies is denied.
    #[default]
    Enforce,
    /// What it would have said is told, and changes nothing.
    Audit,
}

/// Kind of object that a policy is asked about.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// A leaf wanted in a Secret.
    Certificate,
    /// An authority of a namespace.
    Issuer,
    /// An authority of the cluster.
    ClusterIssuer,
}

/// What a policy is asked about: each list with entries must have what the object is of.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PolicyScope {
    /// Kinds. Empty: all three.
    #[schemars(length(max = 8))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<PolicyKind>,

    /// Namespaces. Empty: all, and what has none. With entries: only what is in one of them. At most 256.
    #[schemars(schema_with = "shape::policy_namespaces")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,

    /// Issuers: those that a Certificate names, and that an issuer names as its parent. Empty: any, and none. At most 64.
    #[schemars(length(max = 64))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<PolicyIssuer>,
}

/// An issuer that a policy is about.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = rules::policy_issuer_namespace())]
#[serde(rename_all = "camelCase")]
pub struct PolicyIssuer {
    /// `Issuer` (the default) or `ClusterIssuer`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: IssuerKind,

    /// Name of the issuer.
    #[schemars(schema_with = "shape::object_name")]
    pub name: String,

    /// Namespace of an Issuer. Absent: an Issuer of that name in any namespace.
    #[schemars(schema_with = "shape::object_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Rules in Rego v1.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RegoSource {
    /// One module of `package keywright` that declares `allow`, `deny`, `require_approval` or `warn`.
    #[schemars(schema_with = "shape::rego")]
    pub source: String,
}

/// A bundle of rules in WebAssembly, and where it lies.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PolicyBundle {
    /// Where it lies: in `binaryData` of a ConfigMap of the namespace that Keywright itself runs in, and in no other, so that
    /// webhook, operator and signer need no right on the ConfigMaps of anybody else.
    pub config_map_ref: PolicyBundleKey,

    /// SHA-256 over its bytes, as sha256: and lower-case hexadecimal, which `sha256sum` prints. Each of those who ask the
    /// policy compares it themselves; where other bytes lie, the policy denies whatever it applies to.
    #[schemars(schema_with = "shape::digest")]
    pub digest: String,
}

/// An entry of a ConfigMap.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PolicyBundleKey {
    /// Name of the ConfigMap.
    #[schemars(schema_with = "shape::object_name")]
    pub name: String,

    /// Key in its `binaryData`. The value is the bundle (.tar.gz) or the module of one alone (.wasm).
    #[schemars(schema_with = "shape::config_map_key")]
    pub key: String,
}

/// What lies under a key of the `binaryData` of a ConfigMap; none if it has no such key.
pub fn bundle_bytes<'a>(config_map: &'a ConfigMap, key: &str) -> Option<&'a [u8]> {
    Some(&config_map.binary_data.as_ref()?.get(key)?.0)
}

/// What is so about a policy.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// Generation of the spec that this status speaks of; -1 until the controller has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Conditions: Ready, and Stalled while the policy cannot be asked: it does not compile, or its bundle is missing, has another
    /// digest or does not load.
    #[schemars(schema_with = "shape::conditions")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,

    /// SHA-256 over the canonical form (RFC 8785) of the policy, the digest of its bundle included, as sha256: and lower-case
    /// hexadecimal.
    #[schemars(schema_with = "shape::digest")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}
