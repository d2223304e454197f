//! The mutating half: who asked is written into the object on create and stays what it is on update; who changed the spec is
//! written on update ([`editors`]).
//!
//! | Kind | Where |
//! |---|---|
//! | `ApprovalRequest` | `spec.requester` |
//! | `ApprovalDecision` | `spec.approver` |
//! | all others | annotations `keywright.dev/requester-username`, `-uid`, `-groups` (one a line), `-extra` (JSON) |
//!
//! An object that was made without the webhook has no stamp and never gets one: nobody knows who made it. Nothing here
//! refuses; what comes out is checked again by the validating half, after all other webhooks.

use crate::attempt::{Action, Attempt};
use crate::editors::{self, Own};
use crate::kind::{Kind, Stamped};
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation};
use keywright_approvals::Identity;
use kube::core::DynamicObject;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Prefix of the annotations.
pub const PREFIX: &str = "keywright.dev/requester-";
/// Annotation with `userInfo.username`.
pub const USERNAME: &str = "keywright.dev/requester-username";
/// Annotation with `userInfo.uid`; absent when empty.
pub const UID: &str = "keywright.dev/requester-uid";
/// Annotation with `userInfo.groups`: sorted, one a line.
pub const GROUPS: &str = "keywright.dev/requester-groups";
/// Annotation with `userInfo.extra` as a JSON object; absent when empty.
pub const EXTRA: &str = "keywright.dev/requester-extra";
/// Finalizer of records: only the operator takes it away, after the record is in the log.
pub const FINALIZER: &str = "keywright.dev/kept-until-logged";

/// What has to change in the object so that its stamp is right. Empty: nothing.
pub fn stamp(attempt: &Attempt<'_>, own: &Own) -> Patch {
    let (new, mut wanted) = match attempt.action {
        Action::Create { new } => (new, written(&attempt.who, attempt.kind)),
        Action::Update { old, new } => (new, raw(old, attempt.kind)),
        Action::Status { .. } | Action::Delete { .. } => return Patch(Vec::new()),
    };
    let mut there = raw(new, attempt.kind);
    // An edit that cannot be stamped stays as it is: the validating half refuses it.
    if let (true, Ok(editors)) = (editors::matters(attempt.kind), editors::wanted(attempt, own)) {
        there.extend(of_text(editors::noted(new)));
        wanted.extend(of_text(editors));
    }
    let mut patch = replace(new, attempt.kind, &there, &wanted);
    if matches!(attempt.action, Action::Create { .. }) {
        patch.extend(keep(new, attempt.kind));
    }
    Patch(patch)
}

fn of_text(notes: editors::Notes) -> impl Iterator<Item = (String, Value)> {
    notes.into_iter().map(|(name, text)| (name, Value::String(text)))
}

/// Who is stamped on an object of a kind; none: nobody, or something unreadable.
pub fn stamped(object: &DynamicObject, kind: Kind) -> Option<Identity> {
    match kind.stamped() {
        Stamped::Annotations => of_annotations(object.metadata.annotations.as_ref()?),
        Stamped::Spec(field) => of_field(object.data.pointer("/spec")?.get(field)?),
    }
}

/// Whether the stamps of two objects are the same, readable or not.
pub fn same(old: &DynamicObject, new: &DynamicObject, kind: Kind) -> bool {
    raw(old, kind) == raw(new, kind)
}

/// Whether an object carries any stamp, readable or not.
pub fn is_stamped(object: &DynamicObject, kind: Kind) -> bool {
    !raw(object, kind).is_empty()
}

/// The stamp as it is written: annotation or field name to value.
fn raw(object: &DynamicObject, kind: Kind) -> BTreeMap<String, Value> {
    match kind.stamped() {
        Stamped::Annotations => {
            let all = object.metadata.annotations.iter().flatten();
            let ours = all.filter(|(name, _)| name.starts_with(PREFIX));
            ours.map(|(name, value)| (name.clone(), json!(value))).collect()
        }
        Stamped::Spec(field) => {
            let value = object.data.pointer("/spec").and_then(|spec| spec.get(field));
            value.map(|value| (field.to_owned(), value.clone())).into_iter().collect()
        }
    }
}

/// The stamp of somebody as it is to be written.
fn written(who: &Identity, kind: Kind) -> BTreeMap<String, Value> {
    match kind.stamped() {
        Stamped::Annotations => {
            to_annotations(who).into_iter().map(|(name, text)| (name.to_owned(), json!(text))).collect()
        }
        Stamped::Spec(field) => BTreeMap::from([(field.to_owned(), to_field(who))]),
    }
}

