//! All that the cases act on: a control plane, the product behind two proxies, and who keeps it running.

use super::clock::{Clock, Clocks};
use super::cluster::Cluster;
use super::keeper::Keeper;
use super::proxy::{Protocol, Proxy, Wire};
use super::sampler::Sampler;
use crate::keys::{Keys, write_private};
use crate::ports::{Reservation, reserve};
use crate::programs::program;
use crate::{ControlPlane, Error, Process, install, wait_for};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::time::Duration;

/// How long anything may take once nothing disturbs it: the longest backoff that the cases provoke, and some.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// One operator with proxies of its own.
pub(super) struct Worker {
    /// Keeps it running.
    pub(super) operator: Keeper,
    /// Between it and the API server.
    pub(super) api: Proxy,
    /// Between it and the signer.
    pub(super) wire: Proxy,
    _ports: Reservation,
}

/// Everything of one run.
pub(super) struct Rig {
    /// The operator that leads unless a case wants another.
    pub(super) worker: Worker,
    /// Keeps the signer running.
    pub(super) signer: Keeper,
    /// Every certificate and key that was ever in a Secret of ours.
    pub(super) sampler: Sampler,
    /// The admin's way to the API server, past the proxies.
    pub(super) cluster: Cluster,
    /// etcd, kube-apiserver, kube-controller-manager.
    pub(super) plane: ControlPlane,
    signer_pid: Arc<AtomicI32>,
}

impl Rig {
    /// Starts everything; returns when the operator leads.
    pub(super) async fn start() -> Result<Self, Error> {
        Self::with(None).await
    }

    /// The same; `clocks`: what operator and signer see as the time.
    pub(super) async fn with(clocks: Option<&Clocks>) -> Result<Self, Error> {
        let mut plane = ControlPlane::start().await?;
        let (site, client) = (plane.site().clone(), plane.client());
        let keys = Keys::in_folder(&site.keys())?;
        install::manifests(&site, &client).await?;
        // Its garbage collector looks for new kinds twice a minute, and at its start.
        plane.kill(Process::KubeControllerManager)?;
        plane.start_again(Process::KubeControllerManager)?;
        install::kubeconfigs(&site, &keys, &client).await?;
        install::trust(&site, &client).await?;
        plane.start_again(Process::Webhook)?;
        plane.ready(Process::Webhook).await?;
        let signer_pid = Arc::new(AtomicI32::new(0));
        let logs = site.logs();
        let mut signer = program(&site, &keys, Process::Signer)?;
        signer.env.extend(clocks.into_iter().flat_map(|clocks| clocks.signer.environment()));
        let signer = Keeper::new(Process::Signer, signer, logs, Arc::clone(&signer_pid));
        let worker = worker(&plane, "keywright-operator-0", &signer_pid, clocks.map(|c| &c.operator)).await?;
        let cluster = Cluster::new(client.clone());
        let sampler = Sampler::start(client);
        let rig = Self { worker, signer, sampler, cluster, plane, signer_pid };
        rig.until_led_by("keywright-operator-0").await?;
        Ok(rig)
    }

    /// One more operator, which stands by.
    pub(super) async fn second(&self) -> Result<Worker, Error> {
        worker(&self.plane, "keywright-operator-1", &self.signer_pid, None).await
    }

    /// Waits until this identity holds the lease.
    pub(super) async fn until_led_by(&self, identity: &str) -> Result<(), Error> {
        wait_for(&format!("{identity} leads"), PATIENCE, async || {
            let lease = self.cluster.get(LEASE).await?;
            Ok(lease.filter(|lease| lease["spec"]["holderIdentity"] == identity).map(|_| ()))
        })
        .await
    }
}

/// The leader lease.
pub(super) const LEASE: &str =
    "/apis/coordination.k8s.io/v1/namespaces/keywright-system/leases/keywright-operator";

