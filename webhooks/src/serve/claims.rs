//! Which Certificates name which Secret: kept by a watch, because every new Certificate asks for it.

use futures::{StreamExt, pin_mut};
use kube::api::{Api, ApiResource};
use kube::core::{NotUsed, Object};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Client, ResourceExt};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

/// The one field of a Certificate that is looked at.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NamesSecret {
    secret_name: String,
}

type Named = Object<NamesSecret, NotUsed>;
/// Namespace and name.
type Key = (String, String);

/// The index; empty handed until the first list is complete.
#[derive(Debug, Clone, Default)]
pub struct Claims(Arc<RwLock<Option<Index>>>);

#[derive(Debug, Default)]
struct Index {
    by_certificate: BTreeMap<Key, String>,
    by_secret: BTreeMap<Key, BTreeSet<String>>,
}

impl Claims {
    /// Names of the Certificates of a namespace that name a Secret; none while that is not known.
    pub fn of(&self, namespace: &str, secret: &str) -> Option<Vec<String>> {
        let index = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), secret.to_owned());
        Some(index.as_ref()?.by_secret.get(&key).into_iter().flatten().cloned().collect())
    }

    /// Follows the cluster until the process ends.
    pub async fn follow(self, client: Client) {
        let resource = ApiResource::erase::<keywright_crds::Certificate>(&());
        let events = watcher(Api::<Named>::all_with(client, &resource), Config::default()).default_backoff();
        pin_mut!(events);
        let mut filling = Index::default();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => filling = Index::default(),
                Ok(Event::InitApply(certificate)) => filling.put(&certificate),
                Ok(Event::InitDone) => self.replace(std::mem::take(&mut filling)),
                Ok(Event::Apply(certificate)) => self.change(|index| index.put(&certificate)),
                Ok(Event::Delete(certificate)) => self.change(|index| index.remove(&key(&certificate))),
                Err(error) => tracing::warn!(%error, "the watch of Certificates was broken; it goes on"),
            }
        }
    }

    fn replace(&self, index: Index) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(index);
    }

    fn change(&self, change: impl FnOnce(&mut Index)) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).as_mut().map(change);
    }
}

impl Index {
    fn put(&mut self, certificate: &Named) {
        let key = key(certificate);
        self.remove(&key);
        let secret = certificate.spec.secret_name.clone();
        self.by_secret.entry((key.0.clone(), secret.clone())).or_default().insert(key.1.clone());
        self.by_certificate.insert(key, secret);
    }

    fn remove(&mut self, certificate: &Key) {
        let Some(secret) = self.by_certificate.remove(certificate) else { return };
        let of_secret = (certificate.0.clone(), secret);
        if let Some(names) = self.by_secret.get_mut(&of_secret) {
            names.remove(&certificate.1);
            if names.is_empty() {
                self.by_secret.remove(&of_secret);
            }
        }
    }
}

fn key(certificate: &Named) -> Key {
    (certificate.namespace().unwrap_or_default(), certificate.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, secret: &str) -> Named {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "keywright.dev/v1alpha1", "kind": "Certificate",
            "metadata": { "name": name, "namespace": "shop" }, "spec": { "secretName": secret, "dnsNames": ["x"] },
        }))
        .unwrap()
    }

    #[test]
    fn claims_follow_what_certificates_name() {
        let claims = Claims::default();
        assert_eq!(claims.of("shop", "tls"), None, "not known yet");
        claims.replace(Index::default());
        claims.change(|index| index.put(&named("one", "tls")));
        claims.change(|index| index.put(&named("two", "tls")));
        assert_eq!(claims.of("shop", "tls").unwrap(), ["one", "two"]);
        claims.change(|index| index.put(&named("two", "other")));
        claims.change(|index| index.remove(&("shop".into(), "one".into())));
        assert_eq!(claims.of("shop", "tls").unwrap(), Vec::<String>::new());
        assert_eq!(claims.of("shop", "other").unwrap(), ["two"]);
        assert_eq!(claims.of("elsewhere", "other").unwrap(), Vec::<String>::new());
    }
}
