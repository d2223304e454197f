//! The scenario that is disturbed: what people do to a root, an intermediate and four certificates, stage by stage.
//!
//! ```text
//! Authorities  a root (ClusterIssuer) and services (Issuer), its child
//! First        web (ECDSA) and rsa, by services
//! Second       kept (rotationPolicy Never) and forms (every output format, owned), by the root
//! Edit         other names for web and kept
//! Lose         the Secrets of kept and forms are deleted
//! Tighten      services signs shorter lives than it did: web and rsa are issued again
//! Renew        web and kept are asked for by annotation
//! Retouch      web's Secret gets a label, rsa another output format: written again, not issued; forms is deleted
//! ```
//! A stage ends when everything is as wanted and nothing has been under way for a moment.

use super::cluster::{Cluster, is_ready, path, text};
use super::rig::{PATIENCE, Rig};
use crate::{Error, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long nothing may be under way before a stage counts as over.
const SETTLED: Duration = Duration::from_millis(150);

/// What people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Authorities,
    First,
    Second,
    Edit,
    Lose,
    Tighten,
    Renew,
    Retouch,
}

impl Stage {
    pub(super) const ALL: [Self; 8] = [
        Self::Authorities,
        Self::First,
        Self::Second,
        Self::Edit,
        Self::Lose,
        Self::Tighten,
        Self::Renew,
        Self::Retouch,
    ];

    /// Whose certificates must be other ones afterwards.
    fn changes(self) -> &'static [&'static str] {
        match self {
            Self::Authorities | Self::First | Self::Second | Self::Retouch => &[],
            Self::Edit | Self::Renew => &["web", "kept"],
            Self::Lose => &["kept", "forms"],
            Self::Tighten => &["web", "rsa"],
        }
    }

    /// Certificates that exist afterwards.
    pub(super) fn certificates(self) -> &'static [&'static str] {
        match self {
            Self::Authorities => &[],
            Self::First => &["web", "rsa"],
            Self::Second | Self::Edit | Self::Lose | Self::Tighten | Self::Renew => {
                &["web", "rsa", "kept", "forms"]
            }
            Self::Retouch => &["web", "rsa", "kept"],
        }
    }
}

