//! One admission through the API server and back: the proof that this webhook can be reached and is trusted.
//!
//! A dry run, as server-side apply, of a Certificate that never exists. The mutating half stamps it as any other; the
//! validating half refuses it and names its bundle. The configurations send this one object by webhooks of their own,
//! to a Service that also reaches processes that are not ready yet, so that ordinary reviews only go to ready ones.

use super::presented::fingerprint;
use crate::NAME;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use serde_json::json;

/// Name of the Certificate that is never stored.
pub const OBJECT: &str = "keywright-webhook-probe";

/// The probe did not come back as it should. Trying again helps once the rest of the installation is there.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// The API server admitted the object without asking.
    #[error(
        "the API server admits objects without asking keywright-webhook: apply the chart's webhook configurations"
    )]
    NotAsked,
    /// The API server, or a webhook with another bundle, answered otherwise.
    #[error("a dry-run admission was answered otherwise than by a webhook with this bundle: {0}")]
    Otherwise(String),
    /// The API server could not be asked.
    #[error("a dry-run admission could not be asked for: {0}")]
    NotSent(#[source] Box<kube::Error>),
}

/// What the validating half says to the probe: by this the prober knows the bundle of whoever answered.
pub fn words(fingerprint: &str) -> String {
    format!("this probe was reviewed under the bundle {fingerprint}")
}

/// Sends the probe. Ok: it came back from a webhook that has `bundle` in its Secret.
pub async fn run(certificates: &Api<DynamicObject>, bundle: &str) -> Result<(), Unproven> {
    let object = json!({
        "apiVersion": "keywright.dev/v1alpha1",
        "kind": "Certificate",
        "metadata": { "name": OBJECT },
        "spec": {
            "secretName": OBJECT,
            "dnsNames": ["probe.invalid"],
            "issuerRef": { "kind": "ClusterIssuer", "name": OBJECT },
        },
    });
    let params = PatchParams { dry_run: true, ..PatchParams::apply(NAME) };
    match certificates.patch(OBJECT, &params, &Patch::Apply(object)).await {
        Ok(_) => Err(Unproven::NotAsked),
        Err(kube::Error::Api(status)) if status.message.contains(&words(&fingerprint(bundle))) => Ok(()),
        Err(kube::Error::Api(status)) => Err(Unproven::Otherwise(status.message)),
        Err(error) => Err(Unproven::NotSent(Box::new(error))),
    }
}

/// The API of Certificates in a namespace, without their type: the probe has to know nothing of it.
pub fn certificates(client: kube::Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client, namespace, &ApiResource::erase::<keywright_crds::Certificate>(&()))
}
