//! `kubectl keywright renew`: asks for a new issuance before it is due.
//!
//! ```text
//! annotation keywright.dev/renew = a value that was never there --> the operator issues once --> revision + 1, Ready
//! ```
//! It writes one annotation and nothing else. Waiting is a watch from before the first look, so nothing is missed.

use crate::Machine;
use crate::cli::{DryRun, Global, Limit, Renew};
use crate::connect::{Cluster, connect};
use crate::exit::{Failure, NOT_AS_WANTED, causes};
use crate::page::Tone;
use crate::status::list as status_list;
use futures::StreamExt;
use keywright_controllers_core::certificate::mark;
use keywright_controllers_core::conditions::{find, is_ready};
use keywright_crds::Certificate;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use serde::Serialize;
use std::collections::BTreeMap;
use std::pin::pin;
use std::process::ExitCode;

/// Name in `managedFields`.
const MANAGER: &str = "keywright-plugin";

/// Namespace and name.
type Key = (String, String);

/// What became of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    namespace: String,
    name: String,
    #[serde(flatten)]
    what: What,
}

/// How far it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "result")]
enum What {
    /// The API server would take the request.
    WouldBeAsked,
    /// The request is written.
    Asked { request: String },
    /// The new certificate is Ready.
    Renewed { revision: i64, serial_number: String },
    /// It came to nothing.
    Failed { problem: String },
}

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: &Renew, machine: &Machine) -> Result<ExitCode, Failure> {
    let cluster = connect(global).await?;
    let targets = targets(&cluster, arguments).await?;
    let request = request(machine)?;
    let mut outcomes = BTreeMap::new();
    let mut waiting = BTreeMap::new();
    for key in targets {
        match ask(&cluster, &key, &request, arguments.dry_run).await {
            Ok(certificate) => {
                let what = match arguments.dry_run {
                    DryRun::None => What::Asked { request: request.clone() },
                    DryRun::Server => What::WouldBeAsked,
                };
                waiting.insert(key.clone(), Before::of(&certificate));
                outcomes.insert(key, what);
            }
            // Of several, one that is refused does not keep the others.
            Err(Failure::NotAsWanted(problem)) => {
                outcomes.insert(key, What::Failed { problem });
            }
            Err(other) => return Err(other),
        }
    }
    if arguments.wait && arguments.dry_run == DryRun::None && !waiting.is_empty() {
        let place = (!arguments.all_namespaces).then_some(cluster.namespace.as_str());
        outcomes.extend(wait(&cluster, place, waiting, arguments.timeout, machine).await?);
    }
    let outcomes: Vec<Outcome> =
        outcomes.into_iter().map(|((namespace, name), what)| Outcome { namespace, name, what }).collect();
    machine.terminal.show(global.output, &outcomes, |page, _| {
        for outcome in &outcomes {
            let (words, tone) = outcome.what.words();
            page.line(&format!("certificate {}/{}: {words}", outcome.namespace, outcome.name), tone);
        }
        if outcomes.is_empty() {
            page.line("no certificates found", Tone::Dim);
        }
    })?;
    let failed = outcomes.iter().any(|outcome| matches!(outcome.what, What::Failed { .. }));
    Ok(if failed { ExitCode::from(NOT_AS_WANTED) } else { ExitCode::SUCCESS })
}

impl What {
    fn words(&self) -> (String, Tone) {
        match self {
            Self::WouldBeAsked => ("renewal would be asked for (server dry run)".to_owned(), Tone::Plain),
            Self::Asked { .. } => ("renewal asked for".to_owned(), Tone::Plain),
            Self::Renewed { revision, serial_number } => {
                (format!("renewed, revision {revision}, serial {serial_number}"), Tone::Good)
            }
            Self::Failed { problem } => (problem.clone(), Tone::Bad),
        }
    }
}