/// An object of the product's group.
pub(super) fn object(kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "keywright.dev/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec,
    });
    if !["ClusterIssuer", "Policy", "ApprovalClass"].contains(&kind) {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

/// A Certificate by `services` or the root; `more` is merged into its spec.
pub(super) fn certificate(namespace: &str, name: &str, by: &str, more: &Value) -> Value {
    let issuer = match by {
        "root" => json!({ "kind": "ClusterIssuer", "name": format!("{namespace}.root") }),
        other => json!({ "kind": "Issuer", "name": other }),
    };
    let mut spec =
        json!({ "secretName": name, "dnsNames": [format!("{name}.example.test")], "issuerRef": issuer });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    object("Certificate", namespace, name, &spec)
}

/// The root of a case and its child.
pub(super) async fn authorities(cluster: &Cluster, namespace: &str) -> Result<(), Error> {
    let root = json!({ "authority": { "commonName": "root", "duration": "8760h" } });
    let name = format!("{namespace}.root");
    cluster.create(&path("", "clusterissuers"), &object("ClusterIssuer", "", &name, &root)).await?;
    let services = json!({ "authority": {
        "commonName": "services", "duration": "4380h", "issuerRef": { "kind": "ClusterIssuer", "name": name },
    }});
    let services = object("Issuer", namespace, "services", &services);
    cluster.create(&path(namespace, "issuers"), &services).await.map(|_| ())
}

async fn act(cluster: &Cluster, namespace: &str, stage: Stage) -> Result<(), Error> {
    let certificates = path(namespace, "certificates");
    let secrets = path(namespace, "secrets");
    let merge =
        async |name: &str, patch: Value| cluster.merge(&format!("{certificates}/{name}"), &patch).await;
    match stage {
        Stage::Authorities => authorities(cluster, namespace).await?,
        Stage::First => {
            cluster.create(&certificates, &certificate(namespace, "web", "services", &json!({}))).await?;
            let rsa = json!({ "privateKey": { "algorithm": "RSA", "size": 2048 } });
            cluster.create(&certificates, &certificate(namespace, "rsa", "services", &rsa)).await?;
        }
        Stage::Second => {
            let kept = json!({ "privateKey": { "rotationPolicy": "Never" } });
            cluster.create(&certificates, &certificate(namespace, "kept", "root", &kept)).await?;
            let forms = json!({
                "additionalOutputFormats": [{ "type": "CombinedPEM" }, { "type": "DER" }], "deletionPolicy": "Delete",
            });
            cluster.create(&certificates, &certificate(namespace, "forms", "root", &forms)).await?;
        }
        Stage::Edit => {
            merge("web", json!({ "spec": { "dnsNames": ["web.example.test", "www.example.test"] } })).await?;
            merge("kept", json!({ "spec": { "dnsNames": ["other.example.test"] } })).await?;
        }
        Stage::Lose => {
            for name in ["kept", "forms"] {
                cluster.delete(&format!("{secrets}/{name}")).await?;
            }
        }
        Stage::Tighten => {
            let tighter = json!({ "spec": { "authority": { "maxLeafDuration": "1000h" } } });
            cluster.merge(&format!("{}/services", path(namespace, "issuers")), &tighter).await?;
        }
        Stage::Renew => {
            let now = json!({ "metadata": { "annotations": { "keywright.dev/renew": "now" } } });
            for name in ["web", "kept"] {
                merge(name, now.clone()).await?;
            }
        }
        Stage::Retouch => {
            merge("web", json!({ "spec": { "secretTemplate": { "labels": { "team": "blue" } } } })).await?;
            merge("rsa", json!({ "spec": { "additionalOutputFormats": [{ "type": "DER" }] } })).await?;
            cluster.delete(&format!("{certificates}/forms")).await?;
        }
    }
    Ok(())
}

/// Serials by certificate, as the statuses say.
async fn serials(cluster: &Cluster, namespace: &str) -> Result<BTreeMap<String, String>, Error> {
    let all = cluster.list(&path(namespace, "certificates")).await?;
    Ok(all.iter().map(|c| (text(&c["metadata"]["name"]), text(&c["status"]["serialNumber"]))).collect())
}

/// Does what the stage says and waits until it is reached. Errors: `TooLate` with what is not as wanted.
pub(super) async fn play(rig: &Rig, namespace: &str, stage: Stage) -> Result<(), Error> {
    let before = serials(&rig.cluster, namespace).await?;
    act(&rig.cluster, namespace, stage).await?;
    until_settled(rig, namespace, stage, &before).await
}

async fn until_settled(
    rig: &Rig,
    namespace: &str,
    stage: Stage,
    before: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let mut missing = String::new();
    let what = format!("{stage:?} is reached in {namespace}");
    let waiting = wait_for(&what, PATIENCE, async || {
        missing = lacks(&rig.cluster, namespace, stage, before).await?.unwrap_or_default();
        Ok((missing.is_empty()
            && rig.worker.api.quiet_for(namespace) > SETTLED
            && rig.worker.wire.quiet_for(namespace) > SETTLED)
            .then_some(()))
    });
    match waiting.await {
        Err(Error::TooLate { what, seconds }) => {
            Err(Error::TooLate { what: format!("{what}; last seen: {missing}"), seconds })
        }
        other => other,
    }
}

/// What is not as the stage wants it, in words.
async fn lacks(
    cluster: &Cluster,
    namespace: &str,
    stage: Stage,
    before: &BTreeMap<String, String>,
) -> Result<Option<String>, Error> {
    let root = format!("{}/{namespace}.root", path("", "clusterissuers"));
    let services = format!("{}/services", path(namespace, "issuers"));
    for issuer in [root, services] {
        let seen = cluster.get(&issuer).await?.unwrap_or_default();
        if !is_ready(&seen) {
            return Ok(Some(format!("{issuer} is not Ready: {}", seen["status"]["conditions"])));
        }
    }
    let certificates: BTreeMap<String, Value> =
        by_name(cluster.list(&path(namespace, "certificates")).await?);
    let secrets: BTreeMap<String, Value> = by_name(cluster.list(&path(namespace, "secrets")).await?);
    for name in stage.certificates() {
        let Some(seen) = certificates.get(*name) else { return Ok(Some(format!("{name} does not exist"))) };
        if !is_ready(seen) {
            return Ok(Some(format!("{name} is not Ready: {}", seen["status"]["conditions"])));
        }
        let serial = text(&seen["status"]["serialNumber"]);
        if stage.changes().contains(name) && before.get(*name) == Some(&serial) {
            return Ok(Some(format!("{name} still has serial {serial}")));
        }
        let Some(secret) = secrets.get(*name) else {
            return Ok(Some(format!("Secret {name} does not exist")));
        };
        if secret["metadata"]["resourceVersion"] != seen["status"]["secretResourceVersion"] {
            return Ok(Some(format!("{name}'s status is about another version of its Secret")));
        }
    }
    let retouched = secrets.get("web").is_some_and(|s| s["metadata"]["labels"]["team"] == "blue")
        && secrets.get("rsa").is_some_and(|s| s["data"]["key.der"].is_string())
        && !secrets.contains_key("forms");
    if stage == Stage::Retouch && !retouched {
        return Ok(Some("the Secrets are not retouched, or that of forms is still there".into()));
    }
    Ok(None)
}

/// Objects by name.
pub(super) fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    objects.into_iter().map(|object| (text(&object["metadata"]["name"]), object)).collect()
}

/// What the specs of one namespace describe, made anew in another without any history.
pub(super) async fn from_scratch(rig: &Rig, of: &str, into: &str) -> Result<(), Error> {
    let cluster = &rig.cluster;
    cluster.namespace(into).await?;
    let renamed = |value: &Value| -> Value {
        let text = value.to_string().replace(&format!("\"{of}."), &format!("\"{into}."));
        serde_json::from_str(&text).unwrap_or_default()
    };
    let root = cluster.get(&format!("{}/{of}.root", path("", "clusterissuers"))).await?.unwrap_or_default();
    let root = object("ClusterIssuer", "", &format!("{into}.root"), &renamed(&root["spec"]));
    cluster.create(&path("", "clusterissuers"), &root).await?;
    for (kind, plural) in [("Issuer", "issuers"), ("Certificate", "certificates")] {
        for (name, seen) in by_name(cluster.list(&path(of, plural)).await?) {
            let mut new = object(kind, into, &name, &renamed(&seen["spec"]));
            new["metadata"]["annotations"] = seen["metadata"]["annotations"].clone();
            cluster.create(&path(into, plural), &new).await?;
        }
    }
    until_settled(rig, into, Stage::Retouch, &BTreeMap::new()).await
}
