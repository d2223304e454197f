//! A refusal: the rule, what is wrong, the fix, and whether trying again can help.

use keywright_approvals::Ignored;
use std::fmt;

/// The rules of this crate. Their names stand in messages and in the decision log, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The request could not be read as one that is reviewed here.
    Unreadable,
    /// A fact that the review needs could not be had.
    Unobserved,
    /// The webhook's own probe, or an object with its name.
    Probe,
    /// Somebody else than the operator writes a status.
    StatusOperatorOnly,
    /// A new object carries no stamp.
    IdentityMissing,
    /// A new object carries somebody else's stamp.
    IdentityForged,
    /// A stamp changes.
    IdentityFrozen,
    /// Who changes a spec cannot be stamped.
    EditorStamp,
    /// A record loses its finalizer early.
    RecordKept,
    /// A request or vote does not read.
    RecordReads,
    /// A request names no class that is there.
    RequestClass,
    /// A requester has too many requests that wait.
    RequestsWaiting,
    /// A request's effect is not canonical, or not what its digest and action say.
    RequestEffect,
    /// A vote is not named after request and voter.
    VoteName,
    /// A vote is for no request that is there and open.
    VoteRequest,
    /// A policy does not compile.
    PolicyCompiles,
    /// A policy denies, or gives no answer.
    Policy,
    /// A vote would not count.
    Vote(Ignored),
}

impl Rule {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Unobserved => "unobserved",
            Self::Probe => "probe",
            Self::StatusOperatorOnly => "status-operator-only",
            Self::IdentityMissing => "identity-missing",
            Self::IdentityForged => "identity-forged",
            Self::IdentityFrozen => "identity-frozen",
            Self::EditorStamp => "editor-stamp",
            Self::RecordKept => "record-kept",
            Self::RecordReads => "record-reads",
            Self::RequestClass => "request-class",
            Self::RequestsWaiting => "requests-waiting",
            Self::RequestEffect => "request-effect",
            Self::VoteName => "vote-name",
            Self::VoteRequest => "vote-request",
            Self::PolicyCompiles => "policy-compiles",
            Self::Policy => "policy",
            Self::Vote(why) => match why {
                Ignored::OtherRequest => "vote-other-request",
                Ignored::OtherEffect => "vote-other-effect",
                Ignored::OwnRequest => "vote-own-request",
                Ignored::OwnBenefit => "vote-own-benefit",
                Ignored::OwnTarget => "vote-own-target",
                Ignored::OwnEdit => "vote-own-edit",
                Ignored::Machine => "vote-machine",
                Ignored::NoGroup => "vote-no-group",
                Ignored::NotPermitted => "vote-not-permitted",
                Ignored::Unsigned => "vote-unsigned",
                Ignored::BadSignature => "vote-bad-signature",
                Ignored::TooLate => "vote-too-late",
            },
        }
    }
}

/// Whether sending the same object again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Not before something is changed.
    OnChange,
    /// It may, after a moment.
    Later,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The rule that refuses.
    pub rule: Rule,
    /// What is wrong, naming the field where one is.
    pub problem: String,
    /// What to do.
    pub fix: String,
    /// Whether sending the same object again can help.
    pub retry: Retry,
}

impl Denial {
    /// A refusal that stands until something is changed.
    pub fn new(rule: Rule, problem: String, fix: impl Into<String>) -> Self {
        Self { rule, problem, fix: fix.into(), retry: Retry::OnChange }
    }

    /// A refusal because a fact could not be had.
    pub fn unobserved(problem: &str) -> Self {
        Self {
            rule: Rule::Unobserved,
            problem: format!("what this review needs to know could not be found out: {problem}"),
            fix: "try again; if it stays so, look at the log of keywright-webhook".to_owned(),
            retry: Retry::Later,
        }
    }

    /// The HTTP status that the author gets: 403, or 503 where trying again may help.
    pub const fn code(&self) -> u16 {
        match self.retry {
            Retry::OnChange => 403,
            Retry::Later => 503,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.rule.name(), self.problem, self.fix)
    }
}
