//! The six processes and their command lines.
//!
//! Flags of etcd and kube-apiserver are for one node on a loopback interface; those of the product are the ones its
//! chart uses, with files where the chart has volumes.

use crate::keys::{Keys, User};
use crate::site::{Durability, Site};
use crate::{Error, install};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A long-running process of an installation. The order is the order of starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// The API server's store.
    Etcd,
    /// The API.
    KubeApiserver,
    /// ServiceAccounts, garbage collection, namespaces.
    KubeControllerManager,
    /// Holds the keys.
    Signer,
    /// Admission of the product's own kinds.
    Webhook,
    /// The controllers.
    Operator,
}

impl Process {
    /// All of them, in the order of starting.
    pub const ALL: [Self; 6] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::Signer,
        Self::Webhook,
        Self::Operator,
    ];

    /// Its name: of its binary, its log and its pid file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::Signer => "keywright-signer",
            Self::Webhook => "keywright-webhook",
            Self::Operator => "keywright-operator",
        }
    }
}

/// A command line. Two that are equal start the same thing, so a running process with an equal one need not restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The binary.
    pub path: PathBuf,
    /// Inode, size and modification time of the binary, which change when it is built anew.
    pub build: (u64, u64, i64, i64),
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables added to the environment.
    pub env: Vec<(String, String)>,
}

impl Program {
    fn new(path: PathBuf, args: Vec<String>, env: Vec<(String, String)>) -> Result<Self, Error> {
        let meta = std::fs::metadata(&path).map_err(Error::file("find", &path))?;
        let build = (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec());
        Ok(Self { path, build, args, env })
    }
}

/// What a process of this site is started with.
pub(crate) fn program(site: &Site, keys: &Keys, process: Process) -> Result<Program, Error> {
    let kubernetes = |name: &str| site.assets.kubernetes.join(name);
    match process {
        Process::Etcd => Program::new(kubernetes("etcd"), etcd(site), Vec::new()),
        Process::KubeApiserver => {
            Program::new(kubernetes("kube-apiserver"), kube_apiserver(site, keys), Vec::new())
        }
        Process::KubeControllerManager => {
            let args = kube_controller_manager(site, keys);
            Program::new(kubernetes("kube-controller-manager"), args, Vec::new())
        }
        Process::Signer => {
            Program::new(site.assets.product_binary(process.name())?, signer(site), Vec::new())
        }
        Process::Webhook => {
            let env = install::environment(site, install::WEBHOOK);
            Program::new(site.assets.product_binary(process.name())?, webhook(site), env)
        }
        Process::Operator => {
            let env = install::environment(site, install::OPERATOR);
            Program::new(site.assets.product_binary(process.name())?, operator(site), env)
        }
    }
}

fn etcd(site: &Site) -> Vec<String> {
    let (client, peer) = (site.ports.etcd, site.ports.etcd_peer);
    let mut args = vec![
        "--name=etcd".into(),
        format!("--data-dir={}", site.etcd_data().display()),
        format!("--listen-client-urls=http://127.0.0.1:{client}"),
        format!("--advertise-client-urls=http://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-cluster=etcd=http://127.0.0.1:{peer}"),
        "--log-level=warn".into(),
    ];
    match site.durability {
        Durability::Synced => {}
        Durability::Hasty => args.push("--unsafe-no-fsync".into()),
    }
    args
}

fn kube_apiserver(site: &Site, keys: &Keys) -> Vec<String> {
    vec![
        format!("--etcd-servers=http://127.0.0.1:{}", site.ports.etcd),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        // A loopback address may not stand in an Endpoints object, so none is kept for the API server itself.
        "--endpoint-reconciler-type=none".into(),
        format!("--secure-port={}", site.ports.kube_apiserver),
        format!("--tls-cert-file={}", keys.serving().display()),
        format!("--tls-private-key-file={}", keys.serving_key().display()),
        "--service-cluster-ip-range=10.0.0.0/24".into(),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={}", keys.service_accounts_public().display()),
        format!("--service-account-signing-key-file={}", keys.service_accounts().display()),
        "--authorization-mode=Node,RBAC".into(),
        "--enable-admission-plugins=NodeRestriction".into(),
        format!("--token-auth-file={}", keys.tokens().display()),
        "--allow-privileged=true".into(),
        format!("--audit-policy-file={}", site.audit_policy().display()),
        format!("--audit-log-path={}", site.audit_log().display()),
        // In MB: whoever counts requests must find them all in one file.
        "--audit-log-maxsize=1000000".into(),
    ]
}

fn kube_controller_manager(site: &Site, keys: &Keys) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", site.kubeconfig_of(User::ControllerManager.file()).display()),
        format!("--service-account-private-key-file={}", keys.service_accounts().display()),
        format!("--root-ca-file={}", keys.ca().display()),
        format!("--cluster-signing-cert-file={}", keys.ca().display()),
        format!("--cluster-signing-key-file={}", keys.ca_key().display()),
        "--use-service-account-credentials".into(),
        "--leader-elect=false".into(),
        // Nobody asks it anything; without a port two of them never collide.
        "--secure-port=0".into(),
        // ServiceAccount `default` appears after one second instead of four.
        "--kube-api-qps=200".into(),
        "--kube-api-burst=400".into(),
    ]
}

fn signer(site: &Site) -> Vec<String> {
    let mut args = vec![
        "run".into(),
        format!("--state-dir={}", site.signer_state().display()),
        format!("--kek-file={}", site.kek().display()),
        format!("--tls-dir={}", site.mount(install::SIGNER_TLS).display()),
        format!("--listen=127.0.0.1:{}", site.ports.signer),
        format!("--health-listen=127.0.0.1:{}", site.ports.signer_health),
        format!("--kubeconfig={}", site.kubeconfig_of(install::SIGNER).display()),
    ];
    if site.approvers().exists() {
        args.push(format!("--approvers={}", site.approvers().display()));
    }
    args.extend(traces(site));
    args
}

/// Where the product's parts export their spans, if anywhere.
fn traces(site: &Site) -> Option<String> {
    let collector = std::fs::read_to_string(site.collector()).ok()?;
    Some(format!("--otlp-endpoint={collector}"))
}

fn webhook(site: &Site) -> Vec<String> {
    let mut args = vec![
        format!("--namespace={}", install::NAMESPACE),
        "--serving-name=127.0.0.1".into(),
        format!("--listen=127.0.0.1:{}", site.ports.webhook),
        format!("--health-listen=127.0.0.1:{}", site.ports.webhook_health),
    ];
    args.extend(traces(site));
    args
}

fn operator(site: &Site) -> Vec<String> {
    let mut args = vec![
        "run".into(),
        format!("--namespace={}", install::NAMESPACE),
        "--identity=keywright-operator-0".into(),
        format!("--signer=https://127.0.0.1:{}", site.ports.signer),
        format!("--tls-dir={}", site.mount(install::OPERATOR_TLS).display()),
        format!("--health-listen=127.0.0.1:{}", site.ports.operator_health),
    ];
    args.extend(traces(site));
    args
}

/// The command for a shell's eyes and for `Command`.
pub(crate) fn words(program: &Program) -> impl Iterator<Item = OsString> {
    std::iter::once(program.path.clone().into_os_string()).chain(program.args.iter().map(OsString::from))
}
