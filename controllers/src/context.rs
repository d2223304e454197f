//! What every look has at hand.

use crate::backoff::Backoff;
use crate::caches::Caches;
use crate::certificate::Unpublished;
use crate::confirm::Confirmations;
use crate::metrics::Metrics;
use crate::notice::Notices;
use crate::own_writes::OwnWrites;
use crate::queue::Queue;
use crate::signer::Signer;
use crate::verdict::Compiled;
use keywright_ambient::Clock;
use keywright_crds::{ApprovalRequest, Certificate, ClusterIssuer, Issuer, Policy};
use keywright_telemetry::Tracer;
use kube::{Client, ResourceExt};
use std::collections::HashSet;
use std::sync::Arc;

/// The field manager of everything we write.
pub const FIELD_MANAGER: &str = "keywright-operator";

/// Shared by all controllers of one process, for as long as it leads.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The signer.
    pub signer: Arc<dyn Signer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The operator's own namespace: where requests about objects without one are.
    pub namespace: String,
    /// Name of this process, for Events.
    pub identity: String,
    /// Transitions of the leader lease: in every request to the signer.
    pub fencing_token: u64,
    /// What the watches have brought.
    pub caches: Arc<Caches>,
    /// What to look at.
    pub queues: Arc<Queues>,
    /// Own writes that the caches have not seen.
    pub writes: OwnWrites,
    /// Failures in a row.
    pub backoff: Backoff,
    /// What is counted.
    pub metrics: Metrics,
    /// Where looks that did something leave their spans.
    pub tracer: Tracer,
    /// Certificates that are signed and not published yet, and requests that were refused.
    pub unpublished: Unpublished,
    /// What is known to count at the signer.
    pub confirmations: Confirmations,
    /// Policies, compiled.
    pub compiled: Compiled,
    /// Notices of requests for approval: who posts them, and what is under way.
    pub notices: Notices,
}

impl Context {
    /// Drops what is remembered of objects that no cache holds any more: most are deleted without a look at it.
    pub(crate) fn forget_the_gone(&self) {
        let mut live = HashSet::new();
        live.extend(self.caches.certificates.state().iter().filter_map(|o| o.uid()));
        live.extend(self.caches.issuers.state().iter().filter_map(|o| o.uid()));
        live.extend(self.caches.cluster_issuers.state().iter().filter_map(|o| o.uid()));
        live.extend(self.caches.requests.state().iter().filter_map(|o| o.uid()));
        live.extend(self.caches.policies.state().iter().filter_map(|o| o.uid()));
        self.writes.keep_only(&live);
        self.backoff.keep_only(&live);
        self.unpublished.keep_only(&live);
        self.confirmations.keep_only(&live);
        self.notices.keep_only(&live, self.clock.monotonic());
    }

    /// Drops what is remembered of an object that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.writes.forget(uid);
        self.backoff.clear(uid);
        self.unpublished.forget(uid);
    }
}

/// One queue for each kind.
#[derive(Default)]
pub struct Queues {
    /// Certificates.
    pub certificates: Queue<Certificate>,
    /// Issuers.
    pub issuers: Queue<Issuer>,
    /// Cluster issuers.
    pub cluster_issuers: Queue<ClusterIssuer>,
    /// Requests for approval.
    pub requests: Queue<ApprovalRequest>,
    /// The same requests, for their notices.
    pub notices: Queue<ApprovalRequest>,
    /// Policies.
    pub policies: Queue<Policy>,
}
