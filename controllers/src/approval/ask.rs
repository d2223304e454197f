//! Asks people: files requests, and finds those that were filed.

use crate::context::{Context, FIELD_MANAGER};
use crate::error::Error;
use keywright_approvals::EffectDigest;
use keywright_controllers_core::approval::consent::{Filed, agreed};
use keywright_crds::{ApprovalRequest, ObjectApproval, TargetRef};
use keywright_policy::Approval;
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use std::sync::Arc;

/// Granted requests, as policies are shown them.
pub(crate) fn shown_to_policies(filed: &[Filed]) -> Vec<Approval> {
    let one = |one: &Filed| Approval {
        class: one.request.spec.approval_class.clone(),
        approvers: agreed(&one.request),
    };
    filed.iter().map(one).collect()
}

/// Requests to file.
pub(crate) struct Filing(pub(crate) Vec<ApprovalRequest>);

/// Files the requests; one that is there already is the same one.
pub(crate) async fn file(ctx: &Context, Filing(requests): Filing) -> Result<(), Error> {
    for request in requests {
        let namespace = request.namespace().unwrap_or_default();
        let api = Api::<ApprovalRequest>::namespaced(ctx.client.clone(), &namespace);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match api.create(&params, &request).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The namespace of an object's requests: its own, or the operator's where it has none.
pub(crate) fn namespace_of(ctx: &Context, target: &TargetRef) -> String {
    if target.namespace.is_empty() { ctx.namespace.clone() } else { target.namespace.clone() }
}

/// What was filed. A request that the cache has not seen yet is read: asking the signer in vain would be one more refusal
/// in its log. `told`: what the object's status says.
pub(crate) async fn filed(
    ctx: &Context,
    target: &TargetRef,
    told: Option<&ObjectApproval>,
    digest: &EffectDigest,
    again: Option<&str>,
) -> Result<Vec<Filed>, Error> {
    let filed = ctx.caches.filed(target, digest, again);
    let Some(told) = told.filter(|told| filed.is_empty() && told.effect_digest == digest.to_string()) else {
        return Ok(filed);
    };
    let requests = Api::<ApprovalRequest>::namespaced(ctx.client.clone(), &namespace_of(ctx, target));
    let found = requests.get_opt(&told.request).await?;
    let found = found.filter(|request| request.spec.effect_digest == told.effect_digest);
    Ok(found.into_iter().map(|request| Filed { request: Arc::new(request), votes: Vec::new() }).collect())
}
