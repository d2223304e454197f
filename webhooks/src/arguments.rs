//! What can be said on the command line.

use clap::{Args, Parser, ValueEnum};
use std::net::SocketAddr;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

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
    /// Address of /healthz and /readyz (plain HTTP).
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub(crate) health_listen: SocketAddr,
    /// How many seconds a new root stands in the webhook configurations before anything is served under it: longer than
    /// any API server takes to see a change.
    #[arg(long, default_value = "30", value_parser = seconds)]
    pub(crate) settle: Duration,
    /// How many seconds to go on serving after SIGTERM, until nothing new is sent here; at least 5.
    #[arg(long, default_value = "8", value_parser = drain_seconds)]
    pub(crate) drain: Duration,
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

#[derive(Debug, Args)]
pub(crate) struct Log {
    /// What to log, as in info or keywright=debug,info. The decision log has target keywright::decision.
    #[arg(long, default_value = "info", env = "KEYWRIGHT_LOG")]
    log: String,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = Format::Text, env = "KEYWRIGHT_LOG_FORMAT")]
    log_format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Log {
    /// Starts logging to standard error.
    pub(crate) fn init(&self) {
        let filter = EnvFilter::try_new(&self.log).unwrap_or_else(|_| EnvFilter::new("info"));
        let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            Format::Text => logger.with_ansi(false).init(),
            Format::Json => logger.json().init(),
        }
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
