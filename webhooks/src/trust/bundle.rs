//! The roots in the webhook configurations: what they carry, and the one patch that makes it right.

use super::material::Certificate;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use kube::Resource;
use serde_json::{Value, json};

/// A webhook configuration of either kind.
pub trait Configuration: Resource<DynamicType = ()> {
    /// Name and client configuration of each webhook.
    fn clients(&self) -> Vec<(&str, &WebhookClientConfig)>;
}

impl Configuration for MutatingWebhookConfiguration {
    fn clients(&self) -> Vec<(&str, &WebhookClientConfig)> {
        self.webhooks
            .iter()
            .flatten()
            .map(|webhook| (webhook.name.as_str(), &webhook.client_config))
            .collect()
    }
}

impl Configuration for ValidatingWebhookConfiguration {
    fn clients(&self) -> Vec<(&str, &WebhookClientConfig)> {
        self.webhooks
            .iter()
            .flatten()
            .map(|webhook| (webhook.name.as_str(), &webhook.client_config))
            .collect()
    }
}

/// The roots that all webhooks of a configuration carry; what does not read counts as not there.
pub fn carried(configuration: &impl Configuration) -> Vec<Certificate> {
    let mut common: Option<Vec<Certificate>> = None;
    for (_, client) in configuration.clients() {
        let bundle = client.ca_bundle.as_ref().map(|bytes| String::from_utf8_lossy(&bytes.0));
        let roots: Vec<_> =
            Certificate::read_all(&bundle.unwrap_or_default()).into_iter().flatten().collect();
        common = Some(match common {
            None => roots,
            Some(common) => common.into_iter().filter(|root| roots.contains(root)).collect(),
        });
    }
    common.unwrap_or_default()
}

/// The server-side apply that puts `bundle` into each webhook; none: it is there. It owns nothing but the bundles, and
/// holds only for the version that was looked at.
pub fn patch<C: Configuration>(configuration: &C, bundle: &str) -> Option<Value> {
    let clients = configuration.clients();
    let is_there = |client: &WebhookClientConfig| {
        client.ca_bundle.as_ref().is_some_and(|there| there.0 == bundle.as_bytes())
    };
    if clients.iter().all(|(_, client)| is_there(client)) {
        return None;
    }
    let encoded = k8s_openapi::ByteString(bundle.as_bytes().to_vec());
    let webhooks: Vec<Value> = clients
        .into_iter()
        .map(|(name, _)| json!({ "name": name, "clientConfig": { "caBundle": encoded } }))
        .collect();
    Some(json!({
        "apiVersion": C::api_version(&()),
        "kind": C::kind(&()),
        "metadata": {
            "name": configuration.meta().name,
            "resourceVersion": configuration.meta().resource_version,
        },
        "webhooks": webhooks,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::material;
    use jiff::{SignedDuration, Timestamp};
    use k8s_openapi::ByteString;
    use keywright_ambient::SystemEntropy;

    fn root() -> Certificate {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        material::root(&SystemEntropy, now, SignedDuration::from_hours(1)).unwrap().certificate
    }

    fn configuration(bundles: &[Option<&str>]) -> ValidatingWebhookConfiguration {
        let webhooks = bundles.iter().enumerate().map(|(number, bundle)| json!({
            "name": format!("w{number}.keywright.dev"), "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": { "caBundle": bundle.map(|text| ByteString(text.as_bytes().to_vec())) },
        }));
        let value = json!({ "metadata": { "name": "c", "resourceVersion": "7" }, "webhooks": webhooks.collect::<Vec<_>>() });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_root_is_carried_only_when_every_webhook_carries_it() {
        let (one, other) = (root(), root());
        let both = format!("{}{}", one.pem, other.pem);
        assert_eq!(carried(&configuration(&[Some(&both), Some(&one.pem)])), std::slice::from_ref(&one));
        assert_eq!(carried(&configuration(&[Some(&both), None])), []);
        assert_eq!(carried(&configuration(&[Some("no PEM"), Some(&both)])), []);
        assert_eq!(carried(&configuration(&[])), []);
        assert_eq!(carried(&configuration(&[Some(&both)])), [one, other]);
    }

    #[test]
    fn a_patch_is_made_only_for_a_difference_and_holds_for_one_version() {
        let root = root();
        assert_eq!(patch(&configuration(&[Some(&root.pem)]), &root.pem), None);
        let patch = patch(&configuration(&[Some(&root.pem), None]), &root.pem).unwrap();
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(patch["webhooks"].as_array().unwrap().len(), 2);
        assert_eq!(
            patch["webhooks"][0].as_object().unwrap().len(),
            2,
            "nothing but name and bundle is owned"
        );
    }
}
