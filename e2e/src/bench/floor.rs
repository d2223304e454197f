//! What the API server alone needs: the writes of N certificates, sent by nobody who has anything else to do.
//!
//! One certificate is issued by the product; what it wrote for it is sent again under N other names, with the operator
//! stopped: the Certificate itself, its Secret, its status, its Event. Nobody can be faster than that with these writes.

use super::figures::Floor;
use super::fleet::{certificate, root};
use crate::perturb::cluster::{Cluster, GROUP, is_ready, path};
use crate::{Error, Process, Suite, wait_for};
use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use keywright_ambient::{Clock, SystemClock};
use serde_json::{Value, json};
use std::time::Duration;

/// As many as the operator works on at one time.
const AT_A_TIME: usize = 32;
const APPLY: &str = "application/apply-patch+yaml";
const AS: &str = "fieldManager=keywright-bench&force=true";

/// Measures on a control plane of its own.
pub(super) async fn measure(certificates: usize) -> Result<Floor, Error> {
    let mut suite = Suite::start().await?;
    let cluster = Cluster::new(suite.plane.client());
    let (secret, status) = specimen(&cluster).await?;
    suite.plane.kill(Process::Operator)?;
    let operator = Cluster::new(suite.plane.client_of_operator().await?);
    let namespace = "floor";
    cluster.namespace(namespace).await?;
    let begun = SystemClock.monotonic();
    stream::iter(0..certificates)
        .map(|number| one([&cluster, &operator], namespace, format!("c{number}"), &secret, &status))
        .buffer_unordered(AT_A_TIME)
        .try_collect::<()>()
        .await?;
    Ok(Floor { certificates, wall_seconds: begun.elapsed().as_secs_f64() })
}

/// A Secret and a status as the product writes them.
async fn specimen(cluster: &Cluster) -> Result<(Value, Value), Error> {
    cluster.create(&path("", "clusterissuers"), &root()).await?;
    let certificates = path("default", "certificates");
    cluster.create(&certificates, &certificate("default", "specimen")).await?;
    let limit = Duration::from_mins(1);
    let made = wait_for("the specimen is Ready", limit, async || {
        Ok(cluster.get(&format!("{certificates}/specimen")).await?.filter(is_ready))
    })
    .await?;
    let secret = cluster.get(&format!("{}/specimen", path("default", "secrets"))).await?.unwrap_or_default();
    let metadata = json!({
        "labels": secret["metadata"]["labels"], "annotations": secret["metadata"]["annotations"],
    });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": secret["type"], "data": secret["data"], "metadata": metadata,
    });
    Ok((secret, made["status"].clone()))
}

async fn one(
    [people, operator]: [&Cluster; 2],
    namespace: &str,
    name: String,
    secret: &Value,
    status: &Value,
) -> Result<(), Error> {
    let place = path(namespace, "certificates");
    let made = people.create(&place, &certificate(namespace, &name)).await?;
    let mut secret = secret.clone();
    secret["metadata"]["name"] = json!(name);
    secret["metadata"]["namespace"] = json!(namespace);
    let secrets = format!("{}/{name}?{AS}", path(namespace, "secrets"));
    operator.ask(Method::PATCH, &secrets, Some((APPLY, &secret))).await?;
    let told = json!({
        "apiVersion": "keywright.dev/v1alpha1", "kind": "Certificate", "status": status,
        "metadata": { "name": name, "uid": made["metadata"]["uid"] },
    });
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "type": "Normal", "reason": "Issued", "action": "Reconcile",
        "metadata": { "name": format!("{name}.0123456789abcdef"), "namespace": namespace },
        "eventTime": "2030-01-01T00:00:00.000000Z", "note": "a note as long as the one that the product writes for it",
        "reportingController": "keywright.dev/operator", "reportingInstance": "keywright-bench",
        "regarding": {
            "apiVersion": "keywright.dev/v1alpha1", "kind": "Certificate", "name": name, "namespace": namespace,
            "uid": made["metadata"]["uid"],
        },
    });
    let statuses = format!("{GROUP}/namespaces/{namespace}/certificates/{name}/status?{AS}");
    let events = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
    let (told, event) = futures::join!(
        operator.ask(Method::PATCH, &statuses, Some((APPLY, &told))),
        operator.create(&events, &event)
    );
    told?;
    event.map(|_| ())
}
