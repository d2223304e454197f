//! Wires the operator: watches always, leads when it may, ends at once when it may no longer.

use crate::arguments::Run;
use crate::health::{Readiness, serve};
use crate::lease::{LeaderLease, Lost};
use k8s_openapi::api::coordination::v1::Lease;
use keywright_ambient::{Clock, SystemClock, SystemEntropy};
use keywright_connection::{NoClient, connect, requests};
use keywright_controllers::backoff::Backoff;
use keywright_controllers::caches::caches;
use keywright_controllers::certificate::Unpublished;
use keywright_controllers::confirm::Confirmations;
use keywright_controllers::context::{Context, Queues};
use keywright_controllers::metrics::{Metrics, Timed};
use keywright_controllers::notice::{Https, Notices};
use keywright_controllers::own_writes::OwnWrites;
use keywright_controllers::signer::RemoteSigner;
use keywright_controllers::verdict::Compiled;
use keywright_controllers::{run, watch};
use keywright_signer_protocol::{ConnectError, Timeouts};
use keywright_telemetry::{BadTarget, Service, Tracer};
use kube::Api;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signing with an RSA-4096 authority, or making its key, takes its time.
const SIGNER: Timeouts = Timeouts { connect: Duration::from_secs(3), request: Duration::from_mins(1) };

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error(transparent)]
    NoClient(#[from] NoClient),
    #[error(transparent)]
    NoSigner(#[from] ConnectError),
    #[error("{address} cannot serve health: {source}")]
    Health { address: std::net::SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error(transparent)]
    Traces(#[from] BadTarget),
    #[error("metrics cannot be kept, which is a defect: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("the watches ended, which is a defect")]
    Watches,
    #[error("asked to end")]
    Asked,
    #[error("signals cannot be received: {0}")]
    Signals(#[from] std::io::Error),
}

/// Runs until a signal asks it to end, or leadership is lost.
pub(crate) async fn run(options: Run) -> Result<(), Ended> {
    let metrics = Metrics::new()?;
    let requests = requests()?;
    metrics.also(requests.clone())?;
    let client = connect("keywright-operator", Some(requests)).await?;
    let signer = keywright_signer_protocol::connect(&options.signer, &options.tls_dir, SIGNER)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let service = Service {
        name: "keywright-operator",
        version: env!("CARGO_PKG_VERSION"),
        instance: options.identity.clone(),
    };
    let target = options.traces.target()?;
    let tracer = Tracer::to(target, service, Arc::clone(&clock), Arc::new(SystemEntropy));
    let readiness = Readiness::default();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let (caches, writers) = caches(options.scope(), &options.namespace);
    let (caches, queues) = (Arc::new(caches), Arc::new(Queues::default()));
    let watching =
        tokio::spawn(watch::follow(client.clone(), Arc::clone(&caches), Arc::clone(&queues), writers));
    let told = (metrics.clone(), Arc::clone(&caches), tracer.clone());
    let tell = move || {
        let mut text = told.0.text(&told.1);
        told.2.tell(&mut text);
        text
    };
    let health = serve(options.health_listen, readiness.clone(), tell);

    let lease = LeaderLease::new(
        Api::<Lease>::namespaced(client.clone(), &options.namespace),
        options.identity.clone(),
        Arc::clone(&clock),
    );
    let leading = async {
        tokio::select! {
            filled = watch::filled(&caches) => if !filled { return Ended::Watches },
            () = asked(&mut terminate, &mut interrupt) => return Ended::Asked,
        }
        readiness.set(true);
        tracing::info!(identity = options.identity, "caches are filled; waiting for the lease");
        let mut held = tokio::select! {
            held = lease.acquire() => match held {
                Ok(held) => held,
                Err(lost) => return Ended::Lost(lost),
            },
            () = asked(&mut terminate, &mut interrupt) => return Ended::Asked,
        };
        tracing::info!(fencing_token = held.token(), "leading");
        metrics.lead(true);
        let context = Arc::new(Context {
            client: client.clone(),
            signer: Arc::new(Timed {
                signer: RemoteSigner(signer),
                metrics: metrics.clone(),
                clock: Arc::clone(&clock),
            }),
            clock,
            namespace: options.namespace.clone(),
            identity: options.identity.clone(),
            fencing_token: held.token(),
            caches: Arc::clone(&caches),
            queues: Arc::clone(&queues),
            writes: OwnWrites::default(),
            backoff: Backoff::default(),
            metrics: metrics.clone(),
            tracer: tracer.clone(),
            unpublished: Unpublished::default(),
            confirmations: Confirmations::default(),
            compiled: Compiled::default(),
            notices: Notices::new(Arc::new(Https), options.namespace.clone()),
        });
        let ended = tokio::select! {
            lost = held.keep() => return Ended::Lost(lost),
            () = run::run(context, options.concurrency) => Ended::Watches,
            () = asked(&mut terminate, &mut interrupt) => Ended::Asked,
        };
        held.release().await;
        ended
    };
    let ended = tokio::select! {
        ended = leading => ended,
        broken = health => match broken {
            Ok(()) => Ended::Watches,
            Err(source) => Ended::Health { address: options.health_listen, source },
        },
        _ = watching => Ended::Watches,
    };
    // Whoever has lost the lease must stop at this instant.
    if !matches!(ended, Ended::Lost(_)) {
        tracer.finish().await;
    }
    match ended {
        Ended::Asked => Ok(()),
        ended => Err(ended),
    }
}

/// Resolves when somebody asks this process to end.
async fn asked(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
