//! What a policy is written as.

use crate::digest;
use crate::{CompileError, Input};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A policy as written: the part of the kind `Policy` that decides.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Name of the policy, as it is shown in denials; unique in a set.
    pub name: String,
    /// Which inputs it is asked about.
    pub applies_to: AppliesTo,
    /// Whether its answers hold or are only told.
    pub mode: Mode,
    /// Documents the policy reads as `data.NAME`. `keywright` is no name for one: there the rules are.
    pub data: BTreeMap<String, Value>,
    /// Its rules.
    #[serde(flatten)]
    pub rules: Rules,
}

/// What the rules of a policy are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Rules {
    /// Rego v1 source, `package keywright`.
    Rego(String),
    /// The same, compiled by OPA to WebAssembly, which lies elsewhere.
    Bundle(BundleRef),
}

/// Which bundle, and where it lies: in a ConfigMap of Keywright's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundleRef {
    /// Where it lies.
    pub config_map_ref: ConfigMapKey,
    /// `sha256:<hex>` over its bytes. Where other bytes lie, the policy cannot be asked.
    pub digest: String,
}

/// An entry of a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigMapKey {
    /// Name of the ConfigMap.
    pub name: String,
    /// Key in its `binaryData`.
    pub key: String,
}

impl BundleRef {
    /// What the spec of an object of kind `Policy` says of its bundle; none if its rules are source, or it does not read.
    pub fn of(spec: &Value) -> Option<Self> {
        Self::deserialize(spec.get("bundle")?).ok()
    }

    /// Whether these are the bytes that are meant.
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        self.digest == digest::of_bytes(bytes)
    }
}

impl std::fmt::Display for BundleRef {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "key {:?} of ConfigMap {:?}", self.config_map_ref.key, self.config_map_ref.name)
    }
}

/// The spec of the kind `Policy`, as it is stored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    #[serde(default)]
    applies_to: AppliesTo,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    data: BTreeMap<String, Value>,
    #[serde(default)]
    rego: Option<Rego>,
    #[serde(default)]
    bundle: Option<BundleRef>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rego {
    source: String,
}

impl Source {
    /// Reads the spec of an object of kind `Policy`.
    ///
    /// # Errors
    /// A field is missing, of another type, or not known to this version: what is not understood is not left out.
    pub fn read(name: &str, spec: &Value) -> Result<Self, CompileError> {
        let Spec { applies_to, mode, data, rego, bundle } = Spec::deserialize(spec).map_err(|error| {
            CompileError::whole(format!("spec does not read: {error}; upgrade this program if it is older"))
        })?;
        let rules = match (rego, bundle) {
            (Some(rego), None) => Rules::Rego(rego.source),
            (None, Some(bundle)) => Rules::Bundle(bundle),
            (Some(_), Some(_)) | (None, None) => {
                return Err(CompileError::whole("spec: give exactly one of `rego` and `bundle`"));
            }
        };
        Ok(Self { name: name.to_owned(), applies_to, mode, data, rules })
    }
}

/// Whether the answers of a policy hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// What it denies is denied.
    #[default]
    Enforce,
    /// What it would have said is told, and changes nothing.
    Audit,
}

/// Which inputs a policy is asked about: each list that is not empty must have what the input is of. Exact matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppliesTo {
    /// Kinds, as `Certificate`. Empty: all.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Namespaces. Empty: all, and what has none. Not empty: only what is in one of them.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Issuers. Empty: any, and what has none.
    #[serde(default)]
    pub issuers: Vec<IssuerRef>,
}

/// An issuer by reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuerRef {
    /// `Issuer` (if absent) or `ClusterIssuer`.
    #[serde(default = "IssuerRef::default_kind")]
    pub kind: String,
    /// Name of the issuer.
    pub name: String,
    /// Namespace of an `Issuer`; absent: an issuer of that name in any namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl AppliesTo {
    /// Whether a policy is asked about an input. What the input does not say of itself matches no list that names
    /// something; therefore callers fill `kind`, `metadata.namespace` and `issuer` before they ask.
    pub fn matches(&self, input: &Input) -> bool {
        let among = |list: &[String], fact: Option<&str>| {
            list.is_empty() || fact.is_some_and(|fact| list.iter().any(|one| one == fact))
        };
        among(&self.kinds, input.kind())
            && among(&self.namespaces, input.namespace())
            && (self.issuers.is_empty()
                || input
                    .issuer
                    .as_ref()
                    .is_some_and(|issuer| self.issuers.iter().any(|one| one.names(issuer))))
    }
}

impl IssuerRef {
    fn default_kind() -> String {
        "Issuer".to_owned()
    }

    fn names(&self, issuer: &crate::Issuer) -> bool {
        self.kind == issuer.kind
            && self.name == issuer.name
            && (self.namespace.is_none() || self.namespace == issuer.namespace)
    }
}