async fn targets(cluster: &Cluster, arguments: &Renew) -> Result<Vec<Key>, Failure> {
    if !arguments.all {
        return Ok(arguments.names.iter().map(|name| (cluster.namespace.clone(), name.clone())).collect());
    }
    let place = (!arguments.all_namespaces).then_some(cluster.namespace.as_str());
    let all: Vec<Certificate> =
        status_list::all(status_list::scope(&cluster.client, place), "certificates").await?;
    Ok(all.iter().map(key_of).collect())
}

/// A value that no certificate was ever renewed for: the time, and chance for two people in one second.
fn request(machine: &Machine) -> Result<String, Failure> {
    let mut chance = [0; 6];
    machine.entropy.fill(&mut chance).map_err(|error| Failure::Unreachable(error.to_string()))?;
    let second = machine.clock.now().as_second();
    Ok(format!("{second}-{}", hex::encode(chance)))
}

async fn ask(
    cluster: &Cluster,
    (namespace, name): &Key,
    request: &str,
    dry: DryRun,
) -> Result<Certificate, Failure> {
    let params = PatchParams {
        dry_run: dry == DryRun::Server,
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = serde_json::json!({ "metadata": { "annotations": { mark::RENEW: request } } });
    Api::<Certificate>::namespaced(cluster.client.clone(), namespace)
        .patch(name, &params, &Patch::Merge(patch))
        .await
        .map_err(|error| {
            Failure::of_api(&format!("renew certificate {name:?} in namespace {namespace:?}"), &error)
        })
}

fn key_of(certificate: &Certificate) -> Key {
    (certificate.namespace().unwrap_or_default(), certificate.name_any())
}

/// What was so when the renewal was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Before {
    revision: i64,
    stalled: bool,
}

impl Before {
    fn of(certificate: &Certificate) -> Self {
        let revision = certificate.status.as_ref().and_then(|status| status.revision).unwrap_or(0);
        Self { revision, stalled: is_stalled(certificate) }
    }
}

fn is_stalled(certificate: &Certificate) -> bool {
    let conditions =
        certificate.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    find(conditions, "Stalled").is_some_and(|stalled| stalled.status == "True")
}

/// Watches until each has a later revision than it had, and is Ready.
///
/// Errors: not allowed to watch. What is left when time is over is reported as failed.
async fn wait(
    cluster: &Cluster,
    place: Option<&str>,
    mut waiting: BTreeMap<Key, Before>,
    Limit(limit): Limit,
    machine: &Machine,
) -> Result<BTreeMap<Key, What>, Failure> {
    let api: Api<Certificate> = status_list::scope(&cluster.patient, place);
    let mut only = watcher::Config::default();
    if let (Some(((_, name), _)), 1) = (waiting.first_key_value(), waiting.len()) {
        only = only.fields(&format!("metadata.name={name}"));
    }
    let mut done = BTreeMap::new();
    let mut last = BTreeMap::<Key, String>::new();
    let watched = async {
        let mut events = pin!(watcher(api, only).default_backoff());
        while !waiting.is_empty() {
            match events.next().await {
                Some(Ok(Event::Apply(one) | Event::InitApply(one))) => {
                    let key = key_of(&one);
                    let Some(before) = waiting.get(&key) else { continue };
                    if let Some(what) = ended(&one, *before) {
                        let (words, _) = what.words();
                        machine.terminal.tell(&format!("certificate {}/{}: {words}", key.0, key.1));
                        waiting.remove(&key);
                        done.insert(key, what);
                    } else {
                        let words = said(&one);
                        if last.insert(key.clone(), words.clone()).as_ref() != Some(&words) {
                            machine.terminal.tell(&format!("certificate {}/{}: {words}", key.0, key.1));
                        }
                    }
                }
                Some(Ok(Event::Delete(one))) => {
                    let key = key_of(&one);
                    if waiting.remove(&key).is_some() {
                        done.insert(key, What::Failed { problem: "was deleted while waiting".to_owned() });
                    }
                }
                Some(Ok(Event::Init | Event::InitDone)) => {}
                Some(Err(error)) if refused(&error) => {
                    let words = causes(&error);
                    return Err(Failure::Unreachable(format!("cannot watch certificates: {words}")));
                }
                Some(Err(error)) => machine.terminal.tell(&format!("watch interrupted: {}", causes(&error))),
                None => return Err(Failure::Unreachable("the watch ended".to_owned())),
            }
        }
        Ok(())
    };
    match limit {
        None => watched.await?,
        // What is left when time is over is told below.
        Some(limit) => tokio::time::timeout(limit, watched).await.unwrap_or(Ok(()))?,
    }
    for key in waiting.into_keys() {
        let words = last.remove(&key).unwrap_or_else(|| "nothing was heard of it".to_owned());
        done.insert(key, What::Failed { problem: format!("not renewed in time: {words}") });
    }
    Ok(done)
}

