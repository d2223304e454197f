//! One `AdmissionReview`: read, observed, decided, answered.

use super::observe::Sources;
use super::policies::Policies;
use crate::answer;
use crate::attempt::Attempt;
use crate::editors::Own;
use crate::kind::Kind;
use crate::metrics::Metrics;
use crate::review::{Review, World, asks_policies, needs, review};
use crate::stamp;
use crate::trace;
use crate::trust::presented::Presented;
use jiff::Unit;
use keywright_ambient::Clock;
use keywright_telemetry::Tracer;
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which half is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// `POST /mutate`
    Mutating,
    /// `POST /validate`
    Validating,
}

impl Half {
    /// The half that answers at a path.
    pub fn at(path: &str) -> Option<Self> {
        match path {
            "/mutate" => Some(Self::Mutating),
            "/validate" => Some(Self::Validating),
            _ => None,
        }
    }

    /// Its name, for metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mutating => "mutate",
            Self::Validating => "validate",
        }
    }
}

/// What every review is answered with.
#[derive(Debug)]
pub struct Reviewer {
    /// Keywright's own accounts; this webhook's is the only one that probes.
    pub own: Own,
    /// Its namespace.
    pub namespace: String,
    /// How many requests of one requester may wait in one namespace.
    pub most_waiting: usize,
    /// Where facts come from.
    pub sources: Sources,
    /// The policies of the cluster.
    pub policies: Policies,
    /// The time that policies are told.
    pub clock: Arc<dyn Clock>,
    /// What is served, for the probe.
    pub presented: Arc<Presented>,
    /// What is counted.
    pub metrics: Metrics,
    /// Where spans go.
    pub tracer: Tracer,
}

/// The body is no `AdmissionReview` with a request. Whoever sends it is not an API server.
#[derive(Debug, thiserror::Error)]
pub enum NotAReview {
    /// It does not parse.
    #[error("the body is not an AdmissionReview of admission.k8s.io/v1: {0}")]
    Json(#[from] serde_json::Error),
    /// It carries no request.
    #[error("the AdmissionReview carries no request")]
    NoRequest,
}

impl Reviewer {
    /// The body of the answer.
    pub async fn answer(&self, half: Half, body: &[u8]) -> Result<Vec<u8>, NotAReview> {
        let review: AdmissionReview<DynamicObject> = serde_json::from_slice(body)?;
        let request: AdmissionRequest<DynamicObject> =
            review.try_into().map_err(|_| NotAReview::NoRequest)?;
        let from = self.clock.monotonic();
        let response = match half {
            Half::Mutating => self.mutate(&request),
            Half::Validating => self.validate(&request).await,
        };
        self.metrics.answered(half, self.since(from));
        Ok(serde_json::to_vec(&response.into_review())?)
    }

    /// What cannot be read passes unstamped here; the validating half refuses it.
    fn mutate(&self, request: &AdmissionRequest<DynamicObject>) -> AdmissionResponse {
        match Attempt::parse(request) {
            Ok(attempt) => answer::mutated(request, stamp::stamp(&attempt, &self.own)),
            Err(error) => answer::reviewed(request, answer::unreadable(&error)),
        }
    }

    async fn validate(&self, request: &AdmissionRequest<DynamicObject>) -> AdmissionResponse {
        let attempt = match Attempt::parse(request) {
            Ok(attempt) => attempt,
            Err(error) => {
                let review = answer::unreadable(&error);
                self.metrics.reviewed(None, &review);
                return answer::reviewed(request, review);
            }
        };
        let span = trace::begin(&self.tracer, &attempt);
        let world = World {
            own: self.own.clone(),
            namespace: self.namespace.clone(),
            bundle: self.presented.bundle().unwrap_or_default(),
            now: self.clock.now().round(Unit::Second).unwrap_or_default().to_string(),
            most_waiting: self.most_waiting,
            policies: self.policies.now(),
            facts: self.sources.observe(needs(&attempt), &attempt.who).await,
        };
        let from = self.clock.monotonic();
        let review = judged(request, &attempt, world).await;
        if asks_policies(&attempt) {
            self.metrics.judged(self.since(from));
        }
        self.metrics.reviewed(Some(&attempt), &review);
        answer::log(&attempt, &review);
        trace::end(span, &attempt, &review);
        answer::reviewed(request, review)
    }

    fn since(&self, from: Instant) -> Duration {
        self.clock.monotonic().saturating_duration_since(from)
    }
}

/// Whether the attempt of a request may go on. A policy takes its time, up to seconds for a bundle: not on the thread that
/// serves everybody.
async fn judged(request: &AdmissionRequest<DynamicObject>, attempt: &Attempt<'_>, world: World) -> Review {
    let is_quick =
        !asks_policies(attempt) || world.policies.as_ref().is_none_or(|set| set.digest().is_empty());
    // A Policy itself is compiled, its bundle loaded.
    if is_quick && attempt.kind != Kind::Policy {
        return review(attempt, &world);
    }
    let request = request.clone();
    let apart = tokio::task::spawn_blocking(move || match Attempt::parse(&request) {
        Ok(attempt) => review(&attempt, &world),
        Err(error) => answer::unreadable(&error),
    });
    match apart.await {
        Ok(review) => review,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}
