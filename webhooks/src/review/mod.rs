//! The validating half: whether an attempt may go on. Pure; it trusts only the final object and the [`World`].
//!
//! ```text
//! needs     which facts of the cluster a review of this attempt asks for
//! World     those facts, gathered by the shell; one that could not be had is said to be so, and refuses
//! review    the answer, with the rule and the fix
//! ```
//!
//! | Attempt | Rules, in this order |
//! |---|---|
//! | status | only the operator writes it |
//! | create | the stamp is that of the author, and of no editor; the kind's own rules |
//! | update | the stamp is unchanged, and names who changes the spec; a record keeps its finalizer; the kind's own rules |
//! | delete | records stay by their finalizer; policies |
//!
//! The last of a kind's own rules are the policies of the cluster, for certificates and issuers.

mod approval;
mod certificate;
mod denial;
mod policy;
mod records;
#[cfg(test)]
mod tests;

pub use approval::Ballot;
pub use denial::{Denial, Retry, Rule};

use crate::attempt::{Action, Attempt};
use crate::editors::{self, Own};
use crate::kind::Kind;
use crate::stamp;
use crate::trust::probe;
use keywright_policy::{BundleRef, Found, PolicySet};
use kube::core::DynamicObject;
use std::sync::Arc;

/// Facts of the cluster that a review of an attempt asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// The request says it all.
    Nothing,
    /// Which Certificates of a namespace name a Secret.
    Claimants {
        /// The namespace.
        namespace: String,
        /// The Secret's name.
        secret: String,
    },
    /// The `ApprovalClass` that a request names, and what else its requester has asked for.
    Class {
        /// Its name.
        name: String,
        /// The request's namespace.
        namespace: String,
    },
    /// What a vote is about.
    Ballot {
        /// The vote's namespace.
        namespace: String,
        /// Name of the `ApprovalRequest`.
        request: String,
    },
    /// What lies where the bundle of a policy is to be.
    Bundle(BundleRef),
}

/// The facts that were asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Facts {
    /// None were needed.
    Nothing,
    /// Names of the Certificates that name the Secret, the reviewed one among them if it is stored already.
    Claimants(Vec<String>),
    /// Whether the class is there, and what else waits.
    Class {
        /// True when it is.
        exists: bool,
        /// Requests of the same requester and namespace that wait for people; none while that is not known.
        waiting: Option<usize>,
    },
    /// What the vote is about.
    Ballot(Box<Ballot>),
    /// What lies there.
    Bundle(Found),
    /// They could not be had: why. An attempt that they decide is refused; trying again may help.
    Unknown(String),
}

/// All that a review may look at beside the attempt.
#[derive(Debug)]
pub struct World {
    /// Keywright's own accounts.
    pub own: Own,
    /// The suite's namespace.
    pub namespace: String,
    /// Fingerprint of the bundle under which this process serves.
    pub bundle: String,
    /// The time, RFC 3339 in UTC: what policies are told.
    pub now: String,
    /// How many requests of one requester may wait in one namespace.
    pub most_waiting: usize,
    /// The policies of the cluster; none while they have not been read.
    pub policies: Option<Arc<PolicySet>>,
    /// What [`needs`] asked for.
    pub facts: Facts,
}

/// The answer to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Review {
    /// It may go on; its author is told these warnings.
    Allowed {
        /// Each at most 256 characters, or the API server cuts it.
        warnings: Vec<String>,
    },
    /// It may not.
    Denied(Denial),
}

/// Which facts the review of an attempt asks for.
pub fn needs(attempt: &Attempt<'_>) -> Needs {
    match (attempt.kind, attempt.action) {
        (Kind::Certificate, Action::Create { new }) => certificate::needs(attempt, None, new),
        (Kind::Certificate, Action::Update { old, new }) => certificate::needs(attempt, Some(old), new),
        (Kind::ApprovalRequest | Kind::ApprovalDecision, Action::Create { .. }) => approval::needs(attempt),
        (Kind::Policy, Action::Create { .. } | Action::Update { .. }) => policy::needs(attempt),
        (Kind::ApprovalRequest | Kind::ApprovalDecision, Action::Update { .. })
        | (
            Kind::Issuer | Kind::ClusterIssuer | Kind::ApprovalClass,
            Action::Create { .. } | Action::Update { .. },
        )
        | (_, Action::Status { .. } | Action::Delete { .. }) => Needs::Nothing,
    }
}

