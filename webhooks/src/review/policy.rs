//! Policies: a bad one is refused when it is written, and good ones judge what they are about.

use super::{Denial, Facts, Needs, Retry, Rule, World};
use crate::attempt::{Action, Attempt};
use crate::kind::Kind;
use keywright_policy::{BundleRef, Denied, Input, Issuer, Member, Outcome, Problem, User};
use kube::core::DynamicObject;
use serde_json::Value;

/// Most warnings that one answer carries, and most characters of one; the API server cuts longer ones.
const WARNINGS: usize = 16;
const WARNING: usize = 250;

/// The bundle of a policy that is written, if it has one.
pub(super) fn needs(attempt: &Attempt<'_>) -> Needs {
    written(attempt).and_then(BundleRef::of).map_or(Needs::Nothing, Needs::Bundle)
}

/// A policy compiles, or is refused with the place; its bundle is there and loads. What is stored already and does not
/// change is left alone, so that it can still be labelled and deleted.
pub(super) fn compiles(attempt: &Attempt<'_>, world: &World) -> Result<(), Denial> {
    let Some(spec) = written(attempt) else { return Ok(()) };
    let found = match &world.facts {
        Facts::Bundle(found) => Some(found),
        Facts::Nothing | Facts::Claimants(_) | Facts::Class { .. } | Facts::Ballot(_) | Facts::Unknown(_) => {
            None
        }
    };
    let member = Member::read(attempt.name, spec, found);
    let Some(problem) = member.problem() else { return Ok(()) };
    let (said, fix, retry) = match problem {
        Problem::DoesNotCompile(problem) => (
            format!("spec.rego.source does not compile: {problem}"),
            "correct it there; `kubectl keywright policy test` finds the same before it is applied",
            Retry::OnChange,
        ),
        Problem::BundleMissing(_) => (
            format!("spec.bundle: {problem}"),
            "apply the ConfigMap first, in the namespace of keywright",
            Retry::Later,
        ),
        Problem::BundleDiffers { .. } => (
            format!("spec.bundle.digest: {problem}"),
            "apply the ConfigMap with the bundle that is meant, or name the digest of the one that is there",
            Retry::Later,
        ),
        Problem::BundleDoesNotLoad(_) => (
            format!("spec.bundle: {problem}"),
            "build it again; `kubectl keywright policy test` finds the same before it is applied",
            Retry::OnChange,
        ),
        Problem::NoEngine => (
            format!("spec.bundle: {problem}"),
            "give the rules as source in spec.rego, or run images that were built with it",
            Retry::OnChange,
        ),
    };
    Err(Denial { retry, ..Denial::new(Rule::PolicyCompiles, said, fix) })
}

/// The spec that is new.
fn written<'a>(attempt: &Attempt<'a>) -> Option<&'a Value> {
    let (old, new) = match attempt.action {
        Action::Create { new } => (None, new),
        Action::Update { old, new } => (Some(old), new),
        Action::Status { .. } | Action::Delete { .. } => return None,
    };
    let spec = new.data.get("spec").unwrap_or(&Value::Null);
    (old.and_then(|old| old.data.get("spec")) != Some(spec)).then_some(spec)
}

/// What policies say to an attempt: warnings, or a refusal.
pub(super) fn judge(attempt: &Attempt<'_>, world: &World) -> Result<Vec<String>, Denial> {
    let Some(input) = input(attempt, world) else { return Ok(Vec::new()) };
    let set = world.policies.as_ref().ok_or_else(unread)?;
    let decision = set.decide(&input);
    let mut warnings: Vec<String> = Vec::new();
    warnings.extend(decision.warnings.iter().map(|one| format!("policy {}: {}", one.policy, one.message)));
    warnings.extend(
        decision
            .audited
            .iter()
            .map(|one| format!("policy {} (audit only, rule {}): {}", one.policy, one.rule, one.message)),
    );
    if let Some(Denied { rule, fix }) = decision.denied() {
        return Err(Denial::new(Rule::Policy, rule, fix));
    }
    if let Outcome::RequireApproval { classes } = decision.outcome {
        warnings.push(format!("policies want an approval before this is issued: {}", classes.join(", ")));
    }
    warnings.truncate(WARNINGS);
    Ok(warnings.into_iter().map(|warning| warning.chars().take(WARNING).collect()).collect())
}