async fn worker(
    plane: &ControlPlane,
    identity: &str,
    signer: &Arc<AtomicI32>,
    clock: Option<&Clock>,
) -> Result<Worker, Error> {
    let site = plane.site();
    let keys = Keys::in_folder(&site.keys())?;
    let pid = Arc::new(AtomicI32::new(0));
    let nobody = Arc::new(AtomicI32::new(0));
    let api = Proxy::start(to_the_api(plane, &keys)?, Arc::clone(&pid), nobody).await?;
    let wire = Proxy::start(to_the_signer(plane)?, Arc::clone(&pid), Arc::clone(signer)).await?;
    let (ports, reservation) = reserve()?;

    let original = site.kubeconfig_of(install::OPERATOR);
    let text = std::fs::read_to_string(&original).map_err(Error::file("read", &original))?;
    let proxied = site.kubeconfig_of(&format!("{identity}-proxied"));
    let text =
        text.replace(&format!("127.0.0.1:{}", site.ports.kube_apiserver), &format!("127.0.0.1:{}", api.port));
    write_private(&proxied, text.as_bytes())?;

    let mut program = program(site, &keys, Process::Operator)?;
    program.env = vec![("KUBECONFIG".into(), proxied.display().to_string())];
    program.env.extend(clock.into_iter().flat_map(Clock::environment));
    set(&mut program.args, "--identity=", identity);
    set(&mut program.args, "--signer=", &format!("https://127.0.0.1:{}", wire.port));
    set(&mut program.args, "--health-listen=", &format!("127.0.0.1:{}", ports.operator_health));
    let logs = site.logs().join(identity);
    let operator = Keeper::new(Process::Operator, program, logs, pid);
    Ok(Worker { operator, api, wire, _ports: reservation })
}

/// Gives an argument that is there another value.
pub(super) fn set(args: &mut [String], name: &str, value: &str) {
    for arg in args.iter_mut().filter(|arg| arg.starts_with(name)) {
        *arg = format!("{name}{value}");
    }
}

fn to_the_api(plane: &ControlPlane, keys: &Keys) -> Result<Wire, Error> {
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates(&keys.serving())?, key(&keys.serving_key())?)
        .map_err(tls)?;
    let client = ClientConfig::builder().with_root_certificates(roots(&keys.ca())?).with_no_client_auth();
    let name = ServerName::from(std::net::IpAddr::from([127, 0, 0, 1]));
    Ok(Wire { server, client, name, port: plane.site().ports.kube_apiserver, protocol: Protocol::Rest })
}

fn to_the_signer(plane: &ControlPlane) -> Result<Wire, Error> {
    let site = plane.site();
    let (theirs, ours) = (site.mount(install::SIGNER_TLS), site.mount(install::OPERATOR_TLS));
    let mut server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates(&theirs.join("tls.crt"))?, key(&theirs.join("tls.key"))?)
        .map_err(tls)?;
    server.alpn_protocols = vec![b"h2".to_vec()];
    let mut client = ClientConfig::builder()
        .with_root_certificates(roots(&ours.join("ca.crt"))?)
        .with_client_auth_cert(certificates(&ours.join("tls.crt"))?, key(&ours.join("tls.key"))?)
        .map_err(tls)?;
    client.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("keywright-signer")
        .map_err(|error| broken(Path::new("keywright-signer"), &error))?;
    Ok(Wire { server, client, name, port: site.ports.signer, protocol: Protocol::Grpc })
}

fn tls(error: rustls::Error) -> Error {
    Error::Spawn { name: "the proxy".into(), source: std::io::Error::other(error) }
}

fn broken(path: &Path, problem: &dyn std::fmt::Display) -> Error {
    Error::Garbled { path: path.to_path_buf(), problem: problem.to_string() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all = CertificateDer::pem_file_iter(path).map_err(|error| broken(path, &error))?;
    all.collect::<Result<_, _>>().map_err(|error| broken(path, &error))
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| broken(path, &error))
}

fn roots(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(tls)?;
    }
    Ok(roots)
}
