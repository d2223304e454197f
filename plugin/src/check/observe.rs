//! Reads what the check looks at. Writes nothing: the one object it sends is a dry run.

use super::judge::{Definition, DefinitionState, Leader, Observed, Workload, WorkloadState};
use super::webhook::Webhook;
use crate::Machine;
use crate::connect::Cluster;
use crate::exit::Failure;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keywright_crds::Certificate;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::client::Body;
use serde_json::json;

/// What the webhook stamps first (docs/webhook.md).
const STAMP: &str = "keywright.dev/requester-username";
const VERSION: &str = "app.kubernetes.io/version";

/// Asks everything. Errors: the API server is not reached, or does not let us read.
pub(super) async fn observe(cluster: &Cluster, system: &str, machine: &Machine) -> Result<Observed, Failure> {
    let client = &cluster.client;
    let (version, theirs) = version(cluster).await?;
    let clocks = (theirs, machine.clock.now());
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), system);
    let webhook = webhook(cluster).await?;
    let mut wanted = vec!["keywright-operator", "keywright-bootstrap"];
    if webhook != Webhook::NotInstalled {
        wanted.push("keywright-webhook");
    }
    let mut workloads = Vec::new();
    for name in wanted {
        let found = deployments.get_opt(name).await.map_err(|e| Failure::of_api("read Deployments", &e))?;
        let state = found.map_or(WorkloadState::Missing, |found| WorkloadState::There {
            wanted: found.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
            ready: found.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0),
            version: version_of(&found.metadata),
        });
        workloads.push(Workload { name, state });
    }
    let signer: Option<StatefulSet> = Api::namespaced(client.clone(), system)
        .get_opt("keywright-signer")
        .await
        .map_err(|e| Failure::of_api("read StatefulSets", &e))?;
    let state = signer.map_or(WorkloadState::Missing, |found| WorkloadState::There {
        wanted: found.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
        ready: found.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0),
        version: version_of(&found.metadata),
    });
    workloads.push(Workload { name: "keywright-signer", state });
    Ok(Observed {
        kubernetes: version,
        clocks,
        definitions: definitions(cluster).await?,
        workloads,
        leader: leader(cluster, system).await?,
        webhook,
    })
}

/// The API server's version and, from the answer's head, its clock.
async fn version(cluster: &Cluster) -> Result<((String, String), Option<Timestamp>), Failure> {
    let failed = |e: kube::Error| Failure::of_api("read the version of the API server", &e);
    let request =
        http::Request::get("/version").body(Body::empty()).map_err(|e| failed(kube::Error::HttpError(e)))?;
    let answer = cluster.client.send(request).await.map_err(failed)?;
    let date = answer.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| rfc2822::parse(date).ok()).map(|date| date.timestamp());
    let info = cluster.client.apiserver_version().await.map_err(failed)?;
    Ok(((info.major, info.minor), date))
}

async fn definitions(cluster: &Cluster) -> Result<Vec<Definition>, Failure> {
    let api: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let mut found = Vec::new();
    for wanted in keywright_crds::definitions() {
        let name = wanted.metadata.name.clone().unwrap_or_default();
        let there = api.get_opt(&name).await.map_err(|e| Failure::of_api("read definitions", &e))?;
        let state = there.map_or(DefinitionState::Missing, |there| state_of(&there, &wanted));
        found.push(Definition { name, state });
    }
    Ok(found)
}

fn state_of(there: &CustomResourceDefinition, wanted: &CustomResourceDefinition) -> DefinitionState {
    let mut conditions = there.status.iter().flat_map(|status| status.conditions.iter().flatten());
    if !conditions.any(|c| c.type_ == "Established" && c.status == "True") {
        DefinitionState::NotServed
    } else if serde_json::to_value(&there.spec.versions).ok()
        == serde_json::to_value(&wanted.spec.versions).ok()
    {
        // As JSON: what is empty and what is absent are the same there.
        DefinitionState::Served
    } else {
        DefinitionState::OfAnotherVersion
    }
}

async fn leader(cluster: &Cluster, system: &str) -> Result<Option<Leader>, Failure> {
    let api: Api<Lease> = Api::namespaced(cluster.client.clone(), system);
    let lease = api.get_opt("keywright-operator").await.map_err(|e| Failure::of_api("read the lease", &e))?;
    Ok(lease.and_then(|lease| lease.spec).map(|spec| Leader {
        holder: spec.holder_identity.unwrap_or_default(),
        renewed: spec.renew_time.map(|at| at.0),
    }))
}

/// Sends an object through admission that is not stored.
async fn webhook(cluster: &Cluster) -> Result<Webhook, Failure> {
    let api: Api<MutatingWebhookConfiguration> = Api::all(cluster.client.clone());
    let there = api
        .get_opt("keywright-webhook")
        .await
        .map_err(|e| Failure::of_api("read webhook configurations", &e))?;
    if there.is_none() {
        return Ok(Webhook::NotInstalled);
    }
    let probe: Certificate = serde_json::from_value(json!({
        "apiVersion": "keywright.dev/v1alpha1",
        "kind": "Certificate",
        "metadata": { "name": "keywright-check-probe", "namespace": cluster.namespace },
        "spec": {
            "secretName": "keywright-check-probe-tls",
            "dnsNames": ["probe.keywright.test"],
            "issuerRef": { "name": "keywright-check" },
        },
    }))
    .map_err(|e| Failure::NotAsWanted(format!("the probe does not read, which is a defect: {e}")))?;
    let api: Api<Certificate> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let params = PostParams { dry_run: true, ..PostParams::default() };
    Ok(match api.create(&params, &probe).await {
        Ok(back) => {
            if back.metadata.annotations.is_some_and(|notes| notes.contains_key(STAMP)) {
                Webhook::Stamped
            } else {
                Webhook::NotStamped
            }
        }
        Err(kube::Error::Api(status)) => Webhook::of_error(status.code, &status.message),
        Err(error) => Webhook::Failed(Failure::of_api("make a Certificate as a dry run", &error).to_string()),
    })
}

fn version_of(meta: &ObjectMeta) -> Option<String> {
    meta.labels.as_ref()?.get(VERSION).cloned()
}