/// Whether policies are about objects of this kind.
pub(super) const fn judges(kind: Kind) -> bool {
    match kind {
        Kind::Certificate | Kind::Issuer | Kind::ClusterIssuer => true,
        Kind::Policy | Kind::ApprovalClass | Kind::ApprovalRequest | Kind::ApprovalDecision => false,
    }
}

/// The refusal while no policy is known.
pub(super) fn unread() -> Denial {
    Denial::unobserved("the list of Policies has not been read yet")
}

/// The question, or none: another kind, or an update of nothing that a policy reads.
fn input(attempt: &Attempt<'_>, world: &World) -> Option<Input> {
    if !judges(attempt.kind) {
        return None;
    }
    let (request, object, old_object) = match attempt.action {
        Action::Create { new } => ("CREATE", read(attempt, new), None),
        Action::Update { old, new } => ("UPDATE", read(attempt, new), Some(read(attempt, old))),
        Action::Delete { old } => ("DELETE", read(attempt, old), None),
        Action::Status { .. } => return None,
    };
    let asked = |object: &Value| {
        let metadata = |field: &str| object["metadata"].get(field).cloned();
        (object.get("spec").cloned(), metadata("labels"), metadata("annotations"))
    };
    if old_object.as_ref().is_some_and(|old| asked(old) == asked(&object)) {
        return None;
    }
    let who = &attempt.who;
    Some(Input {
        request: request.to_owned(),
        issuer: issuer(attempt, &object),
        profile: profile(attempt, &object),
        object,
        old_object,
        user: User {
            username: who.username.clone(),
            uid: who.uid.clone(),
            groups: who.groups.iter().cloned().collect(),
            extra: who.extra.clone(),
        },
        time: world.now.clone(),
        ..Input::default()
    })
}

/// An object as policies read it: without what the API server and controllers keep for themselves.
fn read(attempt: &Attempt<'_>, object: &DynamicObject) -> Value {
    let mut metadata = object.metadata.clone();
    metadata.managed_fields = None;
    metadata.namespace = Some(attempt.namespace.to_owned()).filter(|namespace| !namespace.is_empty());
    let mut read = serde_json::json!({
        "apiVersion": format!("{}/{}", keywright_crds::GROUP, keywright_crds::VERSION),
        "kind": attempt.kind.name(), "metadata": metadata,
    });
    if let Some(spec) = object.data.get("spec") {
        read["spec"] = spec.clone();
    }
    read
}

/// The profile that a Certificate names, by its name alone: what it narrows is known to its issuer, which may not exist yet.
fn profile(attempt: &Attempt<'_>, object: &Value) -> Option<Value> {
    let named = object.pointer("/spec/profile").filter(|_| attempt.kind == Kind::Certificate)?;
    named.as_str().map(|name| serde_json::json!({ "name": name }))
}

/// The issuer that a Certificate names, or the parent that an issuer names.
fn issuer(attempt: &Attempt<'_>, object: &Value) -> Option<Issuer> {
    let place = match attempt.kind {
        Kind::Certificate => "/spec/issuerRef",
        _ => "/spec/authority/issuerRef",
    };
    let reference = object.pointer(place)?;
    let text = |field: &str| reference.get(field).and_then(Value::as_str);
    let kind = text("kind").unwrap_or("Issuer").to_owned();
    let namespace = (kind == "Issuer").then(|| attempt.namespace.to_owned());
    Some(Issuer { kind, name: text("name")?.to_owned(), namespace })
}
