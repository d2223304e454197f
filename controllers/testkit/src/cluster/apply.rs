//! Server-side apply, as far as our controllers use it: field ownership by path, lists as one value.
//!
//! Source: the Kubernetes documentation of server-side apply. Left out: lists keyed by a field (each of ours has one
//! manager), and defaulting.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

type Path = Vec<String>;

/// The fields of one manager.
#[derive(Clone)]
pub(super) struct Managed {
    pub(super) manager: String,
    /// `Apply` or `Update`.
    pub(super) operation: String,
    /// Empty, or `status`.
    pub(super) subresource: String,
    pub(super) paths: BTreeSet<Path>,
}

impl Managed {
    /// As an entry of `metadata.managedFields`.
    pub(super) fn shown(&self, api_version: &Value) -> Value {
        let mut fields = json!({});
        for path in &self.paths {
            let mut at = &mut fields;
            for step in path {
                at = &mut at[format!("f:{step}")];
                if at.is_null() {
                    *at = json!({});
                }
            }
        }
        let mut entry = json!({
            "manager": self.manager, "operation": self.operation, "apiVersion": api_version,
            "fieldsType": "FieldsV1", "fieldsV1": fields, "time": "2030-01-01T00:00:00Z",
        });
        if !self.subresource.is_empty() {
            entry["subresource"] = json!(self.subresource);
        }
        entry
    }
}

/// Why an apply was not carried out.
pub(super) struct Conflict {
    pub(super) with: String,
}

/// Applies `wanted` to `value`. True when anything changed, ownership included.
pub(super) fn apply(
    value: &mut Value,
    owners: &mut Vec<Managed>,
    wanted: &Value,
    (manager, subresource, force): (&str, &str, bool),
) -> Result<bool, Conflict> {
    let before = value.clone();
    let new = leaves(wanted);
    let is_ours =
        |m: &Managed| m.manager == manager && m.operation == "Apply" && m.subresource == subresource;
    let old = owners.iter().find(|m| is_ours(m)).map(|m| m.paths.clone()).unwrap_or_default();
    let contested = |m: &Managed| -> BTreeSet<Path> {
        let differs = |path: &&Path| at(value, path) != at(wanted, path);
        m.paths.intersection(&new).filter(differs).cloned().collect()
    };
    let mut took = false;
    let mut taken = Vec::new();
    for other in owners.iter().filter(|m| !is_ours(m)) {
        let paths = contested(other);
        if !paths.is_empty() && !force {
            return Err(Conflict { with: other.manager.clone() });
        }
        took |= !paths.is_empty();
        taken.push((other.manager.clone(), other.operation.clone(), other.subresource.clone(), paths));
    }
    for (manager, operation, subresource, paths) in taken {
        for other in owners.iter_mut() {
            if (&other.manager, &other.operation, &other.subresource) == (&manager, &operation, &subresource)
            {
                other.paths.retain(|path| !paths.contains(path));
            }
        }
    }
    let by_others: BTreeSet<Path> =
        owners.iter().filter(|m| !is_ours(m)).flat_map(|m| m.paths.iter().cloned()).collect();
    for path in old.difference(&new).filter(|path| !by_others.contains(*path)) {
        clear(value, path);
    }
    for path in &new {
        set(value, path, at(wanted, path).cloned().unwrap_or_default());
    }
    let changed = before != *value || old != new || took;
    owners.retain(|m| !is_ours(m) && !m.paths.is_empty());
    owners.push(Managed {
        manager: manager.to_owned(),
        operation: "Apply".to_owned(),
        subresource: subresource.to_owned(),
        paths: new,
    });
    Ok(changed)
}

/// Records that `manager` changed the object by an update: it owns what differs, and nobody else does.
pub(super) fn update(
    owners: &mut Vec<Managed>,
    before: &Value,
    after: &Value,
    manager: &str,
    operation: &str,
) {
    let changed: BTreeSet<Path> =
        leaves(after).into_iter().filter(|path| at(before, path) != at(after, path)).collect();
    let gone: BTreeSet<Path> = leaves(before).into_iter().filter(|path| at(after, path).is_none()).collect();
    for other in owners.iter_mut() {
        other.paths.retain(|path| !changed.contains(path) && !gone.contains(path));
    }
    owners.retain(|m| !m.paths.is_empty());
    if changed.is_empty() {
        return;
    }
    match owners.iter_mut().find(|m| m.manager == manager && m.operation == operation) {
        Some(own) => own.paths.extend(changed),
        None => owners.push(Managed {
            manager: manager.to_owned(),
            operation: operation.to_owned(),
            subresource: String::new(),
            paths: changed,
        }),
    }
}

/// Paths of all leaves that somebody can own: lists are one value; names and versions belong to nobody.
fn leaves(value: &Value) -> BTreeSet<Path> {
    let mut paths = BTreeSet::new();
    walk(value, &mut Vec::new(), &mut paths);
    paths.retain(|path| {
        let metadata = path.first().is_some_and(|first| first == "metadata");
        let ownable = ["labels", "annotations", "ownerReferences"];
        let first = path.first().map_or("", String::as_str);
        !matches!(first, "apiVersion" | "kind")
            && (!metadata || path.get(1).is_some_and(|second| ownable.contains(&second.as_str())))
    });
    paths
}

fn walk(value: &Value, path: &mut Path, paths: &mut BTreeSet<Path>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                path.push(name.clone());
                walk(value, path, paths);
                path.pop();
            }
        }
        Value::Null => {}
        _ if !path.is_empty() => {
            paths.insert(path.clone());
        }
        _ => {}
    }
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |at, step| at.get(step))
}

fn set(value: &mut Value, path: &[String], new: Value) {
    let mut at = value;
    for step in path {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[step.as_str()];
    }
    *at = new;
}

/// Removes a leaf, and the maps that it leaves empty.
fn clear(value: &mut Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else { return };
    let Some(fields) = value.as_object_mut() else { return };
    if rest.is_empty() {
        fields.remove(first);
        return;
    }
    if let Some(inner) = fields.get_mut(first) {
        clear(inner, rest);
        if inner.as_object().is_some_and(Map::is_empty) {
            fields.remove(first);
        }
    }
}
