//! Certificates: one for each Secret.
//!
//! Two made within the moments that a watch takes both pass; the controller then refuses the younger one by condition.

use super::{Denial, Facts, Needs, Rule, World};
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

pub(super) fn one_for_a_secret(attempt: &Attempt<'_>, world: &World) -> Result<(), Denial> {
    let Facts::Claimants(names) = &world.facts else { return Ok(()) };
    let new = match attempt.action {
        Action::Create { new } | Action::Update { new, .. } => new,
        Action::Status { .. } | Action::Delete { .. } => return Ok(()),
    };
    match names.iter().find(|name| *name != attempt.name) {
        None => Ok(()),
        Some(other) => Err(Denial::new(
            Rule::CertificateOneForASecret,
            format!(
                "spec.secretName {:?} is that of Certificate {other:?} already",
                secret(new).unwrap_or_default()
            ),
            "name a Secret of its own",
        )),
    }
}
