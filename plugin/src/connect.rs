//! The cluster that the flags and the kubeconfig name.

use crate::cli::{Global, Limit};
use crate::exit::{Failure, causes};
use http::header::{HeaderValue, USER_AGENT};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Who we are to the API server, in its audit log and in `managedFields`.
const AGENT: &str = concat!("keywright-plugin/", env!("CARGO_PKG_VERSION"));

/// A cluster to talk to.
pub(crate) struct Cluster {
    /// Connections to its API server.
    pub(crate) client: Client,
    /// Connections for watches: they are quiet for as long as nothing happens, so no request is too long.
    pub(crate) patient: Client,
    /// Namespace that is meant when none is named.
    pub(crate) namespace: String,
}

/// Reads the configuration; nothing is sent yet. Errors: [`Failure::Unreachable`].
pub(crate) async fn connect(global: &Global) -> Result<Cluster, Failure> {
    let mut config = configuration(global).await?;
    config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
    if let Some(namespace) = &global.namespace {
        config.default_namespace.clone_from(namespace);
    }
    if let Some(user) = &global.act_as {
        config.auth_info.impersonate = Some(user.clone());
    }
    if !global.act_as_group.is_empty() {
        config.auth_info.impersonate_groups = Some(global.act_as_group.clone());
    }
    let namespace = config.default_namespace.clone();
    let Limit(limit) = global.request_timeout;
    let patient = client(config.clone())?;
    config.connect_timeout = limit;
    config.read_timeout = limit;
    config.reset_reader_on_write = true;
    Ok(Cluster { client: client(config)?, patient, namespace })
}

async fn configuration(global: &Global) -> Result<Config, Failure> {
    let options = KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
    let unusable = |error: kube::config::KubeconfigError| {
        Failure::Unreachable(format!("the kubeconfig cannot be used: {}", causes(&error)))
    };
    if let Some(path) = &global.kubeconfig {
        let file = Kubeconfig::read_from(path).map_err(unusable)?;
        return Config::from_custom_kubeconfig(file, &options).await.map_err(unusable);
    }
    match Config::from_kubeconfig(&options).await {
        Ok(config) => Ok(config),
        // As kubectl does: without a kubeconfig, the ServiceAccount of the pod it runs in.
        Err(error) => match Config::incluster() {
            Ok(config) if global.context.is_none() => Ok(config),
            Ok(_) | Err(_) => Err(unusable(error)),
        },
    }
}

fn client(config: Config) -> Result<Client, Failure> {
    Client::try_from(config).map_err(|error| {
        Failure::Unreachable(format!("the cluster's configuration cannot be used: {}", causes(&error)))
    })
}
