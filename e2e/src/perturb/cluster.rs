//! The admin's requests, past the proxies, as JSON.

use crate::Error;
use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};

/// Where resources of the product are.
pub(crate) const GROUP: &str = "/apis/keywright.dev/v1alpha1";

/// The API server, as the admin.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
}

/// Path of a kind's objects: "certificates", "issuers" and "secrets" of a namespace, "clusterissuers" and the like of none.
pub(crate) fn path(namespace: &str, plural: &str) -> String {
    match plural {
        "clusterissuers" | "policies" | "approvalclasses" => format!("{GROUP}/{plural}"),
        "secrets" | "events" => format!("/api/v1/namespaces/{namespace}/{plural}"),
        _ => format!("{GROUP}/namespaces/{namespace}/{plural}"),
    }
}

impl Cluster {
    /// With this client.
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// One request; errors are the API server's.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Value, kube::Error> {
        let request = Request::builder().method(method).uri(path);
        let request = match body {
            Some((kind, body)) => request.header("content-type", kind).body(body.to_string().into_bytes()),
            None => request.body(Vec::new()),
        };
        self.client.request(request.map_err(kube::Error::HttpError)?).await
    }

    /// An object, if it is there.
    pub(crate) async fn get(&self, path: &str) -> Result<Option<Value>, Error> {
        match self.ask(Method::GET, path, None).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// All objects of a path.
    pub(crate) async fn list(&self, path: &str) -> Result<Vec<Value>, Error> {
        let mut list = self.ask(Method::GET, path, None).await?;
        Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Creates an object.
    pub(crate) async fn create(&self, path: &str, object: &Value) -> Result<Value, Error> {
        Ok(self.ask(Method::POST, path, Some(("application/json", object))).await?)
    }

    /// Merges into an object, as `kubectl patch --type merge` does.
    pub(crate) async fn merge(&self, path: &str, change: &Value) -> Result<Value, Error> {
        Ok(self.ask(Method::PATCH, path, Some(("application/merge-patch+json", change))).await?)
    }

    /// Deletes an object; that it is gone already is fine.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Error> {
        match self.ask(Method::DELETE, path, None).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a namespace.
    pub(crate) async fn namespace(&self, name: &str) -> Result<(), Error> {
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        self.create("/api/v1/namespaces", &object).await.map(|_| ())
    }
}

/// "status reason: message" of a condition.
pub(crate) fn condition(object: &Value, type_: &str) -> Option<(String, String, String)> {
    let conditions = object["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == type_)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}

/// Whether an object's status is about its newest spec.
pub(crate) fn is_observed(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

/// Whether Ready is True and about the newest spec.
pub(crate) fn is_ready(object: &Value) -> bool {
    is_observed(object) && condition(object, "Ready").is_some_and(|(status, ..)| status == "True")
}

/// A text of an object, or nothing.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
