//! A small API server in memory: what our controllers ask of the real one, and faults on demand.
//!
//! ```text
//! http   from a request to what is asked, and back     apply  server-side apply and field ownership
//! store  objects, versions, history, watches           fault  what goes wrong, and when
//! ```
//! Keeps: resource versions, generations, optimistic concurrency and UID preconditions, `managedFields`, the status
//! subresource, label selectors by existence, metadata-only answers, the schema's default of `status`, finalizers. Leaves
//! out: schemas, admission, pages, garbage collection, authentication.

mod apply;
mod fault;
mod http;
mod store;

pub use fault::Fault;

use fault::Faults;
use jiff::Timestamp;
use keywright_crds::{
    ApprovalClass, ApprovalDecision, ApprovalRequest, Certificate, ClusterIssuer, Issuer, Policy,
};
use kube::{Client, Resource};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{Place, Store, Stored};
use tokio::sync::Notify;

/// Kinds that the cluster knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `certificates.keywright.dev`.
    Certificate,
    /// `issuers.keywright.dev`.
    Issuer,
    /// `clusterissuers.keywright.dev`.
    ClusterIssuer,
    /// `approvalclasses.keywright.dev`.
    ApprovalClass,
    /// `approvalrequests.keywright.dev`.
    ApprovalRequest,
    /// `approvaldecisions.keywright.dev`.
    ApprovalDecision,
    /// `policies.keywright.dev`.
    Policy,
    /// `secrets`.
    Secret,
    /// `configmaps`.
    ConfigMap,
    /// `events.events.k8s.io`.
    Event,
}

impl Kind {
    /// The kind whose plural this is. Panics on others.
    pub fn from_plural(plural: &str) -> Self {
        match plural {
            "certificates" => Self::Certificate,
            "issuers" => Self::Issuer,
            "clusterissuers" => Self::ClusterIssuer,
            "approvalclasses" => Self::ApprovalClass,
            "approvalrequests" => Self::ApprovalRequest,
            "approvaldecisions" => Self::ApprovalDecision,
            "policies" => Self::Policy,
            "secrets" => Self::Secret,
            "configmaps" => Self::ConfigMap,
            "events" => Self::Event,
            other => panic!("the fake cluster does not know {other:?}"),
        }
    }

    fn of<K: Resource<DynamicType = ()>>() -> Self {
        Self::from_plural(&K::plural(&()))
    }

    /// `apiVersion` and `kind`.
    fn types(self) -> (String, String) {
        fn named<K: Resource<DynamicType = ()>>() -> (String, String) {
            (K::api_version(&()).into_owned(), K::kind(&()).into_owned())
        }
        match self {
            Self::Certificate => named::<Certificate>(),
            Self::Issuer => named::<Issuer>(),
            Self::ClusterIssuer => named::<ClusterIssuer>(),
            Self::ApprovalClass => named::<ApprovalClass>(),
            Self::ApprovalRequest => named::<ApprovalRequest>(),
            Self::ApprovalDecision => named::<ApprovalDecision>(),
            Self::Policy => named::<Policy>(),
            Self::Secret => named::<k8s_openapi::api::core::v1::Secret>(),
            Self::ConfigMap => named::<k8s_openapi::api::core::v1::ConfigMap>(),
            Self::Event => named::<k8s_openapi::api::events::v1::Event>(),
        }
    }
}

/// What a mutating request did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// POST.
    Create,
    /// Server-side apply of the object.
    Apply,
    /// Server-side apply of its status.
    ApplyStatus,
    /// Merge patch of the object.
    Merge,
}

/// One mutating request, in the order of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// What.
    pub verb: Verb,
    /// To which kind.
    pub kind: Kind,
    /// To which object.
    pub name: String,
    /// The answer's HTTP status; 0 when there was none.
    pub code: u16,
    /// Whether it changed anything.
    pub changed: bool,
}

#[derive(Default)]
struct State {
    store: Store,
    faults: Faults,
    writes: Vec<Write>,
    reads: usize,
    uids: u64,
    clients: u64,
    /// Requests of clients up to this number are never answered any more.
    severed: u64,
}

/// The cluster; clones share it.
#[derive(Clone, Default)]
pub struct FakeCluster {
    state: Arc<Mutex<State>>,
    halted: Arc<Notify>,
}

impl fmt::Debug for FakeCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeCluster").field("writes", &self.lock().writes.len()).finish_non_exhaustive()
    }
}

impl FakeCluster {
    /// A client of this cluster, for one process.
    pub fn client(&self) -> Client {
        let cluster = self.clone();
        let number = {
            let mut state = self.lock();
            state.clients += 1;
            state.clients
        };
        let service = tower::service_fn(move |request| {
            let cluster = cluster.clone();
            async move { cluster.answer(request, number).await }
        });
        Client::new(service, "default")
    }

    /// Stores a new object as the API server would: with a UID and a creation time where it has none, generation 1, and
    /// for our kinds the schema's default of `status`.
    pub fn create<K: Resource<DynamicType = ()> + Serialize>(&self, object: &K) {
        let kind = Kind::of::<K>();
        let mut value = json(object);
        let mut state = self.lock();
        state.uids += 1;
        let (uid, (api_version, kind_name)) = (state.uids, kind.types());
        value["apiVersion"] = json!(api_version);
        value["kind"] = json!(kind_name);
        let metadata = &mut value["metadata"];
        default(metadata, "uid", || json!(format!("00000000-0000-4000-8000-{uid:012x}")));
        default(metadata, "generation", || json!(1));
        default(metadata, "creationTimestamp", || json!("2030-01-01T00:00:00Z"));
        if matches!(kind, Kind::Certificate | Kind::Issuer | Kind::ClusterIssuer) {
            default(&mut value, "status", || json!({"observedGeneration": -1}));
        }
        let place = place(&value);
        assert!(state.store.get(kind, &place).is_none(), "{kind:?} {place:?} exists already");
        let mut managed = Vec::new();
        apply::update(&mut managed, &json!({}), &value, "kubectl-create", "Update");
        state.store.put(kind, &place, Stored { value, managed });
    }

