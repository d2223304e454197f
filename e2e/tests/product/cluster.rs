//! The objects of these tests and what is asked about them.

use k8s_openapi::api::core::v1::Secret;
use keywright_e2e::{ControlPlane, wait_for};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Enough for everything that these tests wait for, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A self-signed ClusterIssuer; `more` is merged into its authority.
pub(crate) fn root(name: &str, more: Value) -> Value {
    let authority = merged(json!({ "commonName": name, "duration": "8760h" }), more);
    object("ClusterIssuer", json!({ "name": name }), json!({ "authority": authority }))
}

/// An Issuer in `default`, signed by a ClusterIssuer.
pub(crate) fn intermediate(name: &str, parent: &str, more: Value) -> Value {
    let of = json!({ "commonName": name, "duration": "4380h", "issuerRef": { "kind": "ClusterIssuer", "name": parent } });
    let authority = merged(of, more);
    object("Issuer", json!({ "name": name, "namespace": "default" }), json!({ "authority": authority }))
}

/// A Certificate in `default` whose Secret has its name; `more` is merged into its spec.
pub(crate) fn certificate(name: &str, issuer: &str, more: Value) -> Value {
    let spec = json!({
        "secretName": name,
        "dnsNames": [format!("{name}.example.test")],
        "issuerRef": { "kind": "ClusterIssuer", "name": issuer },
    });
    object("Certificate", json!({ "name": name, "namespace": "default" }), merged(spec, more))
}

fn object(kind: &str, metadata: Value, spec: Value) -> Value {
    json!({ "apiVersion": "keywright.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec })
}

/// Top-level members of `more` replace those of `value`; null removes one.
fn merged(mut value: Value, more: Value) -> Value {
    for (key, new) in more.as_object().unwrap() {
        if new.is_null() {
            value.as_object_mut().unwrap().remove(key);
        } else {
            value[key] = new.clone();
        }
    }
    value
}

/// The API for objects of our kinds.
pub(crate) fn api(plane: &ControlPlane, kind: &str) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("keywright.dev", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, &format!("{}s", kind.to_lowercase()));
    match kind {
        "ClusterIssuer" => Api::all_with(plane.client(), &resource),
        _ => Api::namespaced_with(plane.client(), "default", &resource),
    }
}

/// The API for Secrets in `default`.
pub(crate) fn secrets(plane: &ControlPlane) -> Api<Secret> {
    Api::namespaced(plane.client(), "default")
}

/// Creates an object. Errors: as the API server answers.
pub(crate) async fn create(plane: &ControlPlane, value: &Value) -> Result<DynamicObject, kube::Error> {
    let kind = value["kind"].as_str().unwrap();
    let object: DynamicObject = serde_json::from_value(value.clone()).unwrap();
    api(plane, kind).create(&PostParams::default(), &object).await
}

/// Merges `spec` into the spec of an object, as `kubectl patch --type merge` does.
pub(crate) async fn edit(
    plane: &ControlPlane,
    kind: &str,
    name: &str,
    spec: Value,
) -> Result<DynamicObject, kube::Error> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    api(plane, kind).patch(name, &PatchParams::default(), &patch).await
}

/// A condition as "status reason: message", or nothing yet.
pub(crate) fn condition(object: &DynamicObject, type_: &str) -> Option<(String, String, String)> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == type_)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}

/// Whether Ready is True and about the object's newest generation.
pub(crate) fn is_ready(object: &DynamicObject) -> bool {
    object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation
        && condition(object, "Ready").is_some_and(|(status, ..)| status == "True")
}

/// Waits until an object is Ready for its newest generation.
pub(crate) async fn until_ready(plane: &ControlPlane, kind: &str, name: &str) -> DynamicObject {
    until(plane, kind, name, "is Ready", is_ready).await
}

/// Waits until an object looks as wanted; a failure says how it looked last.
pub(crate) async fn until(
    plane: &ControlPlane,
    kind: &str,
    name: &str,
    what: &str,
    wanted: impl Fn(&DynamicObject) -> bool,
) -> DynamicObject {
    let (api, mut last) = (api(plane, kind), None);
    let what = format!("{kind} {name} {what}");
    let seen = wait_for(&what, PATIENCE, async || {
        let object = api.get(name).await?;
        last = condition(&object, "Ready");
        Ok(wanted(&object).then_some(object))
    });
    let seen = seen.await;
    seen.unwrap_or_else(|error| panic!("{error}; its Ready was {last:?}"))
}

/// Waits until all Certificates whose names begin with `prefix` are Ready, `count` of them.
pub(crate) async fn until_all_ready(plane: &ControlPlane, prefix: &str, count: usize) {
    let (api, mut ready) = (api(plane, "Certificate"), 0);
    let what = format!("{count} certificates are Ready");
    let all = wait_for(&what, PATIENCE, async || {
        let list = api.list(&ListParams::default()).await?;
        let named = |object: &&DynamicObject| {
            object.metadata.name.as_ref().is_some_and(|name| name.starts_with(prefix))
        };
        ready = list.items.iter().filter(named).filter(|object| is_ready(object)).count();
        Ok((ready == count).then_some(()))
    });
    let all = all.await;
    all.unwrap_or_else(|error| panic!("{error}; {ready} were"));
}

/// What a Secret holds.
pub(crate) async fn entries(plane: &ControlPlane, name: &str) -> BTreeMap<String, Vec<u8>> {
    let data = secrets(plane).get(name).await.unwrap().data.unwrap_or_default();
    data.into_iter().map(|(key, value)| (key, value.0)).collect()
}
