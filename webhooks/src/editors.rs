//! Who changed the spec of an object that people may be asked about: written on update, where the spec differs, and frozen
//! else. Pure.
//!
//! | Annotation | |
//! |---|---|
//! | `keywright.dev/editor-usernames` | those who changed the spec since something last came of it, one a line, the latest last |
//! | `keywright.dev/editor-uids` | their UIDs, line for line; absent when none has one |
//! | `keywright.dev/editor-revision` | `status.revision` when the latest of them did; absent where the kind has none |
//!
//! One edit does not hide another: earlier editors leave only when what they asked for has come about, which the status
//! says that the operator alone writes. Then the next editor stands alone again.

use crate::attempt::{Action, Attempt};
use crate::kind::Kind;
use keywright_approvals::Identity;
use keywright_approvals::records::{self, EDITOR_UIDS, EDITOR_USERNAMES};
use kube::core::DynamicObject;
use serde_json::Value;
use std::collections::BTreeMap;

/// Prefix of the annotations.
pub const PREFIX: &str = "keywright.dev/editor-";
/// Annotation with the revision that the latest editor found.
pub const REVISION: &str = "keywright.dev/editor-revision";
/// Most editors of one object between two issuances: as many as a request can name.
pub const MOST: usize = 64;

/// The accounts of Keywright itself, by username: what they change nobody asked for, so they hide nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// The operator's.
    pub operator: String,
    /// The webhook's.
    pub webhook: String,
}

/// Why an edit cannot be stamped. It is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unstamped {
    /// Nobody could say any more who asked for what.
    #[error("{MOST} accounts have changed the spec since something last came of it")]
    TooMany,
    /// It would pose as two.
    #[error("a username or UID with a line break cannot be stamped")]
    LineBreak,
}

/// Annotation to text.
pub type Notes = BTreeMap<String, String>;

impl Own {
    fn is(&self, who: &Identity) -> bool {
        who.username == self.operator || who.username == self.webhook
    }
}

/// Whether people may be asked about objects of a kind, so that it matters who changed them.
pub const fn matters(kind: Kind) -> bool {
    match kind {
        Kind::Certificate | Kind::Issuer | Kind::ClusterIssuer => true,
        Kind::Policy | Kind::ApprovalClass | Kind::ApprovalRequest | Kind::ApprovalDecision => false,
    }
}

/// The stamp as it is written, readable or not.
pub fn noted(object: &DynamicObject) -> Notes {
    let all = object.metadata.annotations.iter().flatten();
    let ours = all.filter(|(name, _)| name.starts_with(PREFIX));
    ours.map(|(name, text)| (name.clone(), text.clone())).collect()
}

/// Whether an update changes the spec.
pub fn is_edit(old: &DynamicObject, new: &DynamicObject) -> bool {
    old.data.get("spec") != new.data.get("spec")
}

/// What the stamp has to be after an attempt. Errors: the edit cannot be stamped.
pub fn wanted(attempt: &Attempt<'_>, own: &Own) -> Result<Notes, Unstamped> {
    let (old, new) = match attempt.action {
        Action::Update { old, new } if matters(attempt.kind) => (old, new),
        // Nobody changed what is new.
        Action::Create { .. } => return Ok(Notes::new()),
        Action::Update { new: object, .. }
        | Action::Status { old: object, .. }
        | Action::Delete { old: object } => {
            return Ok(noted(object));
        }
    };
    if !is_edit(old, new) || own.is(&attempt.who) {
        return Ok(noted(old));
    }
    let who = &attempt.who;
    if [&who.username, &who.uid].iter().any(|text| text.contains('\n')) {
        return Err(Unstamped::LineBreak);
    }
    let earlier = if is_settled(old) { Vec::new() } else { records::authors(&old.metadata).editors };
    let mut editors: Vec<(String, String)> = earlier.into_iter().map(|one| (one.username, one.uid)).collect();
    let latest = (who.username.clone(), who.uid.clone());
    editors.retain(|one| *one != latest);
    editors.push(latest);
    if editors.len() > MOST {
        return Err(Unstamped::TooMany);
    }
    Ok(written(editors, revision(old)))
}

