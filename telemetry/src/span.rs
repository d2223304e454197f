//! Spans, from their beginning to the queue.
//!
//! A tracer that is off is nothing: it begins spans that hold nothing, and their methods return at once. One that is on puts
//! ended spans into a queue of [`ROOM`] places and never waits for one: without a place a span is dropped and counted.

use crate::arguments::Target;
use crate::context::{SpanContext, SpanId};
use crate::export::{self, Counts, Resource};
use crate::names;
use jiff::Timestamp;
use keywright_ambient::{Clock, Entropy};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Ended spans that wait to be exported; more are dropped. One takes about 1 KiB.
const ROOM: usize = 1024;
/// How long a process that ends waits for its last spans to be delivered.
const FAREWELL: Duration = Duration::from_secs(2);

/// Who exports.
#[derive(Debug, Clone)]
pub struct Service {
    /// Name of the part, such as `keywright-operator`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Which of its processes; empty when that is not known.
    pub instance: String,
}

/// What a span is to the others. Source: OpenTelemetry specification, "SpanKind".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Work inside a process.
    Internal,
    /// An answer to somebody's request.
    Server,
    /// A request to another process.
    Client,
}

/// Value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Words.
    Text(String),
    /// A number.
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) context: SpanContext,
    pub(crate) parent: Option<SpanId>,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) start: Timestamp,
    pub(crate) took: Duration,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    /// It did not come to what was asked for.
    pub(crate) is_failed: bool,
}

/// What goes through the queue.
pub(crate) enum Item {
    Span(Box<Record>),
    /// Deliver all that came before, then say so.
    Flush(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Shared {
    queue: mpsc::Sender<Item>,
    counts: Arc<Counts>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Begins spans. Cheap to clone; clones share one queue.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Shared>>);

impl Tracer {
    /// One whose spans are nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    /// One that exports to `target`, or one that is off. Must be called within a tokio runtime, on which one task exports for
    /// as long as a clone lives.
    pub fn to(
        target: Option<Target>,
        service: Service,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let Some(target) = target else { return Self::off() };
        tracing::info!(host = target.endpoint.host, port = target.endpoint.port, "spans are exported");
        let (queue, ended) = mpsc::channel(ROOM);
        let counts = Arc::new(Counts::default());
        tokio::spawn(export::export(ended, target, Resource::of(service), Arc::clone(&counts)));
        Self(Some(Arc::new(Shared { queue, counts, clock, entropy })))
    }

    /// Whether spans go anywhere. What costs something to find out for an attribute is worth it only then.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins a span below the one that `parent` names, which may be another process's.
    pub fn below(&self, name: &'static str, kind: Kind, parent: SpanContext) -> Span {
        Span(self.0.as_ref().and_then(|shared| shared.begin(name, kind, parent)))
    }

    /// Waits for a moment until all spans that have ended are delivered: for a process that ends.
    pub async fn finish(&self) {
        let Some(shared) = &self.0 else { return };
        let (done, delivered) = oneshot::channel();
        let flush = async {
            if shared.queue.send(Item::Flush(done)).await.is_ok() {
                // Fails only when the task has ended, which leaves nothing to wait for.
                let _ = delivered.await;
            }
        };
        if tokio::time::timeout(FAREWELL, flush).await.is_err() {
            tracing::warn!("the last spans were not delivered in time");
        }
    }

    /// Adds how many spans were delivered and dropped, in Prometheus' text format; nothing when it is off.
    pub fn tell(&self, text: &mut String) {
        let Some(shared) = &self.0 else { return };
        let of = [
            ("keywright_trace_spans_exported_total", "Spans that a collector took", &shared.counts.exported),
            (
                "keywright_trace_spans_dropped_total",
                "Spans that no collector took, or for which the queue had no place",
                &shared.counts.dropped,
            ),
        ];
        for (name, help, count) in of {
            let count = count.load(Ordering::Relaxed);
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}");
        }
    }
}

impl Shared {
    /// None while there is no randomness to name it by.
    fn begin(self: &Arc<Self>, name: &'static str, kind: Kind, parent: SpanContext) -> Option<Box<Open>> {
        let mut octets = [0; 8];
        self.entropy.fill(&mut octets).ok()?;
        let record = Record {
            context: SpanContext { trace: parent.trace, span: SpanId::new(octets)? },
            parent: Some(parent.span),
            name,
            kind,
            start: self.clock.now(),
            took: Duration::ZERO,
            attributes: Vec::new(),
            is_failed: false,
        };
        Some(Box::new(Open { shared: Arc::clone(self), record, from: self.clock.monotonic() }))
    }

    fn record(&self, record: Record) {
        if self.queue.try_send(Item::Span(Box::new(record))).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A span under way, or nothing. One that is dropped without an end was cut off, and says so.
#[derive(Debug, Default)]
#[must_use = "a span that is dropped at once was cut off"]
pub struct Span(Option<Box<Open>>);

#[derive(Debug)]
struct Open {
    shared: Arc<Shared>,
    record: Record,
    from: Instant,
}

impl Span {
    /// A span that is nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    /// Whether it goes anywhere.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Its name among all spans; none when it is nothing.
    pub fn context(&self) -> Option<SpanContext> {
        self.0.as_ref().map(|open| open.record.context)
    }

    /// Sets an attribute of [`names`].
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(open) = &mut self.0 {
            open.record.attributes.push((name, value.into()));
        }
    }

    /// Says what came of it, and whether that is a failure.
    pub fn outcome(&mut self, outcome: &str, is_failed: bool) {
        self.set(names::OUTCOME, outcome);
        if let Some(open) = &mut self.0 {
            open.record.is_failed = is_failed;
        }
    }

    /// Makes it the span that `context` names, which is below no other. To be said before it has parts.
    pub fn stand_for(&mut self, context: SpanContext) {
        if let Some(open) = &mut self.0 {
            (open.record.context, open.record.parent) = (context, None);
        }
    }

    /// Begins a part of it.
    pub fn part(&self, name: &'static str, kind: Kind) -> Self {
        let begun = self.0.as_ref();
        Self(begun.and_then(|open| open.shared.begin(name, kind, open.record.context)))
    }

    /// Adds a part of it that was measured elsewhere.
    pub fn measured(&self, name: &'static str, from: Instant, to: Instant) {
        let Some(open) = &self.0 else { return };
        let mut part = self.part(name, Kind::Internal);
        let Some(part) = part.0.take() else { return };
        let after = from.saturating_duration_since(open.from);
        let start = open.record.start.saturating_add(after).unwrap_or(open.record.start);
        open.shared.record(Record { start, took: to.saturating_duration_since(from), ..part.record });
    }

    /// It ends now.
    pub fn end(mut self) {
        self.close();
    }

    /// It is not worth telling.
    pub fn forget(mut self) {
        self.0 = None;
    }

    fn close(&mut self) {
        let Some(open) = self.0.take() else { return };
        let Open { shared, mut record, from } = *open;
        record.took = shared.clock.monotonic().saturating_duration_since(from);
        shared.record(record);
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.outcome("CutOff", true);
            self.close();
        }
    }
}
