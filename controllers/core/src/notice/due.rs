//! Which notices are to be sent now. Starts from the request each time: what it shows has happened, what it says was sent.

use crate::conditions::find;
use jiff::{SignedDuration, Timestamp};
use keywright_crds::{
    ApprovalClassSpec, ApprovalPhase, ApprovalRequest, ApprovalRequestStatus, NotifyTarget,
};
use serde::Serialize;

/// What is no longer news: later than this after it happened nobody is told, unless it still holds.
pub const STALE: SignedDuration = SignedDuration::from_hours(24);

/// How long before its end a request that waits is told of again, at most; of short ones the last quarter.
const LAST_CALL: SignedDuration = SignedDuration::from_hours(4);

/// What is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Event {
    /// It waits for people.
    Filed,
    /// It still waits, and not for long any more.
    ExpiringSoon,
    /// All agreed.
    Granted,
    /// What was agreed to has happened.
    Used,
    /// Somebody denied it.
    Denied,
    /// It expired, was taken back, or another effect is wanted.
    Closed,
}

impl Event {
    /// Its name, in records and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filed => "Filed",
            Self::ExpiringSoon => "ExpiringSoon",
            Self::Granted => "Granted",
            Self::Used => "Used",
            Self::Denied => "Denied",
            Self::Closed => "Closed",
        }
    }
}

/// One event to be told to one target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Notice<'a> {
    /// To whom.
    pub target: &'a NotifyTarget,
    /// What.
    pub event: Event,
    /// When it happened.
    pub at: Timestamp,
}

impl Notice<'_> {
    /// What the status keeps of it once it was delivered.
    pub fn mark(&self) -> String {
        mark(self.target, self.event)
    }
}

fn mark(target: &NotifyTarget, event: Event) -> String {
    format!("{}/{}", target.name, event.name())
}

/// What a look has found.
#[derive(Debug, PartialEq)]
pub struct Due<'a> {
    /// To be sent; for each target in the order in which it happened.
    pub now: Vec<Notice<'a>>,
    /// When the clock alone makes another one due.
    pub next: Option<Timestamp>,
}

/// What is to be sent now of a request under its class.
///
/// Of a request that nobody stamped, or that was not looked at yet, nothing is told: who asks would be hearsay.
pub fn due<'a>(request: &ApprovalRequest, class: &'a ApprovalClassSpec, now: Timestamp) -> Due<'a> {
    let nothing = Due { now: Vec::new(), next: None };
    let (Some(status), Some(_)) = (&request.status, &request.spec.requester) else { return nothing };
    let Some(filed) = request.metadata.creation_timestamp.as_ref().map(|at| at.0) else { return nothing };
    let Some(phase) = status.phase else { return nothing };
    let last_call = last_call(filed, status).filter(|_| phase == ApprovalPhase::Pending);
    let mut notices = Vec::new();
    let mut next = None;
    for target in &class.notify {
        let sent = |event| status.notified.contains(&mark(target, event));
        let happened = happened(phase, filed, status, now, last_call);
        notices.extend(happened.into_iter().filter(|(event, _)| !sent(*event)).map(|(event, at)| Notice {
            target,
            event,
            at,
        }));
        if !sent(Event::ExpiringSoon) {
            next = last_call.filter(|at| *at > now);
        }
    }
    Due { now: notices, next }
}

/// What has happened so far and is news, earliest first.
fn happened(
    phase: ApprovalPhase,
    filed: Timestamp,
    status: &ApprovalRequestStatus,
    now: Timestamp,
    last_call: Option<Timestamp>,
) -> Vec<(Event, Timestamp)> {
    // A vote is counted in the look that changes the condition.
    let decided = find(&status.conditions, "Ready").map_or(filed, |ready| ready.last_transition_time.0);
    let used = status.used_at.as_ref().map_or(decided, |at| at.0);
    let granted = decided.min(used);
    let filed = (Event::Filed, filed);
    let all = match phase {
        // They are still wanted, however late that is told.
        ApprovalPhase::Pending => {
            let call = last_call.filter(|at| *at <= now).map(|at| (Event::ExpiringSoon, at));
            return std::iter::once(filed).chain(call).collect();
        }
        ApprovalPhase::Approved => vec![filed, (Event::Granted, decided)],
        ApprovalPhase::Consumed | ApprovalPhase::Ended => {
            vec![filed, (Event::Granted, granted), (Event::Used, used)]
        }
        ApprovalPhase::Denied => vec![filed, (Event::Denied, decided)],
        ApprovalPhase::Revoked => {
            vec![filed, (Event::Granted, granted), (Event::Used, used), (Event::Denied, decided)]
        }
        ApprovalPhase::Expired | ApprovalPhase::Withdrawn | ApprovalPhase::Superseded => {
            vec![filed, (Event::Closed, decided)]
        }
    };
    all.into_iter().filter(|(_, at)| now.duration_since(*at) < STALE).collect()
}

/// When to call once more for those who are missing.
fn last_call(filed: Timestamp, status: &ApprovalRequestStatus) -> Option<Timestamp> {
    let expires = status.expires_at.as_ref()?.0;
    let lead = (expires.duration_since(filed) / 4).min(LAST_CALL);
    expires.checked_sub(lead).ok()
}

/// The record after these were delivered too: what concerns targets that the class no longer has is forgotten.
pub fn recorded(old: &[String], delivered: &[String], class: &ApprovalClassSpec) -> Vec<String> {
    let known = |mark: &&String| {
        let target = mark.split_once('/').map(|(target, _)| target);
        class.notify.iter().any(|one| Some(one.name.as_str()) == target)
    };
    let mut all: Vec<String> = old.iter().chain(delivered).filter(known).cloned().collect();
    all.sort();
    all.dedup();
    all
}
