//! The signer, as the controllers see it: what is asked of it, and the ways to fail.

use futures::future::BoxFuture;
use keywright_signer_protocol::v1alpha1::refusal::Reason;
use keywright_signer_protocol::v1alpha1::{
    Authority, EnsureAuthorityRequest, IssueRequest, Issued, LogEndedApprovalRequest, LookUpRequest,
    LookUpResponse, Refusal,
};
use keywright_signer_protocol::{SignerClient, refusal_of};
use keywright_telemetry::{SpanContext, TRACEPARENT};
use std::time::Duration;
use tonic::Status;

/// How long to wait for one certificate before its owner is told that the signer is slow.
const ISSUE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SignerError {
    /// It could not be reached, or cannot sign just now. Trying again helps.
    #[error("{0}")]
    Unavailable(String),
    /// It does not hold this authority, or holds it with another key.
    #[error("{0}")]
    KeyLost(String),
    /// It refuses an edit that loosens what was fixed.
    #[error("{0}")]
    Loosening(String),
    /// It has signed a newer step for this object than the one that was asked for.
    #[error("{words}")]
    StaleStep {
        /// The newest one.
        newest: u64,
        /// Its words.
        words: String,
    },
    /// People have to agree first.
    #[error("{words}")]
    ApprovalRequired {
        /// Names of the classes of which no approval was brought.
        classes: Vec<String>,
        /// Digest of the effect, as the signer sees it.
        effect: String,
        /// What it says of an authority's effect.
        authority: Option<Box<Told>>,
        /// Digest of the policies in force there, which is part of the effect; empty: there are none.
        policies: String,
        /// Its words.
        words: String,
    },
    /// An approval that was brought does not hold, or not any more.
    #[error("{words}")]
    ApprovalInvalid {
        /// Digest of the policies in force at the signer: another one than before makes another effect.
        policies: String,
        /// Its words.
        words: String,
    },
    /// A policy denies. Trying again helps when the policy was changed.
    #[error("{0}")]
    PolicyDenied(String),
    /// Other policies are in force there than were asked here. Trying again helps once both have read the same.
    #[error("{0}")]
    PolicyStale(String),
    /// It refuses what was asked. Trying again helps only after a change.
    #[error("{0}")]
    Refused(String),
}

impl SignerError {
    /// Its name, for traces: of a closed list, whatever the words are.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "Unavailable",
            Self::KeyLost(_) => "KeyLost",
            Self::Loosening(_) => "Loosening",
            Self::StaleStep { .. } => "StaleStep",
            Self::ApprovalRequired { .. } => "ApprovalRequired",
            Self::ApprovalInvalid { .. } => "ApprovalInvalid",
            Self::PolicyDenied(_) => "PolicyDenied",
            Self::PolicyStale(_) => "PolicyStale",
            Self::Refused(_) => "Refused",
        }
    }
}

/// An authority's effect, in the signer's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The effect as canonical JSON.
    pub effect: String,
    /// The constraints in force as JSON, for a loosening.
    pub constraints: String,
}

/// What became of the report that a request for approval has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReport {
    /// What it came to is in the signer's log, with all votes.
    Logged,
    /// This signer reads no requests for approval, so they are in no log of its.
    NoRecords,
}

/// Asks the signer. The controllers' tests put a signer without a wire in its place.
pub trait Signer: Send + Sync + 'static {
    /// Makes, tightens, renews or shows an authority.
    fn ensure_authority(
        &self,
        request: EnsureAuthorityRequest,
    ) -> BoxFuture<'_, Result<Authority, SignerError>>;
    /// One certificate. `within`: the span of this request, where it is traced.
    fn issue(
        &self,
        request: IssueRequest,
        within: Option<SpanContext>,
    ) -> BoxFuture<'_, Result<Issued, SignerError>>;
    /// Which certificate counts for each request.
    fn look_up(&self, request: LookUpRequest) -> BoxFuture<'_, Result<LookUpResponse, SignerError>>;
    /// Reports that nothing more comes of a request for approval.
    fn log_ended_approval(
        &self,
        request: LogEndedApprovalRequest,
    ) -> BoxFuture<'_, Result<EndReport, SignerError>>;
}

