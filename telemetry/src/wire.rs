//! The messages of OTLP that carry spans, and no others. Field numbers are those of `opentelemetry/proto/trace/v1/trace.proto`
//! and of what it imports, which are stable; the tests read the result with OpenTelemetry's own types.

use crate::export::Resource;
use crate::span::{Kind, Record, Value};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<ResourceMessage>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceMessage {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<SpanMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct SpanMessage {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Scalar", tags = "1, 3")]
    value: Option<Scalar>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Scalar {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "3")]
    Number(i64),
}

/// `STATUS_CODE_ERROR`
const FAILED: i32 = 2;

/// An `ExportTraceServiceRequest` with these spans.
pub(crate) fn encode(resource: &Resource, records: Vec<Record>) -> Vec<u8> {
    let attributes = resource.attributes().map(|(name, value)| pair(name, Value::from(value))).collect();
    let scope = Scope { name: "keywright".to_owned(), version: resource.version().to_owned() };
    let scope_spans =
        vec![ScopeSpans { scope: Some(scope), spans: records.into_iter().map(message).collect() }];
    let resource_spans = vec![ResourceSpans { resource: Some(ResourceMessage { attributes }), scope_spans }];
    Request { resource_spans }.encode_to_vec()
}

fn message(record: Record) -> SpanMessage {
    let start = u64::try_from(record.start.as_nanosecond()).unwrap_or(0);
    let took = u64::try_from(record.took.as_nanos()).unwrap_or(u64::MAX);
    SpanMessage {
        trace_id: record.context.trace.octets().to_vec(),
        span_id: record.context.span.octets().to_vec(),
        parent_span_id: record.parent.map(|parent| parent.octets().to_vec()).unwrap_or_default(),
        name: record.name.to_owned(),
        kind: match record.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
        },
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(took),
        attributes: record.attributes.into_iter().map(|(name, value)| pair(name, value)).collect(),
        status: record.is_failed.then_some(Status { code: FAILED }),
    }
}

fn pair(name: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => Scalar::Text(text),
        Value::Number(number) => Scalar::Number(number),
    };
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::SpanContext;
    use crate::names;
    use crate::span::Service;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Theirs;
    use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
    use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
    use std::time::Duration;

    #[test]
    fn opentelemetrys_own_types_read_what_is_sent() {
        let root = SpanContext::of_object("a-uid", 1);
        let record = Record {
            context: SpanContext::of_object("a-uid", 2),
            parent: Some(root.span),
            name: "sign",
            kind: Kind::Server,
            start: "2030-01-01T00:00:00.000000001Z".parse().unwrap(),
            took: Duration::from_millis(5),
            attributes: vec![(names::SERIAL, "4f00".into()), (names::LOG_INDEX, 7_u64.into())],
            is_failed: true,
        };
        let service = Service { name: "keywright-signer", version: "1.2.3", instance: "signer-0".to_owned() };
        let sent = encode(&Resource::of(service), vec![record.clone()]);
        let read = ExportTraceServiceRequest::decode(sent.as_slice()).unwrap();
        let [spans] = read.resource_spans.as_slice() else { panic!("{read:?}") };
        let resource = spans.resource.as_ref().unwrap();
        let text = |text: &str| Some(Theirs::StringValue(text.to_owned()));
        let of = |key: &str| {
            let found = resource.attributes.iter().find(|one| one.key == key)?;
            found.value.as_ref()?.value.clone()
        };
        assert_eq!(of("service.name"), text("keywright-signer"));
        assert_eq!(of("service.version"), text("1.2.3"));
        assert_eq!(of("service.instance.id"), text("signer-0"));
        let span = &spans.scope_spans[0].spans[0];
        assert_eq!(span.trace_id, record.context.trace.octets());
        assert_eq!(span.span_id, record.context.span.octets());
        assert_eq!(span.parent_span_id, root.span.octets());
        assert_eq!((span.name.as_str(), span.kind()), ("sign", SpanKind::Server));
        assert_eq!(span.start_time_unix_nano, 1_893_456_000_000_000_001);
        assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 5_000_000);
        assert_eq!(span.status.as_ref().unwrap().code(), StatusCode::Error);
        let values: Vec<_> = span.attributes.iter().map(|one| one.value.clone().unwrap().value).collect();
        assert_eq!(values, [text("4f00"), Some(Theirs::IntValue(7))]);
    }
}
