//! Issues a certificate from an authority in the real signer, verifies it with this program's own code, and removes it.
//!
//! The Issuer `keywright-check` stays: an authority's key is made once.

use super::judge::Finding;
use crate::Machine;
use crate::cli::Limit;
use crate::connect::Cluster;
use crate::exit::{Failure, causes};
use crate::second_opinion::{Opinion, ask};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use keywright_controllers_core::conditions::{find, is_ready};
use keywright_crds::{Certificate, Issuer};
use keywright_pki::certificate::Certificate as Leaf;
use keywright_pki::key::PrivateKey;
use keywright_pki::pem;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use std::time::Duration;

const CHECK: &str = "issuance";
/// Name in `managedFields`.
const MANAGER: &str = "keywright-plugin";
const AUTHORITY: &str = "keywright-check";
const DNS_NAME: &str = "check.keywright.test";

/// The finding; whatever was made is removed, whatever came of it, and what could not be removed is said.
pub(super) async fn issue(cluster: &Cluster, limit: Limit, machine: &Machine) -> Finding {
    let mut random = [0; 4];
    if let Err(error) = machine.entropy.fill(&mut random) {
        return Finding::failed(CHECK, error.to_string(), "try again");
    }
    let name = format!("keywright-check-{}", hex::encode(random));
    let started = machine.clock.monotonic();
    let tried = try_it(cluster, &name, limit, machine).await;
    let took = machine.clock.monotonic().saturating_duration_since(started);
    let left = remove(cluster, &name).await;
    judge(
        tried.map(|words| format!("{words}, {:.1} s", took.as_secs_f64())),
        left.as_deref(),
        &cluster.namespace,
    )
}

/// What to think of a try, and of what could not be removed after it. Pure.
fn judge(tried: Result<String, Failure>, left: Option<&str>, namespace: &str) -> Finding {
    let with_left = |words: String| match left {
        Some(left) => format!("{words}; and {left}"),
        None => words,
    };
    match tried {
        Ok(words) if left.is_none() => Finding::passed(CHECK, words),
        Ok(words) => {
            let fix = format!("delete it with kubectl -n {namespace}: it is renewed as long as it is there");
            Finding::warning(CHECK, with_left(words), &fix)
        }
        Err(failure) => Finding::failed(
            CHECK,
            with_left(failure.to_string()),
            "the conditions of issuers and certificates say more",
        ),
    }
}

async fn try_it(cluster: &Cluster, name: &str, limit: Limit, machine: &Machine) -> Result<String, Failure> {
    let namespace = &cluster.namespace;
    let issuers: Api<Issuer> = Api::namespaced(cluster.client.clone(), namespace);
    let spec = json!({ "authority": {
        "commonName": "Keywright check",
        "privateKey": { "algorithm": "ECDSA", "size": 384 },
        "nameConstraints": { "permitted": { "dnsDomains": ["keywright.test"] } },
    }});
    apply(&issuers, "Issuer", AUTHORITY, spec).await?;
    let certificates: Api<Certificate> = Api::namespaced(cluster.client.clone(), namespace);
    let spec = json!({
        "secretName": name,
        "dnsNames": [DNS_NAME],
        "duration": "1h",
        "issuerRef": { "name": AUTHORITY },
    });
    apply(&certificates, "Certificate", name, spec).await?;
    let patient: Api<Certificate> = Api::namespaced(cluster.patient.clone(), namespace);
    let ready = |found: Option<&Certificate>| {
        let status = found.and_then(|found| found.status.as_ref());
        status.is_some_and(|status| is_ready(&status.conditions))
    };
    let waited = await_condition(patient, name, ready);
    let limit = limit.0.unwrap_or(Duration::from_hours(24));
    match tokio::time::timeout(limit, waited).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(Failure::Unreachable(format!("the watch broke: {}", causes(&error)))),
        Err(_) => return Err(Failure::NotAsWanted(still(&certificates, name).await)),
    }
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
    let secret = secrets.get(name).await.map_err(|e| Failure::of_api("read the Secret", &e))?;
    verify(&secret, machine.clock.now()).map_err(Failure::NotAsWanted)
}

