//! Holds the leader lease: the thin shell around [`keywright_controllers_core::lease`].
//!
//! Whoever loses it replaces the process at once and hard: a graceful stop past the deadline is how two leaders come
//! to work at the same time.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use keywright_ambient::Clock;
use keywright_controllers_core::lease::{DURATION, RENEW_DEADLINE, RETRY, Seen, Step, decide, set_back};
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
    /// The API server's store was set back, so what the watches have brought is not what is.
    #[error("the API server's store was set back to an older state")]
    SetBack,
    /// The lease could not be renewed in time, so another may take it any moment.
    #[error("the leader lease could not be renewed for {RENEW_DEADLINE:?}: {0}")]
    Deadline(String),
}

/// What came of trying to renew.
enum Renewal {
    Done,
    Overtaken,
    SetBack,
}

impl LeaderLease {
    /// `me`: unique among the processes that run at one time; the same one again after a restart takes over at once.
    pub(crate) fn new(api: Api<Lease>, me: String, clock: Arc<dyn Clock>) -> Self {
        Self { api, me, clock, last: None }
    }

    /// Waits until this process leads. Errors: `SetBack`.
    pub(crate) async fn acquire(mut self) -> Result<Held, Lost> {
        loop {
            let before = self.version();
            match self.try_acquire().await {
                Ok(_) if set_back(before.as_deref(), self.version().as_deref()) => return Err(Lost::SetBack),
                Ok(Some(token)) => return Ok(Held { lease: self, token }),
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

    /// The version that was last seen or written.
    fn version(&self) -> Option<String> {
        self.last.as_ref().and_then(|(lease, _)| lease.metadata.resource_version.clone())
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
                Ok(Ok(Renewal::Done)) => {
                    renewed = self.lease.clock.monotonic();
                    continue;
                }
                Ok(Ok(Renewal::Overtaken)) => return Lost::Overtaken,
                Ok(Ok(Renewal::SetBack)) => return Lost::SetBack,
                Ok(Err(error)) => error.to_string(),
                Err(_) => return Lost::Deadline("no answer from the API server".into()),
            };
            if self.lease.clock.monotonic().saturating_duration_since(renewed) >= RENEW_DEADLINE {
                return Lost::Deadline(failure);
            }
        }
    }

    async fn renew(&mut self) -> Result<Renewal, kube::Error> {
        // The version written last is known, so a renewal is one write; a conflict is looked into before it counts.
        if self.lease.write(self.token).await? {
            return Ok(Renewal::Done);
        }
        let before = self.lease.version();
        let seen = self.lease.look().await?;
        if set_back(before.as_deref(), self.lease.version().as_deref()) {
            return Ok(Renewal::SetBack);
        }
        match decide(seen.as_ref(), &self.lease.me, Some(self.token)) {
            Step::Renew if self.lease.write(self.token).await? => Ok(Renewal::Done),
            // A deleted Lease restarts the count for everybody: going on under it would break the order of tokens.
            Step::Renew | Step::Create { .. } | Step::Take { .. } | Step::StandBy => Ok(Renewal::Overtaken),
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
