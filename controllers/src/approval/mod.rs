//! `ApprovalRequest`: this controller owns its status, and lets requests and votes go once what they came to is told.
//!
//! ```text
//! not final   class, votes, the right of each voter, the target   one write of the status, if it is new
//! final       nothing follows                                     no write
//! deleted     final first, then told in the signer's log, then the finalizers of its votes and its own are taken away
//! ```
//! It only shows. The signer reads the same records itself before it signs, and decides.

pub(crate) mod ask;
mod observe;
mod release;

use crate::context::Context;
use crate::error::Error;
use crate::events::{Tell, tell};
use crate::publish;
use crate::run::{ECHO, LONGEST_REST};
use crate::timers::Action;
use jiff::Timestamp;
use keywright_approvals::{Phase, records};
use keywright_controllers_core::approval::ready::malformed;
use keywright_controllers_core::approval::request::{Looked, look};
use keywright_controllers_core::conditions::{find, settle};
use keywright_crds::{ApprovalPhase, ApprovalRequest, ApprovalRequestStatus};
use kube::ResourceExt;
use std::sync::Arc;
use std::time::Duration;

/// One look at one request.
pub async fn reconcile(request: Arc<ApprovalRequest>, ctx: Arc<Context>) -> Result<Action, Error> {
    let uid = request.uid().unwrap_or_default();
    if ctx.writes.outrun(&uid, request.resource_version().as_deref()) {
        return Ok(Action::requeue(ECHO));
    }
    let phase = request.status.as_ref().and_then(|status| status.phase).unwrap_or_default();
    if Phase::from(phase).is_terminal() {
        if request.metadata.deletion_timestamp.is_some() {
            release::release(&ctx, &request).await?;
            ctx.forget(&uid);
        }
        return Ok(Action::await_change());
    }
    let now = ctx.clock.now();
    let looked = match decide(&ctx, &request, now).await? {
        Ok(looked) => looked,
        Err(problem) => unreadable(&request, &problem, now),
    };
    let old = own(&request);
    if publish::status(&ctx, request.as_ref(), &old, &looked.status).await? {
        announce(&ctx, &request, &old, &looked.status, now).await;
    }
    ctx.backoff.clear(&uid);
    Ok(looked.due.map_or_else(Action::await_change, |due| {
        let left = Duration::try_from(due.duration_since(now)).unwrap_or(Duration::from_secs(1));
        Action::requeue(left.clamp(Duration::from_secs(1), LONGEST_REST))
    }))
}

/// The status without what others write.
fn own(request: &ApprovalRequest) -> ApprovalRequestStatus {
    ApprovalRequestStatus { notified: Vec::new(), ..request.status.clone().unwrap_or_default() }
}

async fn decide(
    ctx: &Context,
    request: &ApprovalRequest,
    now: Timestamp,
) -> Result<Result<Looked, records::Malformed>, Error> {
    let mut world = observe::observe(ctx, request, now).await?;
    let looked = look(request, &world);
    let given_up = |looked: &Looked| looked.status.phase == Some(ApprovalPhase::Superseded);
    if !looked.as_ref().is_ok_and(given_up) {
        return Ok(looked);
    }
    // That is final, and a cache may be behind: the target is asked itself.
    (world.authors, world.target) = observe::target_now(ctx, request).await?;
    Ok(look(request, &world))
}

/// A request that lacks what admission stamps: it is pending for ever, and says why.
fn unreadable(request: &ApprovalRequest, problem: &records::Malformed, now: Timestamp) -> Looked {
    let old = own(request);
    let generation = request.metadata.generation.unwrap_or_default();
    let status = ApprovalRequestStatus {
        observed_generation: Some(generation),
        phase: Some(old.phase.unwrap_or_default()),
        conditions: settle(&old.conditions, &malformed(problem), generation, now),
        ..old
    };
    Looked { status, due: None }
}

/// A new phase is worth an Event, and a line in the operator's log with all votes.
async fn announce(
    ctx: &Context,
    request: &ApprovalRequest,
    old: &ApprovalRequestStatus,
    new: &ApprovalRequestStatus,
    now: Timestamp,
) {
    if old.phase == new.phase {
        return;
    }
    let (Some(phase), Some(ready)) = (new.phase, find(&new.conditions, "Ready")) else { return };
    let votes: Vec<String> =
        new.votes.iter().map(|vote| format!("{} {:?}", vote.approver, vote.verdict)).collect();
    tracing::info!(
        namespace = request.namespace(),
        name = request.name_any(),
        class = request.spec.approval_class,
        effect = request.spec.effect_digest,
        ?phase,
        ?votes,
        "a request for approval"
    );
    let phase = Phase::from(phase);
    let note = Tell { warning: ready.status == "False", reason: phase.name(), note: ready.message.clone() };
    tell(&ctx.client, request, &ctx.identity, &note, now).await;
}
