//! The span of one request, where its asker traces it: the asker says so in header `traceparent`.

use crate::refusal::Refusal;
use keywright_pki::certificate::Certificate;
use keywright_signer_protocol::v1alpha1::{IssueRequest, Issued};
use keywright_telemetry::{Kind, Span, SpanContext, TRACEPARENT, Tracer, names};
use tonic::Request;

/// Begins the span of a request.
pub(crate) fn begin(tracer: &Tracer, request: &Request<IssueRequest>) -> Span {
    if !tracer.is_on() {
        return Span::off();
    }
    let header = request.metadata().get(TRACEPARENT).and_then(|header| header.to_str().ok());
    let Some(asker) = header.and_then(SpanContext::parse) else { return Span::off() };
    let mut span = tracer.below("issue", Kind::Server, asker);
    let message = request.get_ref();
    if let Some(key) = &message.request_key {
        span.set(names::UID, bounded(&key.object_uid));
        span.set(names::REQUEST_KEY, format!("{}/{}", bounded(&key.object_uid), key.step));
    }
    if let Some(object) = &message.object {
        span.set(names::KIND, bounded(&object.kind));
        span.set(names::NAMESPACE, bounded(&object.namespace));
        span.set(names::NAME, bounded(&object.name));
    }
    span.set(names::AUTHORITY, bounded(&message.authority_uid));
    span
}

/// What came of it.
pub(crate) fn outcome(span: &mut Span, answer: &Result<Issued, Refusal>) {
    if !span.is_on() {
        return;
    }
    match answer {
        Ok(issued) => {
            if let Ok(certificate) = Certificate::from_der(&issued.certificate) {
                span.set(names::SERIAL, certificate.serial().to_string());
            }
            span.set(names::LOG_INDEX, issued.log_index);
            span.outcome(if issued.repeated_answer { "Repeated" } else { "Signed" }, false);
        }
        Err(refusal) => span.outcome(refusal.reason.as_str_name(), true),
    }
}

/// What an asker may call an object: no longer than a name of the API server's can be.
fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(253)]
}
