//! Objects by place, their history, and who follows it. Knows nothing of HTTP.

use super::Kind;
use super::apply::Managed;
use futures::channel::mpsc::UnboundedSender;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Namespace (empty for cluster-scoped kinds) and name.
pub(super) type Place = (String, String);

/// One object: what is stored, and who manages which of its fields.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) value: Value,
    pub(super) managed: Vec<Managed>,
}

impl Stored {
    /// As the API server returns it.
    pub(super) fn shown(&self) -> Value {
        let mut value = self.value.clone();
        let api_version = value["apiVersion"].clone();
        let managed: Vec<Value> = self.managed.iter().map(|m| m.shown(&api_version)).collect();
        if !managed.is_empty() {
            value["metadata"]["managedFields"] = Value::Array(managed);
        }
        value
    }
}

/// One change: the object before and after.
struct Change {
    version: u64,
    kind: Kind,
    place: Place,
    before: Option<Value>,
    after: Option<Value>,
}

/// A watch that somebody follows.
pub(super) struct Follower {
    pub(super) kind: Kind,
    pub(super) scope: Scope,
    pub(super) cursor: u64,
    pub(super) sender: UnboundedSender<Vec<u8>>,
}

/// What a list or a watch selects, and how it is shown.
#[derive(Clone, Default)]
pub(super) struct Scope {
    /// Empty: all.
    pub(super) namespace: String,
    /// Labels that have to exist.
    pub(super) labels: Vec<String>,
    /// Only metadata are shown.
    pub(super) metadata_only: bool,
}

impl Scope {
    pub(super) fn selects(&self, place: &Place, value: &Value) -> bool {
        let labels = &value["metadata"]["labels"];
        (self.namespace.is_empty() || self.namespace == place.0)
            && self.labels.iter().all(|label| labels.get(label).is_some())
    }

    pub(super) fn show(&self, value: &Value) -> Value {
        if self.metadata_only {
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": value["metadata"]})
        } else {
            value.clone()
        }
    }
}

#[derive(Default)]
pub(super) struct Store {
    pub(super) version: u64,
    pub(super) objects: BTreeMap<(Kind, Place), Stored>,
    /// Kinds whose watches are held back.
    pub(super) withheld: BTreeSet<Kind>,
    history: Vec<Change>,
    followers: Vec<Follower>,
}

impl Store {
    pub(super) fn get(&self, kind: Kind, place: &Place) -> Option<&Stored> {
        self.objects.get(&(kind, place.clone()))
    }

    /// Stores `object` under the next version, tells the watches, and returns it as shown.
    pub(super) fn put(&mut self, kind: Kind, place: &Place, mut object: Stored) -> Value {
        self.version += 1;
        object.value["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let shown = object.shown();
        let before = self.objects.insert((kind, place.clone()), object);
        let before = before.map(|stored| stored.shown());
        self.changed(kind, place, before, Some(shown.clone()));
        shown
    }

    /// Deletes; `None` if there is none.
    pub(super) fn remove(&mut self, kind: Kind, place: &Place) -> Option<Value> {
        let mut before = self.objects.remove(&(kind, place.clone()))?.shown();
        self.version += 1;
        before["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.changed(kind, place, Some(before.clone()), None);
        Some(before)
    }

    fn changed(&mut self, kind: Kind, place: &Place, before: Option<Value>, after: Option<Value>) {
        let change = Change { version: self.version, kind, place: place.clone(), before, after };
        self.history.push(change);
        self.pump();
    }

    pub(super) fn follow(&mut self, follower: Follower) {
        self.followers.push(follower);
        self.pump();
    }

    /// Ends every watch of this kind with `410 Gone`: whoever followed has to list again and may have missed changes.
    pub(super) fn expire(&mut self, kind: Kind) {
        let gone = json!({"type": "ERROR", "object": {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "too old resource version", "reason": "Expired", "code": 410,
        }});
        self.followers.retain(|follower| {
            if follower.kind == kind {
                let _ = follower.sender.unbounded_send(line(&gone));
            }
            follower.kind != kind
        });
    }

    /// Sends each watch what it has not seen, unless its kind is withheld.
    pub(super) fn pump(&mut self) {
        let (history, withheld) = (&self.history, &self.withheld);
        self.followers.retain_mut(|follower| {
            if withheld.contains(&follower.kind) {
                return true;
            }
            let from = history.partition_point(|change| change.version <= follower.cursor);
            for change in &history[from..] {
                follower.cursor = change.version;
                if change.kind != follower.kind {
                    continue;
                }
                if let Some(event) = event(change, &follower.scope)
                    && follower.sender.unbounded_send(line(&event)).is_err()
                {
                    return false;
                }
            }
            !follower.sender.is_closed()
        });
    }
}

/// How a change looks to a watch: coming into its selection is an addition, leaving it a deletion.
fn event(change: &Change, scope: &Scope) -> Option<Value> {
    let selected = |value: &Option<Value>| value.clone().filter(|value| scope.selects(&change.place, value));
    let (type_, mut object) = match (selected(&change.before), selected(&change.after)) {
        (None, None) => return None,
        (None, Some(after)) => ("ADDED", after),
        (Some(_), Some(after)) => ("MODIFIED", after),
        (Some(before), None) => ("DELETED", before),
    };
    object["metadata"]["resourceVersion"] = json!(change.version.to_string());
    Some(json!({"type": type_, "object": scope.show(&object)}))
}

fn line(event: &Value) -> Vec<u8> {
    format!("{event}\n").into_bytes()
}
