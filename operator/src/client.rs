//! The connection to the API server, with a user agent of our own.

use crate::counted::Counted;
use http::header::{HeaderValue, USER_AGENT};
use keywright_controllers::metrics::Metrics;
use kube::client::ClientBuilder;
use kube::{Client, Config};
use std::time::Duration;

/// Why there is no connection. Trying again does not help before the configuration changes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoClient {
    /// Neither KUBECONFIG nor a pod's ServiceAccount gives a cluster.
    #[error("no cluster to talk to: set KUBECONFIG, or run in a pod with a ServiceAccount: {0}")]
    NoConfig(#[from] kube::config::InferConfigError),
    /// The configuration cannot be used.
    #[error("the cluster's configuration cannot be used: {0}")]
    Unusable(#[from] kube::Error),
}

/// Connects as `agent`, such as `keywright-operator`; the version is added. Requests are counted where there are metrics.
///
/// No retries below the controllers: they back off themselves, per object, and know whether it helps.
pub(crate) async fn connect(agent: &str, metrics: Option<&Metrics>) -> Result<Client, NoClient> {
    let mut config = Config::infer().await?;
    let agent = format!("{agent}/{}", env!("CARGO_PKG_VERSION"));
    if let Ok(agent) = HeaderValue::from_str(&agent) {
        config.headers.push((USER_AGENT, agent));
    }
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    let Some(metrics) = metrics else { return Ok(Client::try_from(config)?) };
    let (requests, host) =
        (metrics.requests.clone(), config.cluster_url.authority().map(ToString::to_string));
    let host = host.unwrap_or_default();
    let layer =
        tower::layer::layer_fn(|inner| Counted { inner, requests: requests.clone(), host: host.clone() });
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}
