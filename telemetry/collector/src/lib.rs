//! A collector of spans for tests: OTLP over HTTP on loopback, read with OpenTelemetry's own types and not with ours.

use http_body_util::{BodyExt, Collected, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Status;
use prost::Message;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long a span is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// A span as it was taken. Identifiers are hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// `service.name` of the resource.
    pub part: String,
    /// Its name.
    pub name: String,
    /// The trace.
    pub trace: String,
    /// The span.
    pub span: String,
    /// The span that it is below; empty: none.
    pub parent: String,
    /// Beginning and end, nanoseconds since the Unix epoch.
    pub times: (u64, u64),
    /// Whether its status is Error.
    pub is_failed: bool,
    /// Its attributes, numbers as text.
    pub attributes: BTreeMap<String, String>,
}

/// A collector that takes everything.
#[derive(Debug)]
pub struct Collector {
    url: String,
    taken: watch::Receiver<Vec<Taken>>,
}

impl Collector {
    /// Listens on a port of the kernel's choice, until the runtime ends. Errors: there is none.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (keep, taken) = watch::channel(Vec::new());
        let keep = Arc::new(keep);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let keep = Arc::clone(&keep);
                let service = service_fn(move |request| {
                    let keep = Arc::clone(&keep);
                    async move { Ok::<_, Infallible>(answer(request, &keep).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { url, taken })
    }

    /// Its base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it has taken, in that order.
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.borrow().clone()
    }

    /// The first span like this, once there is one. Panics when none comes.
    #[expect(clippy::panic, reason = "helpers of tests fail like tests")]
    pub async fn find(&self, what: &str, wanted: impl Fn(&Taken) -> bool) -> Taken {
        let mut taken = self.taken.clone();
        let there = taken.wait_for(|all| all.iter().any(&wanted));
        // Fails when the time is over, or the runtime ends.
        let _ = tokio::time::timeout(PATIENCE, there).await;
        let all = self.taken();
        all.iter()
            .find(|one| wanted(one))
            .cloned()
            .unwrap_or_else(|| panic!("no span: {what}; taken: {all:#?}"))
    }
}

async fn answer(request: Request<Incoming>, keep: &watch::Sender<Vec<Taken>>) -> Response<Empty<Bytes>> {
    let is_ours = request.method() == "POST"
        && request.uri().path() == "/v1/traces"
        && request.headers().get("content-type").is_some_and(|form| form == "application/x-protobuf");
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let mut answer = Response::new(Empty::new());
    match ExportTraceServiceRequest::decode(body) {
        Ok(read) if is_ours => keep.send_modify(|taken| taken.extend(spans(read))),
        Ok(_) | Err(_) => *answer.status_mut() = StatusCode::BAD_REQUEST,
    }
    answer
}

fn spans(request: ExportTraceServiceRequest) -> Vec<Taken> {
    let mut taken = Vec::new();
    for of in request.resource_spans {
        let resource = attributes(of.resource.unwrap_or_default().attributes);
        let part = resource.get("service.name").cloned().unwrap_or_default();
        let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
        taken.extend(spans.map(|span| read(&part, span)));
    }
    taken
}

fn read(part: &str, span: Span) -> Taken {
    Taken {
        part: part.to_owned(),
        name: span.name,
        trace: hex::encode(span.trace_id),
        span: hex::encode(span.span_id),
        parent: hex::encode(span.parent_span_id),
        times: (span.start_time_unix_nano, span.end_time_unix_nano),
        is_failed: span.status.is_some_and(|status| status.code() == Status::Error),
        attributes: attributes(span.attributes),
    }
}

fn attributes(all: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |one: KeyValue| {
        let text = match one.value?.value? {
            Value::StringValue(text) => text,
            Value::IntValue(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        Some((one.key, text))
    };
    all.into_iter().filter_map(text).collect()
}
