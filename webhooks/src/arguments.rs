//! What can be said on the command line.

use clap::Parser;
use keywright_telemetry::{Log, Traces};
use std::net::SocketAddr;
use std::time::Duration;

/// Keywright's admission webhook: stamps who asked, refuses what schemas cannot.
///
/// It makes its own serving certificate in Secret keywright-webhook-tls and puts its root into the webhook
/// configurations named keywright-webhook. The API server is taken from KUBECONFIG, else from the pod's ServiceAccount.
#[derive(Debug, Parser)]
#[command(name = "keywright-webhook", version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) log: Log,
    /// Namespace of the suite: of the Secret, and of the ServiceAccounts of webhook and operator.
    #[arg(long, default_value = keywright_webhooks::NAMESPACE, env = "KEYWRIGHT_NAMESPACE")]
    pub(crate) namespace: String,
    /// Name of the operator's ServiceAccount, the only one that may write status.
    #[arg(long, default_value = "keywright-operator")]
    pub(crate) operator_service_account: String,
    /// How many ApprovalRequests of one requester may wait for people in one namespace; those of the operator are not counted.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) requests_waiting: u16,
    /// DNS name or IP address under which API servers reach this webhook; may be given several times.
    ///
    /// Default: keywright-webhook.NAMESPACE.svc and keywright-webhook-probe.NAMESPACE.svc.
    #[arg(long)]
    pub(crate) serving_name: Vec<String>,
    /// Address of the reviews (HTTPS).
    #[arg(long, default_value = "0.0.0.0:8443")]
    pub(crate) listen: SocketAddr,
    /// Address of /healthz, /readyz and /metrics (plain HTTP).
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub(crate) health_listen: SocketAddr,
    /// How many seconds a new root stands in the webhook configurations before anything is served under it: longer than
    /// any API server takes to see a change.
    #[arg(long, default_value = "30", value_parser = seconds)]
    pub(crate) settle: Duration,
    /// How many seconds to go on serving after SIGTERM, until nothing new is sent here; at least 5.
    #[arg(long, default_value = "8", value_parser = drain_seconds)]
    pub(crate) drain: Duration,
    /// Name of this process among the replicas; in a pod, the pod's name. Only traces tell it.
    #[arg(long, default_value = "", env = "POD_NAME")]
    pub(crate) identity: String,
    #[command(flatten)]
    pub(crate) traces: Traces,
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| "a whole number of seconds is wanted".to_owned())
}

fn drain_seconds(text: &str) -> Result<Duration, String> {
    let drain = seconds(text)?;
    if drain < Duration::from_secs(5) {
        return Err("at least 5: that long it takes until no API server sends anything here".to_owned());
    }
    Ok(drain)
}

impl Arguments {
    /// The names the serving certificate is for.
    pub(crate) fn serving_names(&self) -> Vec<String> {
        if !self.serving_name.is_empty() {
            return self.serving_name.clone();
        }
        let own = keywright_webhooks::NAME;
        [own.to_owned(), format!("{own}-probe")]
            .map(|service| format!("{service}.{}.svc", self.namespace))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_default_to_the_two_services_and_drains_are_long_enough() {
        let parse = |more: &[&str]| Arguments::try_parse_from(["keywright-webhook"].iter().chain(more));
        let names = parse(&["--namespace=kw"]).unwrap().serving_names();
        assert_eq!(names, ["keywright-webhook.kw.svc", "keywright-webhook-probe.kw.svc"]);
        assert_eq!(parse(&["--serving-name=127.0.0.1"]).unwrap().serving_names(), ["127.0.0.1"]);
        assert!(parse(&["--drain=4"]).is_err());
    }
}
