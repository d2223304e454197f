//! The ledger: the one file whose commit makes something true.
//!
//! Owns the redb file with the log's committed entries, the newest attempt at each request, the sealed authorities and
//! the head that ties them together. One writer; a commit is durable (fsync) when it returns. It never signs, never
//! decides whether a request is allowed, and holds no key but sealed ones.
//!
//! ```text
//! batch = { entries, request rows, authority rows, plain fields, fencing } -> one transaction -> head { size, root, ... }
//! ```
//! The head carries a code made with the key-encryption key, so that rows of authorities cannot be put back to an older,
//! looser state without putting back the whole volume; and the log's size, so that ledger and log cannot be of
//! different ages.

mod rows;

pub use rows::{AuthorityRow, HeadRow, KeyState, PlainRow, Purpose, RequestRow, RequestState};

use crate::ids::{RequestId, Uid};
use crate::log::disk::{join_bundle, split_bundle};
use crate::log::merkle::{Frontier, Hash, leaf_hash};
use crate::log::tile::FULL_U64;
use crate::seal::Kek;
use aws_lc_rs::digest::{Context, SHA256, digest};
use prost::Message as _;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

const HEAD: TableDefinition<&str, &[u8]> = TableDefinition::new("head");
const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entries");
const REQUESTS: TableDefinition<&[u8; 24], &[u8]> = TableDefinition::new("requests");
const OPEN: TableDefinition<&[u8; 24], u64> = TableDefinition::new("open");
const AUTHORITIES: TableDefinition<&[u8; 16], &[u8]> = TableDefinition::new("authorities");
const PLAIN: TableDefinition<u64, &[u8]> = TableDefinition::new("plain");

/// Memory that redb may keep pages in.
const CACHE_BYTES: usize = 8 << 20;
/// Entry rows removed per commit at most, once their bundles are published.
const PRUNE: usize = 64;

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process has it open.
    #[error("ledger: another signer has it open; one state folder serves one signer at a time")]
    InUse,
    /// The disk or the file refuses.
    #[error("ledger: {0}; see that the volume is mounted, writable and not full")]
    Storage(String),
    /// What it says does not hold together.
    #[error("ledger: {0}; restore the state folder as a whole from one backup")]
    Untrue(&'static str),
}

impl LedgerError {
    fn storage(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            other => Self::Storage(other.to_string()),
        }
    }
}

/// Everything that becomes true together.
#[derive(Debug, Default)]
pub struct Batch {
    /// Encoded log entries, in order.
    pub entries: Vec<Vec<u8>>,
    /// New state of requests.
    pub requests: Vec<(RequestId, RequestRow)>,
    /// New state of authorities.
    pub authorities: Vec<(Uid, AuthorityRow)>,
    /// Fields behind entries, by the entry's index.
    pub plain: Vec<(u64, PlainRow)>,
    /// A new highest fencing token (or, by hand, a forgotten one).
    pub fencing: Option<u64>,
}

impl Batch {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.requests.is_empty()
            && self.authorities.is_empty()
            && self.plain.is_empty()
            && self.fencing.is_none()
    }
}

/// The newest attempt at a request, and the highest step its object ever used.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// Row of exactly this request.
    pub row: Option<RequestRow>,
    /// Highest step of the object.
    pub highest: Option<u64>,
}

/// The open ledger.
pub struct Ledger {
    db: Database,
    kek: Arc<Kek>,
    head: HeadRow,
    frontier: Frontier,
    /// Digest of each authority's row.
    keys: BTreeMap<Uid, Hash>,
    /// First index and number of entries of each row of entries.
    kept: VecDeque<(u64, u64)>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("size", &self.head.size).finish_non_exhaustive()
    }
}

/// A ledger file as found, before the log was compared with it.
pub struct Found {
    db: Database,
    kek: Arc<Kek>,
    head: Option<HeadRow>,
    keys: BTreeMap<Uid, Hash>,
    kept: VecDeque<(u64, u64)>,
}

