//! Certificates: one for each Secret, or a word of warning. The controller decides which one goes on.

use super::{Facts, Needs, World};
use crate::attempt::{Action, Attempt};
use kube::core::DynamicObject;

fn secret(object: &DynamicObject) -> Option<&str> {
    object.data.pointer("/spec/secretName")?.as_str()
}

/// An edit that keeps the Secret needs nothing, so that objects from before this rule can still be edited.
pub(super) fn needs(attempt: &Attempt<'_>, old: Option<&DynamicObject>, new: &DynamicObject) -> Needs {
    match secret(new) {
        Some(name) if old.and_then(secret) != Some(name) => {
            Needs::Claimants { namespace: attempt.namespace.to_owned(), secret: name.to_owned() }
        }
        // Without one the schema refuses the object.
        Some(_) | None => Needs::Nothing,
    }
}

/// Words for the author of a Certificate whose Secret is another one's already. It is stored and will stay Stalled, as one
/// that came at the same moment does: whoever applies a folder is told of it and finds it there to mend.
pub(super) fn shared_secret(attempt: &Attempt<'_>, world: &World) -> Option<String> {
    let Facts::Claimants(names) = &world.facts else { return None };
    let new = match attempt.action {
        Action::Create { new } | Action::Update { new, .. } => new,
        Action::Status { .. } | Action::Delete { .. } => return None,
    };
    let other = names.iter().find(|name| *name != attempt.name)?;
    let secret = secret(new).unwrap_or_default();
    Some(format!(
        "spec.secretName {secret:?} is that of Certificate {other:?} already; one of the two stays Stalled: name a Secret of its own"
    ))
}
