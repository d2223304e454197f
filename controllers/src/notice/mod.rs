//! Notices of `ApprovalRequest`s: this controller owns `status.notified`, by a field manager of its own.
//!
//! ```text
//! due ---> target rests after a failure ---> later
//!      |-> Secret unusable, or refused for good ---> told by an Event, later only with another Secret
//!      |-> posted, no good answer ---> the target rests, longer each time or as long as it asks
//!      `-> delivered ---> recorded: one write for all targets of a look
//! ```
//! Sent first and recorded then, so a crash between the two sends it again: at least once. Nothing waits for it: it has a
//! queue of its own, beside the controller that decides what a request comes to.

mod memory;
mod post;
mod send;

pub use post::{Answer, Https, PATIENCE, Parcel, Post, Unanswered};

use crate::context::Context;
use crate::error::Error;
use crate::publish::Placed;
use crate::run::{ECHO, LONGEST_REST};
use crate::timers::Action;
use futures::future::join_all;
use keywright_controllers_core::notice::{Notice, due, recorded};
use keywright_crds::{ApprovalClassSpec, ApprovalRequest, NotifyTarget};
use kube::api::{Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use memory::Memory;
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The field manager of `status.notified`.
pub const FIELD_MANAGER: &str = "keywright-notices";

/// What sending notices takes.
pub struct Notices {
    post: Arc<dyn Post>,
    namespace: String,
    memory: Memory,
}

impl Notices {
    /// `namespace`: where the Secrets are that classes name, the operator's own.
    pub fn new(post: Arc<dyn Post>, namespace: String) -> Self {
        Self { post, namespace, memory: Memory::default() }
    }

    pub(crate) fn keep_only(&self, live: &HashSet<String>, now: Instant) {
        self.memory.keep_only(live, now);
    }
}

/// One look at one request.
pub async fn reconcile(request: Arc<ApprovalRequest>, ctx: Arc<Context>) -> Result<Action, Error> {
    let uid = request.uid().unwrap_or_default();
    if ctx.writes.outrun(&uid, request.resource_version().as_deref()) {
        return Ok(Action::requeue(ECHO));
    }
    let name = &request.spec.approval_class;
    let Some(class) = ctx.caches.classes.get(&ObjectRef::new(name)) else {
        return Ok(Action::await_change());
    };
    let now = ctx.clock.now();
    let found = due(&request, &class.spec, now);
    let waiting = found.next.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
    let for_target = |target: &NotifyTarget| -> Vec<Notice<'_>> {
        found.now.iter().filter(|notice| notice.target.name == target.name).copied().collect()
    };
    let targets = class.spec.notify.iter().map(|target| (target, for_target(target)));
    let targets = targets.filter(|(_, notices)| !notices.is_empty());
    let left =
        join_all(targets.map(|(target, notices)| send::send(&ctx, &request, target, notices, now))).await;
    record(&ctx, &request, &class.spec).await?;
    let next = left.into_iter().flatten().chain(waiting).min();
    Ok(next.map_or_else(Action::await_change, |wait| {
        Action::requeue(wait.clamp(Duration::from_secs(1), LONGEST_REST))
    }))
}

/// Records what was delivered and is not recorded yet; nothing new is no write.
async fn record(ctx: &Context, request: &ApprovalRequest, class: &ApprovalClassSpec) -> Result<(), Error> {
    let uid = request.uid().unwrap_or_default();
    let delivered: Vec<String> = ctx.notices.memory.delivered(&uid).into_iter().collect();
    let old = request.status.as_ref().map(|status| status.notified.as_slice()).unwrap_or_default();
    if delivered.iter().all(|mark| old.contains(mark)) {
        ctx.notices.memory.recorded(&uid);
        return Ok(());
    }
    let body = json!({
        "apiVersion": ApprovalRequest::api_version(&()),
        "kind": ApprovalRequest::kind(&()),
        // One that was deleted and made again meanwhile is another one.
        "metadata": { "name": request.name_any(), "uid": uid },
        "status": { "notified": recorded(old, &delivered, class) },
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let written =
        request.api(&ctx.client).patch_status(&request.name_any(), &params, &Patch::Apply(body)).await?;
    ctx.writes.record(&uid, written.resource_version().as_deref());
    ctx.notices.memory.recorded(&uid);
    Ok(())
}