fn hash(bytes: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

fn digest_of(keys: &BTreeMap<Uid, Hash>) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for (uid, row) in keys {
        context.update(&uid.0);
        context.update(row);
    }
    context.finish().as_ref().to_vec()
}

fn without_code(head: &HeadRow) -> Vec<u8> {
    HeadRow { code: Vec::new(), ..head.clone() }.encode_to_vec()
}

impl Found {
    /// Opens or creates the file and reads its head. Errors: in use, unreadable, or a head that is not authentic.
    pub fn open(path: &Path, kek: Arc<Kek>) -> Result<Self, LedgerError> {
        let db =
            redb::Builder::new().set_cache_size(CACHE_BYTES).create(path).map_err(LedgerError::storage)?;
        let setup = db.begin_write().map_err(LedgerError::storage)?;
        let (head, keys, kept) = {
            let head = setup.open_table(HEAD).map_err(LedgerError::storage)?;
            let head = match head.get("head").map_err(LedgerError::storage)? {
                Some(row) => Some(
                    HeadRow::decode(row.value())
                        .map_err(|_| LedgerError::Untrue("its head does not decode"))?,
                ),
                None => None,
            };
            let mut keys = BTreeMap::new();
            for row in setup
                .open_table(AUTHORITIES)
                .map_err(LedgerError::storage)?
                .iter()
                .map_err(LedgerError::storage)?
            {
                let (uid, row) = row.map_err(LedgerError::storage)?;
                keys.insert(Uid(*uid.value()), hash(row.value()));
            }
            let mut kept = VecDeque::new();
            for row in setup
                .open_table(ENTRIES)
                .map_err(LedgerError::storage)?
                .iter()
                .map_err(LedgerError::storage)?
            {
                let (first, bundle) = row.map_err(LedgerError::storage)?;
                kept.push_back((first.value(), split_bundle(bundle.value()).count() as u64));
            }
            setup.open_table(REQUESTS).map_err(LedgerError::storage)?;
            setup.open_table(OPEN).map_err(LedgerError::storage)?;
            setup.open_table(PLAIN).map_err(LedgerError::storage)?;
            (head, keys, kept)
        };
        setup.commit().map_err(LedgerError::storage)?;
        if let Some(head) = &head {
            if !kek.is_authentic(&[&without_code(head)], &head.code) {
                return Err(LedgerError::Untrue(
                    "its head was edited, or was written under another key-encryption key",
                ));
            }
            if head.keys != digest_of(&keys) {
                return Err(LedgerError::Untrue("a sealed key was added, removed or replaced"));
            }
        } else if !keys.is_empty() || !kept.is_empty() {
            return Err(LedgerError::Untrue("its head is missing"));
        }
        Ok(Self { db, kek, head, keys, kept })
    }

    /// The head, unless the ledger is new.
    pub fn head(&self) -> Option<&HeadRow> {
        self.head.as_ref()
    }

    /// The committed entries from index `from` on. Errors: some are missing.
    pub fn entries_from(&self, from: u64) -> Result<Vec<Vec<u8>>, LedgerError> {
        let size = self.head.as_ref().map_or(0, |head| head.size);
        let read = self.db.begin_read().map_err(LedgerError::storage)?;
        let table = read.open_table(ENTRIES).map_err(LedgerError::storage)?;
        let mut entries = Vec::new();
        let mut next = from;
        for row in table.iter().map_err(LedgerError::storage)? {
            let (first, bundle) = row.map_err(LedgerError::storage)?;
            for (index, entry) in (first.value()..).zip(split_bundle(bundle.value())) {
                if index == next {
                    entries.push(entry.to_vec());
                    next += 1;
                }
            }
        }
        if next == size.max(from) {
            Ok(entries)
        } else {
            Err(LedgerError::Untrue("committed entries are missing"))
        }
    }

