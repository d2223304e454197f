//! How an object names the issuer that is to sign for it.

#![expect(unreachable_pub, reason = "KubeSchema copies each public struct into a function body")]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GROUP, is_default, rules, shape};

/// Kind of issuer that a reference names.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum IssuerKind {
    /// An `Issuer` in the namespace of the object that refers to it.
    #[default]
    Issuer,
    /// A cluster-scoped `ClusterIssuer`.
    ClusterIssuer,
}

impl IssuerKind {
    /// The kind as written on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Issuer => "Issuer",
            Self::ClusterIssuer => "ClusterIssuer",
        }
    }
}

/// Reference to an issuer.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "camelCase")]
pub struct IssuerRef {
    /// `Issuer` (the default; looked up in the namespace of the object itself) or `ClusterIssuer`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: IssuerKind,

    /// Name of the issuer.
    #[schemars(schema_with = "shape::object_name")]
    pub name: String,

    /// API group of the issuer. Absent means keywright.dev, which is also the only group that is accepted.
    #[schemars(schema_with = "shape::short_text")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::issuer_group())]
    pub group: Option<String>,
}

impl IssuerRef {
    /// The group in force: the written one, else `keywright.dev`. An empty text counts as absent.
    pub fn group(&self) -> &str {
        self.group.as_deref().filter(|group| !group.is_empty()).unwrap_or(GROUP)
    }
}
