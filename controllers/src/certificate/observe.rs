//! Gathers what a decision about a Certificate may look at. Reads only.

use crate::context::{Context, FIELD_MANAGER};
use crate::error::Error;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use keywright_controllers_core::certificate::decide::World;
use keywright_controllers_core::certificate::held::{Found, read};
use keywright_controllers_core::certificate::valid::ValidCertificate;
use keywright_controllers_core::issuer::Standing;
use keywright_crds::Certificate;
use kube::api::Api;

/// The world around `cert`. The Secret is read from the API server itself, never from a cache.
pub(super) async fn observe(
    ctx: &Context,
    cert: &Certificate,
    valid: &ValidCertificate,
    issuer: Standing,
    now: Timestamp,
) -> Result<World, Error> {
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), &valid.namespace);
    let secret = secrets.get_opt(&valid.secret_name).await?;
    let revision = cert.status.as_ref().and_then(|s| s.revision).and_then(|r| u64::try_from(r).ok());
    Ok(World {
        now,
        issuer,
        rivals: ctx.caches.rivals(cert),
        found: read(secret, FIELD_MANAGER),
        revision: revision.unwrap_or(0).max(ctx.unpublished.newest(&valid.uid)),
        superseded: ctx.confirmations.superseded(&valid.uid),
        published: cert.status.as_ref().and_then(|s| {
            let index = s.log_index.and_then(|index| u64::try_from(index).ok())?;
            Some((s.serial_number.clone()?, index))
        }),
    })
}

/// The resourceVersion of the Secret that was read.
pub(super) fn version(world: &World) -> Option<String> {
    match &world.found {
        Found::Ours(held) => held.version.clone(),
        Found::Nothing | Found::Blocked(_) => None,
    }
}
