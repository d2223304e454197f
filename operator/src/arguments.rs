//! What can be said on the command line.

use clap::{Args, Parser, Subcommand};
use keywright_controllers::scope::Scope;
use keywright_telemetry::{Log, Traces};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Keywright's operator: makes the certificates that resources of group keywright.dev describe.
#[derive(Debug, Parser)]
#[command(name = "keywright-operator", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) log: Log,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the controllers, as leader or standing by.
    ///
    /// The API server is taken from KUBECONFIG, else from the pod's ServiceAccount.
    Run(Run),
    /// Make, or complete, the suite's own root and the mutual TLS identities of operator and signer.
    ///
    /// They are made in the cluster, as Secrets of the given namespace: keywright-root, keywright-operator-tls and
    /// keywright-signer-tls. What is there and still good for a third of its life is kept, so it can run at any time. A new
    /// key is used only after the other end has had --settle seconds to see its pin.
    Bootstrap(Bootstrap),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Namespace of the operator's own objects: its leader lease.
    #[arg(long, default_value = "keywright-system", env = "KEYWRIGHT_NAMESPACE")]
    pub(crate) namespace: String,
    /// Name of this process among the operators that may lead; in a pod, the pod's name.
    ///
    /// No two processes with the same identity may run at one time. After a restart the same identity takes its lease
    /// over at once instead of waiting for it to expire.
    #[arg(long, env = "POD_NAME")]
    pub(crate) identity: String,
    /// Where the signer listens, as in https://keywright-signer.keywright-system.svc:8443.
    #[arg(long, env = "KEYWRIGHT_SIGNER")]
    pub(crate) signer: String,
    /// Folder with ca.crt, tls.crt, tls.key and peers.json: this process's identity and the signers it trusts.
    #[arg(long, default_value = "/var/run/keywright/tls")]
    pub(crate) tls_dir: PathBuf,
    /// Address of /healthz, /readyz and /metrics (plain HTTP).
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub(crate) health_listen: SocketAddr,
    /// Namespace whose Certificates and Issuers are served; may be given several times. None: every namespace.
    ///
    /// With namespaces the rights on Secrets need reach no further than these.
    #[arg(long = "watch-namespace", value_name = "NAMESPACE")]
    pub(crate) watch_namespaces: Vec<String>,
    /// How many certificates are worked on at one time.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) concurrency: u16,
    #[command(flatten)]
    pub(crate) traces: Traces,
}

impl Run {
    /// What is served.
    pub(crate) fn scope(&self) -> Scope {
        if self.watch_namespaces.is_empty() {
            Scope::Everywhere
        } else {
            Scope::Namespaces(self.watch_namespaces.iter().cloned().collect())
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Bootstrap {
    /// Namespace in which the Secrets are made.
    #[arg(long, default_value = "keywright-system", env = "KEYWRIGHT_NAMESPACE")]
    pub(crate) namespace: String,
    /// Go on for as long as the process runs: mend what changes, renew what is due.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Also make the signer's key-encryption key, Secret keywright-signer-kek, where there is none. It is never changed.
    #[arg(long)]
    pub(crate) signer_kek: bool,
    /// How many seconds the pin of a new key stands before the key is used: longer than any kubelet takes to bring a
    /// changed Secret to its pods.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(crate) settle: u32,
    /// Address of /healthz and /readyz (plain HTTP), with --keep.
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub(crate) health_listen: SocketAddr,
}
