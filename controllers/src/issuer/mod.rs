//! `Issuer` and `ClusterIssuer`: this controller owns their status, and asks the signer to hold their authority.
//!
//! ```text
//! Wait    the parent has to come first       one write of the status, at most
//! Ensure  the signer is asked at each look   one write of the status, if its answer is new
//! ```

use crate::context::Context;
use crate::error::Error;
use crate::events::{Tell, tell};
use crate::publish::{self, Placed};
use crate::run::LONGEST_REST;
use crate::signer::SignerError;
use crate::timers::Action;
use jiff::{SignedDuration, Timestamp};
use keywright_controllers_core::conditions::{State, find};
use keywright_controllers_core::issuer::decide::{Plan, World, decide, max_leaf};
use keywright_controllers_core::issuer::ready::{Outcome, published, status};
use keywright_controllers_core::issuer::valid::ValidAuthority;
use keywright_crds::AnyIssuer;
use keywright_signer_protocol::v1alpha1::{EnsureAuthorityRequest, ObjectRef};
use std::sync::Arc;
use std::time::Duration;

/// How often the signer is asked whether it still holds an authority.
const RECHECK: Duration = Duration::from_mins(10);
/// How long to wait for the echo of an own write before asking whether it has come.
const ECHO: Duration = Duration::from_secs(5);

/// One look at one issuer.
pub async fn reconcile<I: AnyIssuer + Placed>(issuer: Arc<I>, ctx: Arc<Context>) -> Result<Action, Error> {
    let meta = issuer.meta();
    let uid = meta.uid.clone().unwrap_or_default();
    if meta.deletion_timestamp.is_some() {
        ctx.forget(&uid);
        return Ok(Action::await_change());
    }
    if ctx.writes.outrun(&uid, meta.resource_version.as_deref()) {
        return Ok(Action::requeue(ECHO));
    }
    let now = ctx.clock.now();
    let outcome = match ValidAuthority::parse(issuer.as_ref()) {
        Err(problem) => Outcome::Invalid { problem },
        Ok(authority) => {
            let world = observe(&ctx, issuer.as_ref(), &authority, now);
            let longest = max_leaf(&authority, &world);
            apply(&ctx, issuer.as_ref(), &authority, decide(&authority, &world), longest).await
        }
    };
    say(&ctx, issuer.as_ref(), &outcome, now).await?;
    next_look(&ctx, &uid, &outcome, now)
}

fn observe<I: AnyIssuer>(ctx: &Context, issuer: &I, authority: &ValidAuthority, now: Timestamp) -> World {
    let namespace = issuer.meta().namespace.clone().unwrap_or_default();
    World {
        now,
        parent: authority.parent.as_ref().map(|parent| ctx.caches.standing(parent, &namespace, now)),
        published: issuer.issuer_status().and_then(|s| s.authority.clone()),
    }
}

async fn apply<I: AnyIssuer>(
    ctx: &Context,
    issuer: &I,
    authority: &ValidAuthority,
    plan: Plan,
    max_leaf: Option<SignedDuration>,
) -> Outcome {
    let request = match plan {
        Plan::Wait { on } => {
            return Outcome::Waiting { on, parent: authority.parent.clone().unwrap_or_default() };
        }
        Plan::Ensure { request } => EnsureAuthorityRequest {
            fencing_token: ctx.fencing_token,
            object: Some(ObjectRef {
                kind: I::KIND.name().to_owned(),
                namespace: issuer.meta().namespace.clone().unwrap_or_default(),
                name: issuer.meta().name.clone().unwrap_or_default(),
            }),
            ..*request
        },
    };
    match ctx.signer.ensure_authority(request).await {
        Ok(answer) => match published(&answer, &authority.uid, max_leaf) {
            Ok(shown) => Outcome::Current { authority: Box::new(shown), created: answer.created },
            Err(error) => Outcome::SignerUnavailable { words: format!("its answer does not read: {error}") },
        },
        Err(SignerError::Unavailable(words)) => Outcome::SignerUnavailable { words },
        Err(SignerError::KeyLost(words)) => Outcome::KeyLost { words },
        Err(SignerError::Loosening(words)) => Outcome::LooseningRefused { words },
        // A step of an authority is one of its renewals, which the object's own status counts.
        Err(
            SignerError::Refused(words)
            | SignerError::StaleStep { words, .. }
            | SignerError::ApprovalRequired { words, .. }
            | SignerError::ApprovalInvalid { words, .. }
            | SignerError::PolicyDenied(words),
        ) => Outcome::Refused { words },
    }
}

async fn say<I: AnyIssuer + Placed>(
    ctx: &Context,
    issuer: &I,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<(), Error> {
    let old = issuer.issuer_status().cloned().unwrap_or_default();
    let new = status(&old, outcome, issuer.meta().generation.unwrap_or_default(), now);
    let facts = outcome.facts();
    let said = find(&old.conditions, "Ready")
        .is_some_and(|c| c.reason == facts.reason && c.message == facts.message);
    let worth = match outcome {
        Outcome::Current { created, .. } => *created,
        Outcome::Waiting { .. } | Outcome::SignerUnavailable { .. } => false,
        Outcome::KeyLost { .. }
        | Outcome::Invalid { .. }
        | Outcome::Refused { .. }
        | Outcome::LooseningRefused { .. } => true,
    };
    if worth && !said {
        let note = Tell { warning: facts.state == State::Failed, reason: facts.reason, note: facts.message };
        tell(&ctx.client, issuer, &ctx.identity, &note, now).await;
    }
    publish::status(ctx, issuer, &old, &new).await.map(|_| ())
}

fn next_look(ctx: &Context, uid: &str, outcome: &Outcome, now: Timestamp) -> Result<Action, Error> {
    match outcome {
        Outcome::Current { authority, .. } => {
            ctx.backoff.clear(uid);
            let due = authority.renewal_time.as_ref().map_or(now, |at| at.0);
            let left = Duration::try_from(due.duration_since(now)).unwrap_or(RECHECK);
            Ok(Action::requeue(left.clamp(Duration::from_secs(1), RECHECK.min(LONGEST_REST))))
        }
        Outcome::Invalid { .. } => Ok(Action::await_change()),
        // A parent is watched, but may also become valid by the clock alone. What the signer refused it may hold again after a restore, or allow after a change of its own.
        Outcome::Waiting { .. }
        | Outcome::KeyLost { .. }
        | Outcome::Refused { .. }
        | Outcome::LooseningRefused { .. } => Ok(Action::requeue(RECHECK)),
        Outcome::SignerUnavailable { words } => Err(Error::Told(words.clone())),
    }
}
