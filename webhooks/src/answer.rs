//! What goes back: the `AdmissionReview`, and the same decision as one line of the decision log.

use crate::attempt::{Attempt, Unreadable};
use crate::review::{Denial, Review, Rule};
use crate::trace::trace_id;
use json_patch::Patch;
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse};
use kube::core::response::Status;

/// The answer of the validating half. A refusal ends in the decision id, under which the decision log has it too.
pub fn reviewed(request: &AdmissionRequest<DynamicObject>, review: Review) -> AdmissionResponse {
    let mut response = AdmissionResponse::from(request);
    match review {
        Review::Allowed { warnings } => {
            response.warnings = (!warnings.is_empty()).then_some(warnings);
            response
        }
        Review::Denied(denial) => {
            response.allowed = false;
            response.audit_annotations.insert("rule".to_owned(), denial.rule.name().to_owned());
            response.audit_annotations.insert("decision".to_owned(), request.uid.clone());
            response.result = status(&denial, &request.uid);
            response
        }
    }
}

/// The answer of the mutating half. A patch that does not serialize is a defect and refuses.
pub fn mutated(request: &AdmissionRequest<DynamicObject>, patch: Patch) -> AdmissionResponse {
    let response = AdmissionResponse::from(request);
    if patch.0.is_empty() {
        return response;
    }
    match response.with_patch(patch) {
        Ok(response) => response,
        Err(error) => {
            let denial = Denial::new(Rule::Unreadable, error.to_string(), "report this defect");
            reviewed(request, Review::Denied(denial))
        }
    }
}

/// The refusal of what cannot be read.
pub fn unreadable(error: &Unreadable) -> Review {
    Review::Denied(Denial::new(Rule::Unreadable, error.to_string(), "nothing unread is let through"))
}

fn status(denial: &Denial, id: &str) -> Status {
    let mut status = Status::failure(&format!("{denial} (decision {id})"), reason(denial.code()));
    status.code = denial.code();
    status
}

const fn reason(code: u16) -> &'static str {
    match code {
        503 => "ServiceUnavailable",
        _ => "Forbidden",
    }
}

/// The line of the decision log: who attempted what, and what was answered. Specs are never in it.
pub fn log(attempt: &Attempt<'_>, review: &Review) {
    let (kind, namespace, name) = (attempt.kind.name(), attempt.namespace, attempt.name);
    let (decision, user, dry_run) = (attempt.id, attempt.who.username.as_str(), attempt.dry_run);
    match review {
        Review::Allowed { warnings } => tracing::debug!(
            target: "keywright::decision", decision, kind, namespace, name, user, dry_run, warnings = warnings.len(),
            trace_id = trace_id(attempt), "allowed"
        ),
        Review::Denied(denial) => tracing::info!(
            target: "keywright::decision", decision, kind, namespace, name, user, dry_run,
            rule = denial.rule.name(), problem = denial.problem, trace_id = trace_id(attempt), "denied"
        ),
    }
}