    /// The ledger, ready to be written. `head` is the new one of a new ledger; `frontier` is that of all entries.
    ///
    /// Errors: `Untrue` when the frontier's root is not the head's.
    pub fn ready(self, new: Option<HeadRow>, frontier: Frontier) -> Result<Ledger, LedgerError> {
        let (head, is_new) = match (self.head, new) {
            (Some(head), None) => (head, false),
            (None, Some(head)) => (head, true),
            (Some(_), Some(_)) | (None, None) => {
                return Err(LedgerError::Untrue("it is neither new nor old"));
            }
        };
        if head.size != frontier.size() || (!is_new && head.root != frontier.root()) {
            return Err(LedgerError::Untrue("log and ledger are not of one history (forked or cut)"));
        }
        let Self { db, kek, keys, kept, .. } = self;
        let mut ledger = Ledger { db, kek, head, frontier, keys, kept };
        // Proves at every start that the disk takes a durable write, and completes a new ledger.
        let published = ledger.head.published;
        ledger.write(Batch::default(), published)?;
        Ok(ledger)
    }
}

impl Ledger {
    /// The head as of the last commit.
    pub fn head(&self) -> &HeadRow {
        &self.head
    }

    /// Index that the next entry will have.
    pub fn next_index(&self) -> u64 {
        self.head.size
    }

    /// A view of the last commit.
    pub fn read(&self) -> Result<View, LedgerError> {
        let read = self.db.begin_read().map_err(LedgerError::storage)?;
        let requests = read.open_table(REQUESTS).map_err(LedgerError::storage)?;
        Ok(View { requests, read })
    }

    /// Makes the batch true, durably, and returns its entries. `published`: how many entries the checkpoint covers.
    ///
    /// Errors: nothing of the batch is known to be true; open the ledger again to find out.
    pub fn commit(&mut self, batch: Batch, published: u64) -> Result<Vec<Vec<u8>>, LedgerError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.write(batch, published)
    }

    /// Notes how many entries the checkpoint covers, if that changed.
    pub fn note_published(&mut self, published: u64) -> Result<(), LedgerError> {
        if published == self.head.published {
            return Ok(());
        }
        self.write(Batch::default(), published).map(|_| ())
    }

    fn write(&mut self, batch: Batch, published: u64) -> Result<Vec<Vec<u8>>, LedgerError> {
        let mut head = self.head.clone();
        let mut frontier = self.frontier.clone();
        let mut keys = None;
        let write = self.db.begin_write().map_err(LedgerError::storage)?;
        let mut pruned = 0;
        {
            let mut table = write.open_table(ENTRIES).map_err(LedgerError::storage)?;
            if !batch.entries.is_empty() {
                let mut bundle = Vec::with_capacity(batch.entries.iter().map(|entry| entry.len() + 2).sum());
                for entry in &batch.entries {
                    join_bundle(&mut bundle, entry);
                    frontier.push(leaf_hash(entry));
                }
                table.insert(self.frontier.size(), bundle.as_slice()).map_err(LedgerError::storage)?;
            }
            let floor = published / FULL_U64 * FULL_U64;
            for (first, _) in self.kept.iter().take_while(|(first, count)| first + count <= floor).take(PRUNE)
            {
                table.remove(first).map_err(LedgerError::storage)?;
                pruned += 1;
            }
        }
        {
            let mut requests = write.open_table(REQUESTS).map_err(LedgerError::storage)?;
            let mut open = write.open_table(OPEN).map_err(LedgerError::storage)?;
            for (id, row) in &batch.requests {
                let key = id.key();
                requests.insert(&key, row.encode_to_vec().as_slice()).map_err(LedgerError::storage)?;
                match row.state() {
                    RequestState::Intent => {
                        open.insert(&key, row.intent).map_err(LedgerError::storage)?;
                    }
                    RequestState::Signed | RequestState::Superseded | RequestState::Abandoned => {
                        open.remove(&key).map_err(LedgerError::storage)?;
                    }
                }
            }
        }
        if !batch.authorities.is_empty() {
            let mut table = write.open_table(AUTHORITIES).map_err(LedgerError::storage)?;
            let mut changed = self.keys.clone();
            for (uid, row) in &batch.authorities {
                let row = row.encode_to_vec();
                table.insert(&uid.0, row.as_slice()).map_err(LedgerError::storage)?;
                changed.insert(*uid, hash(&row));
            }
            keys = Some(changed);
        }
        if !batch.plain.is_empty() {
            let mut table = write.open_table(PLAIN).map_err(LedgerError::storage)?;
            for (index, row) in &batch.plain {
                table.insert(index, row.encode_to_vec().as_slice()).map_err(LedgerError::storage)?;
            }
        }
        head.size = frontier.size();
        head.root = frontier.root().to_vec();
        head.published = published;
        head.fencing = batch.fencing.unwrap_or(head.fencing);
        head.keys = digest_of(keys.as_ref().unwrap_or(&self.keys));
        head.code = self.kek.authenticate(&[&without_code(&head)]);
        write
            .open_table(HEAD)
            .map_err(LedgerError::storage)?
            .insert("head", head.encode_to_vec().as_slice())
            .map_err(LedgerError::storage)?;
        write.commit().map_err(LedgerError::storage)?;
        if !batch.entries.is_empty() {
            self.kept.push_back((self.frontier.size(), batch.entries.len() as u64));
        }
        self.kept.drain(..pruned.min(self.kept.len()));
        (self.head, self.frontier) = (head, frontier);
        if let Some(keys) = keys {
            self.keys = keys;
        }
        Ok(batch.entries)
    }
}

