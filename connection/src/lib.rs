//! The connection to the API server, with a user agent of our own and each request counted.

mod counted;

use counted::Counted;
use http::header::{HeaderValue, USER_AGENT};
use kube::client::ClientBuilder;
use kube::{Client, Config};
use prometheus::{IntCounterVec, Opts};
use std::time::Duration;

/// Why there is no connection. Trying again does not help before the configuration changes.
#[derive(Debug, thiserror::Error)]
pub enum NoClient {
    /// Neither KUBECONFIG nor a pod's ServiceAccount gives a cluster.
    #[error("no cluster to talk to: set KUBECONFIG, or run in a pod with a ServiceAccount: {0}")]
    NoConfig(#[from] kube::config::InferConfigError),
    /// The configuration cannot be used.
    #[error("the cluster's configuration cannot be used: {0}")]
    Unusable(#[from] kube::Error),
}

/// A counter of requests to the API server by `code`, `method` and `host`, under the name that client-go gives it; code
/// `<error>`: no answer. Errors: a name that cannot be one, which is a defect.
pub fn requests() -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(
        Opts::new("rest_client_requests_total", "Requests to the API server"),
        &["code", "method", "host"],
    )
}

/// Connects as `agent`, such as `keywright-operator`; the version is added. `counted`: a counter of [`requests`].
///
/// No retries below: controllers, keepers and the API servers' own callers know whether another try helps.
pub async fn connect(agent: &str, counted: Option<IntCounterVec>) -> Result<Client, NoClient> {
    let mut config = Config::infer().await?;
    let agent = format!("{agent}/{}", env!("CARGO_PKG_VERSION"));
    if let Ok(agent) = HeaderValue::from_str(&agent) {
        config.headers.push((USER_AGENT, agent));
    }
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    let Some(requests) = counted else { return Ok(Client::try_from(config)?) };
    let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
    let layer =
        tower::layer::layer_fn(|inner| Counted { inner, requests: requests.clone(), host: host.clone() });
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}
