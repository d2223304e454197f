//! The connection to the API server, with a user agent of our own.

use http::header::{HeaderValue, USER_AGENT};
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

/// Connects as `keywright-webhook`. No retries below: the keeper and the API servers' own callers know whether it helps.
pub(crate) async fn connect() -> Result<Client, NoClient> {
    let mut config = Config::infer().await?;
    let agent = concat!("keywright-webhook/", env!("CARGO_PKG_VERSION"));
    config.headers.push((USER_AGENT, HeaderValue::from_static(agent)));
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    Ok(Client::try_from(config)?)
}
