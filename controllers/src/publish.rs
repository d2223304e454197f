//! Writes a status, if it differs from what is there.

use crate::context::{Context, FIELD_MANAGER};
use crate::error::Error;
use kube::api::{Api, Patch, PatchParams};
use kube::core::{ClusterResourceScope, NamespaceResourceScope};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// A kind whose objects know where they live.
pub trait Placed:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    /// The API of the place where this object lives.
    fn api(&self, client: &Client) -> Api<Self>;
}

impl Placed for keywright_crds::Certificate {
    fn api(&self, client: &Client) -> Api<Self> {
        namespaced(self, client)
    }
}

impl Placed for keywright_crds::ApprovalRequest {
    fn api(&self, client: &Client) -> Api<Self> {
        namespaced(self, client)
    }
}

impl Placed for keywright_crds::Issuer {
    fn api(&self, client: &Client) -> Api<Self> {
        namespaced(self, client)
    }
}

impl Placed for keywright_crds::Policy {
    fn api(&self, client: &Client) -> Api<Self> {
        cluster(client)
    }
}

impl Placed for keywright_crds::ClusterIssuer {
    fn api(&self, client: &Client) -> Api<Self> {
        cluster(client)
    }
}

fn namespaced<K>(object: &K, client: &Client) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
}

fn cluster<K: Resource<DynamicType = (), Scope = ClusterResourceScope>>(client: &Client) -> Api<K> {
    Api::all(client.clone())
}

/// Applies `new` as the status of `object`, unless it equals `old`. True when something was written.
///
/// One server-side apply under our own field manager, bound to the object's UID: one deleted and made again meanwhile
/// is left alone (the API server answers with a conflict).
pub async fn status<K: Placed, S: Serialize + PartialEq>(
    ctx: &Context,
    object: &K,
    old: &S,
    new: &S,
) -> Result<bool, Error> {
    if old == new {
        return Ok(false);
    }
    let body = serde_json::json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": { "name": object.name_any(), "uid": object.uid() },
        "status": new,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let written =
        object.api(&ctx.client).patch_status(&object.name_any(), &params, &Patch::Apply(body)).await?;
    ctx.writes.record(&object.uid().unwrap_or_default(), written.resource_version().as_deref());
    Ok(true)
}
