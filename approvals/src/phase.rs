//! The phases of a request, and the step from one to the next.
//!
//! A phase is found anew from what is so: the votes, the classes, the clock, and whether the grant was used. Of the past
//! only two things count: a terminal phase stays, and a used grant stays used. Denial wins every tie.
//!
//! Edits of a class after a request was filed only tighten: what the class said then and what it says now must both be
//! met, the shorter of both limits holds, and whoever could deny under either can.

use crate::class::{Class, Proof};
use crate::effect::EffectDigest;
use crate::tally::{Counted, Missing, Tally, later, tally};
use crate::vote::{Ignored, Request, Verdict, Vote};
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::str::FromStr;

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Waits for people.
    Pending,
    /// The quorum agreed and nobody denied: the effect may happen once, until `use_by`.
    Approved,
    /// The effect happened.
    Consumed,
    /// The effect happened and its grant is over: a denial comes too late. Terminal.
    Ended,
    /// Somebody denied before the effect happened. Terminal.
    Denied,
    /// Somebody denied after the effect happened: it is to be undone. Terminal.
    Revoked,
    /// Nobody completed the quorum in time, or nobody used the grant in time. Terminal.
    Expired,
    /// The requester took it back. Terminal.
    Withdrawn,
    /// The effect that it is about is no longer the one that is wanted. Terminal.
    Superseded,
}

/// A word that is no phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("phase {0:?} does not exist")]
pub struct UnknownPhase(String);

/// What was found out earlier and cannot be found out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// The phase last written down.
    pub phase: Phase,
}

/// That the effect happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// When the signer used the grant.
    pub at: Timestamp,
}

/// All that a request's phase depends on.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// Now.
    pub now: Timestamp,
    /// The request.
    pub request: &'a Request,
    /// The class as it is now; none when it was deleted, and then nothing can be approved.
    pub class: Option<&'a Class>,
    /// The class as it was when the request was first seen; none while that is not recorded.
    pub filed_under: Option<&'a Class>,
    /// All decisions that name the request.
    pub votes: &'a [Vote],
    /// What was written down before.
    pub recorded: Option<Recorded>,
    /// Whether the grant was used.
    pub used: Option<Use>,
    /// Whether the requester took it back other than by a denial of their own, such as by deleting it.
    pub withdrawn: bool,
    /// The effect that is wanted now, where that is known: another one supersedes.
    pub wanted: Wanted,
}

/// Which effect is wanted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Nobody can tell, as with actions that people ask for themselves.
    Unknown,
    /// Nothing is: the target is gone or needs nothing any more.
    Nothing,
    /// This.
    Effect(EffectDigest),
}

/// The phase and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The phase.
    pub phase: Phase,
    /// Until when the quorum must be complete. None: no class says.
    pub expires_at: Option<Timestamp>,
    /// Until when the grant may be used, or a used one denied. None before a quorum was complete.
    pub use_by: Option<Timestamp>,
    /// Who must still agree.
    pub missing: Vec<Missing>,
    /// The approvals that count under every class that applies.
    pub counted: Vec<Counted>,
    /// The votes that do not count, and why.
    pub ignored: Vec<(String, Ignored)>,
    /// Name of the decision that denied.
    pub denied_by: Option<String>,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Approved,
        Self::Consumed,
        Self::Ended,
        Self::Denied,
        Self::Revoked,
        Self::Expired,
        Self::Withdrawn,
        Self::Superseded,
    ];

    /// The name in a status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Approved => "Approved",
            Self::Consumed => "Consumed",
            Self::Ended => "Ended",
            Self::Denied => "Denied",
            Self::Revoked => "Revoked",
            Self::Expired => "Expired",
            Self::Withdrawn => "Withdrawn",
            Self::Superseded => "Superseded",
        }
    }

    /// True when no other phase can follow.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Approved | Self::Consumed => false,
            Self::Ended
            | Self::Denied
            | Self::Revoked
            | Self::Expired
            | Self::Withdrawn
            | Self::Superseded => true,
        }
    }

    /// Whether `next` may be written down after `self`. The way back from Approved to Pending is that of an approver who
    /// lost the right before the grant was used.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending | Self::Approved => !matches!(next, Self::Ended | Self::Revoked),
            Self::Consumed => matches!(next, Self::Consumed | Self::Ended | Self::Revoked),
            Self::Ended
            | Self::Denied
            | Self::Revoked
            | Self::Expired
            | Self::Withdrawn
            | Self::Superseded => next as u8 == self as u8,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(text: &str) -> Result<Self, UnknownPhase> {
        Self::ALL
            .into_iter()
            .find(|phase| phase.name() == text)
            .ok_or_else(|| UnknownPhase(text.chars().take(40).collect()))
    }
}