/// The outcome once a later revision is Ready, or once only a person can help.
fn ended(certificate: &Certificate, before: Before) -> Option<What> {
    if is_stalled(certificate) && !before.stalled {
        return Some(What::Failed { problem: format!("stalled: {}", said(certificate)) });
    }
    let status = certificate.status.as_ref()?;
    let revision = status.revision.filter(|revision| *revision > before.revision)?;
    let current = status.observed_generation == certificate.metadata.generation;
    (current && is_ready(&status.conditions))
        .then(|| What::Renewed { revision, serial_number: status.serial_number.clone().unwrap_or_default() })
}

/// What it says of itself.
fn said(certificate: &Certificate) -> String {
    let conditions =
        certificate.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    match find(conditions, "Ready") {
        Some(ready) if ready.status == "True" => "the operator has not begun yet".to_owned(),
        Some(ready) => format!("{}: {}", ready.reason, ready.message),
        None => "not seen by the operator yet".to_owned(),
    }
}

/// Whether trying the watch again cannot help.
fn refused(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))
    | watcher::Error::WatchError(status)) = error
    else {
        return false;
    };
    matches!(status.code, 401 | 403 | 404)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(revision: i64, ready: &str, observed: i64) -> Certificate {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "keywright.dev/v1alpha1",
            "kind": "Certificate",
            "metadata": { "name": "web", "namespace": "shop", "generation": 2 },
            "spec": { "secretName": "web", "issuerRef": { "name": "ca" }, "dnsNames": ["a.example"] },
            "status": {
                "observedGeneration": observed, "revision": revision, "serialNumber": "40aa",
                "conditions": [{
                    "type": "Ready", "status": ready, "reason": "Because", "message": "words",
                    "lastTransitionTime": "2030-01-01T00:00:00Z"
                }]
            }
        }))
        .unwrap()
    }

    #[test]
    fn only_a_later_revision_that_is_ready_counts_as_renewed() {
        let before = Before { revision: 3, stalled: false };
        let wanted = Some(What::Renewed { revision: 4, serial_number: "40aa".to_owned() });
        assert_eq!(ended(&certificate(4, "True", 2), before), wanted);
        assert_eq!(ended(&certificate(3, "True", 2), before), None);
        assert_eq!(ended(&certificate(4, "Unknown", 2), before), None);
        assert_eq!(ended(&certificate(4, "True", 1), before), None);
    }

    #[test]
    fn what_stalls_is_not_waited_for_unless_it_was_stalled_before() {
        let mut stalled = certificate(3, "False", 2);
        let status = stalled.status.as_mut().unwrap();
        let mut condition = status.conditions[0].clone();
        (condition.type_, condition.status) = ("Stalled".to_owned(), "True".to_owned());
        status.conditions.push(condition);
        let problem = "stalled: Because: words".to_owned();
        assert_eq!(ended(&stalled, Before { revision: 3, stalled: false }), Some(What::Failed { problem }));
        assert_eq!(ended(&stalled, Before { revision: 3, stalled: true }), None);
        assert_eq!(Before::of(&stalled), Before { revision: 3, stalled: true });
    }

    #[test]
    fn what_is_waited_for_is_said() {
        assert_eq!(said(&certificate(3, "True", 2)), "the operator has not begun yet");
        assert_eq!(said(&certificate(3, "Unknown", 2)), "Because: words");
    }
}