/// Operations that make `there` into `wanted`.
fn replace(
    new: &DynamicObject,
    kind: Kind,
    there: &BTreeMap<String, Value>,
    wanted: &BTreeMap<String, Value>,
) -> Vec<PatchOperation> {
    if there == wanted {
        return Vec::new();
    }
    let (parent, exists): (&[&str], bool) = match kind.stamped() {
        Stamped::Annotations => (&["metadata", "annotations"], new.metadata.annotations.is_some()),
        // Without a spec the schema refuses the object, which says it better.
        Stamped::Spec(_) if !new.data.get("spec").is_some_and(Value::is_object) => return Vec::new(),
        Stamped::Spec(_) => (&["spec"], true),
    };
    let below = |name: &str| PointerBuf::from_tokens(parent.iter().copied().chain([name]));
    let mut operations = Vec::new();
    if !exists {
        operations.push(add(PointerBuf::from_tokens(parent.iter().copied()), Value::Object(Map::new())));
    }
    for name in there.keys().filter(|name| !wanted.contains_key(*name)) {
        operations.push(PatchOperation::Remove(RemoveOperation { path: below(name) }));
    }
    for (name, value) in wanted.iter().filter(|(name, value)| there.get(*name) != Some(*value)) {
        operations.push(add(below(name), value.clone()));
    }
    operations
}

/// Records get their finalizer.
fn keep(new: &DynamicObject, kind: Kind) -> Vec<PatchOperation> {
    if !kind.is_record() || has_finalizer(new) {
        return Vec::new();
    }
    let mut finalizers = new.metadata.finalizers.clone().unwrap_or_default();
    finalizers.push(FINALIZER.to_owned());
    vec![add(PointerBuf::from_tokens(["metadata", "finalizers"]), json!(finalizers))]
}

/// Whether an object has the finalizer of records.
pub fn has_finalizer(object: &DynamicObject) -> bool {
    object.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

fn add(path: PointerBuf, value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path, value })
}

fn to_annotations(who: &Identity) -> BTreeMap<&'static str, String> {
    let groups: Vec<&str> = who.groups.iter().map(String::as_str).collect();
    let mut all = BTreeMap::from([(USERNAME, who.username.clone())]);
    if !who.uid.is_empty() {
        all.insert(UID, who.uid.clone());
    }
    if !groups.is_empty() {
        all.insert(GROUPS, groups.join("\n"));
    }
    if !who.extra.is_empty() {
        all.insert(EXTRA, json!(who.extra).to_string());
    }
    all
}

fn of_annotations(annotations: &BTreeMap<String, String>) -> Option<Identity> {
    let extra = match annotations.get(EXTRA) {
        Some(text) => serde_json::from_str(text).ok()?,
        None => BTreeMap::new(),
    };
    Some(Identity {
        username: annotations.get(USERNAME)?.clone(),
        uid: annotations.get(UID).cloned().unwrap_or_default(),
        groups: annotations
            .get(GROUPS)
            .map(|text| text.lines().map(str::to_owned).collect())
            .unwrap_or_default(),
        extra,
    })
}

/// As the schema of `spec.requester` wants it: nothing empty is written.
fn to_field(who: &Identity) -> Value {
    let mut field = json!({ "username": who.username });
    if !who.uid.is_empty() {
        field["uid"] = json!(who.uid);
    }
    if !who.groups.is_empty() {
        field["groups"] = json!(who.groups);
    }
    if !who.extra.is_empty() {
        field["extra"] = json!(who.extra);
    }
    field
}

