//! `Policy`: this controller owns its status, which tells people whether it can be asked. What it has read, bundles included,
//! is asked before a request to the signer; admission and the signer read and compile policies themselves.

use crate::context::Context;
use crate::error::Error;
use crate::publish;
use crate::run::ECHO;
use crate::timers::Action;
use k8s_openapi::api::core::v1::ConfigMap;
use keywright_controllers_core::policy::{Unasked, status};
use keywright_crds::{Policy, bundle_bytes};
use keywright_policy::{BundleRef, Found, Member};
use kube::{Api, ResourceExt};
use std::sync::Arc;

/// One look at one policy.
pub async fn reconcile(policy: Arc<Policy>, ctx: Arc<Context>) -> Result<Action, Error> {
    let uid = policy.uid().unwrap_or_default();
    if ctx.writes.outrun(&uid, policy.resource_version().as_deref()) {
        return Ok(Action::requeue(ECHO));
    }
    let (name, spec) = (policy.name_any(), serde_json::json!(policy.spec));
    let found = match BundleRef::of(&spec) {
        Some(at) => Some(find(&ctx, &at).await?),
        None => None,
    };
    // To load a bundle takes some tenths of a second, which must not hold up other looks.
    let member = tokio::task::spawn_blocking(move || Member::read(&name, &spec, found.as_ref())).await;
    let member = member.map_err(|ended| Error::Told(format!("compiling ended early: {ended}")))?;
    let problem =
        member.problem().map(|problem| Unasked { reason: problem.reason(), problem: problem.to_string() });
    let digest = member.digest().to_owned();
    ctx.compiled.keep(&policy, Arc::new(member));
    let old = policy.status.clone().unwrap_or_default();
    let new = status(&policy, &digest, problem.as_ref(), ctx.clock.now());
    publish::status(&ctx, policy.as_ref(), &old, &new).await?;
    ctx.backoff.clear(&uid);
    Ok(Action::await_change())
}

/// What lies where its bundle is to be. The watch of ConfigMaps asks for another look when that changes.
async fn find(ctx: &Context, at: &BundleRef) -> Result<Found, Error> {
    let api: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), &ctx.namespace);
    let config_map = api.get_opt(&at.config_map_ref.name).await?;
    let bytes = config_map.as_ref().and_then(|config_map| bundle_bytes(config_map, &at.config_map_ref.key));
    Ok(Found::in_cluster(at, &ctx.namespace, config_map.is_some(), bytes))
}
