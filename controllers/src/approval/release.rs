//! Lets a request that is being deleted go, and its votes: their finalizers are taken away.

use crate::context::Context;
use crate::error::Error;
use keywright_controllers_core::approval::KEPT;
use keywright_crds::{ApprovalDecision, ApprovalRequest};
use kube::api::{Api, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;

/// Votes first: what remains of an interrupted release is still found through its request.
pub(super) async fn release(ctx: &Context, request: &ApprovalRequest) -> Result<(), Error> {
    let namespace = request.namespace().unwrap_or_default();
    for vote in ctx.caches.votes_for(&request.uid().unwrap_or_default()) {
        let votes = Api::<ApprovalDecision>::namespaced(ctx.client.clone(), &namespace);
        take_away(&votes, vote.as_ref()).await?;
    }
    take_away(&Api::<ApprovalRequest>::namespaced(ctx.client.clone(), &namespace), request).await
}

async fn take_away<K>(api: &Api<K>, object: &K) -> Result<(), Error>
where
    K: Resource<Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
{
    if !object.finalizers().iter().any(|name| name == KEPT) {
        return Ok(());
    }
    let others: Vec<&String> = object.finalizers().iter().filter(|name| *name != KEPT).collect();
    // Bound to this version: another finalizer that came meanwhile stays.
    let patch = json!({"metadata": {"resourceVersion": object.resource_version(), "finalizers": others}});
    match api.patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}
