//! What a request says of itself: the closed list of reasons, and the only place with these words.

use crate::conditions::{Facts, State};
use jiff::Timestamp;
use keywright_approvals::{Phase, Standing, Vote};
use keywright_crds::{ApprovalRequest, MissingApproval};

/// State, reason and words. `exists`: whether the class does.
pub(super) fn facts(request: &ApprovalRequest, exists: bool, standing: &Standing, votes: &[Vote]) -> Facts {
    let class = &request.spec.approval_class;
    let until = standing.use_by.map_or_else(String::new, |at| format!(" until {}", shown(at)));
    let (state, message) = match standing.phase {
        Phase::Pending if !exists => (
            State::InProgress,
            format!(
                "spec.approvalClass: ApprovalClass {class:?} does not exist, so nobody can vote; create it, or delete this request."
            ),
        ),
        Phase::Pending => {
            let missing = standing.missing.iter().map(|one| (one.group.as_str(), i64::from(one.count)));
            (State::InProgress, pending(request, &counted(missing), standing.expires_at))
        }
        Phase::Approved => {
            (State::Current, format!("All of class {class:?} agreed; it may be used once{until}."))
        }
        Phase::Consumed => (State::Current, format!("It was used; a denial{until} revokes it.")),
        Phase::Ended => (State::Current, "It was used.".to_owned()),
        Phase::Denied => (State::Failed, format!("{} denied it; that is final.", by(standing, votes))),
        Phase::Revoked => (
            State::Failed,
            format!("{} denied it after it was used: undo what it allowed.", by(standing, votes)),
        ),
        Phase::Expired => {
            (State::Failed, "Its time is over; what still wants it has to ask again.".to_owned())
        }
        Phase::Withdrawn => (State::Failed, "Its requester took it back.".to_owned()),
        Phase::Superseded => {
            (State::Failed, "Another effect is wanted now, or none; this one will not happen.".to_owned())
        }
    };
    Facts { state, reason: reason(standing.phase), message }
}

/// One reason for each phase.
fn reason(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "AwaitingApproval",
        Phase::Approved => "Approved",
        Phase::Consumed => "Consumed",
        Phase::Ended => "Ended",
        Phase::Denied => "Denied",
        Phase::Revoked => "Revoked",
        Phase::Expired => "Expired",
        Phase::Withdrawn => "Withdrawn",
        Phase::Superseded => "Superseded",
    }
}

fn pending(request: &ApprovalRequest, missing: &str, expires: Option<Timestamp>) -> String {
    let until = expires.map_or_else(String::new, |at| format!(", until {}", shown(at)));
    format!(
        "Class {:?} still lacks the agreement of {missing}{until}. {}",
        request.spec.approval_class,
        how(request.metadata.namespace.as_deref(), request.metadata.name.as_deref())
    )
}

/// The commands that show what is asked, and agree. To look first is not left to whoever knows better: agreeing cannot be
/// taken back.
pub(crate) fn how(namespace: Option<&str>, name: Option<&str>) -> String {
    let what = format!("{} --namespace {}", name.unwrap_or_default(), namespace.unwrap_or_default());
    format!("To look: kubectl keywright requests {what}; to agree: kubectl keywright approve {what}")
}

/// Who is missing, as a status shows it.
pub(crate) fn who(missing: &[MissingApproval]) -> String {
    counted(missing.iter().map(|one| (one.group.as_str(), i64::from(one.count))))
}

fn counted<'a>(missing: impl Iterator<Item = (&'a str, i64)>) -> String {
    let all: Vec<String> = missing.map(|(group, count)| format!("{count} of {group}")).collect();
    if all.is_empty() { "its groups".to_owned() } else { all.join(" and ") }
}

/// Whole seconds.
pub(crate) fn shown(at: Timestamp) -> Timestamp {
    crate::conditions::whole_seconds(at)
}

/// Who denied.
fn by(standing: &Standing, votes: &[Vote]) -> String {
    let vote = standing.denied_by.as_deref().unwrap_or_default();
    votes
        .iter()
        .find(|one| one.name == vote)
        .map_or_else(|| format!("Vote {vote:?}"), |one| one.approver.username.clone())
}

/// A request that nothing can be decided on.
pub fn malformed(problem: &keywright_approvals::records::Malformed) -> Facts {
    let message =
        format!("{problem}: admission has not seen it; install Keywright's webhook and file it again.");
    Facts { state: State::Failed, reason: "NotStamped", message }
}
