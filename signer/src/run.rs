//! The running process: engine, listeners, signals, in the order that makes readiness true.

use crate::approval::Gate;
use crate::approval::pinned::Pinned;
use crate::authority_key::KeyStore;
use crate::engine::{Engine, Parts};
use crate::hardening::{HardeningError, calls};
use crate::health;
use crate::ledger::TABLES;
use crate::log_server;
use crate::policy::{Policies, PolicyFolderError};
use crate::rates::Rate;
use crate::seal::Kek;
use crate::service;
use crate::store::{StoreError, log_dir};
use crate::transport::accept;
use keywright_ambient::{SystemClock, SystemEntropy};
use keywright_signer_cluster::{Access, PolicySource, ReadError, Records};
use keywright_signer_protocol::tls::{TlsError, TlsFolder};
use keywright_signer_protocol::v1alpha1::signer_server::SignerServer;
use keywright_telemetry::{Service, Target, Tracer};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

/// Largest request, in bytes: a thousand names and an ML-DSA-87 request fit several times over.
const MAX_REQUEST: usize = 1 << 20;
/// Requests under way per connection.
const PER_CONNECTION: usize = 512;
/// How often pins are read again, so that one that is taken away counts on open connections too.
const PINS: Duration = Duration::from_secs(2);
/// How long requests under way may take to finish after the signal to stop.
const DRAIN: Duration = Duration::from_secs(20);

/// What the process is told on its command line.
pub struct Settings {
    /// Folder of ledger and log.
    pub state: PathBuf,
    /// The key-encryption key.
    pub kek: Arc<Kek>,
    /// Where keys of new authorities are made, and those in a token found.
    pub keys: KeyStore,
    /// Classes whose approvers sign.
    pub pinned: Pinned,
    /// Policies that hold whatever the API server says.
    pub policies: Policies,
    /// How the API server is read, if it is.
    pub cluster: Option<Access>,
    /// Keywright's own namespace in it.
    pub namespace: String,
    /// Folder of certificate, key, root and pins.
    pub tls: PathBuf,
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// Where health is served.
    pub health: SocketAddr,
    /// How often one caller may ask for signatures of one key, if that is limited.
    pub rate: Option<Rate>,
    /// Where the log is served over HTTPS, if anywhere.
    pub log: Option<SocketAddr>,
    /// Where spans go, if anywhere; by address, as no names are looked up.
    pub traces: Option<Target>,
}

/// Why the process ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The TLS folder.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The state folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address is taken or not ours.
    #[error("{what} address {address}: {source}; choose a free one with {option}")]
    Listen {
        /// Which listener.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// The option to change.
        option: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The API server's address or the credentials for it.
    #[error("kubeconfig: {0}")]
    Cluster(#[from] ReadError),
    /// The folder of policies.
    #[error(transparent)]
    Policies(#[from] PolicyFolderError),
    /// The process could not be confined.
    #[error(transparent)]
    Hardening(#[from] HardeningError),
    /// The server broke.
    #[error("serving: {0}")]
    Serve(#[from] tonic::transport::Error),
    /// The system refuses something ordinary.
    #[error("system: {0}")]
    System(#[from] io::Error),
}

/// Serves until SIGTERM or SIGINT, then lets requests under way finish.
pub async fn run(settings: Settings) -> Result<(), RunError> {
    // A token's library may have to find its device again.
    let outward = match (&settings.keys, &settings.cluster, &settings.traces) {
        (KeyStore::Memory, None, None) => calls::Outward::Never,
        (KeyStore::Token(_), ..) | (KeyStore::Memory, Some(_), _) | (KeyStore::Memory, _, Some(_)) => {
            calls::Outward::Connects
        }
    };
    let service =
        Service { name: "keywright-signer", version: env!("CARGO_PKG_VERSION"), instance: String::new() };
    let tracer = Tracer::to(settings.traces, service, Arc::new(SystemClock), Arc::new(SystemEntropy));
    let records = match settings.cluster {
        None => None,
        Some(access) => Some(Arc::new(access.reader(settings.namespace)?)),
    };
    let policies = match &records {
        Some(reader) => settings.policies.and_of(Arc::clone(reader) as Arc<dyn PolicySource>),
        None => settings.policies,
    };
    let records = records.map(|reader| reader as Arc<dyn Records>);
    let folder = TlsFolder::open(&settings.tls)?;
    let bind = |what, address: SocketAddr, option| async move {
        TcpListener::bind(address).await.map_err(|source| RunError::Listen { what, address, option, source })
    };
    let health_listener = bind("health", settings.health, "--health-listen").await?;
    let listener = bind("gRPC", settings.listen, "--listen").await?;
    let log_listener = match settings.log {
        Some(address) => Some(bind("log", address, "--log-listen").await?),
        None => None,
    };
    let parts = Parts {
        state: settings.state.clone(),
        kek: settings.kek,
        keys: settings.keys,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        gate: Gate { pinned: settings.pinned, records, policies },
        signers: std::thread::available_parallelism().map_or(2, usize::from),
    };
    let engine =
        tokio::task::spawn_blocking(move || Engine::start(parts)).await.map_err(io::Error::other)??;
    let engine = Arc::new(engine);
    let status = engine.status();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let pins = folder.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(PINS).await;
            let pins = pins.clone();
            let _ = tokio::task::spawn_blocking(move || pins.peers()).await;
        }
    });
    let routes = health::routes(Arc::clone(&engine), settings.state.join(TABLES), tracer.clone());
    tokio::spawn(async move { axum::serve(health_listener, routes).await });
    if let Some(listener) = log_listener {
        tokio::spawn(log_server::serve(listener, folder.clone(), log_dir(&settings.state)));
    }
    calls::confine(outward)?;
    tracing::info!(
        listen = %listener.local_addr()?,
        health = %settings.health,
        log_size = status.log_size,
        authorities = status.authorities,
        log = status.verifier,
        "signer is ready"
    );
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let service = service::Service::new(Arc::clone(&engine), folder.clone(), settings.rate, tracer.clone());
    let service = SignerServer::new(service).max_decoding_message_size(MAX_REQUEST);
    let mut when = stopped.clone();
    let serving = Server::builder()
        .concurrency_limit_per_connection(PER_CONNECTION)
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .serve_with_incoming_shutdown(service, ReceiverStream::new(accept(listener, folder)), async move {
            // Fails only when the sender is gone, which also means: stop.
            let _ = when.wait_for(|stop| *stop).await;
        });
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        ended = &mut serving => ended?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("signal to stop; requests under way may finish");
    let _ = stop.send(true);
    if let Ok(ended) = tokio::time::timeout(DRAIN, serving).await {
        ended?;
    } else {
        tracing::warn!("some requests did not finish in time");
    }
    tokio::task::spawn_blocking(move || engine.stop()).await.map_err(io::Error::other)?;
    tracer.finish().await;
    tracing::info!("signer has stopped");
    Ok(())
}
