//! `ApprovalClass`: who has to agree, how many, for how long, and whether with a signature of their own.

#![expect(unreachable_pub, reason = "KubeSchema copies each public struct into a function body")]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{is_default, rules, shape};

/// Who has to agree. Edits apply to requests that are waiting only as far as they tighten.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[kube(
    group = "keywright.dev",
    version = "v1alpha1",
    kind = "ApprovalClass",
    derive = "PartialEq",
    shortname = "kwclass",
    category = "keywright",
    doc = "A kind of approval: the groups that must agree, how many of each, and how long a grant lasts. Verb approve on \
           a class lets somebody vote."
)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalClassSpec {
    /// All of these must agree, each with people of its own: somebody in two groups counts for one. At least 1, at most 8.
    #[schemars(schema_with = "shape::approval_groups")]
    pub groups: Vec<ApprovalGroup>,

    /// How long a request waits for its quorum, from its creation; at least 1m. Default: 24h.
    #[schemars(schema_with = "shape::request_ttl")]
    #[serde(default, rename = "requestTTL", skip_serializing_if = "Option::is_none")]
    pub request_ttl: Option<String>,

    /// How long a grant may be used, from the moment at which the quorum was complete; at least 1m. Default: 1h.
    #[schemars(schema_with = "shape::grant_ttl")]
    #[serde(default, rename = "grantTTL", skip_serializing_if = "Option::is_none")]
    pub grant_ttl: Option<String>,

    /// What an approval must carry: None (the API server's word about who voted) or Signature (made with ssh-keygen, by
    /// a key that the signer has pinned for the approver). Default: None.
    #[serde(default, skip_serializing_if = "is_default")]
    pub proof: ApprovalProof,

    /// Usernames of the machine accounts that may vote, such as system:serviceaccount:ci:approver. No other one may.
    #[schemars(schema_with = "shape::usernames")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_accounts: Vec<String>,

    /// People with several accounts, so that nobody votes twice or approves their own request by another account.
    #[schemars(schema_with = "shape::approval_principals")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<ApprovalPrincipal>,

    /// Where requests of this class are announced.
    #[schemars(schema_with = "shape::notify_targets")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<NotifyTarget>,
}

impl ApprovalClassSpec {
    /// What an absent `requestTTL` means.
    pub const DEFAULT_REQUEST_TTL: &str = "24h";
    /// What an absent `grantTTL` means.
    pub const DEFAULT_GRANT_TTL: &str = "1h";

    /// The `requestTTL` in force, as text.
    pub fn request_ttl_text(&self) -> &str {
        self.request_ttl.as_deref().unwrap_or(Self::DEFAULT_REQUEST_TTL)
    }

    /// The `grantTTL` in force, as text.
    pub fn grant_ttl_text(&self) -> &str {
        self.grant_ttl.as_deref().unwrap_or(Self::DEFAULT_GRANT_TTL)
    }
}

/// What an approval must carry.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApprovalProof {
    /// The API server's word.
    #[default]
    None,
    /// A detached signature.
    Signature,
}

/// A group of approvers.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = rules::approval_group_has_people())]
#[serde(rename_all = "camelCase")]
pub struct ApprovalGroup {
    /// Name, as messages show it.
    #[schemars(schema_with = "shape::approval_group_name")]
    pub name: String,

    /// Kubernetes groups (as in userInfo.groups) whose members belong to it.
    #[schemars(schema_with = "shape::usernames")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,

    /// Usernames that belong to it.
    #[schemars(schema_with = "shape::usernames")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,

    /// How many of it must agree, 1 to 16. Default: 2.
    #[schemars(range(min = 1, max = 16))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<i32>,
}

/// One person and all their accounts.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalPrincipal {
    /// Who it is, such as the subject of their OIDC identity.
    #[schemars(schema_with = "shape::username")]
    pub name: String,

    /// Their usernames.
    #[schemars(schema_with = "shape::usernames")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usernames: Vec<String>,
}

/// Where a notice goes and in which form.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NotifyTarget {
    /// Name of the target; unique within the class.
    #[schemars(schema_with = "shape::approval_group_name")]
    pub name: String,

    /// Slack and MicrosoftTeams take the messages of their incoming webhooks; Webhook is a JSON document of our own.
    pub form: NoticeForm,

    /// The Secret entry that holds the URL to post to (https, or http to a loopback address).
    pub url_from: SecretEntry,

    /// For Webhook: the Secret entry with the key of the HMAC-SHA256 that header Keywright-Signature carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac_key_from: Option<SecretEntry>,
}

/// The form of a notice.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoticeForm {
    /// Slack incoming webhook.
    Slack,
    /// Microsoft Teams workflow with an adaptive card.
    MicrosoftTeams,
    /// JSON.
    #[default]
    Webhook,
}

/// An entry of a Secret in the operator's own namespace.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretEntry {
    /// Name of the Secret, in the operator's own namespace.
    #[schemars(schema_with = "shape::object_name")]
    pub name: String,

    /// Key of the entry.
    #[schemars(schema_with = "shape::secret_key")]
    pub key: String,
}
