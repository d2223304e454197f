//! Objects, their versions, and who watches them.

use crate::bench::writes::Writes;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use hyper::body::Bytes;
use keywright_ambient::{Clock, SystemClock};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many events of a resource are kept for a watch that begins late.
const HISTORY: usize = 1000;

/// Namespace and name.
type Place = (String, String);

/// One object: its bytes, and those of its metadata alone.
#[derive(Clone)]
struct Stored {
    version: u64,
    whole: Bytes,
    metadata: Bytes,
    labels: Vec<String>,
}

/// What a list or a watch asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Label that must be there.
    pub(super) label: Option<String>,
    /// Only `metadata` is shown.
    pub(super) metadata_only: bool,
}

impl Scope {
    fn show(&self, stored: &Stored) -> Option<Bytes> {
        let selected = self.label.as_ref().is_none_or(|label| stored.labels.contains(label));
        selected.then(|| if self.metadata_only { stored.metadata.clone() } else { stored.whole.clone() })
    }
}

struct Happened {
    version: u64,
    kind: &'static str,
    stored: Stored,
}

impl Happened {
    fn line(&self, scope: &Scope) -> Option<Bytes> {
        let object = scope.show(&self.stored)?;
        let mut line = Vec::with_capacity(object.len() + 40);
        line.extend_from_slice(format!(r#"{{"type":"{}","object":"#, self.kind).as_bytes());
        line.extend_from_slice(&object);
        line.extend_from_slice(b"}\n");
        Some(line.into())
    }
}

#[derive(Default)]
struct Resource {
    objects: BTreeMap<Place, Stored>,
    history: VecDeque<Happened>,
    followers: Vec<(Scope, UnboundedSender<Bytes>)>,
}

#[derive(Default)]
struct State {
    version: u64,
    resources: HashMap<String, Resource>,
    ready: HashMap<String, Instant>,
    writes: Writes,
}

/// The store; shared by all connections.
#[derive(Default)]
pub(super) struct Server(Mutex<State>);

/// Why a write was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is none.
    NotFound,
    /// It is there, or has another version.
    Conflict,
}

/// Whether an object says that it is Ready.
pub(super) fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

impl Server {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What people apply.
    pub(super) fn create(&self, resource: &str, object: Value) {
        let mut state = self.lock();
        let place = place(&object);
        state.put(resource, place, object);
    }

    /// An object, read.
    pub(super) fn value(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        serde_json::from_slice(&self.get(resource, namespace, name)?).ok()
    }

    /// An object.
    pub(super) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Bytes> {
        let state = self.lock();
        let objects = &state.resources.get(resource)?.objects;
        objects.get(&(namespace.to_owned(), name.to_owned())).map(|stored| stored.whole.clone())
    }

    /// Certificates that are Ready, and since when.
    pub(super) fn ready(&self) -> HashMap<String, Instant> {
        self.lock().ready.clone()
    }

    /// How many those are.
    pub(super) fn ready_count(&self) -> usize {
        self.lock().ready.len()
    }

    /// All writes so far.
    pub(super) fn writes(&self) -> Writes {
        self.lock().writes.clone()
    }

    /// Counts a write of the product.
    pub(super) fn count(&self, verb: &str, resource: &str, refused: bool) {
        let writes = &mut self.lock().writes;
        *writes.by.entry(format!("{verb} {resource}")).or_default() += 1;
        writes.conflicts += usize::from(refused);
        match resource {
            "events" => writes.events += 1,
            _ => writes.objects += 1,
        }
    }

    /// A page: version, items, and where to go on.
    pub(super) fn page(
        &self,
        resource: &str,
        scope: &Scope,
        after: Option<&Place>,
        limit: usize,
    ) -> (u64, Vec<Bytes>, Option<Place>) {
        let state = self.lock();
        let Some(found) = state.resources.get(resource) else { return (state.version, Vec::new(), None) };
        let mut items = Vec::new();
        for (place, stored) in &found.objects {
            if after.is_some_and(|after| place <= after) {
                continue;
            }
            items.extend(scope.show(stored));
            if items.len() == limit {
                return (state.version, items, Some(place.clone()));
            }
        }
        (state.version, items, None)
    }

