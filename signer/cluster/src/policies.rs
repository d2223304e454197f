//! What policies are about, as it stands in the API server: the policies themselves, and the facts that they read.

use crate::{ReadError, Reader};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ConfigMap;
use keywright_approvals::{Identity, records};
use keywright_crds::bundle_bytes;
use keywright_policy::{BundleRef, Found};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, ResourceExt as _};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long one question may take in all.
const PATIENCE: Duration = Duration::from_secs(5);
/// Objects in one page.
const PAGE: u32 = 500;

/// A policy as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPolicy {
    /// Its name.
    pub name: String,
    /// Its spec.
    pub spec: Value,
}

/// What is known of an object beside its spec.
#[derive(Debug, Clone, Default)]
pub struct ObjectFacts {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Who made it, as stamped at admission.
    pub creator: Option<Identity>,
}

/// An object of ours, by all that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// `Certificate`, `Issuer` or `ClusterIssuer`.
    pub kind: String,
    /// Empty for what is in none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A place to read policies from, and what they ask about.
pub trait PolicySource: Send + Sync {
    /// All policies, as they are now. Errors: [`ReadError::Unavailable`].
    fn policies(&self) -> BoxFuture<'_, Result<Vec<StoredPolicy>, ReadError>>;
    /// What lies where the bundle of a policy is to be. Errors: [`ReadError::Unavailable`], where asking again may help.
    fn bundle<'a>(&'a self, at: &'a BundleRef) -> BoxFuture<'a, Result<Found, ReadError>>;
    /// An object of this name and UID; none: it is gone or another. Errors: [`ReadError::Unavailable`].
    fn object<'a>(
        &'a self,
        object: &'a ObjectName,
        uid: &'a str,
    ) -> BoxFuture<'a, Result<Option<ObjectFacts>, ReadError>>;
    /// The issuer with this UID; none: there is none now. Errors: [`ReadError::Unavailable`].
    fn issuer<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<Option<ObjectName>, ReadError>>;
}

fn unavailable(error: impl std::fmt::Display) -> ReadError {
    ReadError::Unavailable(error.to_string())
}

async fn patient<T>(work: impl Future<Output = Result<T, ReadError>>) -> Result<T, ReadError> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err(unavailable("it did not answer in time")))
}

impl Reader {
    fn api(&self, kind: &str, plural: &str, namespace: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("keywright.dev", "v1alpha1", kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        if namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        }
    }

    async fn list_policies(&self) -> Result<Vec<StoredPolicy>, ReadError> {
        let api = self.api("Policy", "policies", "");
        let mut found = Vec::new();
        // Without a resource version: the newest, from a quorum.
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = api.list(&params).await.map_err(unavailable)?;
            found.extend(page.items.into_iter().map(|mut object| StoredPolicy {
                name: object.name_any(),
                spec: object.data.get_mut("spec").map(Value::take).unwrap_or_default(),
            }));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(found),
            }
        }
    }

    async fn read_bundle(&self, at: &BundleRef) -> Result<Found, ReadError> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let config_map = match api.get_opt(&at.config_map_ref.name).await {
            Ok(config_map) => config_map,
            // Other policies can be asked all the same.
            Err(kube::Error::Api(status)) if status.is_forbidden() => {
                return Ok(Found::Nothing(format!("{at} may not be read: {}", status.message)));
            }
            Err(error) => return Err(unavailable(error)),
        };
        let bytes = config_map.as_ref().and_then(|found| bundle_bytes(found, &at.config_map_ref.key));
        Ok(Found::in_cluster(at, &self.namespace, config_map.is_some(), bytes))
    }

    async fn facts(&self, object: &ObjectName, uid: &str) -> Result<Option<ObjectFacts>, ReadError> {
        let Some(plural) = plural(&object.kind) else { return Ok(None) };
        let api = self.api(&object.kind, plural, &object.namespace);
        let found = api.get_metadata_opt(&object.name).await.map_err(unavailable)?;
        let found = found.filter(|found| found.uid().as_deref() == Some(uid));
        Ok(found.map(|found| ObjectFacts {
            creator: records::creator(&found.metadata),
            labels: found.metadata.labels.unwrap_or_default(),
            annotations: found.metadata.annotations.unwrap_or_default(),
        }))
    }

    async fn find_issuer(&self, uid: &str) -> Result<Option<ObjectName>, ReadError> {
        for kind in ["ClusterIssuer", "Issuer"] {
            let api = self.api(kind, plural(kind).unwrap_or_default(), "");
            let mut params = ListParams::default().limit(PAGE);
            loop {
                let page = api.list_metadata(&params).await.map_err(unavailable)?;
                if let Some(found) = page.items.iter().find(|found| found.uid().as_deref() == Some(uid)) {
                    let namespace = found.namespace().unwrap_or_default();
                    return Ok(Some(ObjectName { kind: kind.to_owned(), namespace, name: found.name_any() }));
                }
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => params = params.continue_token(&token),
                    None => break,
                }
            }
        }
        Ok(None)
    }
}

/// The kinds that policies are about.
fn plural(kind: &str) -> Option<&'static str> {
    match kind {
        "Certificate" => Some("certificates"),
        "Issuer" => Some("issuers"),
        "ClusterIssuer" => Some("clusterissuers"),
        _ => None,
    }
}

impl PolicySource for Reader {
    fn policies(&self) -> BoxFuture<'_, Result<Vec<StoredPolicy>, ReadError>> {
        patient(self.list_policies()).boxed()
    }

    fn bundle<'a>(&'a self, at: &'a BundleRef) -> BoxFuture<'a, Result<Found, ReadError>> {
        patient(self.read_bundle(at)).boxed()
    }

    fn object<'a>(
        &'a self,
        object: &'a ObjectName,
        uid: &'a str,
    ) -> BoxFuture<'a, Result<Option<ObjectFacts>, ReadError>> {
        patient(self.facts(object, uid)).boxed()
    }

    fn issuer<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<Option<ObjectName>, ReadError>> {
        patient(self.find_issuer(uid)).boxed()
    }
}
