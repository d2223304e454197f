//! Runs the controllers of this process for as long as it leads.

use crate::agenda::Agenda;
use crate::context::Context;
use crate::error::{Error, Retry};
use crate::queue::Queue;
use crate::scope::Shelf;
use crate::timers::{Action, Timers};
use crate::trace::trace_id;
use crate::{approval, certificate, confirm, issuer, notice, policy};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kube::api::ObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Issuers are few, and each look asks the signer.
const ISSUERS_AT_A_TIME: u16 = 8;

/// Each is compiled at each look.
const POLICIES_AT_A_TIME: u16 = 2;

/// Requests for approval wait for people.
const REQUESTS_AT_A_TIME: u16 = 8;

/// Requests whose notices are sent: each look may wait for strangers.
const NOTICES_AT_A_TIME: u16 = 8;

/// How long to wait for the echo of an own write before asking whether it has come.
pub(crate) const ECHO: Duration = Duration::from_secs(5);

/// How often memory is cleared of objects that are gone.
const FORGETTING: Duration = Duration::from_mins(1);

/// Looks at everything once, and from then on at what changed or is due. `concurrency`: certificates at one time.
pub fn run(ctx: Arc<Context>, concurrency: u16) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let caches = Arc::clone(&ctx.caches);
        let queues = Arc::clone(&ctx.queues);
        let looks = async {
            tokio::join!(
                drive(&caches.certificates, &queues.certificates, concurrency, &ctx, certificate::reconcile),
                drive(&caches.issuers, &queues.issuers, ISSUERS_AT_A_TIME, &ctx, issuer::reconcile),
                drive(
                    &caches.cluster_issuers,
                    &queues.cluster_issuers,
                    ISSUERS_AT_A_TIME,
                    &ctx,
                    issuer::reconcile
                ),
                drive(&caches.requests, &queues.requests, REQUESTS_AT_A_TIME, &ctx, approval::reconcile),
                drive(&caches.policies, &queues.policies, POLICIES_AT_A_TIME, &ctx, policy::reconcile),
                drive_as(
                    "notice",
                    &caches.requests,
                    &queues.notices,
                    NOTICES_AT_A_TIME,
                    &ctx,
                    notice::reconcile
                ),
            )
        };
        tokio::select! {
            _ = looks => {}
            () = forget_the_gone(&ctx) => {}
            () = confirm::follow(&ctx) => {}
        }
    })
}

/// Resolves never.
async fn forget_the_gone(ctx: &Context) {
    loop {
        tokio::time::sleep(FORGETTING).await;
        ctx.forget_the_gone();
    }
}

/// Drives the controller that is called after its kind.
async fn drive<K, F>(
    store: &Shelf<K>,
    queue: &Queue<K>,
    concurrency: u16,
    ctx: &Arc<Context>,
    reconcile: impl Fn(Arc<K>, Arc<Context>) -> F + Copy + Send + 'static,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    F: Future<Output = Result<Action, Error>> + Send + 'static,
{
    drive_as(&K::kind(&()).to_lowercase(), store, queue, concurrency, ctx, reconcile).await;
}

/// Keeps as many looks under way as there are places, for as long as this process leads. `controller`: its name in metrics.
///
/// Not `kube::runtime::applier`: that one polls every look that is under way or waiting at every step, which with ten
/// thousand of them waiting is most of the work there is.
async fn drive_as<K, F>(
    controller: &str,
    store: &Shelf<K>,
    queue: &Queue<K>,
    concurrency: u16,
    ctx: &Arc<Context>,
    reconcile: impl Fn(Arc<K>, Arc<Context>) -> F + Copy + Send + 'static,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    F: Future<Output = Result<Action, Error>> + Send + 'static,
{
    let mut wanted = queue.open();
    let mut agenda = Agenda::default();
    let mut timers = Timers::default();
    let mut looks = FuturesUnordered::new();
    let controller: Arc<str> = controller.into();
    // Since when: those whose turn has not come.
    let mut waiting = HashMap::new();
    for object in store.state() {
        agenda.want(key(object.meta()), tenant(object.meta().namespace.as_deref()));
        waiting.insert(key(object.meta()), ctx.clock.monotonic());
    }
    loop {
        while looks.len() < usize::from(concurrency.max(1))
            && let Some(next) = agenda.next()
        {
            timers.cancel(&next);
            let began = ctx.clock.monotonic();
            if let Some(since) = waiting.remove(&next) {
                ctx.metrics.waited(&controller, began.saturating_duration_since(since));
            }
            let object = store.get(&next);
            let (ctx, controller) = (Arc::clone(ctx), Arc::clone(&controller));
            looks.push(async move {
                // One that is gone needs no look.
                let Some(object) = object else { return (next, Action::await_change()) };
                let looked = on_any_core(reconcile(Arc::clone(&object), Arc::clone(&ctx))).await;
                let took = ctx.clock.monotonic().saturating_duration_since(began);
                ctx.metrics.looked(&controller, took, looked.is_ok());
                let action = looked.unwrap_or_else(|error| after(object.as_ref(), &error, &ctx));
                (next, action)
            });
        }
        ctx.metrics.waiting(&controller, waiting.len());
        tokio::select! {
            Some(object) = wanted.next() => timers.soon(object),
            Some((looked, action)) = looks.next() => {
                if !agenda.done(&looked, tenant(looked.namespace.as_deref())) {
                    timers.set(looked, action);
                }
            }
            Some(due) = timers.next() => {
                agenda.want(due.clone(), tenant(due.namespace.as_deref()));
                waiting.entry(due).or_insert_with(|| ctx.clock.monotonic());
            }
            // The other end of the queue lives as long as the process.
            else => return,
        }
    }
}

/// Name and namespace, and nothing of what an object is just now.
fn key<K: Resource<DynamicType = ()>>(meta: &ObjectMeta) -> ObjectRef<K> {
    let key = ObjectRef::new(meta.name.as_deref().unwrap_or_default());
    match &meta.namespace {
        Some(namespace) => key.within(namespace),
        None => key,
    }
}

fn tenant(namespace: Option<&str>) -> &str {
    namespace.unwrap_or_default()
}

/// Each look is a task of its own: it may run on any core, and a defect in it ends only itself.
async fn on_any_core<F>(look: F) -> Result<Action, Error>
where
    F: Future<Output = Result<Action, Error>> + Send + 'static,
{
    tokio::spawn(look)
        .await
        .unwrap_or_else(|ended| Err(Error::Told(format!("the look ended early: {ended}"))))
}

fn after<K: Resource<DynamicType = ()>>(object: &K, error: &Error, ctx: &Context) -> Action {
    let uid = object.meta().uid.as_deref().unwrap_or_default();
    let wait = match error.retry() {
        Retry::Backoff => ctx.backoff.failed(uid),
        Retry::Within(most) => ctx.backoff.failed(uid).min(most),
        Retry::Soon(wait) => wait,
    };
    let name = object.name_any();
    let namespace = object.meta().namespace.as_deref().unwrap_or_default();
    let (wait_seconds, trace_id) = (wait.as_secs_f32(), trace_id(object.meta()));
    tracing::warn!(kind = %K::kind(&()), namespace, name, %error, wait_seconds, trace_id, "trying again later");
    Action::requeue(wait)
}

/// The longest rest: even an object that is due in a year is looked at once a day, as clocks are set and events lost.
pub const LONGEST_REST: Duration = Duration::from_hours(24);