    /// The object as it is now. `namespace`: empty for cluster-scoped kinds.
    pub fn get<K: Resource<DynamicType = ()> + DeserializeOwned>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Option<K> {
        let shown = self.lock().store.get(Kind::of::<K>(), &(namespace.to_owned(), name.to_owned()))?.shown();
        Some(typed(shown))
    }

    /// All objects of a kind, in the order of namespace and name.
    pub fn all<K: Resource<DynamicType = ()> + DeserializeOwned>(&self) -> Vec<K> {
        let state = self.lock();
        let of_kind = state.store.objects.iter().filter(|((kind, _), _)| *kind == Kind::of::<K>());
        of_kind.map(|(_, stored)| typed(stored.shown())).collect()
    }

    /// Somebody edits an object by hand (`kubectl edit`). A changed spec is a new generation.
    pub fn edit<K>(&self, namespace: &str, name: &str, change: impl FnOnce(&mut K))
    where
        K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        self.write_as("kubectl-edit", "Update", namespace, name, change);
    }

    /// Another manager writes an object. `operation`: `Update` or `Apply`.
    pub fn write_as<K>(
        &self,
        manager: &str,
        operation: &str,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut K),
    ) where
        K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        let (kind, place) = (Kind::of::<K>(), (namespace.to_owned(), name.to_owned()));
        let mut state = self.lock();
        let Some(mut stored) = state.store.get(kind, &place).cloned() else { panic!("no {kind:?} {name:?}") };
        let before = stored.value.clone();
        let mut object: K = typed(before.clone());
        change(&mut object);
        stored.value = json(&object);
        stored.value["apiVersion"] = before["apiVersion"].clone();
        stored.value["kind"] = before["kind"].clone();
        if stored.value["spec"] != before["spec"] {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or_default() + 1;
            stored.value["metadata"]["generation"] = json!(generation);
        }
        apply::update(&mut stored.managed, &before, &stored.value.clone(), manager, operation);
        state.store.put(kind, &place, stored);
    }

    /// Somebody asks to delete an object that finalizers keep. It goes with the last of them.
    pub fn ask_to_delete<K>(&self, namespace: &str, name: &str, now: Timestamp)
    where
        K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        self.write_as::<K>("kubectl-delete", "Update", namespace, name, |object| {
            let meta = object.meta_mut();
            assert!(meta.finalizers.as_ref().is_some_and(|all| !all.is_empty()), "nothing keeps {name:?}");
            meta.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
        });
    }

    /// Deletes an object at once.
    pub fn delete<K: Resource<DynamicType = ()>>(&self, namespace: &str, name: &str) {
        let place = (namespace.to_owned(), name.to_owned());
        assert!(self.lock().store.remove(Kind::of::<K>(), &place).is_some(), "no {name:?} to delete");
    }

    /// Every mutating request so far.
    pub fn writes(&self) -> Vec<Write> {
        self.lock().writes.clone()
    }

    /// How many objects were read one by one so far.
    pub fn reads(&self) -> usize {
        self.lock().reads
    }

    /// What goes wrong with the `n`th mutating request from the first on, counted from 0.
    pub fn fail_write(&self, n: usize, fault: Fault) {
        self.lock().faults.at(n, fault);
    }

    /// What goes wrong with the next `times` mutating requests for this kind.
    pub fn fail_next(&self, kind: Kind, verb: Verb, times: usize, fault: Fault) {
        self.lock().faults.next(kind, verb, times, fault);
    }

    /// Whether the API server is down: every request breaks, watches end.
    pub fn down(&self, down: bool) {
        let mut state = self.lock();
        state.faults.down = down;
        if down {
            for kind in [
                Kind::Certificate,
                Kind::Issuer,
                Kind::ClusterIssuer,
                Kind::ApprovalClass,
                Kind::ApprovalRequest,
                Kind::ApprovalDecision,
                Kind::Secret,
            ] {
                state.store.expire(kind);
            }
        }
    }

    /// Holds back the watch events of a kind, or lets them go.
    pub fn withhold(&self, kind: Kind, withhold: bool) {
        let store = &mut self.lock().store;
        if withhold {
            store.withheld.insert(kind);
        } else {
            store.withheld.remove(&kind);
            store.pump();
        }
    }

    /// Ends the watches of a kind as too old; what changes before they are taken up again is seen in no event.
    pub fn expire_watches(&self, kind: Kind) {
        self.lock().store.expire(kind);
    }

    /// The processes of all clients so far have ended: whatever they still try is not carried out.
    pub fn sever(&self) {
        let mut state = self.lock();
        state.severed = state.clients;
    }

    /// Resolves when a request was halted by [`Fault::Halt`] or [`Fault::HaltAfter`].
    pub async fn halted(&self) {
        self.halted.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A second of 2030 as text, for `creationTimestamp`s that differ.
pub fn time(second: i64) -> Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time> {
    let at = Timestamp::from_second(1_893_456_000 + second).ok()?;
    Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at))
}

fn place(value: &Value) -> Place {
    let text = |field: &str| value["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

fn json<K: Serialize>(object: &K) -> Value {
    serde_json::to_value(object).unwrap_or_else(|error| panic!("not JSON: {error}"))
}

fn typed<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap_or_else(|error| panic!("does not read back: {error}"))
}

fn default(value: &mut Value, field: &str, with: impl FnOnce() -> Value) {
    if value[field].is_null() {
        value[field] = with();
    }
}
