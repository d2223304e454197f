//! Keeps the Secret, the configurations and the served certificate as they are decided to be: the shell of [`super`].

use super::bundle::{self, Configuration};
use super::keys::{Keys, SECRET, Step, decide};
use super::material::{Certificate, Unmade};
use super::presented::{Known, Presented, Unservable, may_serve};
use super::probe::{self, Unproven};
use crate::NAME;
use crate::serve::readiness::{Readiness, Standing};
use futures::{Stream, StreamExt, pin_mut};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use keywright_ambient::{Clock, Entropy};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait between two looks that nothing asked for.
const LONGEST: Duration = Duration::from_hours(1);
/// After a failure; a probe during the start of a cluster fails some times.
const AGAIN: Duration = Duration::from_millis(250);

/// What the keeper works with.
pub struct Keeper {
    /// Connected as the webhook's ServiceAccount.
    pub client: Client,
    /// Where the Secret is.
    pub namespace: String,
    /// DNS names and addresses of the serving certificate.
    pub names: Vec<String>,
    /// How long a root is in the configurations before anything is served under it.
    pub settle: Duration,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Serial numbers and names of roots.
    pub entropy: Arc<dyn Entropy>,
    /// What is served.
    pub presented: Arc<Presented>,
    /// Told when the proof is there.
    pub readiness: Readiness,
}

/// An object that is watched.
#[derive(Default)]
enum Watched<K> {
    #[default]
    NotYetSeen,
    Absent,
    There(K),
}

/// The three objects as they were seen last.
#[derive(Default)]
struct Seen {
    secret: Watched<Secret>,
    mutating: Watched<MutatingWebhookConfiguration>,
    validating: Watched<ValidatingWebhookConfiguration>,
    known: Known,
    /// The bundle and the certificate with which the probe came back.
    proven: Option<(String, Certificate)>,
}

enum Change {
    Secret(Watched<Secret>),
    Mutating(Watched<MutatingWebhookConfiguration>),
    Validating(Watched<ValidatingWebhookConfiguration>),
}

