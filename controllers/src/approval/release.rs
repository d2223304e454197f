//! Lets a request that is being deleted go, and its votes, once what they came to is in the signer's log: their finalizers
//! are taken away.
//!
//! ```text
//! reported to the signer --in its log----------------------------> votes let go --> request let go
//!                       \--it reads no requests (its own words)--/
//!                        \--anything else: tried again, nothing is let go
//! ```
//! The signer answers a second report as the first, so a crash anywhere starts over.

use crate::context::Context;
use crate::error::Error;
use crate::events::{Tell, tell};
use crate::signer::EndReport;
use keywright_controllers_core::approval::KEPT;
use keywright_crds::{ApprovalDecision, ApprovalRequest};
use keywright_signer_protocol::v1alpha1::LogEndedApprovalRequest;
use kube::api::{Api, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;

/// Votes before the request: what remains of an interrupted release is still found through it.
pub(super) async fn release(ctx: &Context, request: &ApprovalRequest) -> Result<(), Error> {
    let namespace = request.namespace().unwrap_or_default();
    let uid = request.uid().unwrap_or_default();
    let votes = ctx.caches.votes_for(&uid);
    if !is_kept(request) && !votes.iter().any(|vote| is_kept(vote.as_ref())) {
        return Ok(());
    }
    let report = LogEndedApprovalRequest { namespace: namespace.clone(), name: request.name_any(), uid };
    match ctx.signer.log_ended_approval(report).await {
        Ok(EndReport::Logged) => {}
        Ok(EndReport::NoRecords) => tracing::info!(
            namespace,
            name = request.name_any(),
            "a request for approval is let go without an entry in the signer's log: the signer reads none"
        ),
        Err(error) => {
            let error = Error::NotLogged(error.to_string());
            let note = Tell { warning: true, reason: "NotLogged", note: error.to_string() };
            tell(&ctx.client, request, &ctx.identity, &note, ctx.clock.now()).await;
            return Err(error);
        }
    }
    let decisions = Api::<ApprovalDecision>::namespaced(ctx.client.clone(), &namespace);
    for vote in votes {
        take_away(&decisions, vote.as_ref()).await?;
    }
    take_away(&Api::<ApprovalRequest>::namespaced(ctx.client.clone(), &namespace), request).await
}

fn is_kept(object: &impl ResourceExt) -> bool {
    object.finalizers().iter().any(|name| name == KEPT)
}

async fn take_away<K>(api: &Api<K>, object: &K) -> Result<(), Error>
where
    K: Resource<Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
{
    if !is_kept(object) {
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
