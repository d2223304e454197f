//! What is found out about a request before the engine's turn: approvals are read, policies are asked.
//!
//! Nothing is refused here. A repeat of a request that was signed gets its stored answer whatever policies say by then, and
//! only the engine knows whether it is one.

use super::ended::Reported;
use super::evidence::{self, Brought, Evidence};
use super::pinned::Pinned;
use crate::policy::{Policies, Question, Verdict};
use crate::profile::Profile;
use crate::refusal::Refusal;
use keywright_ambient::Clock;
use keywright_signer_cluster::{Found, Records};
use std::sync::Arc;

/// Where evidence comes from.
#[derive(Clone, Default)]
pub struct Gate {
    /// Classes with signatures.
    pub pinned: Pinned,
    /// The API server, if this signer may read it.
    pub records: Option<Arc<dyn Records>>,
    /// The policies in force.
    pub policies: Policies,
}

/// All that was found out about a request.
#[derive(Debug, Clone, Default)]
pub struct Cleared {
    /// The approvals that it brought.
    pub evidence: Vec<Evidence>,
    /// What policies say.
    pub verdict: Verdict,
    /// The profile that policies were shown; none: there is none.
    pub profile: Option<Profile>,
}

impl Gate {
    /// Finds out about a request that is said to have ended. Errors: see [`Reported::read`].
    pub async fn look_up(&self, reported: &Reported, clock: &dyn Clock) -> Result<Found, Refusal> {
        reported.read(self.records.as_deref(), clock.now()).await
    }

    /// Finds out about the approvals that a request brings, and what policies say to it. `question`: forms what they are
    /// asked, which is work; `profile`: the one that it is asked under.
    pub async fn examine(
        &self,
        brought: Vec<Brought>,
        profile: Option<Profile>,
        question: impl FnOnce() -> Question,
        clock: &dyn Clock,
    ) -> Cleared {
        let mut evidence = Vec::with_capacity(brought.len());
        for one in brought {
            evidence.push(evidence::read(one, &self.pinned, self.records.as_deref(), clock.now()).await);
        }
        let given = evidence.iter().filter_map(|one| one.given(clock.now())).collect();
        let verdict = self.policies.ask(question, given, clock).await;
        Cleared { evidence, verdict, profile }
    }
}
