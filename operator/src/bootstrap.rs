//! Makes the suite's own root, the mutual TLS identities of operator and signer and the signer's key-encryption key, in
//! the cluster, and keeps them good.
//!
//! Level-triggered as everything else: each look starts from the Secrets that are there and completes them, so a crash
//! between two writes costs nothing. Once, or for as long as the process runs: then whenever one of them changes, and
//! when one is due.
//!
//! ```text
//! keywright-root          the root's certificate and key; read by nobody but this
//! keywright-operator-tls  ca.crt tls.crt tls.key peers.json, mounted by the operator; what is next, and since when
//! keywright-signer-tls    the same, mounted by the signer
//! keywright-signer-kek    32 bytes, made once, never changed; only when asked for
//! ```

mod identity;
mod pins;
mod step;

use crate::arguments::Bootstrap;
use crate::health::{Readiness, serve};
use futures::{StreamExt, stream};
use identity::{Entries, Unmade};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use keywright_ambient::{Clock, Entropy, NoEntropy, SystemClock, SystemEntropy};
use keywright_connection::{NoClient, connect};
use kube::api::{Api, ObjectMeta, PartialObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, watcher};
use std::time::Duration;
use step::{SIDES, Step, World, step};
use tokio::signal::unix::{SignalKind, signal};

const FIELD_MANAGER: &str = "keywright-bootstrap";
const ROOT: &str = "keywright-root";
const KEK: &str = "keywright-signer-kek";
/// Even what is due in a year is looked at once an hour: clocks are set.
const LONGEST_REST: Duration = Duration::from_hours(1);
/// After a failed look.
const RETRY: Duration = Duration::from_secs(2);

/// Why the Secrets are not complete. Running it again continues where it ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    NoClient(#[from] NoClient),
    #[error("Secret {name:?}: {source}; check the rights of this ServiceAccount, then run it again")]
    Api { name: String, source: Box<kube::Error> },
    #[error(transparent)]
    Unmade(#[from] Unmade),
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    #[error("{address} cannot serve health: {source}")]
    Health { address: std::net::SocketAddr, source: std::io::Error },
    #[error("the watch of the Secrets ended, which is a defect")]
    Watch,
    #[error("signals cannot be received: {0}")]
    Signals(#[from] std::io::Error),
}

/// Completes the Secrets, and with `--keep` goes on doing so until a signal ends it.
pub(crate) async fn run(options: Bootstrap) -> Result<(), Error> {
    let client = connect("keywright-bootstrap", None).await?;
    let keeper = Keeper {
        secrets: Api::namespaced(client.clone(), &options.namespace),
        metadata: Api::namespaced(client, &options.namespace),
        settle: SignedDuration::from_secs(i64::from(options.settle)),
        kek: options.signer_kek,
    };
    if !options.keep {
        return keeper.complete().await.map(|_| ());
    }
    let readiness = Readiness::default();
    let health = serve(options.health_listen, readiness.clone(), String::new);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        ended = keeper.keep(&readiness) => ended,
        broken = health => match broken {
            Ok(()) => Ok(()),
            Err(source) => Err(Error::Health { address: options.health_listen, source }),
        },
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

struct Keeper {
    secrets: Api<Secret>,
    /// The same without what is in them.
    metadata: Api<PartialObjectMeta<Secret>>,
    settle: SignedDuration,
    kek: bool,
}

impl Keeper {
    /// Looks now, whenever one of the Secrets changes, and when one is due.
    async fn keep(&self, readiness: &Readiness) -> Result<(), Error> {
        let names = [ROOT, SIDES[0].secret, SIDES[1].secret];
        // One watch for each: rights are given by name.
        let mut changes = stream::select_all(names.map(|name| {
            let only = Config::default().fields(&format!("metadata.name={name}"));
            watcher(self.metadata.clone(), only).default_backoff().boxed()
        }));
        loop {
            let rest = match self.complete().await {
                Ok(again) => {
                    readiness.set(true);
                    until(again, SystemClock.now()).min(LONGEST_REST)
                }
                Err(error) => {
                    tracing::warn!(%error, "trying again");
                    RETRY
                }
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                change = changes.next() => match change {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => tracing::warn!(%error, "the watch broke; it is taken up again"),
                    None => return Err(Error::Watch),
                },
            }
        }
    }

    /// One look: what is missing is made, what differs is written. Says when to look again.
    async fn complete(&self) -> Result<Timestamp, Error> {
        if self.kek && self.read(KEK).await?.is_none() {
            self.make_kek().await?;
        }
        let [operator, signer] = SIDES;
        let before = World {
            root: self.read(ROOT).await?.unwrap_or_default(),
            ends: [
                self.read(operator.secret).await?.unwrap_or_default(),
                self.read(signer.secret).await?.unwrap_or_default(),
            ],
        };
        let Step { world, again } = step(&before, self.settle, SystemClock.now(), &SystemEntropy)?;
        self.write(ROOT, before.root, world.root).await?;
        for ((side, before), after) in SIDES.iter().zip(before.ends).zip(world.ends) {
            self.write(side.secret, before, after).await?;
        }
        Ok(again)
    }

    async fn read(&self, name: &str) -> Result<Option<Entries>, Error> {
        let found = self.secrets.get_opt(name).await.map_err(told(name))?;
        Ok(found.map(|secret| secret.data.unwrap_or_default()))
    }

    async fn write(&self, name: &str, before: Entries, after: Entries) -> Result<(), Error> {
        if before == after {
            return Ok(());
        }
        let secret = Secret {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(after),
            ..Secret::default()
        };
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.secrets.patch(name, &params, &Patch::Apply(secret)).await.map_err(told(name))?;
        tracing::info!(secret = name, "wrote what was missing or due");
        Ok(())
    }

    /// Created, never patched: whoever was faster has made the one that counts.
    async fn make_kek(&self) -> Result<(), Error> {
        let mut key = vec![0; 32];
        SystemEntropy.fill(&mut key)?;
        let secret = Secret {
            metadata: ObjectMeta { name: Some(KEK.to_owned()), ..ObjectMeta::default() },
            immutable: Some(true),
            data: Some(Entries::from([("kek".to_owned(), ByteString(key))])),
            ..Secret::default()
        };
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match self.secrets.create(&params, &secret).await {
            Ok(_) => {
                tracing::info!(
                    secret = KEK,
                    "made the key-encryption key; keep a copy apart from the cluster"
                );
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            Err(error) => Err(told(KEK)(error)),
        }
    }
}

fn told(name: &str) -> impl FnOnce(kube::Error) -> Error {
    let name = name.to_owned();
    move |source| Error::Api { name, source: Box::new(source) }
}

fn until(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}
