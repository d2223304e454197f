//! The one task that exports: gathers what ended, posts it, counts what came of it.
//!
//! ```text
//! waits for a span -> gathers for LINGER, at most MOST -> one request -> taken: exported, else: dropped
//! ```
//! It rests without a timer while nothing ends.

use crate::arguments::Target;
use crate::post::post;
use crate::span::{Item, Record, Service};
use crate::wire;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Spans in one request.
const MOST: usize = 256;
/// How long the first span of a batch waits for others.
const LINGER: Duration = Duration::from_secs(1);

/// What became of the spans of this process.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) exported: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

/// Who exports, as OpenTelemetry's attributes of a resource.
pub(crate) struct Resource(Service);

impl Resource {
    pub(crate) fn of(service: Service) -> Self {
        Self(service)
    }

    pub(crate) fn version(&self) -> &'static str {
        self.0.version
    }

    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let instance = Some(self.0.instance.as_str()).filter(|instance| !instance.is_empty());
        [
            Some(("service.namespace", "keywright")),
            Some(("service.name", self.0.name)),
            Some(("service.version", self.0.version)),
            instance.map(|instance| ("service.instance.id", instance)),
        ]
        .into_iter()
        .flatten()
    }
}

/// Exports until all tracers are gone and the queue is empty.
pub(crate) async fn export(
    mut queue: mpsc::Receiver<Item>,
    target: Target,
    resource: Resource,
    counts: Arc<Counts>,
) {
    let agent = format!("{}/{}", resource.0.name, resource.0.version);
    let mut is_taken = true;
    while let Some(first) = queue.recv().await {
        let (batch, flushed) = gather(first, &mut queue).await;
        let size = batch.len() as u64;
        if size > 0 {
            let answer = post(&target, &agent, wire::encode(&resource, batch)).await;
            let count = if answer.is_ok() { &counts.exported } else { &counts.dropped };
            count.fetch_add(size, Ordering::Relaxed);
            // Told when it changes: a collector that is away for an hour is worth two lines.
            match &answer {
                Ok(()) if !is_taken => tracing::info!("the collector takes spans again"),
                Err(error) if is_taken => {
                    tracing::warn!(%error, "the collector takes no spans; they are dropped until it does");
                }
                Ok(()) | Err(_) => {}
            }
            is_taken = answer.is_ok();
        }
        if let Some(flushed) = flushed {
            // Whoever asked may have lost patience.
            let _ = flushed.send(());
        }
    }
}

/// What is posted together, and who waits for it.
async fn gather(first: Item, queue: &mut mpsc::Receiver<Item>) -> (Vec<Record>, Option<oneshot::Sender<()>>) {
    let mut batch = Vec::new();
    let mut next = Some(first);
    let linger = tokio::time::sleep(LINGER);
    tokio::pin!(linger);
    loop {
        match next {
            Some(Item::Span(record)) => batch.push(*record),
            Some(Item::Flush(flushed)) => return (batch, Some(flushed)),
            None => return (batch, None),
        }
        if batch.len() == MOST {
            return (batch, None);
        }
        next = tokio::select! {
            next = queue.recv() => next,
            () = &mut linger => None,
        };
    }
}