    /// Lines of a watch from a version on; `None`: too old.
    pub(super) fn follow(&self, resource: &str, scope: Scope, from: u64) -> Option<UnboundedReceiver<Bytes>> {
        let mut state = self.lock();
        let found = state.resources.entry(resource.to_owned()).or_default();
        let kept_from = found.history.front().map_or(0, |happened| happened.version);
        if found.history.len() == HISTORY && from + 1 < kept_from {
            return None;
        }
        let (sender, receiver) = unbounded();
        for happened in found.history.iter().filter(|happened| happened.version > from) {
            if let Some(line) = happened.line(&scope) {
                // The other end is in our hands.
                let _ = sender.unbounded_send(line);
            }
        }
        found.followers.push((scope, sender));
        Some(receiver)
    }

    /// Server-side apply: of the status, or of all but it.
    pub(super) fn apply(
        &self,
        resource: &str,
        place: Place,
        status: bool,
        mut body: Value,
    ) -> Result<Bytes, Refused> {
        let mut state = self.lock();
        let found = state.resources.get(resource).and_then(|found| found.objects.get(&place));
        let Some(found) = found else {
            return if status { Err(Refused::NotFound) } else { Ok(state.put(resource, place, body)) };
        };
        let mut object: Value = serde_json::from_slice(&found.whole).unwrap_or_default();
        if status {
            object["status"] = body["status"].take();
            if resource == "certificates" && is_ready(&object) {
                state.ready.entry(place.1.clone()).or_insert_with(|| SystemClock.monotonic());
            }
        } else {
            let uid = object["metadata"]["uid"].take();
            let since = object["metadata"]["creationTimestamp"].take();
            object = body;
            object["metadata"]["uid"] = uid;
            object["metadata"]["creationTimestamp"] = since;
        }
        Ok(state.put(resource, place, object))
    }

    /// Replaces an object of exactly the version that the body names; without one it must not be there.
    pub(super) fn replace(&self, resource: &str, place: Place, body: Value) -> Result<Bytes, Refused> {
        let mut state = self.lock();
        let found = state.resources.get(resource).and_then(|found| found.objects.get(&place));
        let version = found.map(|stored| stored.version.to_string());
        if body["metadata"]["resourceVersion"].as_str() != version.as_deref() {
            return Err(Refused::Conflict);
        }
        Ok(state.put(resource, place, body))
    }
}

impl State {
    fn put(&mut self, resource: &str, place: Place, mut object: Value) -> Bytes {
        self.version += 1;
        let version = self.version;
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!(version.to_string());
        metadata["name"] = json!(place.1);
        if !place.0.is_empty() {
            metadata["namespace"] = json!(place.0);
        }
        if metadata["uid"].is_null() {
            metadata["uid"] = json!(format!("00000000-0000-4000-8000-{version:012x}"));
            metadata["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
            metadata["generation"] = json!(1);
        }
        let labels =
            metadata["labels"].as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default();
        let partial = json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"],
        });
        let stored = Stored {
            version,
            whole: object.to_string().into(),
            metadata: partial.to_string().into(),
            labels,
        };
        let whole = stored.whole.clone();
        let found = self.resources.entry(resource.to_owned()).or_default();
        let kind = if found.objects.insert(place, stored.clone()).is_none() { "ADDED" } else { "MODIFIED" };
        let happened = Happened { version, kind, stored };
        found.followers.retain(|(scope, sender)| match happened.line(scope) {
            Some(line) => sender.unbounded_send(line).is_ok(),
            None => !sender.is_closed(),
        });
        found.history.push_back(happened);
        if found.history.len() > HISTORY {
            found.history.pop_front();
        }
        whole
    }
}

fn place(object: &Value) -> Place {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}
