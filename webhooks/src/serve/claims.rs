//! Which Certificates name which Secret: kept by a watch, because every new Certificate asks for it.

use super::followed::{Followed, Index as Kept, Key, key};
use kube::Client;
use kube::core::{NotUsed, Object};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The one field of a Certificate that is looked at.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NamesSecret {
    secret_name: String,
}

type Named = Object<NamesSecret, NotUsed>;

/// The index; empty handed until the first list is complete.
#[derive(Debug, Clone, Default)]
pub struct Claims(Followed<Index>);

#[derive(Debug, Default)]
struct Index {
    by_certificate: BTreeMap<Key, String>,
    by_secret: BTreeMap<Key, BTreeSet<String>>,
}

impl Claims {
    /// Names of the Certificates of a namespace that name a Secret; none while that is not known.
    pub fn of(&self, namespace: &str, secret: &str) -> Option<Vec<String>> {
        let key = (namespace.to_owned(), secret.to_owned());
        self.0.ask(|index| index.by_secret.get(&key).into_iter().flatten().cloned().collect())
    }

    /// Follows the cluster until the process ends.
    pub async fn follow(self, client: Client) {
        self.0.follow(client).await;
    }
}

impl Kept for Index {
    type Kind = keywright_crds::Certificate;
    type Spec = NamesSecret;
    type Status = NotUsed;

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
        claims.0.replace(Index::default());
        claims.0.change(|index| index.put(&named("one", "tls")));
        claims.0.change(|index| index.put(&named("two", "tls")));
        assert_eq!(claims.of("shop", "tls").unwrap(), ["one", "two"]);
        claims.0.change(|index| index.put(&named("two", "other")));
        claims.0.change(|index| index.remove(&("shop".into(), "one".into())));
        assert_eq!(claims.of("shop", "tls").unwrap(), Vec::<String>::new());
        assert_eq!(claims.of("shop", "other").unwrap(), ["two"]);
        assert_eq!(claims.of("elsewhere", "other").unwrap(), Vec::<String>::new());
    }
}
