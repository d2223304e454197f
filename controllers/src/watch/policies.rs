//! Follows policies and the ConfigMaps of their bundles, and lets those go on whom another policy may not deny any more.

use super::{each, lighten, listing};
use crate::caches::Caches;
use crate::context::Queues;
use crate::scope::Pens;
use futures::future::join_all;
use futures::join;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use keywright_controllers_core::conditions::find;
use keywright_crds::{AnyIssuer, Policy};
use kube::Client;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{ObjectRef, store::Writer};
use kube::runtime::watcher::{Event, watcher};
use std::time::Duration;
use tokio::sync::Notify;

/// From a change until the signer surely knows: its list of policies is at most two seconds old.
const KNOWN: Duration = Duration::from_secs(3);

/// Follows them until the process ends; resolves never.
pub(super) async fn follow(
    client: &Client,
    namespace: &str,
    caches: &Caches,
    queues: &Queues,
    policies: Pens<Policy>,
) {
    let changed = Notify::new();
    let watches = policies.into_iter().map(|(_, pen)| watch(client, caches, queues, pen, &changed));
    let denied = async {
        loop {
            changed.notified().await;
            tokio::time::sleep(KNOWN).await;
            look_at_the_denied(caches, queues);
        }
    };
    join!(join_all(watches), watch_bundles(client, namespace, caches, queues, &changed), denied);
}

async fn watch(
    client: &Client,
    caches: &Caches,
    queues: &Queues,
    mut writer: Writer<Policy>,
    changed: &Notify,
) {
    let events = watcher(Api::<Policy>::all(client.clone()), listing()).modify(lighten);
    each(events, "Policy", caches, |event| {
        writer.apply_watcher_event(&event);
        match &event {
            Event::Apply(policy) => {
                queues.policies.push(ObjectRef::from_obj(policy));
                // The echo of a status tells nothing new.
                if observed(policy) != policy.metadata.generation {
                    changed.notify_one();
                }
            }
            Event::Delete(_) => changed.notify_one(),
            Event::InitDone => {
                super::everything(&writer, |policy| queues.policies.push(ObjectRef::from_obj(policy)));
                changed.notify_one();
            }
            Event::Init | Event::InitApply(_) => {}
        }
    })
    .await;
}

/// Metadata is enough: a look reads the bundle.
async fn watch_bundles(client: &Client, namespace: &str, caches: &Caches, queues: &Queues, changed: &Notify) {
    let api = Api::<PartialObjectMeta<ConfigMap>>::namespaced(client.clone(), namespace);
    let touch = |config_map: Option<&str>| {
        for policy in caches.policies.state() {
            let at = policy.spec.bundle.as_ref().map(|bundle| bundle.config_map_ref.name.as_str());
            if at.is_some() && (config_map.is_none() || at == config_map) {
                queues.policies.push(ObjectRef::from_obj(policy.as_ref()));
                changed.notify_one();
            }
        }
    };
    each(watcher(api, listing()).modify(lighten), "ConfigMap", caches, |event| match &event {
        Event::Apply(config_map) | Event::Delete(config_map) => touch(config_map.metadata.name.as_deref()),
        // What changed while nobody watched is in no event.
        Event::InitDone => touch(None),
        Event::Init | Event::InitApply(_) => {}
    })
    .await;
}

fn observed(policy: &Policy) -> Option<i64> {
    policy.status.as_ref().and_then(|status| status.observed_generation)
}

/// Whoever a policy denied.
fn look_at_the_denied(caches: &Caches, queues: &Queues) {
    for cert in caches.certificates.state() {
        let conditions = cert.status.as_ref().map(|status| status.conditions.as_slice());
        if says_denied(conditions) {
            queues.certificates.push(ObjectRef::from_obj(cert.as_ref()));
        }
    }
    for issuer in caches.issuers.state() {
        if says_denied(issuer.issuer_status().map(|status| status.conditions.as_slice())) {
            queues.issuers.push(ObjectRef::from_obj(issuer.as_ref()));
        }
    }
    for issuer in caches.cluster_issuers.state() {
        if says_denied(issuer.issuer_status().map(|status| status.conditions.as_slice())) {
            queues.cluster_issuers.push(ObjectRef::from_obj(issuer.as_ref()));
        }
    }
}

fn says_denied(conditions: Option<&[Condition]>) -> bool {
    conditions.and_then(|all| find(all, "Ready")).is_some_and(|ready| ready.reason == "PolicyDenied")
}
