//! Turns that are durable in the journal and not yet in the tables, and the thread that brings them there.

use super::rows::{KeyedMark, MarkRow, RequestRow, TurnRow};
use super::tables::{Requests, Tables, key_of, mark_key};
use super::{History, LedgerError};
use crate::ids::RequestId;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

type Rows = BTreeMap<[u8; 24], RequestRow>;
type Marks = BTreeMap<[u8; 32], MarkRow>;

#[derive(Default)]
struct Generation {
    turns: Vec<TurnRow>,
    requests: Rows,
    marks: Marks,
    bytes: usize,
}

#[derive(Default)]
struct Generations {
    /// Gathers turns.
    young: Generation,
    /// Is on its way to the tables.
    filling: Rows,
    filling_marks: Marks,
}

/// The turns not yet in the tables. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Recent(Arc<RwLock<Generations>>);

impl Recent {
    pub(super) fn add(&self, mut turn: TurnRow, bytes: usize) -> Result<(), LedgerError> {
        let mut generations = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // A request's intermediate states need not be kept: the map has the last one of all turns.
        for request in std::mem::take(&mut turn.requests) {
            generations.young.requests.insert(key_of(&request.key)?, request.row);
        }
        for mark in std::mem::take(&mut turn.marks) {
            generations.young.marks.insert(mark_key(&mark.key)?, mark.row);
        }
        generations.young.turns.push(turn);
        generations.young.bytes += bytes;
        Ok(())
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).young.bytes
    }

    /// Moves the gathered turns out, to be filled in; their requests stay readable.
    pub(super) fn begin_filling(&self) -> Vec<TurnRow> {
        let mut generations = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Generation { mut turns, requests, marks, .. } = std::mem::take(&mut generations.young);
        if let Some(last) = turns.last_mut() {
            last.requests = requests
                .iter()
                .map(|(key, row)| super::rows::KeyedRequest { key: key.to_vec(), row: row.clone() })
                .collect();
            last.marks =
                marks.iter().map(|(key, row)| KeyedMark { key: key.to_vec(), row: row.clone() }).collect();
        }
        generations.filling = requests;
        generations.filling_marks = marks;
        turns
    }

    /// Lets go of turns that reached the tables.
    pub(super) fn forget_filling(&self) {
        let mut generations = self.0.write().unwrap_or_else(PoisonError::into_inner);
        generations.filling = Rows::new();
        generations.filling_marks = Marks::new();
    }
}

/// What the ledger said at one commit.
pub struct View {
    recent: Recent,
    requests: Requests,
}

impl View {
    pub(super) fn new(recent: Recent, requests: Requests) -> Self {
        Self { recent, requests }
    }

    /// The mark under this key, if what it stands for has happened.
    pub fn mark(&self, key: &[u8; 32]) -> Result<Option<MarkRow>, LedgerError> {
        let generations = self.recent.0.read().unwrap_or_else(PoisonError::into_inner);
        let recent = generations.young.marks.get(key).or_else(|| generations.filling_marks.get(key));
        match recent {
            Some(row) => Ok(Some(row.clone())),
            None => self.requests.mark(key),
        }
    }

    /// What is known of a request.
    pub fn history(&self, id: &RequestId) -> Result<History, LedgerError> {
        let (first, last) = (RequestId { step: 0, ..*id }.key(), RequestId { step: u64::MAX, ..*id }.key());
        let key = id.key();
        let generations = self.recent.0.read().unwrap_or_else(PoisonError::into_inner);
        let layers = [&generations.young.requests, &generations.filling];
        let stored = self.requests.last(&first, &last)?;
        let newest =
            layers.iter().filter_map(|rows| rows.range(first..=last).next_back()).map(|(key, _)| *key);
        let highest = newest.chain(stored.as_ref().map(|(key, _)| *key)).max();
        let row = match layers.iter().find_map(|rows| rows.get(&key)) {
            Some(row) => Some(row.clone()),
            None => match stored {
                Some((stored, row)) if stored == key => Some(row),
                Some(_) => self.requests.get(&key)?,
                None => None,
            },
        };
        Ok(History { row, highest: highest.map(|key| RequestId::from_key(&key).step) })
    }
}

/// The thread that brings turns to the tables, one lot at a time.
pub(super) struct Filler {
    lots: Option<Sender<(Vec<TurnRow>, u64)>>,
    done: Receiver<Result<(), LedgerError>>,
    thread: Option<JoinHandle<()>>,
    busy: bool,
}

impl Filler {
    pub(super) fn start(tables: Arc<Tables>) -> Result<Self, LedgerError> {
        let (lots, queue) = channel::<(Vec<TurnRow>, u64)>();
        let (sender, done) = channel();
        let work = move || {
            while let Ok((turns, last)) = queue.recv() {
                let result = tables.apply(&turns, last);
                drop(turns);
                if sender.send(result).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("tables".into()).spawn(work);
        let thread = thread.map_err(|error| LedgerError::Storage(format!("no thread: {error}")))?;
        Ok(Self { lots: Some(lots), done, thread: Some(thread), busy: false })
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Precondition: not busy.
    pub(super) fn fill(&mut self, turns: Vec<TurnRow>, last: u64) {
        if let Some(lots) = &self.lots {
            self.busy = lots.send((turns, last)).is_ok();
        }
    }

    /// Whether a lot has arrived since the last look. Errors: it did not arrive, and the ledger must be opened again.
    pub(super) fn is_done(&mut self) -> Result<bool, LedgerError> {
        match self.done.try_recv() {
            Ok(result) => {
                self.busy = false;
                result.map(|()| true)
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => Ok(false),
        }
    }

    /// Waits for the lot under way, if there is one.
    pub(super) fn wait(&mut self) -> Result<(), LedgerError> {
        if !self.busy {
            return Ok(());
        }
        self.busy = false;
        self.done.recv().unwrap_or_else(|_| Err(LedgerError::Storage("the tables' thread ended".into())))
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        drop(self.lots.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the tables' thread ended by a panic");
        }
    }
}