fn written(editors: Vec<(String, String)>, revision: Option<u64>) -> Notes {
    let (usernames, uids): (Vec<String>, Vec<String>) = editors.into_iter().unzip();
    let mut notes = Notes::from([(EDITOR_USERNAMES.to_owned(), usernames.join("\n"))]);
    if uids.iter().any(|uid| !uid.is_empty()) {
        notes.insert(EDITOR_UIDS.to_owned(), uids.join("\n"));
    }
    if let Some(revision) = revision {
        notes.insert(REVISION.to_owned(), revision.to_string());
    }
    notes
}

/// Issuances so far, where the kind counts them.
fn revision(object: &DynamicObject) -> Option<u64> {
    object.data.pointer("/status/revision")?.as_u64()
}

/// Whether all that the spec asks for has come about: the operator has seen it, says that it is as wanted, waits for nobody's
/// approval, and has issued something since the latest edit.
fn is_settled(object: &DynamicObject) -> bool {
    let Some(status) = object.data.get("status") else { return false };
    let seen = status.get("observedGeneration").and_then(Value::as_i64);
    let says = |type_: &str| {
        let mut all = status.get("conditions").and_then(Value::as_array).into_iter().flatten();
        let one = all.find(|one| one.get("type").and_then(Value::as_str) == Some(type_));
        one.is_some_and(|one| one.get("status").and_then(Value::as_str) == Some("True"))
    };
    let waits = status.get("approval").is_some_and(|approval| approval.get("usedAt").is_none());
    let noted = object.metadata.annotations.as_ref().and_then(|all| all.get(REVISION));
    let issued = revision(object).is_none_or(|now| noted != Some(&now.to_string()));
    seen.is_some()
        && seen == object.metadata.generation
        && says("Ready")
        && !says("Reconciling")
        && !says("Stalled")
        && !waits
        && issued
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::tests::{object, request};
    use serde_json::json;

    const OPERATOR: &str = "system:serviceaccount:keywright-system:keywright-operator";

    fn own() -> Own {
        Own {
            operator: OPERATOR.to_owned(),
            webhook: "system:serviceaccount:keywright-system:keywright-webhook".to_owned(),
        }
    }

    /// What an edit of `old` by `who` is stamped with, a line for each editor.
    fn edited(kind: &str, old: &Value, who: &Value) -> Result<Notes, Unstamped> {
        let mut new = old.clone();
        new["spec"]["duration"] = json!("1h");
        let more = json!({ "object": new, "oldObject": old, "userInfo": who });
        wanted(&Attempt::parse(&request(kind, "UPDATE", &more)).unwrap(), &own())
    }

    fn names(notes: &Notes) -> Vec<&str> {
        notes.get(EDITOR_USERNAMES).map(|text| text.split('\n').collect()).unwrap_or_default()
    }

    /// A Certificate of generation 2 that was edited by these and of which this is so.
    fn stood(editors: &[&str], more: &Value) -> Value {
        let mut notes = json!({});
        if !editors.is_empty() {
            notes[EDITOR_USERNAMES] = json!(editors.join("\n"));
            notes[REVISION] = json!("3");
        }
        let mut status = json!({
            "observedGeneration": 2, "revision": 4, "conditions": [{ "type": "Ready", "status": "True" }],
        });
        for (field, value) in more.as_object().unwrap() {
            status[field] = value.clone();
        }
        object(
            "Certificate",
            &json!({ "metadata": { "name": "thing", "generation": 2, "annotations": notes }, "status": status }),
        )
    }

    fn carol() -> Value {
        json!({ "username": "carol" })
    }

    #[test]
    fn an_editor_is_stamped_with_uid_and_the_revision_they_found() {
        let notes =
            edited("Certificate", &stood(&[], &json!({})), &json!({ "username": "carol", "uid": "u-c" }));
        let wanted = [(EDITOR_USERNAMES, "carol"), (EDITOR_UIDS, "u-c"), (REVISION, "4")];
        assert_eq!(notes.unwrap(), wanted.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
        let issuer = object("Issuer", &json!({}));
        assert_eq!(
            edited("Issuer", &issuer, &carol()).unwrap(),
            Notes::from([(EDITOR_USERNAMES.to_owned(), "carol".to_owned())])
        );
    }

    #[test]
    fn an_edit_hides_an_earlier_one_only_after_something_came_of_that() {
        let ready = |status: &str| json!([{ "type": "Ready", "status": status }]);
        let also =
            |type_: &str| json!([{ "type": "Ready", "status": "True" }, { "type": type_, "status": "True" }]);
        for (so, more, kept) in [
            ("all came about", json!({}), false),
            (
                "an approval was used",
                json!({ "approval": { "request": "r", "usedAt": "2030-01-01T00:00:00Z" } }),
                false,
            ),
            ("people are asked", json!({ "approval": { "request": "r" } }), true),
            ("the operator has not looked", json!({ "observedGeneration": 1 }), true),
            ("it is not ready", json!({ "conditions": ready("Unknown") }), true),
            ("it changes", json!({ "conditions": also("Reconciling") }), true),
            ("it was refused", json!({ "conditions": also("Stalled") }), true),
            ("nothing was issued since", json!({ "revision": 3 }), true),
        ] {
            let notes = edited("Certificate", &stood(&["bob"], &more), &carol()).unwrap();
            assert_eq!(names(&notes) == ["bob", "carol"], kept, "{so}");
            assert_eq!(names(&notes).last(), Some(&"carol"), "{so}");
        }
        let mut new = stood(&["bob"], &json!({}));
        new.as_object_mut().unwrap().remove("status");
        assert_eq!(
            names(&edited("Certificate", &new, &carol()).unwrap()),
            ["bob", "carol"],
            "nobody has looked at it"
        );
    }

    #[test]
    fn who_edits_again_stands_last_and_once() {
        let waits = json!({ "approval": { "request": "r" } });
        let notes = edited("Certificate", &stood(&["carol", "bob"], &waits), &carol()).unwrap();
        assert_eq!(names(&notes), ["bob", "carol"]);
    }

    #[test]
    fn our_own_accounts_and_edits_of_no_spec_leave_the_stamp_as_it_is() {
        let old = stood(&["bob"], &json!({}));
        for who in [own().operator, own().webhook] {
            assert_eq!(names(&edited("Certificate", &old, &json!({ "username": who })).unwrap()), ["bob"]);
        }
        let more = json!({ "object": stood(&[], &json!({})), "oldObject": old, "userInfo": carol() });
        let request = request("Certificate", "UPDATE", &more);
        let notes = wanted(&Attempt::parse(&request).unwrap(), &own()).unwrap();
        assert_eq!(names(&notes), ["bob"], "nobody removes it");
        let other = json!({ "username": "system:serviceaccount:argocd:argocd" });
        assert_eq!(
            names(&edited("Certificate", &old, &other).unwrap()),
            ["system:serviceaccount:argocd:argocd"]
        );
    }

    #[test]
    fn what_is_new_was_changed_by_nobody_whatever_it_says() {
        let more = json!({ "object": stood(&["bob"], &json!({})) });
        let request = request("Certificate", "CREATE", &more);
        assert_eq!(wanted(&Attempt::parse(&request).unwrap(), &own()), Ok(Notes::new()));
    }

    #[test]
    fn too_many_editors_and_names_of_two_lines_are_not_stamped() {
        let all: Vec<String> = (0..MOST).map(|n| format!("user-{n}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let waits = json!({ "approval": { "request": "r" } });
        assert_eq!(edited("Certificate", &stood(&all, &waits), &carol()), Err(Unstamped::TooMany));
        assert!(edited("Certificate", &stood(&all, &waits), &json!({ "username": "user-3" })).is_ok());
        assert!(edited("Certificate", &stood(&all, &json!({})), &carol()).is_ok());
        let two = json!({ "username": "carol\nbob" });
        assert_eq!(edited("Certificate", &stood(&[], &json!({})), &two), Err(Unstamped::LineBreak));
    }
}