/// What the ledger said at one commit.
pub struct View {
    requests: redb::ReadOnlyTable<&'static [u8; 24], &'static [u8]>,
    read: redb::ReadTransaction,
}

fn decode<M: prost::Message + Default>(bytes: &[u8]) -> Result<M, LedgerError> {
    M::decode(bytes).map_err(|_| LedgerError::Untrue("a row does not decode"))
}

impl View {
    /// What is known of a request.
    pub fn history(&self, id: &RequestId) -> Result<History, LedgerError> {
        let (first, last) = (RequestId { step: 0, ..*id }.key(), RequestId { step: u64::MAX, ..*id }.key());
        let mut steps = self.requests.range::<&[u8; 24]>(&first..=&last).map_err(LedgerError::storage)?;
        let Some(newest) = steps.next_back() else { return Ok(History::default()) };
        let (key, row) = newest.map_err(LedgerError::storage)?;
        let highest = RequestId::from_key(key.value()).step;
        let row = if highest == id.step { Some(decode(row.value())?) } else { self.request(id)? };
        Ok(History { row, highest: Some(highest) })
    }

    /// The row of exactly this request.
    pub fn request(&self, id: &RequestId) -> Result<Option<RequestRow>, LedgerError> {
        let row = self.requests.get(&id.key()).map_err(LedgerError::storage)?;
        row.map(|row| decode(row.value())).transpose()
    }

    /// Requests whose intent has no outcome: the process ended in between.
    pub fn open_intents(&self) -> Result<Vec<RequestId>, LedgerError> {
        let table = self.read.open_table(OPEN).map_err(LedgerError::storage)?;
        let rows = table.iter().map_err(LedgerError::storage)?;
        rows.map(|row| Ok(RequestId::from_key(row.map_err(LedgerError::storage)?.0.value()))).collect()
    }

    /// All authorities.
    pub fn authorities(&self) -> Result<Vec<(Uid, AuthorityRow)>, LedgerError> {
        let table = self.read.open_table(AUTHORITIES).map_err(LedgerError::storage)?;
        let rows = table.iter().map_err(LedgerError::storage)?;
        rows.map(|row| {
            let (uid, row) = row.map_err(LedgerError::storage)?;
            Ok((Uid(*uid.value()), decode(row.value())?))
        })
        .collect()
    }

    /// The plain fields behind an entry, unless there are none or they were erased.
    pub fn plain(&self, index: u64) -> Result<Option<PlainRow>, LedgerError> {
        let table = self.read.open_table(PLAIN).map_err(LedgerError::storage)?;
        let row = table.get(index).map_err(LedgerError::storage)?;
        row.map(|row| decode(row.value())).transpose()
    }
}
