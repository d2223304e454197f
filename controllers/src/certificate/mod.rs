//! `Certificate`: this controller owns the Secret that a Certificate names, and the Certificate's status.
//!
//! ```text
//! Rest       nothing to do                       no write
//! Wait       the issuer has to come first        one write of the status, at most
//! Stop       only a person can mend it           one write of the status, at most
//! Sign       as a rule: a key, a request to the signer      one write of the Secret, one of the status, one Event
//! Republish  the Secret is written again         one write of the Secret, one of the status, at most
//! ```
//!
//! A private key exists only in memory until the Secret is written. A crash before that costs one signature, which the
//! signer records as superseded when the next process asks with the same request key and another public key.

mod apply;
mod observe;
mod people;
mod question;
mod unpublished;

pub use unpublished::Unpublished;

use self::apply::Applied;
use crate::approval::ask;
use crate::context::Context;
use crate::error::Error;
use crate::events::{Tell, tell};
use crate::publish;
use crate::run::{ECHO, LONGEST_REST};
use crate::timers::Action;
use crate::trace::{self, Look};
use jiff::Timestamp;
use keywright_controllers_core::certificate::decide::{Blocked, decide, untouched};
use keywright_controllers_core::certificate::ready::{Outcome, at_rest, invalid, issued_note};
use keywright_controllers_core::certificate::status::status;
use keywright_controllers_core::certificate::valid::ValidCertificate;
use keywright_controllers_core::conditions::{State, find};
use keywright_crds::Certificate;
use keywright_telemetry::Span;
use kube::ResourceExt;
use std::sync::Arc;
use std::time::Duration;

/// How often to look whether somebody has taken an obstacle away that no watch tells of.
const OBSTACLE: Duration = Duration::from_secs(30);
/// How often to ask again what a policy denied: policies change without a word to the object, and each denial is an entry
/// of the signer's log.
const POLICIES: Duration = Duration::from_mins(10);
/// What is waited for is watched; but a clock alone can bring it too: an authority that is valid only later.
const WAITING: Duration = Duration::from_mins(10);
/// One look at one Certificate.
pub async fn reconcile(cert: Arc<Certificate>, ctx: Arc<Context>) -> Result<Action, Error> {
    let uid = cert.uid().unwrap_or_default();
    if cert.metadata.deletion_timestamp.is_some() {
        ctx.forget(&uid);
        return Ok(Action::await_change());
    }
    if ctx.writes.outrun(&uid, cert.resource_version().as_deref()) {
        return Ok(Action::requeue(ECHO));
    }
    let mut traced = Look::at(&ctx.tracer, cert.as_ref());
    let looked = attend(&ctx, &cert, &uid, &mut traced).await;
    traced.end(&looked);
    looked
}

/// Looks, does what there is to do, says what is so then.
async fn attend(ctx: &Context, cert: &Certificate, uid: &str, traced: &mut Look) -> Result<Action, Error> {
    let now = ctx.clock.now();
    let Applied { outcome, secret, filing } = match ValidCertificate::parse(cert) {
        Err(problem) => invalid(problem, &cert.spec.secret_name).into(),
        Ok(valid) => look(ctx, cert, &valid, now, traced).await?,
    };
    if let Outcome::Current { leaf, .. } = &outcome {
        ctx.confirmations.published(cert, uid, leaf);
        // Before the status tells that the approval was used: afterwards nobody looks for the key any more.
        people::wipe(ctx, cert).await?;
    }
    say(ctx, cert, &outcome, secret, now, traced).await?;
    if let Some(filing) = filing {
        ask::file(ctx, filing).await?;
    }
    next_look(ctx, uid, &outcome, now)
}

