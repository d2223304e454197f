//! What policies said, and whether it is in the way.

use crate::refusal::{About, Reason, Refusal};
use keywright_policy::{Decision, Denied, Outcome};
use std::collections::BTreeSet;

/// What policies said to one request. The default: there are none.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Text form of the digest of the policies that apply; empty: none does.
    pub digest: String,
    /// Approval classes that they want.
    pub classes: BTreeSet<String>,
    refusal: Option<Refusal>,
}

impl Verdict {
    /// Of a decision.
    pub fn of(decision: Decision) -> Self {
        let refusal = decision.denied().map(|Denied { rule, fix }| {
            let rule = format!("{rule} (decision {})", decision.id);
            let about = About {
                policies: decision.policy_digest.clone(),
                decision: decision.id.clone(),
                ..About::default()
            };
            Refusal::new(Reason::PolicyDenied, "", rule, fix).about(about)
        });
        let classes = match decision.outcome {
            Outcome::RequireApproval { classes } => classes.into_iter().collect(),
            Outcome::Allow | Outcome::Deny { .. } => BTreeSet::new(),
        };
        Self { digest: decision.policy_digest, classes, refusal }
    }

    /// With these classes beside those that policies want.
    #[must_use]
    pub fn and_classes(mut self, classes: Vec<String>) -> Self {
        self.classes.extend(classes);
        self
    }

    /// There is none: what was needed could not be found out.
    pub fn unread(problem: &str) -> Self {
        let refusal = Refusal::new(
            Reason::Unavailable,
            "",
            format!("policies cannot be asked: {problem}"),
            "try again; if it stays, look at the signer's --kubeconfig and its rights",
        );
        Self { refusal: Some(refusal), ..Self::default() }
    }

    /// The request is about an object that is not there.
    pub fn without_object(digest: &str, named: &str) -> Self {
        let about = About { policies: digest.to_owned(), ..About::default() };
        let refusal = Refusal::new(
            Reason::PolicyDenied,
            "object",
            format!("{named} does not exist with the UID of the request, so no policy can judge it"),
            "ask for an object that exists",
        );
        Self { digest: digest.to_owned(), refusal: Some(refusal.about(about)), ..Self::default() }
    }

    /// The asker saw other policies than are in force.
    pub fn stale(digest: &str) -> Self {
        let about = About { policies: digest.to_owned(), ..About::default() };
        let refusal = Refusal::new(
            Reason::PolicyStale,
            "policyDigest",
            "other policies are in force than those that the asker saw",
            "look at the policies again, then ask again",
        );
        Self { digest: digest.to_owned(), refusal: Some(refusal.about(about)), ..Self::default() }
    }

    /// Nothing is in the way. Errors: what is.
    pub fn hold(&self) -> Result<(), Refusal> {
        self.refusal.clone().map_or(Ok(()), Err)
    }
}
