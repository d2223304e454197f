//! How a refusal travels: as the binary details of a gRPC status, so that both a person and a program can read it.
//!
//! The details hold one encoded [`Refusal`]; the status message says the same in one sentence; the code tells clients
//! that know nothing of ours whether trying again can help (`UNAVAILABLE`) or not.

use crate::v1alpha1::Refusal;
use crate::v1alpha1::refusal::Reason;
use prost::Message as _;
use tonic::{Code, Status};

/// The refusal as a gRPC status: code from the reason, message from field, rule and fix, details the message itself.
pub fn status_of(refusal: &Refusal) -> Status {
    Status::with_details(code_of(refusal.reason()), sentence(refusal), refusal.encode_to_vec().into())
}

/// The refusal a status carries; `None` when it did not come from a signer's decision (transport, timeout, defect).
pub fn refusal_of(status: &Status) -> Option<Refusal> {
    if status.details().is_empty() {
        return None;
    }
    Refusal::decode(status.details()).ok().filter(|refusal| refusal.reason() != Reason::Unspecified)
}

/// One line for people: which field, what must hold, what to change.
pub fn sentence(refusal: &Refusal) -> String {
    let mut text = String::new();
    if !refusal.field.is_empty() {
        text.push_str(&refusal.field);
        text.push_str(": ");
    }
    text.push_str(&refusal.rule);
    if !refusal.fix.is_empty() {
        text.push_str("; ");
        text.push_str(&refusal.fix);
    }
    text
}

fn code_of(reason: Reason) -> Code {
    match reason {
        Reason::Malformed | Reason::ProofOfPossession | Reason::Lint => Code::InvalidArgument,
        Reason::Unauthenticated => Code::Unauthenticated,
        Reason::Forbidden | Reason::PolicyDenied => Code::PermissionDenied,
        Reason::StaleFencingToken | Reason::PolicyStale => Code::Aborted,
        Reason::UnknownAuthority | Reason::UnknownRequest => Code::NotFound,
        Reason::Constraint
        | Reason::Loosening
        | Reason::Immutable
        | Reason::AuthorityExpired
        | Reason::StaleStep
        | Reason::ApprovalRequired
        | Reason::ApprovalInvalid
        | Reason::NoRecords
        | Reason::NotEnded => Code::FailedPrecondition,
        Reason::Unavailable => Code::Unavailable,
        Reason::Internal | Reason::Unspecified => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(reason: Reason) -> Refusal {
        Refusal {
            reason: reason.into(),
            field: "durationSeconds".into(),
            rule: "must be at most 3600".into(),
            fix: "ask for less".into(),
            ..Refusal::default()
        }
    }

    #[test]
    fn a_refusal_survives_the_wire_with_its_words() {
        let sent = refusal(Reason::Constraint);
        let status = status_of(&sent);
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(status.message(), "durationSeconds: must be at most 3600; ask for less");
        assert_eq!(refusal_of(&status), Some(sent));
    }

    #[test]
    fn a_status_without_details_is_not_a_refusal() {
        assert_eq!(refusal_of(&Status::unavailable("connection refused")), None);
        assert_eq!(refusal_of(&Status::with_details(Code::Internal, "x", vec![0xff, 0xff].into())), None);
    }
}