/// The signer at the other end of a pinned connection.
#[derive(Debug, Clone)]
pub struct RemoteSigner(pub SignerClient);

impl Signer for RemoteSigner {
    fn ensure_authority(
        &self,
        request: EnsureAuthorityRequest,
    ) -> BoxFuture<'_, Result<Authority, SignerError>> {
        let mut client = self.0.clone();
        Box::pin(async move {
            client.ensure_authority(request).await.map(tonic::Response::into_inner).map_err(|s| read(&s))
        })
    }

    fn issue(
        &self,
        request: IssueRequest,
        within: Option<SpanContext>,
    ) -> BoxFuture<'_, Result<Issued, SignerError>> {
        let mut client = self.0.clone();
        let mut request = tonic::Request::new(request);
        request.set_timeout(ISSUE);
        if let Some(header) = within.and_then(|span| span.traceparent().parse().ok()) {
            request.metadata_mut().insert(TRACEPARENT, header);
        }
        Box::pin(
            async move { client.issue(request).await.map(tonic::Response::into_inner).map_err(|s| read(&s)) },
        )
    }

    fn look_up(&self, request: LookUpRequest) -> BoxFuture<'_, Result<LookUpResponse, SignerError>> {
        let mut client = self.0.clone();
        let mut request = tonic::Request::new(request);
        request.set_timeout(ISSUE);
        Box::pin(async move {
            client.look_up(request).await.map(tonic::Response::into_inner).map_err(|s| read(&s))
        })
    }

    fn log_ended_approval(
        &self,
        request: LogEndedApprovalRequest,
    ) -> BoxFuture<'_, Result<EndReport, SignerError>> {
        let mut client = self.0.clone();
        Box::pin(async move {
            match client.log_ended_approval(request).await {
                Ok(_) => Ok(EndReport::Logged),
                Err(status) if refusal_of(&status).is_some_and(|r| r.reason() == Reason::NoRecords) => {
                    Ok(EndReport::NoRecords)
                }
                Err(status) => Err(read(&status)),
            }
        })
    }
}

fn read(status: &Status) -> SignerError {
    let Some(refusal) = refusal_of(status) else {
        return SignerError::Unavailable(format!("{}: {}", status.code(), status.message()));
    };
    let words = words(&refusal);
    match refusal.reason() {
        Reason::Unspecified
        | Reason::Unauthenticated
        | Reason::StaleFencingToken
        | Reason::AuthorityExpired
        | Reason::Unavailable
        | Reason::NotEnded
        | Reason::Internal => SignerError::Unavailable(words),
        Reason::StaleStep => SignerError::StaleStep { newest: refusal.newest_step, words },
        Reason::ApprovalRequired => SignerError::ApprovalRequired {
            classes: refusal.approval_classes,
            effect: refusal.effect_digest,
            authority: (!refusal.effect.is_empty())
                .then(|| Box::new(Told { effect: refusal.effect, constraints: refusal.constraints })),
            policies: refusal.policy_digest,
            words,
        },
        Reason::ApprovalInvalid => SignerError::ApprovalInvalid { policies: refusal.policy_digest, words },
        Reason::PolicyDenied => SignerError::PolicyDenied(words),
        Reason::PolicyStale => SignerError::PolicyStale(words),
        Reason::UnknownAuthority => SignerError::KeyLost(words),
        Reason::Loosening | Reason::Immutable => SignerError::Loosening(words),
        Reason::Malformed
        | Reason::Forbidden
        | Reason::Constraint
        | Reason::ProofOfPossession
        | Reason::NoRecords
        | Reason::UnknownRequest
        | Reason::Lint => SignerError::Refused(words),
    }
}

/// Field, rule and fix in one sentence.
fn words(refusal: &Refusal) -> String {
    let field = if refusal.field.is_empty() { String::new() } else { format!("{}: ", refusal.field) };
    let fix = if refusal.fix.is_empty() { String::new() } else { format!("; {}", refusal.fix) };
    format!("{field}{}{fix}", refusal.rule)
}
