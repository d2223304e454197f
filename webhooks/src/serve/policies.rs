//! The policies of the cluster, compiled: kept by a watch, because everything that is judged asks them. Beside it the
//! ConfigMaps of the suite's own namespace, where their bundles lie.

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::ConfigMap;
use keywright_crds::bundle_bytes;
use keywright_policy::{BundleRef, Found, Member, PolicySet};
use kube::api::{Api, ApiResource};
use kube::core::{NotUsed, Object};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Client, ResourceExt};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

type Stored = Object<Value, NotUsed>;

/// The set; none until the first list is complete.
#[derive(Debug, Clone, Default)]
pub struct Policies(Arc<RwLock<Option<Arc<PolicySet>>>>);

impl Policies {
    /// What holds now; none while that is not known.
    pub fn now(&self) -> Option<Arc<PolicySet>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Follows the cluster until the process ends. `namespace`: the suite's own.
    pub async fn follow(self, client: Client, namespace: &str) {
        let resource = ApiResource::erase::<keywright_crds::Policy>(&());
        let policies = Api::<Stored>::all_with(client.clone(), &resource);
        let policies = watcher(policies, Config::default()).default_backoff();
        let bundles = watcher(Api::<ConfigMap>::namespaced(client, namespace), Config::default());
        let bundles = bundles.default_backoff().modify(lighten);
        pin_mut!(policies, bundles);
        let mut known = Known { namespace: namespace.to_owned(), ..Known::default() };
        loop {
            let changed = tokio::select! {
                Some(event) = policies.next() => match event {
                    Ok(event) => known.policy(event),
                    Err(error) => {
                        tracing::warn!(%error, "the watch of Policies was broken; it goes on");
                        continue;
                    }
                },
                Some(event) = bundles.next() => match event {
                    Ok(event) => known.bundle(event),
                    Err(error) => {
                        tracing::warn!(%error, "the watch of ConfigMaps was broken; it goes on");
                        continue;
                    }
                },
                else => return,
            };
            known = known.compile(changed).await;
            self.publish(&known);
        }
    }

    fn publish(&self, known: &Known) {
        // Names are those of a map, so no two are the same; were they, nothing would be known and all be refused.
        let set = known.complete().then(|| PolicySet::new(known.members.values().cloned().collect()));
        let set = set.and_then(Result::ok).map(Arc::new);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = set;
    }
}

/// What the watches have brought.
#[derive(Default)]
struct Known {
    /// The suite's own.
    namespace: String,
    policies: Listed<Value>,
    bundles: Listed<ConfigMap>,
    members: BTreeMap<String, Arc<Member>>,
}

/// The objects of one watch by name, and those of a list that is not complete yet.
struct Listed<T> {
    now: Option<BTreeMap<String, T>>,
    filling: BTreeMap<String, T>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { now: None, filling: BTreeMap::new() }
    }
}

/// What is to be compiled.
#[derive(Debug, PartialEq, Eq)]
enum Changed {
    Nothing,
    /// The policy of this name.
    Policy(String),
    /// Policies whose bundle is in the ConfigMap of this name.
    Bundle(String),
    /// All of them.
    All,
}

impl<T> Listed<T> {
    /// Takes up an event, and says what changed by it; an object of this watch as a policy.
    fn take<K>(&mut self, event: Event<K>, read: impl Fn(K) -> (String, T)) -> Changed {
        match event {
            Event::Init => self.filling.clear(),
            Event::InitApply(object) => {
                let (name, object) = read(object);
                self.filling.insert(name, object);
            }
            Event::InitDone => {
                self.now = Some(std::mem::take(&mut self.filling));
                return Changed::All;
            }
            Event::Apply(object) => {
                let (name, object) = read(object);
                self.now.get_or_insert_default().insert(name.clone(), object);
                return Changed::Policy(name);
            }
            Event::Delete(object) => {
                let (name, _) = read(object);
                self.now.get_or_insert_default().remove(&name);
                return Changed::Policy(name);
            }
        }
        Changed::Nothing
    }
}

impl Known {
    fn policy(&mut self, event: Event<Stored>) -> Changed {
        self.policies.take(event, |policy| (policy.name_any(), policy.spec))
    }

    fn bundle(&mut self, event: Event<ConfigMap>) -> Changed {
        match self.bundles.take(event, |config_map| (config_map.name_any(), config_map)) {
            Changed::Policy(name) => Changed::Bundle(name),
            other => other,
        }
    }

    /// Whether what is known says what holds: a policy of a bundle is not missing its bundle while nobody looked for it.
    fn complete(&self) -> bool {
        let Some(policies) = &self.policies.now else { return false };
        self.bundles.now.is_some() || !policies.values().any(|spec| BundleRef::of(spec).is_some())
    }

