//! What a collector gets, and what nobody notices when there is none.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use clap::Parser;
use keywright_ambient::{Clock, SystemClock, SystemEntropy};
use keywright_collector::{Collector, Taken};
use keywright_telemetry::{Kind, Service, Span, SpanContext, Tracer, Traces, names};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    traces: Traces,
}

/// A tracer that exports to this base URL.
fn tracer(url: &str) -> Tracer {
    let command = Command::try_parse_from(["program", &format!("--otlp-endpoint={url}")]).unwrap();
    let service = Service { name: "keywright-test", version: "1", instance: String::new() };
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    Tracer::to(command.traces.target().unwrap(), service, clock, entropy)
}

fn object() -> SpanContext {
    SpanContext::of_object("a-uid", 1)
}

fn told(tracer: &Tracer, metric: &str) -> u64 {
    let mut text = String::new();
    tracer.tell(&mut text);
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{metric} "))).unwrap();
    line.parse().unwrap()
}

#[tokio::test]
async fn three_processes_that_share_an_object_make_one_trace() {
    let collector = Collector::start().await.unwrap();
    let [webhook, operator, signer] = [(); 3].map(|()| tracer(collector.url()));
    let mut review = webhook.below("admission", Kind::Server, object());
    review.stand_for(object());
    review.end();
    let mut look = operator.below("look", Kind::Internal, object());
    let asking = look.part("ask the signer", Kind::Client);
    let header = asking.context().unwrap().traceparent();
    let mut issue = signer.below("issue", Kind::Server, SpanContext::parse(&header).unwrap());
    let from = SystemClock.monotonic();
    issue.measured("sign", from, from + Duration::from_millis(3));
    issue.set(names::SERIAL, "4f");
    issue.outcome("Signed", false);
    issue.end();
    asking.end();
    look.outcome("Issued", false);
    look.end();
    for tracer in [&webhook, &operator, &signer] {
        tracer.finish().await;
    }
    let taken = collector.taken();
    assert_eq!(taken.len(), 5);
    assert!(taken.iter().all(|one| one.trace == object().trace.to_string() && one.part == "keywright-test"));
    let named = |name: &str| -> &Taken { taken.iter().find(|one| one.name == name).unwrap() };
    let parents = ["look", "ask the signer", "issue", "sign"].map(|name| &named(name).parent);
    let spans = ["admission", "look", "ask the signer", "issue"].map(|name| &named(name).span);
    assert_eq!(parents, spans);
    assert_eq!(named("admission").parent, "");
    let (from, to) = named("sign").times;
    assert_eq!(to - from, 3_000_000);
    assert!(from >= named("issue").times.0);
    assert_eq!(named("issue").attributes[names::SERIAL], "4f");
    assert_eq!(told(&operator, "keywright_trace_spans_exported_total"), 2);
    assert_eq!(told(&operator, "keywright_trace_spans_dropped_total"), 0);
}

#[tokio::test]
async fn a_span_that_nobody_ended_says_that_it_was_cut_off_and_one_that_is_forgotten_says_nothing() {
    let collector = Collector::start().await.unwrap();
    let tracer = tracer(collector.url());
    drop(tracer.below("cut", Kind::Internal, object()));
    tracer.below("forgotten", Kind::Internal, object()).forget();
    tracer.finish().await;
    let taken = collector.taken();
    let names: Vec<(&str, bool)> = taken.iter().map(|one| (one.name.as_str(), one.is_failed)).collect();
    assert_eq!(names, [("cut", true)]);
    assert_eq!(taken[0].attributes[names::OUTCOME], "CutOff");
}

#[tokio::test]
async fn with_no_collector_spans_are_dropped_and_counted_and_nobody_waits() {
    // Taken and left again: nobody listens there.
    let address = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let tracer = tracer(&format!("http://{address}"));
    let from = SystemClock.monotonic();
    for _ in 0..3000 {
        tracer.below("look", Kind::Internal, object()).end();
    }
    assert!(SystemClock.monotonic().duration_since(from) < Duration::from_secs(1));
    assert!(told(&tracer, "keywright_trace_spans_dropped_total") >= 3000 - 1024, "the queue is bounded");
    tracer.finish().await;
    assert_eq!(told(&tracer, "keywright_trace_spans_dropped_total"), 3000);
    assert_eq!(told(&tracer, "keywright_trace_spans_exported_total"), 0);
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_up_the_end_for_a_moment_only() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let tracer = tracer(&format!("http://{}", listener.local_addr().unwrap()));
    tracer.below("look", Kind::Internal, object()).end();
    let from = SystemClock.monotonic();
    tracer.finish().await;
    let took = SystemClock.monotonic().duration_since(from);
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn off_there_is_nothing_and_no_runtime_is_needed() {
    let service = Service { name: "keywright-test", version: "1", instance: String::new() };
    let tracer = Tracer::to(None, service, Arc::new(SystemClock), Arc::new(SystemEntropy));
    let mut span = tracer.below("admission", Kind::Server, object());
    span.set(names::NAME, "web");
    assert!(!tracer.is_on() && !span.is_on() && span.context().is_none());
    assert!(span.part("look", Kind::Internal).context().is_none());
    span.end();
    let mut text = String::new();
    tracer.tell(&mut text);
    assert_eq!(text, "");
    assert_eq!((size_of::<Tracer>(), size_of::<Span>()), (size_of::<usize>(), size_of::<usize>()));
}
