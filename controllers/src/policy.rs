//! `Policy`: this controller owns its status, which tells people whether it can be asked. It decides nothing: admission
//! and the signer read and compile policies themselves.

use crate::context::Context;
use crate::error::Error;
use crate::publish;
use crate::run::ECHO;
use crate::timers::Action;
use keywright_controllers_core::policy::status;
use keywright_crds::Policy;
use keywright_policy::Member;
use kube::ResourceExt;
use std::sync::Arc;

/// One look at one policy.
pub async fn reconcile(policy: Arc<Policy>, ctx: Arc<Context>) -> Result<Action, Error> {
    let uid = policy.uid().unwrap_or_default();
    if ctx.writes.outrun(&uid, policy.resource_version().as_deref()) {
        return Ok(Action::requeue(ECHO));
    }
    let member = Member::read(&policy.name_any(), &serde_json::json!(policy.spec));
    let problem = member.problem().map(ToString::to_string);
    let old = policy.status.clone().unwrap_or_default();
    let new = status(&policy, member.digest(), problem.as_deref(), ctx.clock.now());
    publish::status(&ctx, policy.as_ref(), &old, &new).await?;
    ctx.backoff.clear(&uid);
    Ok(Action::await_change())
}