/// Whether policies have a say in an attempt.
pub fn asks_policies(attempt: &Attempt<'_>) -> bool {
    policy::judges(attempt.kind) && !matches!(attempt.action, Action::Status { .. })
}

/// Whether an attempt may go on.
pub fn review(attempt: &Attempt<'_>, world: &World) -> Review {
    match judge(attempt, world) {
        Ok(mut warnings) => {
            warnings.extend(certificate::shared_secret(attempt, world));
            Review::Allowed { warnings }
        }
        Err(denial) => Review::Denied(denial),
    }
}

fn judge(attempt: &Attempt<'_>, world: &World) -> Result<Vec<String>, Denial> {
    match attempt.action {
        Action::Status { .. } => operator_only(attempt, world).map(|()| Vec::new()),
        Action::Delete { .. } => policy::judge(attempt, world),
        Action::Create { new } => {
            authentic(attempt, new)?;
            unedited(attempt, new)?;
            no_probe(attempt, world)?;
            own_rules(attempt, world)
        }
        Action::Update { old, new } => {
            frozen(attempt, old, new)?;
            edited(attempt, world, old, new)?;
            kept(attempt, world, old, new)?;
            own_rules(attempt, world)
        }
    }
}

fn operator_only(attempt: &Attempt<'_>, world: &World) -> Result<(), Denial> {
    if attempt.who.username == world.own.operator {
        return Ok(());
    }
    let who = &attempt.who.username;
    Err(Denial::new(
        Rule::StatusOperatorOnly,
        format!(
            "{who:?} may not write the status of a {}: only {:?} does",
            attempt.kind.name(),
            world.own.operator
        ),
        "change the spec, and the operator writes what came of it",
    ))
}

/// The stamp of a new object is its author's.
fn authentic(attempt: &Attempt<'_>, new: &DynamicObject) -> Result<(), Denial> {
    if !stamp::is_stamped(new, attempt.kind) {
        return Err(Denial::new(
            Rule::IdentityMissing,
            "nobody stamped who makes this object".to_owned(),
            "apply the chart's MutatingWebhookConfiguration keywright-webhook again",
        ));
    }
    if stamp::stamped(new, attempt.kind).as_ref() != Some(&attempt.who) {
        return Err(Denial::new(
            Rule::IdentityForged,
            format!("the stamp of who makes this object is not that of {:?}", attempt.who.username),
            "leave it out: it is written at admission; a later webhook may not change it",
        ));
    }
    if attempt.kind.is_record() && !stamp::has_finalizer(new) {
        return Err(Denial::new(
            Rule::RecordKept,
            format!("metadata.finalizers lacks {:?}", stamp::FINALIZER),
            "leave it out: it is written at admission; a later webhook may not take it away",
        ));
    }
    Ok(())
}

/// The webhook's own question to itself, which both halves have seen by now; it is never stored.
fn no_probe(attempt: &Attempt<'_>, world: &World) -> Result<(), Denial> {
    let is_probe = attempt.kind == Kind::Certificate
        && attempt.namespace == world.namespace
        && attempt.name == probe::OBJECT;
    if !is_probe {
        return Ok(());
    }
    if attempt.who.username == world.own.webhook && attempt.dry_run {
        if world.policies.is_none() {
            return Err(policy::unread());
        }
        return Err(Denial::new(
            Rule::Probe,
            probe::words(&world.bundle),
            "this is what a probe wants to hear",
        ));
    }
    Err(Denial::new(
        Rule::Probe,
        format!("the name {:?} is that of the webhook's own probe", probe::OBJECT),
        "choose another one",
    ))
}

