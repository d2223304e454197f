//! The kinds that are walked.

use super::cluster::path;
use super::scene::certificate;
use serde_json::{Value, json};

/// A kind that is walked: one entry of [`KINDS`], and a new kind is walked from the day it has one.
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
    /// What going back to the good spec must lead to.
    pub(super) back: Back,
    /// Whether an object with the same spec and no history must come to say the same. Not so where something that was
    /// fixed once stays, as the limits of an authority.
    pub(super) forgets: bool,
}

/// Which certificate depends on the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Healthy {
    /// The object itself.
    Itself,
    /// One whose issuer it is.
    Signed,
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
pub(super) static KINDS: [Kind; 3] = [
    Kind {
        name: "Certificate",
        plural: "certificates",
        cluster: false,
        spec: |namespace, name| certificate(namespace, name, "services", &json!({}))["spec"].clone(),
        healthy: Healthy::Itself,
        back: Back::Ready,
        forgets: true,
    },
    Kind {
        name: "Issuer",
        plural: "issuers",
        cluster: false,
        spec: child,
        healthy: Healthy::Signed,
        back: Back::Told,
        forgets: false,
    },
    Kind {
        name: "ClusterIssuer",
        plural: "clusterissuers",
        cluster: true,
        spec: child,
        healthy: Healthy::Signed,
        back: Back::Told,
        forgets: false,
    },
];

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
