//! `Policy`: this controller owns its status, which tells people whether it can be asked. It decides nothing: what policies
//! say is asked where it matters, at admission, before a request to the signer, and in the signer.

use crate::context::Context;
use crate::error::Error;
use crate::publish;
use crate::run::ECHO;
use crate::timers::Action;
use crate::verdict::compile;
use keywright_controllers_core::policy::status;
use keywright_crds::Policy;
use kube::ResourceExt;
use std::sync::Arc;

/// One look at one policy.
pub async fn reconcile(policy: Arc<Policy>, ctx: Arc<Context>) -> Result<Action, Error> {
    let uid = policy.uid().unwrap_or_default();
    if ctx.writes.outrun(&uid, policy.resource_version().as_deref()) {
        return Ok(Action::requeue(ECHO));
    }
    let member = compile(&policy);
    let problem = member.problem().map(ToString::to_string);
    let old = policy.status.clone().unwrap_or_default();
    let new = status(&policy, member.digest(), problem.as_deref(), ctx.clock.now());
    publish::status(&ctx, policy.as_ref(), &old, &new).await?;
    ctx.backoff.clear(&uid);
    Ok(Action::await_change())
}