fn frozen(attempt: &Attempt<'_>, old: &DynamicObject, new: &DynamicObject) -> Result<(), Denial> {
    if stamp::same(old, new, attempt.kind) {
        return Ok(());
    }
    Err(Denial::new(
        Rule::IdentityFrozen,
        "the stamp of who made this object never changes".to_owned(),
        "leave it as it is, and apply the chart's MutatingWebhookConfiguration keywright-webhook, which restores it",
    ))
}

/// Nobody changed what is new.
fn unedited(attempt: &Attempt<'_>, new: &DynamicObject) -> Result<(), Denial> {
    if !editors::matters(attempt.kind) || editors::noted(new).is_empty() {
        return Ok(());
    }
    Err(Denial::new(
        Rule::IdentityForged,
        format!("annotations {}* of a new object name somebody who changed it", editors::PREFIX),
        "leave them out: they are written at admission; a later webhook may not change them",
    ))
}

/// The stamp of who changed the spec is that of the author of this edit, or unchanged.
fn edited(
    attempt: &Attempt<'_>,
    world: &World,
    old: &DynamicObject,
    new: &DynamicObject,
) -> Result<(), Denial> {
    if !editors::matters(attempt.kind) {
        return Ok(());
    }
    let wanted = editors::wanted(attempt, &world.own).map_err(|why| {
        let fix = "wait until what was asked for has come about, or let somebody edit who did already; an approver can deny \
                   what waits";
        Denial::new(Rule::EditorStamp, why.to_string(), fix)
    })?;
    if editors::noted(new) == wanted {
        return Ok(());
    }
    let (rule, problem) = if editors::is_edit(old, new) {
        let who = &attempt.who.username;
        (Rule::IdentityForged, format!("the stamp of who changes this object is not that of {who:?}"))
    } else {
        (Rule::IdentityFrozen, "the stamp of who changed this object changes with its spec only".to_owned())
    };
    let fix = "leave it as it is: it is written at admission by the chart's MutatingWebhookConfiguration \
               keywright-webhook; a later webhook may not change it";
    Err(Denial::new(rule, problem, fix))
}

/// A record stays until the operator, who knows whether it is in the log, lets it go.
fn kept(
    attempt: &Attempt<'_>,
    world: &World,
    old: &DynamicObject,
    new: &DynamicObject,
) -> Result<(), Denial> {
    let released = stamp::has_finalizer(old) && !stamp::has_finalizer(new);
    if !attempt.kind.is_record() || !released || attempt.who.username == world.own.operator {
        return Ok(());
    }
    Err(Denial::new(
        Rule::RecordKept,
        format!("finalizer {:?} of a {} is the operator's", stamp::FINALIZER, attempt.kind.name()),
        "wait: the operator takes it away when the record is in the log",
    ))
}

/// The facts that decide could be had.
fn observed(world: &World) -> Result<(), Denial> {
    match &world.facts {
        Facts::Unknown(problem) => Err(Denial::unobserved(problem)),
        Facts::Nothing | Facts::Claimants(_) | Facts::Class { .. } | Facts::Ballot(_) | Facts::Bundle(_) => {
            Ok(())
        }
    }
}

/// What only this kind has, and what policies say to it.
fn own_rules(attempt: &Attempt<'_>, world: &World) -> Result<Vec<String>, Denial> {
    match attempt.kind {
        Kind::ApprovalRequest => observed(world).and_then(|()| approval::request(attempt, world))?,
        Kind::ApprovalDecision => observed(world).and_then(|()| approval::vote(attempt, world))?,
        Kind::Policy => observed(world).and_then(|()| policy::compiles(attempt, world))?,
        Kind::Certificate | Kind::Issuer | Kind::ClusterIssuer | Kind::ApprovalClass => {}
    }
    policy::judge(attempt, world)
}