/// Where a request stands.
pub fn phase(seen: &Observed<'_>) -> Standing {
    let classes: Vec<&Class> = [seen.class, seen.filed_under].into_iter().flatten().collect();
    let tallies: Vec<Tally> = classes.iter().map(|class| tally(class, seen.request, seen.votes)).collect();
    let counts = Counts::of(seen, &classes, &tallies);
    let phase = next(seen, &counts);
    debug_assert!(seen.recorded.is_none_or(|recorded| recorded.phase.may_become(phase)));
    Standing {
        phase,
        expires_at: counts.expires_at,
        use_by: counts.use_by,
        missing: missing(&tallies),
        counted: counted(&tallies),
        ignored: tallies.into_iter().next().map(|tally| tally.ignored).unwrap_or_default(),
        denied_by: counts.denied_by,
    }
}

/// What an approval must carry: the stricter of what the class says now and said at filing.
pub fn proof(class: Option<&Class>, filed_under: Option<&Class>) -> Proof {
    let asks = [class, filed_under].into_iter().flatten().any(|class| class.proof == Proof::Signature);
    if asks { Proof::Signature } else { Proof::None }
}

/// What all classes together come to.
struct Counts {
    denied_by: Option<String>,
    met: bool,
    withdrawn: bool,
    expires_at: Option<Timestamp>,
    use_by: Option<Timestamp>,
}

impl Counts {
    fn of(seen: &Observed<'_>, classes: &[&Class], tallies: &[Tally]) -> Self {
        let met_at = tallies.iter().map(|tally| tally.met_at).collect::<Option<Vec<_>>>();
        let met_at = met_at.and_then(|all| all.into_iter().max());
        let grant = classes.iter().map(|class| class.grant_ttl).min();
        let from = seen.used.map(|used| used.at).or(met_at);
        Self {
            denied_by: tallies.iter().find_map(|tally| tally.denied_by.clone()),
            // A class that is gone grants nothing, whatever was filed under it.
            met: seen.class.is_some() && met_at.is_some(),
            withdrawn: seen.withdrawn || taken_back(seen, classes),
            expires_at: tallies.iter().map(|tally| tally.expires_at).min(),
            use_by: from.and_then(|from| grant.map(|grant: SignedDuration| later(from, grant))),
        }
    }
}

/// A requester who denies their own request takes it back, whether or not they are an approver.
fn taken_back(seen: &Observed<'_>, classes: &[&Class]) -> bool {
    let request = seen.request;
    let own = |vote: &&Vote| {
        vote.verdict == Verdict::Deny && vote.request_uid == request.uid && vote.digest == request.digest
    };
    seen.votes.iter().filter(own).any(|vote| {
        vote.approver.username == request.requester.username
            || classes.iter().any(|class| class.same_person(&request.requester, &vote.approver))
    })
}

fn next(seen: &Observed<'_>, counts: &Counts) -> Phase {
    let before = seen.recorded.map_or(Phase::Pending, |recorded| recorded.phase);
    if before.is_terminal() {
        return before;
    }
    let passed = |limit: Option<Timestamp>| limit.is_some_and(|limit| seen.now > limit);
    let denied = counts.denied_by.is_some();
    if before == Phase::Consumed || seen.used.is_some() {
        // Used, and found ended or denied only at this look: what was missed in between is written down first.
        return match (before, denied, passed(counts.use_by)) {
            (Phase::Consumed, true, _) => Phase::Revoked,
            (Phase::Consumed, false, true) => Phase::Ended,
            _ => Phase::Consumed,
        };
    }
    let changed = match seen.wanted {
        Wanted::Unknown => false,
        Wanted::Nothing => true,
        Wanted::Effect(wanted) => wanted != seen.request.digest,
    };
    if denied && !withdrawn_only(seen, counts) {
        Phase::Denied
    } else if counts.withdrawn {
        Phase::Withdrawn
    } else if changed {
        Phase::Superseded
    } else if counts.met {
        if passed(counts.use_by) { Phase::Expired } else { Phase::Approved }
    } else if passed(counts.expires_at) {
        Phase::Expired
    } else {
        Phase::Pending
    }
}

/// True when the only denial is the requester's own.
fn withdrawn_only(seen: &Observed<'_>, counts: &Counts) -> bool {
    let by_requester = |vote: &Vote| vote.approver.username == seen.request.requester.username;
    counts.withdrawn && seen.votes.iter().all(|vote| vote.verdict == Verdict::Approve || by_requester(vote))
}

/// The stricter of both: of each group the larger number.
fn missing(tallies: &[Tally]) -> Vec<Missing> {
    let mut all: Vec<Missing> = Vec::new();
    for wanted in tallies.iter().flat_map(|tally| &tally.missing) {
        match all.iter_mut().find(|known| known.group == wanted.group) {
            Some(known) => known.count = known.count.max(wanted.count),
            None => all.push(wanted.clone()),
        }
    }
    all
}

fn counted(tallies: &[Tally]) -> Vec<Counted> {
    let Some((first, others)) = tallies.split_first() else { return Vec::new() };
    let everywhere =
        |vote: &&Counted| others.iter().all(|tally| tally.counted.iter().any(|c| c.vote == vote.vote));
    first.counted.iter().filter(everywhere).cloned().collect()
}
