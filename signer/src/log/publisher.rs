//! Turns committed entries into files, behind the signing path and never before it.
//!
//! A thread of its own: the ledger's commit is what makes an entry durable, so no signature waits for a tile. When
//! files cannot be written the publisher stops and says so, and the engine refuses to sign until the log can be written
//! again.

use super::disk::{DiskError, LogDir, join_bundle};
use super::merkle::leaf_hash;
use super::note::LogKey;
use super::tile::{Edge, FULL_U64, Row, path};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Least time between two checkpoints: bounds the number of fsyncs under load.
const PACE: Duration = Duration::from_millis(100);

/// The log as published so far, and the means to publish more.
pub struct Log {
    dir: LogDir,
    key: LogKey,
    edge: Edge,
    /// Bytes of the unfinished bundle.
    bundle: Vec<u8>,
    /// Partial tiles on disk that the next publication may replace: the last checkpoint's, and those of the one before.
    partial: [Vec<(Row, u64, usize)>; 2],
}

impl Log {
    /// Goes on from `edge`; `bundle` holds the entries of the unfinished bundle.
    pub fn new(dir: LogDir, key: LogKey, edge: Edge, bundle: Vec<u8>) -> Self {
        let last = partials(&edge).collect();
        Self { dir, key, edge, bundle, partial: [last, Vec::new()] }
    }

    /// Number of entries published.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// Writes the tiles that these entries complete or extend, then the checkpoint.
    ///
    /// Errors: the disk's. The log is then behind what was given; make a new one from what is on disk.
    pub fn publish(&mut self, entries: &[Vec<u8>]) -> Result<(), DiskError> {
        let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
        let mut done = Vec::new();
        for entry in entries {
            let n = self.edge.size() / FULL_U64;
            join_bundle(&mut self.bundle, entry);
            for tile in self.edge.push(leaf_hash(entry)) {
                done.push((Row::Hashes(tile.level), tile.n));
                files.push((path(Row::Hashes(tile.level), tile.n, 256), tile.hashes.concat()));
            }
            if self.edge.size().is_multiple_of(FULL_U64) {
                done.push((Row::Entries, n));
                files.push((path(Row::Entries, n, 256), std::mem::take(&mut self.bundle)));
            }
        }
        let now: Vec<_> = partials(&self.edge).collect();
        for &(row, n, width) in &now {
            let bytes = match row {
                Row::Entries => self.bundle.clone(),
                Row::Hashes(level) => self.edge.unfinished(level.into()).concat(),
            };
            files.push((path(row, n, width), bytes));
        }
        self.dir.write(&files)?;
        let note = self.key.checkpoint(self.edge.size(), &self.edge.frontier().root());
        self.dir.write(&[("checkpoint".into(), note)])?;
        let [last, before] = std::mem::take(&mut self.partial);
        for (row, n, width) in before.into_iter().filter(|tile| !now.contains(tile) && !last.contains(tile)) {
            self.dir.forget(row, n, width);
        }
        self.partial = [now, last];
        Ok(())
    }
}

/// The partial tiles of a tree with this edge.
fn partials(edge: &Edge) -> impl Iterator<Item = (Row, u64, usize)> {
    let size = edge.size();
    let bundle =
        (!edge.unfinished(0).is_empty()).then(|| (Row::Entries, size / FULL_U64, edge.unfinished(0).len()));
    let hashes = (0..edge.height()).filter_map(move |level| {
        let width = edge.unfinished(level).len();
        let row = Row::Hashes(u8::try_from(level).ok()?);
        (width > 0).then(|| (row, size >> (8 * (level + 1)), width))
    });
    bundle.into_iter().chain(hashes)
}

/// How far publication got, shared with the engine.
#[derive(Debug, Default)]
pub struct Progress {
    published: AtomicU64,
    stopped: AtomicBool,
    why: Mutex<String>,
}

impl Progress {
    /// Number of entries that the checkpoint on disk covers.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// Why publication stopped, if it did.
    pub fn stopped(&self) -> Option<String> {
        self.stopped
            .load(Ordering::Acquire)
            .then(|| self.why.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// The publishing thread. Dropping it publishes what was given and ends it.
pub struct Publisher {
    queue: Option<Sender<Vec<Vec<u8>>>>,
    thread: Option<JoinHandle<()>>,
    progress: Arc<Progress>,
}

impl Publisher {
    /// Starts publishing after `log`. Errors: the system gives no thread.
    pub fn start(mut log: Log) -> std::io::Result<Self> {
        let (queue, entries) = channel();
        let progress = Arc::new(Progress::default());
        progress.published.store(log.size(), Ordering::Release);
        let shared = Arc::clone(&progress);
        let thread = std::thread::Builder::new()
            .name("publisher".into())
            .spawn(move || run(&mut log, &entries, &shared))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), progress })
    }

    /// Hands over entries that are committed, in order.
    pub fn send(&self, entries: Vec<Vec<u8>>) {
        if let Some(queue) = &self.queue {
            // Fails only when the thread stopped, which `progress` tells.
            let _ = queue.send(entries);
        }
    }

    /// How far it got.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl Publisher {
    /// Publishes what was given, ends the thread, and tells how many entries the checkpoint covers.
    pub fn finish(mut self) -> u64 {
        self.end();
        self.progress.published()
    }

    fn end(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("publisher ended by a panic");
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(log: &mut Log, queue: &Receiver<Vec<Vec<u8>>>, progress: &Progress) {
    let mut waiting: Vec<Vec<u8>> = Vec::new();
    loop {
        if waiting.is_empty() {
            let Ok(first) = queue.recv() else { return };
            waiting = first;
        }
        waiting.extend(queue.try_iter().flatten());
        if let Err(error) = log.publish(&std::mem::take(&mut waiting)) {
            tracing::error!(%error, "log files cannot be written; signing stops");
            *progress.why.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
            progress.stopped.store(true, Ordering::Release);
            return;
        }
        progress.published.store(log.size(), Ordering::Release);
        for _ in 0..10 {
            match queue.recv_timeout(PACE / 10) {
                Ok(more) => waiting.extend(more),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }
}