async fn apply<K>(api: &Api<K>, kind: &str, name: &str, spec: Value) -> Result<(), Failure>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let object = json!({
        "apiVersion": format!("{}/{}", keywright_crds::GROUP, keywright_crds::VERSION),
        "kind": kind,
        "metadata": { "name": name },
        "spec": spec,
    });
    let params = PatchParams::apply(MANAGER).force();
    let applied = api.patch(name, &params, &Patch::Apply(object)).await;
    applied.map(|_| ()).map_err(|e| Failure::of_api(&format!("apply {kind} {name:?}"), &e))
}

/// What it waits for, in its own words.
async fn still(api: &Api<Certificate>, name: &str) -> String {
    let found = api.get_opt(name).await.ok().flatten();
    let conditions = found.and_then(|found| found.status).map(|status| status.conditions).unwrap_or_default();
    match find(&conditions, "Ready") {
        Some(ready) => format!("the certificate is not Ready: {}: {}", ready.reason, ready.message),
        None => "the certificate was looked at by nobody; is its namespace served?".to_owned(),
    }
}

/// Chain, key, name and time, as somebody who relies on it would check them.
fn verify(secret: &Secret, now: Timestamp) -> Result<String, String> {
    let data = secret.data.as_ref().ok_or("the Secret is empty")?;
    let entry = |name: &str| data.get(name).ok_or(format!("the Secret has no {name}"));
    let certificate = |name: &str| -> Result<Leaf, String> {
        let ders = pem::read_certificates(&entry(name)?.0).map_err(|e| format!("{name}: {e}"))?;
        let der = ders.first().ok_or(format!("{name} is empty"))?;
        Leaf::from_der(der).map_err(|e| format!("{name}: {e}"))
    };
    let (leaf, authority) = (certificate("tls.crt")?, certificate("ca.crt")?);
    let key = PrivateKey::from_pem(&entry("tls.key")?.0).map_err(|e| format!("tls.key: {e}"))?;
    if key.public_key() != leaf.public_key() {
        return Err("tls.key is not the certificate's".to_owned());
    }
    if leaf.verify_signed_by(authority.public_key()).is_err() {
        return Err("the certificate is not signed by ca.crt".to_owned());
    }
    if !leaf.sans().dns.iter().any(|name| name.as_str() == DNS_NAME) {
        return Err(format!("the certificate is not for {DNS_NAME}"));
    }
    if !leaf.validity().contains(now) {
        return Err("the certificate is not valid now".to_owned());
    }
    match ask(&leaf, authority.public_key()) {
        Opinion::Signed(other) => {
            Ok(format!("issued, and verified by two implementations (aws-lc, {other})"))
        }
        Opinion::NotAsked => Ok("issued and verified".to_owned()),
        Opinion::NotSigned(other) => Err(format!("{other} does not find the signature good; aws-lc does")),
    }
}

/// Removes what was made; what is left is said.
async fn remove(cluster: &Cluster, name: &str) -> Option<String> {
    let certificates: Api<Certificate> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    // First what would make the other anew.
    let certificate = certificates.delete(name, &DeleteParams::default()).await.map(|_| ());
    let secret = secrets.delete(name, &DeleteParams::default()).await.map(|_| ());
    let left = |kind: &str, deleted: Result<(), kube::Error>| match deleted {
        Ok(()) => None,
        Err(kube::Error::Api(status)) if status.code == 404 => None,
        Err(error) => Some(Failure::of_api(&format!("delete {kind} {name:?}"), &error).to_string()),
    };
    left("Certificate", certificate).or_else(|| left("Secret", secret))
}

#[cfg(test)]
mod tests {
    use super::super::judge::Verdict;
    use super::*;

    #[test]
    fn what_is_left_behind_is_said() {
        let left = || Some("cannot delete Certificate \"keywright-check-1\": no webhook");
        let good = || Ok("issued and verified".to_owned());
        let bad = || Err(Failure::NotAsWanted("the certificate is not Ready".to_owned()));
        for (tried, left, verdict, names) in [
            (good(), None, Verdict::Passed, false),
            (good(), left(), Verdict::Warning, true),
            (bad(), None, Verdict::Failed, false),
            (bad(), left(), Verdict::Failed, true),
        ] {
            let finding = judge(tried, left, "shop");
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert_eq!(finding.found.contains("keywright-check-1"), names, "{finding:?}");
        }
    }
}
