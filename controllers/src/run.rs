//! Runs the controllers of this process for as long as it leads.

use crate::context::Context;
use crate::error::{Error, Retry};
use crate::fair::Gate;
use crate::queue::Queue;
use crate::{certificate, issuer};
use futures::StreamExt;
use kube::runtime::applier;
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Issuers are few, and each look asks the signer.
const ISSUERS_AT_A_TIME: u16 = 8;

/// How often memory is cleared of objects that are gone.
const FORGETTING: Duration = Duration::from_mins(1);

/// Looks at everything once, and from then on at what changed or is due. `concurrency`: certificates at one time.
pub async fn run(ctx: Arc<Context>, concurrency: u16) {
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
        )
    };
    tokio::select! {
        _ = looks => {}
        () = forget_the_gone(&ctx) => {}
    }
}

/// Resolves never.
async fn forget_the_gone(ctx: &Context) {
    loop {
        tokio::time::sleep(FORGETTING).await;
        ctx.forget_the_gone();
    }
}

async fn drive<K, F>(
    store: &Store<K>,
    queue: &Queue<K>,
    concurrency: u16,
    ctx: &Arc<Context>,
    reconcile: impl Fn(Arc<K>, Arc<Context>) -> F + Copy + Send + 'static,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    F: Future<Output = Result<Action, Error>> + Send + 'static,
{
    let wanted = queue.open();
    for object in store.state() {
        queue.push(ObjectRef::from_obj(object.as_ref()));
    }
    let kind = K::kind(&());
    let gate = Arc::new(Gate::new(concurrency));
    let fresh = store.clone();
    applier(
        |object: Arc<K>, ctx| {
            let tenant = object.meta().namespace.clone().unwrap_or_default();
            let (gate, store) = (Arc::clone(&gate), fresh.clone());
            Box::pin(async move {
                let _place = gate.enter(&tenant).await;
                // While it waited at the gate the object may have changed, or gone.
                match store.get(&ObjectRef::from_obj(object.as_ref())) {
                    Some(object) => on_any_core(reconcile(object, ctx)).await,
                    None => Ok(Action::await_change()),
                }
            })
        },
        |object, error, ctx| after(object.as_ref(), error, &ctx),
        Arc::clone(ctx),
        store.clone(),
        wanted.map(Ok::<_, Infallible>),
        // Unbounded: the gate bounds it, and lets the tenants take turns.
        Config::default(),
    )
    .for_each(|looked| {
        if let Err(error) = looked {
            tracing::debug!(%error, kind = %kind, "looked, and did not finish");
        }
        std::future::ready(())
    })
    .await;
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
        Retry::Soon(wait) => wait,
    };
    let name = object.name_any();
    let namespace = object.meta().namespace.as_deref().unwrap_or_default();
    tracing::warn!(kind = %K::kind(&()), namespace, name, %error, wait_seconds = wait.as_secs_f32(), "trying again later");
    Action::requeue(wait)
}

/// The longest rest: even an object that is due in a year is looked at once a day, as clocks are set and events lost.
pub const LONGEST_REST: Duration = Duration::from_hours(24);