fn of_field(value: &Value) -> Option<Identity> {
    let list = |value: &Value| -> Option<Vec<String>> { serde_json::from_value(value.clone()).ok() };
    let groups: BTreeSet<String> = match value.get("groups") {
        Some(groups) => list(groups)?.into_iter().collect(),
        None => BTreeSet::new(),
    };
    let extra = match value.get("extra") {
        Some(extra) => serde_json::from_value(extra.clone()).ok()?,
        None => BTreeMap::new(),
    };
    Some(Identity {
        username: value.get("username")?.as_str()?.to_owned(),
        uid: value.get("uid").and_then(Value::as_str).unwrap_or_default().to_owned(),
        groups,
        extra,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::tests::{object, request};
    use keywright_approvals::records::{EDITOR_UIDS, EDITOR_USERNAMES};

    fn own() -> Own {
        Own { operator: "operator".to_owned(), webhook: "webhook".to_owned() }
    }

    /// The object after the mutating half.
    fn after(kind: &str, operation: &str, more: &Value) -> Value {
        let request = request(kind, operation, more);
        let patch = stamp(&Attempt::parse(&request).unwrap(), &own());
        let mut value = serde_json::to_value(request.object.as_ref().unwrap()).unwrap();
        json_patch::patch(&mut value, &patch).unwrap();
        value
    }

    fn ann() -> Value {
        json!({
            USERNAME: "ann", UID: "u-ann", GROUPS: "dev\nsystem:authenticated",
            EXTRA: r#"{"scopes":["a","b"]}"#,
        })
    }

    #[test]
    fn identity_is_stamped_over_whatever_the_author_wrote() {
        let forged = json!({ "name": "thing", "annotations": {
            USERNAME: "root", GROUPS: "system:masters", "keywright.dev/requester-else": "x", "mine": "stays",
        }});
        let made = after(
            "Certificate",
            "CREATE",
            &json!({ "object": object("Certificate", &json!({ "metadata": forged })) }),
        );
        let mut wanted = ann();
        wanted["mine"] = json!("stays");
        assert_eq!(made["metadata"]["annotations"], wanted);
        let bare = after("Issuer", "CREATE", &json!({ "object": object("Issuer", &json!({})) }));
        assert_eq!(bare["metadata"]["annotations"], ann());
    }

    #[test]
    fn requests_and_votes_are_stamped_in_their_spec_and_kept() {
        for (kind, field) in [("ApprovalRequest", "requester"), ("ApprovalDecision", "approver")] {
            let forged =
                json!({ "spec": { field: { "username": "root", "groups": ["security"] }, "reason": "x" } });
            let made = after(kind, "CREATE", &json!({ "object": object(kind, &forged) }));
            let wanted = json!({
                "username": "ann", "uid": "u-ann", "groups": ["dev", "system:authenticated"],
                "extra": { "scopes": ["a", "b"] },
            });
            assert_eq!(made["spec"], json!({ field: wanted, "reason": "x" }));
            assert_eq!(made["metadata"]["finalizers"], json!([FINALIZER]));
        }
    }

    #[test]
    fn a_stamp_is_frozen_whatever_an_update_leaves_out_changes_or_adds() {
        let old = object("Certificate", &json!({ "metadata": { "name": "thing", "annotations": ann() } }));
        for annotations in [json!({}), json!({ USERNAME: "root" }), json!({ USERNAME: "ann", UID: "other" })]
        {
            let new = object(
                "Certificate",
                &json!({ "metadata": { "name": "thing", "annotations": annotations } }),
            );
            let made = after("Certificate", "UPDATE", &json!({ "object": new, "oldObject": old }));
            assert_eq!(made["metadata"]["annotations"], ann());
        }
        let without = object("Certificate", &json!({}));
        let claimed = object(
            "Certificate",
            &json!({ "metadata": { "name": "thing", "annotations": { USERNAME: "root" } } }),
        );
        let made = after("Certificate", "UPDATE", &json!({ "object": claimed, "oldObject": without }));
        assert_eq!(made["metadata"]["annotations"], json!({}), "nobody stamps what was made without a stamp");
    }

    #[test]
    fn who_changes_a_spec_is_stamped_over_whatever_they_wrote_beside_who_made_it() {
        let spec = |text: &str| json!({ "secretName": text });
        let bob = json!({ USERNAME: "bob" });
        let old = object("Certificate", &json!({ "metadata": { "annotations": bob }, "spec": spec("one") }));
        let forged = json!({ EDITOR_USERNAMES: "root", "keywright.dev/editor-else": "x", "mine": "stays" });
        let new =
            object("Certificate", &json!({ "metadata": { "annotations": forged }, "spec": spec("two") }));
        let made = after("Certificate", "UPDATE", &json!({ "object": new, "oldObject": old }));
        let wanted =
            json!({ USERNAME: "bob", EDITOR_USERNAMES: "ann", EDITOR_UIDS: "u-ann", "mine": "stays" });
        assert_eq!(made["metadata"]["annotations"], wanted);

        let new = object("Certificate", &json!({ "spec": spec("two") }));
        let old = object("Certificate", &json!({ "spec": spec("one") }));
        let made = after("Certificate", "UPDATE", &json!({ "object": new, "oldObject": old }));
        let wanted = json!({ EDITOR_USERNAMES: "ann", EDITOR_UIDS: "u-ann" });
        assert_eq!(made["metadata"]["annotations"], wanted, "of an object that nobody stamped, too");

        let claimed =
            object("Certificate", &json!({ "metadata": { "annotations": { EDITOR_USERNAMES: "root" } } }));
        let made = after("Certificate", "CREATE", &json!({ "object": claimed }));
        assert_eq!(made["metadata"]["annotations"], ann(), "nobody has changed what is new");
    }

    #[test]
    fn nothing_is_patched_where_nothing_is_wrong() {
        let right = object("Certificate", &json!({ "metadata": { "name": "thing", "annotations": ann() } }));
        for (operation, more) in [
            ("CREATE", json!({ "object": right })),
            ("UPDATE", json!({ "object": right, "oldObject": right })),
            ("DELETE", json!({ "oldObject": right })),
            (
                "UPDATE",
                json!({ "object": right, "oldObject": object("Certificate", &json!({})), "subResource": "status" }),
            ),
        ] {
            let request = request("Certificate", operation, &more);
            assert!(stamp(&Attempt::parse(&request).unwrap(), &own()).0.is_empty(), "{operation}");
        }
    }

    #[test]
    fn a_stamp_reads_back_as_who_it_was() {
        for kind in Kind::ALL {
            let request =
                request(kind.name(), "CREATE", &json!({ "object": object(kind.name(), &json!({})) }));
            let attempt = Attempt::parse(&request).unwrap();
            let mut value = serde_json::to_value(request.object.as_ref().unwrap()).unwrap();
            json_patch::patch(&mut value, &stamp(&attempt, &own())).unwrap();
            let made: DynamicObject = serde_json::from_value(value).unwrap();
            assert_eq!(stamped(&made, kind), Some(attempt.who), "{kind:?}");
        }
    }
}
