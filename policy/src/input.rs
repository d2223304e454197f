//! The one document that every policy is asked with.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a policy reads as `input`. Absent facts are absent, not null, so that a rule over them is undefined. Holds no
/// secret: the object is of a kind of ours, and those hold none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    /// What is done: `CREATE`, `UPDATE`, `DELETE` at admission; the action of the effect, as `IssueCertificate`, after.
    pub request: String,
    /// The object as it would be, or as it was if it is deleted.
    pub object: Value,
    /// The object as it is, for an update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_object: Option<Value>,
    /// Who asks, as the API server knows them.
    pub user: User,
    /// The certificate signing request, parsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csr: Option<Csr>,
    /// The issuer that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Issuer>,
    /// The profile that the certificate follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Value>,
    /// Approvals that are given and may be used.
    #[serde(default)]
    pub approvals: Vec<Approval>,
    /// The time of the question, RFC 3339 in UTC. A policy has no other clock.
    pub time: String,
}

/// Who asks, in the words of `userInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// Username.
    pub username: String,
    /// UID, if the authenticator gives one.
    #[serde(default)]
    pub uid: String,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Extra attributes.
    #[serde(default)]
    pub extra: BTreeMap<String, Vec<String>>,
}

/// A certificate signing request, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Csr {
    /// Subject as RFC 4514 text; empty if there is none.
    #[serde(default)]
    pub subject: String,
    /// DNS names.
    #[serde(default)]
    pub dns_names: Vec<String>,
    /// IP addresses as text.
    #[serde(default)]
    pub ip_addresses: Vec<String>,
    /// URIs.
    #[serde(default)]
    pub uris: Vec<String>,
    /// Mail addresses.
    #[serde(default)]
    pub email_addresses: Vec<String>,
    /// Algorithm of the key by the name that specs use for it.
    pub key_algorithm: String,
    /// SHA-256 of the SubjectPublicKeyInfo, hex.
    pub public_key_sha256: String,
}

/// The issuer that is asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Issuer {
    /// `Issuer` or `ClusterIssuer`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace of an `Issuer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// An approval that is given and may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// Name of the approval class.
    pub class: String,
    /// Usernames of those who agreed.
    pub approvers: Vec<String>,
}

impl Input {
    /// Kind of the object.
    pub fn kind(&self) -> Option<&str> {
        self.object.get("kind")?.as_str()
    }

    /// Namespace of the object.
    pub fn namespace(&self) -> Option<&str> {
        self.metadata("namespace")
    }

    /// Text of a field of the object's metadata.
    pub(crate) fn metadata(&self, field: &str) -> Option<&str> {
        self.object.get("metadata")?.get(field)?.as_str()
    }
}
