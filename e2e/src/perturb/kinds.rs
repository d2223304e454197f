//! The kinds that are walked.

use super::cluster::path;
use super::scene::certificate;
use serde_json::{Value, json};

/// A kind that is walked: one entry of [`KINDS`], and a new kind is walked from the day it has one. Votes are not: a vote is
/// a fact without a state, and says nothing of itself.
#[derive(Debug)]
pub(super) struct Kind {
    /// As in the API.
    pub(super) name: &'static str,
    /// As in paths.
    pub(super) plural: &'static str,
    /// Whether its objects live in no namespace; then those of a case are named `NAMESPACE.NAME`.
    cluster: bool,
    /// A good spec for an object of this name in this namespace.
    pub(super) spec: fn(&str, &str) -> Value,
    /// Which certificate must stay good whatever the object is made to want.
    pub(super) healthy: Healthy,
    /// How it comes to a mutated spec.
    pub(super) change: Change,
    /// Who says where it stands.
    pub(super) told: Told,
    /// What going back to the good spec must lead to.
    pub(super) back: Back,
    /// Whether an object with the same spec and no history must come to say the same. Not so where something that was
    /// fixed once stays, as the limits of an authority.
    pub(super) forgets: bool,
}

/// Which certificate must stay good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Healthy {
    /// The object itself.
    Itself,
    /// One whose issuer it is.
    Signed,
    /// One in the same namespace, with the same name.
    Beside,
}

/// How an object comes to a mutated spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is edited.
    Edit,
    /// Its kind never changes: another object is made with it.
    Anew,
}

/// Who says where an object stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Its own status, which says Ready of a good spec.
    Ready,
    /// Its own status; a good one waits for people.
    Waiting,
    /// It has no status: a request for approval that is filed under it.
    ByRequest,
}

/// What the way back leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    /// Ready.
    Ready,
    /// Ready, or a reason why not; the change may also be refused.
    Told,
}

/// All kinds.
pub(super) static KINDS: [Kind; 6] = [
    Kind {
        name: "Certificate",
        plural: "certificates",
        cluster: false,
        spec: |namespace, name| certificate(namespace, name, "services", &json!({}))["spec"].clone(),
        healthy: Healthy::Itself,
        change: Change::Edit,
        told: Told::Ready,
        back: Back::Ready,
        forgets: true,
    },
    Kind {
        name: "Issuer",
        plural: "issuers",
        cluster: false,
        spec: child,
        healthy: Healthy::Signed,
        change: Change::Edit,
        told: Told::Ready,
        back: Back::Told,
        forgets: false,
    },
    Kind {
        name: "ClusterIssuer",
        plural: "clusterissuers",
        cluster: true,
        spec: child,
        healthy: Healthy::Signed,
        change: Change::Edit,
        told: Told::Ready,
        back: Back::Told,
        forgets: false,
    },
    Kind {
        name: "Policy",
        plural: "policies",
        cluster: true,
        spec: policy,
        healthy: Healthy::Beside,
        change: Change::Edit,
        told: Told::Ready,
        back: Back::Ready,
        forgets: true,
    },
    Kind {
        name: "ApprovalClass",
        plural: "approvalclasses",
        cluster: true,
        spec: |_, _| json!({ "groups": [{ "name": "security", "members": ["security"], "count": 2 }] }),
        healthy: Healthy::Beside,
        change: Change::Edit,
        told: Told::ByRequest,
        back: Back::Told,
        forgets: false,
    },
    Kind {
        name: "ApprovalRequest",
        plural: "approvalrequests",
        cluster: false,
        spec: |namespace, name| request(namespace, name, "people"),
        healthy: Healthy::Beside,
        change: Change::Anew,
        told: Told::Waiting,
        back: Back::Told,
        forgets: false,
    },
];

/// A policy that minds only what no case asks for, wherever it comes to apply.
fn policy(namespace: &str, _: &str) -> Value {
    let rule = r#"deny contains "never" if { some name in input.object.spec.dnsNames; name == "denied.example.test" }"#;
    json!({
        "appliesTo": { "kinds": ["Certificate"], "namespaces": [namespace] },
        "rego": { "source": format!("package keywright\n{rule}\n") },
    })
}

/// A request about the certificate of this name, under class `NAMESPACE.CLASS`.
pub(super) fn request(namespace: &str, name: &str, class: &str) -> Value {
    json!({
        "targetRef": { "group": "keywright.dev", "kind": "Certificate", "namespace": namespace, "name": name,
            "uid": "00000000-0000-4000-8000-000000000000" },
        "action": "IssueCertificate",
        "effect": r#"{"action":"IssueCertificate"}"#,
        "effectDigest": "sha256:1b1c7c7ef058f6069d5f86aa536a2945d85c965ae104a7d311ca775b123e81d4",
        "approvalClass": format!("{namespace}.{class}"),
    })
}

/// An authority by the root of the case.
fn child(namespace: &str, name: &str) -> Value {
    let parent = json!({ "kind": "ClusterIssuer", "name": format!("{namespace}.root") });
    json!({ "authority": { "commonName": name, "duration": "720h", "issuerRef": parent } })
}

impl Kind {
    /// As in the name of its case.
    pub(super) fn case(&self) -> String {
        format!("fuzz/{}", self.name.to_lowercase())
    }

    /// The name of an object in the API.
    pub(super) fn named(&self, namespace: &str, name: &str) -> String {
        if self.cluster { format!("{namespace}.{name}") } else { name.to_owned() }
    }

    /// Its path.
    pub(super) fn place(&self, namespace: &str, name: &str) -> String {
        format!("{}/{}", path(namespace, self.plural), self.named(namespace, name))
    }
}
