//! The span of one review: the first of the trace of what it lets in.
//!
//! Only the validating half has one: it sees the object as it would be stored, with the UID and the generation that the API
//! server has given it by then. A dry run stores nothing and has none.

use crate::attempt::{Action, Attempt};
use crate::review::Review;
use keywright_telemetry::{Kind, Span, SpanContext, TraceId, Tracer, names};
use kube::core::DynamicObject;

/// The generation of an object that an attempt is about: of the new one, and of a deleted one the last.
fn context(attempt: &Attempt<'_>) -> Option<SpanContext> {
    let metadata = &subject(attempt).metadata;
    Some(SpanContext::of_object(metadata.uid.as_deref()?, metadata.generation?))
}

const fn subject<'a>(attempt: &Attempt<'a>) -> &'a DynamicObject {
    match attempt.action {
        Action::Create { new } | Action::Update { new, .. } | Action::Status { new, .. } => new,
        Action::Delete { old } => old,
    }
}

/// The trace of what an attempt is about, for the decision log.
pub(crate) fn trace_id(attempt: &Attempt<'_>) -> Option<tracing::field::DisplayValue<TraceId>> {
    context(attempt).map(|context| tracing::field::display(context.trace))
}

/// Begins the span of a review.
pub(crate) fn begin(tracer: &Tracer, attempt: &Attempt<'_>) -> Span {
    if !tracer.is_on() || attempt.dry_run {
        return Span::off();
    }
    let Some(context) = context(attempt) else { return Span::off() };
    let mut span = tracer.below("admission", Kind::Server, context);
    let metadata = &subject(attempt).metadata;
    span.set(names::KIND, attempt.kind.name());
    if !attempt.namespace.is_empty() {
        span.set(names::NAMESPACE, attempt.namespace);
    }
    span.set(names::NAME, metadata.name.as_deref().unwrap_or(attempt.name));
    span.set(names::UID, metadata.uid.as_deref().unwrap_or_default());
    span.set(names::GENERATION, metadata.generation.unwrap_or_default());
    span.set(names::OPERATION, attempt.action.name());
    span.set(names::DECISION, attempt.id);
    span
}

/// What was answered: the rule of a refusal, and none of its words.
pub(crate) fn end(mut span: Span, attempt: &Attempt<'_>, review: &Review) {
    if !span.is_on() {
        return;
    }
    if let Some(context) = context(attempt).filter(|_| begins(attempt, review)) {
        span.stand_for(context);
    }
    match review {
        Review::Allowed { .. } => span.outcome("Allowed", false),
        Review::Denied(denial) => {
            span.set(names::RULE, denial.rule.name());
            span.outcome("Denied", true);
        }
    }
    span.end();
}

/// Whether the span is the one that all others of this generation are below. A refused update leaves its generation to
/// the next one; the UID of a refused creation never comes again.
fn begins(attempt: &Attempt<'_>, review: &Review) -> bool {
    match (attempt.action, review) {
        (Action::Create { .. }, _) => true,
        (Action::Update { old, new }, Review::Allowed { .. }) => {
            old.metadata.generation != new.metadata.generation
        }
        (Action::Update { .. }, Review::Denied(_)) | (Action::Status { .. } | Action::Delete { .. }, _) => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::tests::{object, request};
    use crate::review::{Denial, Rule};
    use serde_json::{Value, json};

    fn generation(number: i64) -> Value {
        object("Certificate", &json!({ "metadata": { "name": "web", "uid": "a-uid", "generation": number } }))
    }

    fn is_first(operation: &str, objects: &Value, review: &Review) -> bool {
        let request = request("Certificate", operation, objects);
        begins(&Attempt::parse(&request).unwrap(), review)
    }

    #[test]
    fn the_first_span_of_a_generation_is_the_admission_that_made_it() {
        let allowed = Review::Allowed { warnings: Vec::new() };
        let denied = Review::Denied(Denial::new(Rule::Policy, String::new(), ""));
        let change = json!({ "oldObject": generation(1), "object": generation(2) });
        let no_change = json!({ "oldObject": generation(2), "object": generation(2) });
        assert!(is_first("CREATE", &json!({ "object": generation(1) }), &allowed));
        assert!(
            is_first("CREATE", &json!({ "object": generation(1) }), &denied),
            "its UID never comes again"
        );
        assert!(is_first("UPDATE", &change, &allowed));
        assert!(!is_first("UPDATE", &change, &denied), "generation 2 is still to come");
        assert!(!is_first("UPDATE", &no_change, &allowed));
        assert!(!is_first("DELETE", &json!({ "oldObject": generation(1) }), &allowed));
    }

    #[test]
    fn the_trace_is_that_of_the_object_as_it_would_be_stored() {
        let change = json!({ "oldObject": generation(1), "object": generation(2) });
        let request = request("Certificate", "UPDATE", &change);
        let attempt = Attempt::parse(&request).unwrap();
        assert_eq!(context(&attempt), Some(SpanContext::of_object("a-uid", 2)));
    }
}
