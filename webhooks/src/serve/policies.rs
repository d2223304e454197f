//! The policies of the cluster, compiled: kept by a watch, because everything that is judged asks them.

use futures::{StreamExt, pin_mut};
use keywright_policy::{Member, PolicySet};
use kube::api::{Api, ApiResource};
use kube::core::{NotUsed, Object};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Client, ResourceExt};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

type Stored = Object<Value, NotUsed>;
type Members = BTreeMap<String, Arc<Member>>;

/// The set; none until the first list is complete.
#[derive(Debug, Clone, Default)]
pub struct Policies(Arc<RwLock<Option<Arc<PolicySet>>>>);

impl Policies {
    /// What holds now; none while that is not known.
    pub fn now(&self) -> Option<Arc<PolicySet>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Follows the cluster until the process ends.
    pub async fn follow(self, client: Client) {
        let resource = ApiResource::erase::<keywright_crds::Policy>(&());
        let events = watcher(Api::<Stored>::all_with(client, &resource), Config::default()).default_backoff();
        pin_mut!(events);
        let (mut members, mut filling) = (Members::new(), Members::new());
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => filling = Members::new(),
                Ok(Event::InitApply(policy)) => put(&mut filling, &policy),
                Ok(Event::InitDone) => {
                    members = std::mem::take(&mut filling);
                    self.publish(&members);
                }
                Ok(Event::Apply(policy)) => {
                    put(&mut members, &policy);
                    self.publish(&members);
                }
                Ok(Event::Delete(policy)) => {
                    members.remove(&policy.name_any());
                    self.publish(&members);
                }
                Err(error) => tracing::warn!(%error, "the watch of Policies was broken; it goes on"),
            }
        }
    }

    fn publish(&self, members: &Members) {
        // Names are those of a map, so no two are the same; were they, nothing would be known and all be refused.
        let set = PolicySet::new(members.values().cloned().collect()).map(Arc::new).ok();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = set;
    }
}

fn put(members: &mut Members, policy: &Stored) {
    let name = policy.name_any();
    members.insert(name.clone(), Arc::new(Member::read(&name, &policy.spec)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(name: &str, rego: &str) -> Stored {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "keywright.dev/v1alpha1", "kind": "Policy",
            "metadata": { "name": name }, "spec": { "rego": { "source": rego } },
        }))
        .unwrap()
    }

    #[test]
    fn policies_follow_what_is_stored_and_broken_ones_stay_in_the_set() {
        let policies = Policies::default();
        assert!(policies.now().is_none(), "not known yet");
        let mut members = Members::new();
        policies.publish(&members);
        assert_eq!(policies.now().unwrap().digest(), "");
        put(&mut members, &stored("one", "package keywright\nallow := true"));
        put(&mut members, &stored("two", "nonsense"));
        policies.publish(&members);
        let set = policies.now().unwrap();
        let problems: Vec<bool> = set.members().map(|member| member.problem().is_some()).collect();
        assert_eq!(problems, [false, true]);
    }
}