/// Why a look did not end as it should. All are tried again.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{what} {verb} failed: {source}")]
    Api { what: &'static str, verb: &'static str, source: Box<kube::Error> },
    #[error(transparent)]
    Unmade(#[from] Unmade),
    #[error(transparent)]
    Unservable(#[from] Unservable),
    #[error(transparent)]
    Unproven(#[from] Unproven),
    #[error("there is no {0} keywright-webhook: apply the chart's")]
    NoConfiguration(&'static str),
}

impl Keeper {
    /// Looks and acts until the process ends.
    pub async fn keep(self) {
        let changes = self.changes();
        pin_mut!(changes);
        let mut seen = Seen::default();
        let mut failures = 0_u32;
        loop {
            let wait = match self.look(&mut seen).await {
                Ok(wait) => {
                    failures = 0;
                    wait
                }
                Err(failure) => {
                    // The first of a row is often the other replica's work, or a cluster that is just starting.
                    if failures.is_power_of_two() {
                        tracing::warn!(%failure, "the webhook's trust is not as it should be; trying again");
                    }
                    self.readiness.explain(&failure.to_string());
                    failures = failures.saturating_add(1);
                    AGAIN * 2_u32.saturating_pow(failures.min(5).saturating_sub(1))
                }
            };
            tokio::select! {
                change = changes.next() => match change {
                    Some(change) => seen.take(change),
                    None => return,
                },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn changes(&self) -> impl Stream<Item = Change> + use<> {
        let secrets = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        let one = follow(secrets, SECRET, Change::Secret);
        let two = follow(Api::all(self.client.clone()), NAME, Change::Mutating);
        let three = follow(Api::all(self.client.clone()), NAME, Change::Validating);
        futures::stream::select(one, futures::stream::select(two, three))
    }

    /// One look at all that is seen; answers how long to rest.
    async fn look(&self, seen: &mut Seen) -> Result<Duration, Failure> {
        if !seen.is_complete() {
            return Ok(LONGEST);
        }
        let now = self.clock.monotonic();
        seen.known.note(&seen.carried(), now);
        let keys = self.settled(seen).await?;
        let bundle = keys.bundle();
        self.inject(seen, &bundle).await?;
        seen.known.note(&seen.carried(), now);

        let issuer = &keys.leaf.certificate.issuer;
        let known = seen.known.until(issuer, self.settle, now);
        let current = self.presented.certificate();
        let (wanted, at) = (&keys.leaf.certificate, self.clock.now());
        if may_serve(current.as_ref(), wanted, known == Some(Duration::ZERO), at) {
            self.presented.adopt(&keys)?;
            tracing::info!(root = issuer, until = %wanted.not_after, "serving under a new certificate");
        } else {
            self.presented.rebundle(&bundle);
        }
        self.prove(seen, &bundle).await?;

        let newest = keys.roots.first().map_or("", |root| root.subject.as_str());
        let waits = [known, seen.known.until(newest, self.settle, now)];
        let settling = waits.into_iter().flatten().filter(|wait| !wait.is_zero()).min();
        let due = match decide(Some(&keys), &self.names, at, false) {
            Step::Rest { until } => Duration::try_from(until.duration_since(at)).unwrap_or(AGAIN).max(AGAIN),
            Step::Make | Step::NewRoot | Step::NewLeaf | Step::Prune | Step::Settle => LONGEST,
        };
        Ok(settling.unwrap_or(LONGEST).min(due).min(LONGEST))
    }

    /// Brings the Secret to where nothing is to be done now, together with the other replicas.
    async fn settled(&self, seen: &mut Seen) -> Result<Keys, Failure> {
        loop {
            let (now, since) = (self.clock.now(), self.clock.monotonic());
            let secret = seen.secret.there();
            let version = secret.and_then(|secret| secret.metadata.resource_version.clone());
            let keys = secret.and_then(Keys::of_secret);
            let root =
                keys.as_ref().and_then(|keys| keys.roots.first()).map_or("", |root| root.subject.as_str());
            let known = seen.known.until(root, self.settle, since) == Some(Duration::ZERO);
            let step = decide(keys.as_ref(), &self.names, now, known);
            let next = match (step, keys) {
                (Step::Rest { .. } | Step::Settle, Some(keys)) => return Ok(keys),
                (Step::NewRoot, Some(keys)) => keys.with_new_root(self.entropy.as_ref(), now)?,
                (Step::NewLeaf, Some(keys)) => keys.with_new_leaf(&self.names, self.entropy.as_ref(), now)?,
                (Step::Prune, Some(keys)) => keys.pruned(now),
                (Step::Make, _)
                | (Step::Rest { .. } | Step::Settle | Step::NewRoot | Step::NewLeaf | Step::Prune, None) => {
                    let carried = seen.carried();
                    let serving = self.presented.pair().filter(|pair| {
                        let leaf = &pair.certificate;
                        leaf.is_valid(now) && carried.iter().any(|root| root.subject == leaf.issuer)
                    });
                    Keys::make(&self.names, &carried, serving, self.entropy.as_ref(), now)?
                }
            };
            seen.secret = self.write(&next, version).await?.into();
            tracing::info!(?step, roots = next.roots.len(), "Secret {SECRET}");
        }
    }

    /// Writes over exactly the version that was seen; answers what is there afterwards, ours or another replica's.
    async fn write(&self, keys: &Keys, version: Option<String>) -> Result<Option<Secret>, Failure> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = PostParams { field_manager: Some(NAME.to_owned()), ..PostParams::default() };
        let is_new = version.is_none();
        let secret = keys.to_secret(&self.namespace, version);
        let written = if is_new {
            secrets.create(&params, &secret).await
        } else {
            secrets.replace(SECRET, &params, &secret).await
        };
        let failed = |verb| {
            move |source: kube::Error| Failure::Api {
                what: "Secret keywright-webhook-tls",
                verb,
                source: Box::new(source),
            }
        };
        match written {
            Ok(secret) => Ok(Some(secret)),
            Err(kube::Error::Api(status))
                if status.is_conflict() || status.is_already_exists() || status.is_not_found() =>
            {
                secrets.get_opt(SECRET).await.map_err(failed("get"))
            }
            Err(error) => Err(failed("write")(error)),
        }
    }

    /// Both configurations carry the bundle afterwards.
    async fn inject(&self, seen: &mut Seen, bundle: &str) -> Result<(), Failure> {
        let missing = Failure::NoConfiguration;
        let mutating = seen.mutating.there_mut().ok_or(missing("MutatingWebhookConfiguration"))?;
        self.inject_one(mutating, bundle, "MutatingWebhookConfiguration keywright-webhook").await?;
        let validating = seen.validating.there_mut().ok_or(missing("ValidatingWebhookConfiguration"))?;
        self.inject_one(validating, bundle, "ValidatingWebhookConfiguration keywright-webhook").await
    }

    async fn inject_one<C>(&self, there: &mut C, bundle: &str, what: &'static str) -> Result<(), Failure>
    where
        C: Configuration
            + Resource<Scope = kube::core::ClusterResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let Some(patch) = bundle::patch(there, bundle) else { return Ok(()) };
        let params = PatchParams::apply(NAME).force();
        let applied = Api::<C>::all(self.client.clone()).patch(NAME, &params, &Patch::Apply(patch)).await;
        *there = applied.map_err(|source| Failure::Api { what, verb: "apply", source: Box::new(source) })?;
        tracing::info!(configuration = what, "put the bundle into the configuration");
        Ok(())
    }

    /// Ready is only who has been reached under the bundle and certificate of now; once reached it stays ready, for
    /// taking all replicas away at one time would be worse than what a change of bundle can do.
    async fn prove(&self, seen: &mut Seen, bundle: &str) -> Result<(), Failure> {
        let Some(certificate) = self.presented.certificate() else { return Ok(()) };
        let now = (bundle.to_owned(), certificate);
        if seen.proven.as_ref() == Some(&now) {
            return Ok(());
        }
        probe::run(&probe::certificates(self.client.clone(), &self.namespace), bundle).await?;
        if seen.proven.is_none() {
            tracing::info!("a dry-run admission through the API server came back: ready");
        }
        seen.proven = Some(now);
        self.readiness.set(Standing::Ready);
        Ok(())
    }
}

impl Seen {
    fn take(&mut self, change: Change) {
        match change {
            Change::Secret(secret) => self.secret = secret,
            Change::Mutating(configuration) => self.mutating = configuration,
            Change::Validating(configuration) => self.validating = configuration,
        }
    }

    fn is_complete(&self) -> bool {
        self.secret.is_seen() && self.mutating.is_seen() && self.validating.is_seen()
    }

    /// The roots that both configurations carry.
    fn carried(&self) -> Vec<Certificate> {
        let (Some(mutating), Some(validating)) = (self.mutating.there(), self.validating.there()) else {
            return Vec::new();
        };
        let there = bundle::carried(validating);
        bundle::carried(mutating).into_iter().filter(|root| there.contains(root)).collect()
    }
}

impl<K> Watched<K> {
    fn is_seen(&self) -> bool {
        match self {
            Self::NotYetSeen => false,
            Self::Absent | Self::There(_) => true,
        }
    }

    fn there(&self) -> Option<&K> {
        match self {
            Self::NotYetSeen | Self::Absent => None,
            Self::There(object) => Some(object),
        }
    }

    fn there_mut(&mut self) -> Option<&mut K> {
        match self {
            Self::NotYetSeen | Self::Absent => None,
            Self::There(object) => Some(object),
        }
    }
}

impl<K> From<Option<K>> for Watched<K> {
    fn from(object: Option<K>) -> Self {
        object.map_or(Self::Absent, Self::There)
    }
}

fn follow<K>(api: Api<K>, name: &str, change: fn(Watched<K>) -> Change) -> impl Stream<Item = Change> + use<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    watch_object(api, name).default_backoff().filter_map(move |seen| async move {
        match seen {
            Ok(object) => Some(change(object.into())),
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), %error, "a watch was broken; it goes on");
                None
            }
        }
    })
}