    /// Compiles what changed, which may take some tenths of a second for each bundle, where nobody is held up by it.
    async fn compile(self, changed: Changed) -> Self {
        if changed == Changed::Nothing {
            return self;
        }
        // It panics only where compiling did, and then nothing is known and all be refused.
        tokio::task::spawn_blocking(move || self.compiled(&changed)).await.unwrap_or_default()
    }

    fn compiled(mut self, changed: &Changed) -> Self {
        let policies = self.policies.now.as_ref();
        let stored = policies.into_iter().flatten();
        let (mut members, mut old) = (BTreeMap::new(), std::mem::take(&mut self.members));
        for (name, spec) in stored {
            let of_bundle = BundleRef::of(spec);
            let touched = match changed {
                Changed::Nothing => false,
                Changed::Policy(changed) => changed == name,
                Changed::Bundle(changed) => {
                    of_bundle.as_ref().is_some_and(|at| at.config_map_ref.name == *changed)
                }
                Changed::All => true,
            };
            let kept = old.remove(name).filter(|_| !touched);
            let member = kept.unwrap_or_else(|| {
                let found = of_bundle.map(|at| self.find(&at));
                Arc::new(Member::read(name, spec, found.as_ref()))
            });
            members.insert(name.clone(), member);
        }
        self.members = members;
        self
    }

    fn find(&self, at: &BundleRef) -> Found {
        let config_maps = self.bundles.now.as_ref();
        found(&self.namespace, config_maps.and_then(|all| all.get(&at.config_map_ref.name)), at)
    }
}

/// What lies in a ConfigMap of the suite's own namespace, if there is one.
pub(super) fn found(namespace: &str, config_map: Option<&ConfigMap>, at: &BundleRef) -> Found {
    let bytes = config_map.and_then(|config_map| bundle_bytes(config_map, &at.config_map_ref.key));
    Found::in_cluster(at, namespace, config_map.is_some(), bytes)
}

/// Without what is no bundle.
fn lighten(config_map: &mut ConfigMap) {
    config_map.data = None;
    config_map.metadata.managed_fields = None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn stored(name: &str, spec: &Value) -> Stored {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "keywright.dev/v1alpha1", "kind": "Policy", "metadata": { "name": name }, "spec": spec,
        }))
        .unwrap()
    }

    fn rego(source: &str) -> Value {
        serde_json::json!({ "rego": { "source": source } })
    }

    fn bundle() -> Value {
        serde_json::json!({ "bundle": {
            "configMapRef": { "name": "bundles", "key": "a.wasm" }, "digest": format!("sha256:{}", "0".repeat(64)),
        } })
    }

    fn config_map(bytes: &[u8]) -> ConfigMap {
        let mut config_map = ConfigMap::default();
        config_map.metadata.name = Some("bundles".to_owned());
        config_map.binary_data = Some([("a.wasm".to_owned(), ByteString(bytes.to_vec()))].into());
        config_map
    }

    fn problems(policies: &Policies) -> Vec<Option<&'static str>> {
        let set = policies.now().unwrap();
        set.members().map(|member| member.problem().map(keywright_policy::Problem::reason)).collect()
    }

    #[tokio::test]
    async fn policies_follow_what_is_stored_and_broken_ones_stay_in_the_set() {
        let (policies, mut known) = (Policies::default(), Known::default());
        assert!(policies.now().is_none(), "not known yet");
        let changed = known.policy(Event::Init);
        known = known.compile(changed).await;
        policies.publish(&known);
        assert!(policies.now().is_none(), "not known yet");
        let changed = known.policy(Event::InitDone);
        known = known.compile(changed).await;
        policies.publish(&known);
        assert_eq!(policies.now().unwrap().digest(), "");
        for (name, source) in [("one", "package keywright\nallow := true"), ("two", "nonsense")] {
            let changed = known.policy(Event::Apply(stored(name, &rego(source))));
            known = known.compile(changed).await;
        }
        policies.publish(&known);
        assert_eq!(problems(&policies), [None, Some("DoesNotCompile")]);
        let changed = known.policy(Event::Delete(stored("two", &rego("nonsense"))));
        known = known.compile(changed).await;
        policies.publish(&known);
        assert_eq!(problems(&policies), [None]);
    }

    #[tokio::test]
    async fn a_policy_of_a_bundle_waits_for_the_list_of_config_maps_and_follows_its_own() {
        let (policies, mut known) = (Policies::default(), Known::default());
        let _ = known.policy(Event::InitApply(stored("one", &bundle())));
        let changed = known.policy(Event::InitDone);
        known = known.compile(changed).await;
        policies.publish(&known);
        assert!(policies.now().is_none(), "nobody has looked for its bundle");
        for (event, wanted) in [
            (Event::InitDone, "BundleMissing"),
            (Event::Apply(config_map(b"other bytes")), "BundleDiffers"),
            (Event::Delete(config_map(b"")), "BundleMissing"),
        ] {
            let changed = known.bundle(event);
            known = known.compile(changed).await;
            policies.publish(&known);
            assert_eq!(problems(&policies), [Some(wanted)]);
        }
    }
}