/// What is so after this look.
async fn look(
    ctx: &Context,
    cert: &Certificate,
    valid: &ValidCertificate,
    now: Timestamp,
    traced: &mut Look,
) -> Result<Applied, Error> {
    let issuer = ctx.caches.standing(&valid.issuer, &valid.namespace, now);
    let known = cert.status.clone().unwrap_or_default();
    let glance = ctx.caches.glance(&valid.namespace, &valid.secret_name);
    let superseded = ctx.confirmations.superseded(&valid.uid);
    let untouched = untouched(valid, &known, &issuer, glance.as_ref(), now);
    if let Some(leaf) = untouched.filter(|leaf| superseded.as_ref() != Some(&leaf.serial)) {
        let outcome = Outcome::Current { leaf, renewed: false };
        return Ok(Applied { outcome, secret: known.secret_resource_version, filing: None });
    }
    let mut world = observe::observe(ctx, cert, valid, issuer, now).await?;
    let plan = decide(valid, &world);
    tracing::debug!(namespace = valid.namespace, name = valid.name, ?plan, "decided");
    match at_rest(&plan, valid) {
        Some(outcome) => Ok(Applied { outcome, secret: observe::version(&world), filing: None }),
        None => apply::apply(ctx, cert, valid, plan, &mut world, traced).await,
    }
}

async fn say(
    ctx: &Context,
    cert: &Certificate,
    outcome: &Outcome,
    secret: Option<String>,
    now: Timestamp,
    traced: &mut Look,
) -> Result<(), Error> {
    let old = cert.status.clone().unwrap_or_default();
    let generation = cert.metadata.generation.unwrap_or_default();
    let mut new = status(&old, outcome, generation, cert.spec.revision_history(), now);
    if matches!(outcome, Outcome::Current { .. }) {
        new.secret_resource_version = secret;
    }
    let note = note(cert, outcome);
    let event = async {
        if let Some(note) = &note {
            tell(&ctx.client, cert, &ctx.identity, note, now).await;
        }
    };
    traced.outcome(outcome.facts().reason);
    let request = if old == new { Span::off() } else { traced.request("publish status") };
    let (written, ()) = futures::join!(publish::status(ctx, cert, &old, &new), event);
    trace::end(request, &written, Error::name);
    written.map(|_| ())
}

/// The Event that this outcome is worth: a certificate that was made, or a state that needs a person and is new.
fn note(cert: &Certificate, outcome: &Outcome) -> Option<Tell> {
    let facts = outcome.facts();
    if let Outcome::Current { leaf, renewed: true } = outcome {
        let note = ValidCertificate::parse(cert).ok().map(|valid| issued_note(leaf, &valid))?;
        return Some(Tell { warning: false, reason: facts.reason, note });
    }
    let before = cert.status.as_ref().and_then(|s| find(&s.conditions, "Ready"));
    let said = before.is_some_and(|c| c.reason == facts.reason && c.message == facts.message);
    let person = facts.state == State::Failed;
    (person && !said).then_some(Tell { warning: true, reason: facts.reason, note: facts.message })
}

fn next_look(ctx: &Context, uid: &str, outcome: &Outcome, now: Timestamp) -> Result<Action, Error> {
    match outcome {
        Outcome::Current { leaf, .. } => {
            ctx.backoff.clear(uid);
            // A key that was kept because the answer to its publication got lost is of no use any more.
            ctx.unpublished.forget(uid);
            let left = leaf.renewal.duration_since(now);
            let left =
                Duration::try_from(left).unwrap_or(OBSTACLE).clamp(Duration::from_secs(1), LONGEST_REST);
            Ok(Action::requeue(left))
        }
        Outcome::Waiting { .. } | Outcome::AwaitingApproval { .. } => Ok(Action::requeue(WAITING)),
        Outcome::Blocked { because, .. } => match because {
            Blocked::Spec(_) | Blocked::Limits(_) | Blocked::Refused { .. } | Blocked::Approval(_) => {
                Ok(Action::await_change())
            }
            Blocked::Rival { .. } | Blocked::Secret(_) => Ok(Action::requeue(OBSTACLE)),
        },
        Outcome::PolicyDenied { .. } => Ok(Action::requeue(POLICIES)),
        Outcome::ApprovalNotTaken { words, .. }
        | Outcome::SignerUnavailable { words, .. }
        | Outcome::AnswerUnusable { words, .. }
        | Outcome::SecretNotWritten { words, .. } => Err(Error::Told(words.clone())),
        Outcome::PoliciesChange { words, .. } => Err(Error::PoliciesChange(words.clone())),
    }
}
