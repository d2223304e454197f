//! Many certificates: made over several connections, and followed by one watch.

use crate::perturb::cluster::{Cluster, path};
use crate::{Error, wait_for};
use futures::{StreamExt, TryStreamExt, stream};
use keywright_ambient::{Clock, SystemClock};
use kube::Client;
use kube::api::WatchEvent;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests under way at one time while a fleet is made.
pub(super) const AT_A_TIME: usize = 16;

/// A Certificate with a P-256 key by the ClusterIssuer `root`.
pub(super) fn certificate(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "keywright.dev/v1alpha1", "kind": "Certificate",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "secretName": name, "dnsNames": [format!("{name}.{namespace}.example.test")],
            "privateKey": { "algorithm": "ECDSA", "size": 256 },
            "issuerRef": { "kind": "ClusterIssuer", "name": "root" },
        },
    })
}

/// The authority that all of them are by, P-256 as well.
pub(super) fn root() -> Value {
    json!({
        "apiVersion": "keywright.dev/v1alpha1", "kind": "ClusterIssuer", "metadata": { "name": "root" },
        "spec": { "authority": {
            "commonName": "root", "duration": "87600h", "privateKey": { "algorithm": "ECDSA", "size": 256 },
        }},
    })
}

/// Creates the objects at `path` and answers when each request was sent, by name.
pub(super) async fn create_all(
    cluster: &Cluster,
    path: &str,
    objects: impl Iterator<Item = Value>,
) -> Result<HashMap<String, Instant>, Error> {
    stream::iter(objects)
        .map(|object| async move {
            let sent = SystemClock.monotonic();
            cluster.create(path, &object).await?;
            Ok((object["metadata"]["name"].as_str().unwrap_or_default().to_owned(), sent))
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await
}

/// Creates `count` certificates in a namespace.
pub(super) async fn certificates(
    cluster: &Cluster,
    namespace: &str,
    count: usize,
) -> Result<HashMap<String, Instant>, Error> {
    let objects = (0..count).map(|number| certificate(namespace, &format!("c{number}")));
    create_all(cluster, &path(namespace, "certificates"), objects).await
}

/// What a watch shows of a Certificate, no more than is looked at.
#[derive(Debug, Clone, Deserialize)]
struct Seen {
    metadata: Meta,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    name: String,
    generation: i64,
    resource_version: String,
}

#[derive(Debug, Deserialize)]
struct List {
    metadata: ListMeta,
    items: Vec<Seen>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    revision: u64,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

impl Seen {
    fn is_ready(&self) -> bool {
        let ready = self.status.conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
        ready && self.status.observed_generation == self.metadata.generation
    }
}

/// By revision and name, when it was first seen Ready.
type Times = HashMap<(u64, String), Instant>;

/// Follows the certificates of one namespace for as long as it lives.
pub(super) struct Follower {
    times: Arc<Mutex<Times>>,
    task: tokio::task::JoinHandle<Result<(), Error>>,
}

fn lock(times: &Mutex<Times>) -> MutexGuard<'_, Times> {
    times.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Follower {
    /// Begins with what changes from now on.
    pub(super) async fn start(client: Client, namespace: &str) -> Result<Self, Error> {
        let path = path(namespace, "certificates");
        let list: List = client.request(get(&format!("{path}?limit=1"))?).await?;
        let times: Arc<Mutex<Times>> = Arc::default();
        let into = Arc::clone(&times);
        let task = tokio::spawn(follow(client, path, list.metadata.resource_version, into));
        Ok(Self { times, task })
    }

    /// Waits until `count` certificates are Ready with this revision, and answers when each was, by name.
    pub(super) async fn until(
        &self,
        count: usize,
        revision: u64,
        limit: Duration,
    ) -> Result<HashMap<String, Instant>, Error> {
        wait_for(&format!("{count} certificates are Ready with revision {revision}"), limit, async || {
            if self.task.is_finished() {
                return Err(Error::TooLate { what: "the watch tells more; it has ended".into(), seconds: 0 });
            }
            let times = lock(&self.times);
            let ready = || times.iter().filter(|((of, _), _)| *of == revision);
            Ok((ready().count() >= count)
                .then(|| ready().map(|((_, name), at)| (name.clone(), *at)).collect()))
        })
        .await
    }
}

fn get(uri: &str) -> Result<http::Request<Vec<u8>>, kube::Error> {
    http::Request::get(uri).body(Vec::new()).map_err(kube::Error::HttpError)
}

/// Follows without end. The API server drops watches that cannot keep up; such a one is taken up where it broke, or, where
/// that is too long ago, from a list.
async fn follow(
    client: Client,
    path: String,
    mut from: String,
    into: Arc<Mutex<Times>>,
) -> Result<(), Error> {
    let note = |seen: Seen| {
        if seen.is_ready() {
            let now = SystemClock.monotonic();
            lock(&into).entry((seen.status.revision, seen.metadata.name)).or_insert(now);
        }
    };
    loop {
        let uri = format!("{path}?watch=1&resourceVersion={from}&timeoutSeconds=36000");
        let mut events = Box::pin(client.request_events::<Seen>(get(&uri)?).await?);
        loop {
            match events.next().await {
                Some(Ok(WatchEvent::Added(seen) | WatchEvent::Modified(seen))) => {
                    from.clone_from(&seen.metadata.resource_version);
                    note(seen);
                }
                Some(Ok(WatchEvent::Deleted(_) | WatchEvent::Bookmark(_))) => {}
                Some(Ok(WatchEvent::Error(_)) | Err(_)) => {
                    let list: List = client.request(get(&path)?).await?;
                    from = list.metadata.resource_version;
                    list.items.into_iter().for_each(note);
                    break;
                }
                None => break,
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// From one set of instants to another, by name, in milliseconds, sorted.
pub(super) fn latencies(from: &HashMap<String, Instant>, to: &HashMap<String, Instant>) -> Vec<f64> {
    let mut all: Vec<f64> = from
        .iter()
        .filter_map(|(name, sent)| {
            Some(to.get(name)?.saturating_duration_since(*sent).as_secs_f64() * 1000.0)
        })
        .collect();
    all.sort_by(f64::total_cmp);
    all
}

/// The value that `percent` of a sorted list do not exceed; 0 of none.
pub(super) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let all: Vec<f64> = (1..=200).map(f64::from).collect();
        for (percent, value) in [(50, 100.0), (99, 198.0), (100, 200.0)] {
            assert!((percentile(&all, percent) - value).abs() < f64::EPSILON);
        }
        assert!(percentile(&[], 50).abs() < f64::EPSILON);
    }
}
