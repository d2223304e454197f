//! Holds the leader lease: the thin shell around [`keywright_controllers_core::lease`].
//!
//! Whoever loses it replaces the process at once and hard: a graceful stop past the deadline is how two leaders come
//! to work at the same time.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use keywright_ambient::Clock;
use keywright_controllers_core::lease::{DURATION, RENEW_DEADLINE, RETRY, Seen, Step, decide};
use kube::api::{Api, ObjectMeta, PostParams};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The name of the Lease object.
pub(crate) const NAME: &str = "keywright-operator";

/// The lease, held or wanted, by one process.
pub(crate) struct LeaderLease {
    api: Api<Lease>,
    me: String,
    clock: Arc<dyn Clock>,
    last: Option<(Lease, Instant)>,
}

/// Leadership as long as this is renewed; its token goes with every request to the signer.
pub(crate) struct Held {
    lease: LeaderLease,
    token: i32,
}

/// Why leadership ended. In each case nothing may be done any more as leader.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// Another process has taken the lease.
    #[error("another process took the leader lease")]
    Overtaken,
    /// The lease could not be renewed in time, so another may take it any moment.
    #[error("the leader lease could not be renewed for {RENEW_DEADLINE:?}: {0}")]
    Deadline(String),
}

impl LeaderLease {
    /// `me`: unique among the processes that run at one time; the same one again after a restart takes over at once.
    pub(crate) fn new(api: Api<Lease>, me: String, clock: Arc<dyn Clock>) -> Self {
        Self { api, me, clock, last: None }
    }

    /// Waits until this process leads.
    pub(crate) async fn acquire(mut self) -> Held {
        loop {
            match self.try_acquire().await {
                Ok(Some(token)) => return Held { lease: self, token },
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "the leader lease cannot be read or taken; trying again");
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn try_acquire(&mut self) -> Result<Option<i32>, kube::Error> {
        let seen = self.look().await?;
        match decide(seen.as_ref(), &self.me, None) {
            Step::Create { transitions } | Step::Take { transitions } => {
                Ok(self.write(transitions).await?.then_some(transitions))
            }
            Step::StandBy | Step::Renew => Ok(None),
        }
    }

    async fn look(&mut self) -> Result<Option<Seen>, kube::Error> {
        let Some(lease) = self.api.get_opt(NAME).await? else {
            self.last = None;
            return Ok(None);
        };
        let now = self.clock.monotonic();
        let since = match &self.last {
            Some((before, since)) if before.metadata.resource_version == lease.metadata.resource_version => {
                *since
            }
            _ => now,
        };
        let spec = lease.spec.clone().unwrap_or_default();
        self.last = Some((lease, since));
        Ok(Some(Seen {
            holder: spec.holder_identity.unwrap_or_default(),
            transitions: spec.lease_transitions.unwrap_or(0),
            duration: spec
                .lease_duration_seconds
                .and_then(|s| u64::try_from(s).ok())
                .map_or(DURATION, Duration::from_secs),
            unchanged_for: now.saturating_duration_since(since),
        }))
    }

    /// Writes ourselves as holder over exactly what was last seen. False: somebody was faster.
    async fn write(&mut self, transitions: i32) -> Result<bool, kube::Error> {
        let now = MicroTime(self.clock.now());
        let before = self.last.as_ref().and_then(|(lease, _)| lease.spec.clone());
        let acquired = before
            .filter(|s| s.lease_transitions == Some(transitions))
            .and_then(|s| s.acquire_time)
            .unwrap_or_else(|| now.clone());
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(NAME.into()),
                resource_version: self.last.as_ref().and_then(|(l, _)| l.metadata.resource_version.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.me.clone()),
                lease_transitions: Some(transitions),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                acquire_time: Some(acquired),
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        };
        let written = match &self.last {
            None => self.api.create(&PostParams::default(), &lease).await,
            Some(_) => self.api.replace(NAME, &PostParams::default(), &lease).await,
        };
        match written {
            Ok(lease) => {
                self.last = Some((lease, self.clock.monotonic()));
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Held {
    /// The fencing token: `leaseTransitions` as this process wrote it.
    pub(crate) fn token(&self) -> u64 {
        u64::try_from(self.token).unwrap_or(0)
    }

    /// Renews until leadership is lost, and says why.
    pub(crate) async fn keep(&mut self) -> Lost {
        let mut renewed = self.lease.clock.monotonic();
        loop {
            tokio::time::sleep(RETRY).await;
            let left = RENEW_DEADLINE
                .saturating_sub(self.lease.clock.monotonic().saturating_duration_since(renewed));
            let failure = match tokio::time::timeout(left, self.renew()).await {
                Ok(Ok(true)) => {
                    renewed = self.lease.clock.monotonic();
                    continue;
                }
                Ok(Ok(false)) => return Lost::Overtaken,
                Ok(Err(error)) => error.to_string(),
                Err(_) => return Lost::Deadline("no answer from the API server".into()),
            };
            if self.lease.clock.monotonic().saturating_duration_since(renewed) >= RENEW_DEADLINE {
                return Lost::Deadline(failure);
            }
        }
    }

    async fn renew(&mut self) -> Result<bool, kube::Error> {
        // The version written last is known, so a renewal is one write; a conflict is looked into before it counts.
        if self.lease.write(self.token).await? {
            return Ok(true);
        }
        let seen = self.lease.look().await?;
        match decide(seen.as_ref(), &self.lease.me, Some(self.token)) {
            Step::Renew => self.lease.write(self.token).await,
            // A deleted Lease restarts the count for everybody: going on under it would break the order of tokens.
            Step::Create { .. } | Step::Take { .. } | Step::StandBy => Ok(false),
        }
    }

    /// Gives the lease back, so that the next leader need not wait for it to expire.
    pub(crate) async fn release(mut self) {
        let Some((mut lease, _)) = self.lease.last.take() else { return };
        if let Some(spec) = lease.spec.as_mut() {
            spec.holder_identity = None;
            spec.renew_time = Some(MicroTime(self.now()));
        }
        if let Err(error) = self.lease.api.replace(NAME, &PostParams::default(), &lease).await {
            tracing::warn!(%error, "the leader lease was not released; it expires by itself");
        }
    }

    fn now(&self) -> Timestamp {
        self.lease.clock.now()
    }
}
