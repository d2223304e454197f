//! Wires the webhook: watches, keeps its trust, serves, and ends in order.
//!
//! ```text
//! SIGTERM -> /readyz fails, every answer closes its connection -> drain -> nothing is accepted -> what is under way ends
//! ```

use crate::arguments::Arguments;
use crate::health;
use keywright_ambient::{SystemClock, SystemEntropy};
use keywright_connection::{NoClient, connect, requests};
use keywright_telemetry::{BadTarget, Service, Tracer};
use keywright_webhooks::NAME;
use keywright_webhooks::editors::Own;
use keywright_webhooks::metrics::Metrics;
use keywright_webhooks::serve::claims::Claims;
use keywright_webhooks::serve::handle::Reviewer;
use keywright_webhooks::serve::listen::Server;
use keywright_webhooks::serve::observe::Sources;
use keywright_webhooks::serve::policies::Policies;
use keywright_webhooks::serve::readiness::{Readiness, Standing};
use keywright_webhooks::serve::waiting::Waiting;
use keywright_webhooks::trust::keeper::Keeper;
use keywright_webhooks::trust::presented::Presented;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Longest wait for what is under way; an API server waits for at most 30 s itself.
const FINISH: Duration = Duration::from_secs(30);

/// Why the webhook ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error(transparent)]
    NoClient(#[from] NoClient),
    #[error("{address} cannot serve: {source}")]
    Address { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Traces(#[from] BadTarget),
    #[error("TLS cannot be served: {0}")]
    Tls(#[from] rustls::Error),
    #[error("metrics cannot be kept, which is a defect: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("the watches ended, which is a defect")]
    Watches,
    #[error("signals cannot be received: {0}")]
    Signals(#[from] std::io::Error),
}

/// Runs until a signal asks it to end.
pub(crate) async fn run(options: Arguments) -> Result<(), Ended> {
    let requests = requests()?;
    let metrics = Metrics::new(requests.clone())?;
    let client = connect(NAME, Some(requests)).await?;
    let (presented, readiness) = (Arc::new(Presented::default()), Readiness::default());
    let (claims, policies, waiting) = (Claims::default(), Policies::default(), Waiting::default());
    let own = |account: &str| account_name(&options.namespace, account);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let service =
        Service { name: NAME, version: env!("CARGO_PKG_VERSION"), instance: options.identity.clone() };
    let target = options.traces.target()?;
    let tracer = Tracer::to(target, service, Arc::new(SystemClock), Arc::new(SystemEntropy));
    let taken = |address| move |source| Ended::Address { address, source };
    let listener = TcpListener::bind(options.listen).await.map_err(taken(options.listen))?;
    let reviewer = Reviewer {
        own: Own { operator: own(&options.operator_service_account), webhook: own(NAME) },
        namespace: options.namespace.clone(),
        most_waiting: options.requests_waiting.into(),
        sources: Sources {
            client: client.clone(),
            namespace: options.namespace.clone(),
            claims: claims.clone(),
            waiting: waiting.clone(),
        },
        policies: policies.clone(),
        clock: Arc::new(SystemClock),
        presented: Arc::clone(&presented),
        metrics: metrics.clone(),
        tracer: tracer.clone(),
    };
    let server = Server::new(listener, Arc::clone(&presented), Arc::new(reviewer), readiness.clone())?;
    let end = CancellationToken::new();
    let mut serving = tokio::spawn(server.serve(end.clone()));

    let told_of = Arc::clone(&presented);
    let keeper = Keeper {
        client: client.clone(),
        namespace: options.namespace.clone(),
        names: options.serving_names(),
        settle: options.settle,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        presented,
        readiness: readiness.clone(),
    };
    let watching = async {
        tokio::join!(
            claims.follow(client.clone()),
            policies.follow(client.clone(), &options.namespace),
            waiting.follow(client),
            keeper.keep()
        )
    };
    let told = (metrics, told_of, readiness.clone(), tracer.clone());
    let tell = move || {
        let mut text = told.0.text(&told.1, &told.2);
        told.3.tell(&mut text);
        text
    };
    let health = health::serve(options.health_listen, readiness.clone(), tell);
    let ending = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        readiness.set(Standing::Ending);
        tracing::info!(
            seconds = options.drain.as_secs(),
            "ending: serving on until nothing new is sent here"
        );
        tokio::time::sleep(options.drain).await;
    };
    tokio::select! {
        () = ending => {}
        _ = watching => return Err(Ended::Watches),
        ended = health => return match ended {
            Ok(()) => Err(Ended::Watches),
            Err(source) => Err(taken(options.health_listen)(source)),
        },
        _ = &mut serving => return Err(Ended::Watches),
    }
    end.cancel();
    if tokio::time::timeout(FINISH, serving).await.is_err() {
        tracing::warn!("reviews were still under way and are cut off");
    }
    tracer.finish().await;
    Ok(())
}

/// How the API server calls a ServiceAccount.
fn account_name(namespace: &str, account: &str) -> String {
    format!("system:serviceaccount:{namespace}:{account}")
}
