//! The objects of these tests.

use keywright_e2e::ControlPlane;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, Error};
use serde_json::{Value, json};
use std::time::Duration;

/// Enough for everything that these tests wait for, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A Certificate in `default` whose Secret has its name.
pub(crate) fn certificate(name: &str) -> Value {
    json!({
        "apiVersion": "keywright.dev/v1alpha1", "kind": "Certificate",
        "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "secretName": name, "dnsNames": [format!("{name}.example.test")],
            "issuerRef": { "kind": "ClusterIssuer", "name": "root" },
        },
    })
}

/// A self-signed ClusterIssuer called root.
pub(crate) fn root() -> Value {
    json!({
        "apiVersion": "keywright.dev/v1alpha1", "kind": "ClusterIssuer", "metadata": { "name": "root" },
        "spec": { "authority": { "commonName": "root", "duration": "8760h" } },
    })
}

/// The API for Certificates in `default`.
pub(crate) fn certificates(client: Client) -> Api<DynamicObject> {
    certificates_of(client, "default")
}

/// The API for Certificates of a namespace.
pub(crate) fn certificates_of(client: Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client, namespace, &resource("Certificate", "certificates"))
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("keywright.dev", "v1alpha1", kind), plural)
}

/// Creates a Certificate or ClusterIssuer as `client`.
pub(crate) async fn create(client: Client, value: &Value) -> Result<DynamicObject, Error> {
    let object: DynamicObject = serde_json::from_value(value.clone()).unwrap();
    let api = match value["kind"].as_str() {
        Some("ClusterIssuer") => Api::all_with(client, &resource("ClusterIssuer", "clusterissuers")),
        _ => certificates(client),
    };
    api.create(&PostParams::default(), &object).await
}

/// The API server's words to a refusal.
pub(crate) fn words<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    match answer {
        Err(Error::Api(status)) => status.message,
        other => panic!("no refusal: {other:?}"),
    }
}

/// A client of the admin's that acts as somebody else, who may do anything.
pub(crate) async fn acting_as(plane: &ControlPlane, user: &str, groups: &[&str]) -> Client {
    let binding = format!("--clusterrole=cluster-admin --user={user}");
    let mut args = vec!["create", "clusterrolebinding", user];
    args.extend(binding.split(' '));
    plane.kubectl(&args).unwrap();
    let kubeconfig = kube::config::Kubeconfig::read_from(plane.site().kubeconfig()).unwrap();
    let mut config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
            .await
            .unwrap();
    config.auth_info.impersonate = Some(user.to_owned());
    config.auth_info.impersonate_groups = Some(groups.iter().map(|group| (*group).to_owned()).collect());
    Client::try_from(config).unwrap()
}
