//! The ledger: what is true, and the one write that makes it so.
//!
//! Owns the state folder's journal and tables: the log's committed entries, the newest attempt at each request, the
//! sealed authorities and the head that ties them together. One writer; a commit is durable (fsync) when it returns. It
//! never signs, never decides whether a request is allowed, and holds no key but sealed ones.
//!
//! ```text
//! batch = { entries, request rows, authority rows, plain fields, fencing } -> head { size, root, ... }
//!   commit: one frame in the journal, one fsync ----> later, many turns at once: the tables (redb)
//!   read:   turns not yet in the tables, then the tables
//! ```
//! The head carries a code made with the key-encryption key, so that rows of authorities cannot be put back to an older,
//! looser state without putting back the whole volume; and the log's size, so that ledger and log cannot be of
//! different ages.

mod journal;
mod recent;
mod rows;
mod tables;

pub use recent::View;
pub use rows::{AuthorityRow, HeadRow, KeyState, MarkRow, PlainRow, Purpose, RequestRow, RequestState};

use crate::ids::{RequestId, Uid};
use crate::log::merkle::{Frontier, Hash, leaf_hash};
use crate::seal::{Kek, Sealed};
use aws_lc_rs::digest::{Context, SHA256, digest};
use journal::Journal;
use prost::Message as _;
use recent::{Filler, Recent};
use rows::{KeyedAuthority, KeyedMark, KeyedPlain, KeyedRequest, TurnRow};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tables::Tables;

/// Bytes of turns that gather before they go to the tables.
const FILL_AT: usize = 4 << 20;
/// Bytes of turns at which a commit waits until the tables have caught up.
const WAIT_AT: usize = 32 << 20;

/// Why the ledger cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// Another process has it open.
    #[error(
        "ledger: another process has it open, a signer or a command like this one, and one state folder serves one at a time; stop that one first, then try again"
    )]
    InUse,
    /// The disk or the file refuses.
    #[error("ledger: {0}; see that the volume is mounted, writable and not full")]
    Storage(String),
    /// What it says does not hold together.
    #[error("ledger: {0}; restore the state folder as a whole from one backup")]
    Untrue(&'static str),
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
    /// What happens once, by its key.
    pub marks: Vec<([u8; 32], MarkRow)>,
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
            && self.marks.is_empty()
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
    tables: Arc<Tables>,
    journal: Journal,
    recent: Recent,
    filler: Filler,
    kek: Arc<Kek>,
    head: HeadRow,
    frontier: Frontier,
    /// Digest of each authority's row.
    keys: BTreeMap<Uid, Hash>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("size", &self.head.size).finish_non_exhaustive()
    }
}

/// A ledger as found, before the log was compared with it.
pub struct Found {
    tables: Tables,
    journal: Journal,
    kek: Arc<Kek>,
    head: Option<HeadRow>,
    keys: BTreeMap<Uid, Hash>,
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

/// The file of the tables, in the state folder.
pub const TABLES: &str = "ledger.redb";

/// Which key-encryption key the ledger in `folder` is sealed under, as it says itself; none: there is no ledger yet.
///
/// A hint to choose a key by: only [`Found::open`] proves it. Errors: in use, unreadable.
pub fn sealed_under(folder: &Path) -> Result<Option<Vec<u8>>, LedgerError> {
    let path = folder.join(TABLES);
    if !path.exists() {
        return Ok(None);
    }
    let (head, _) = Tables::open(&path)?.head()?;
    Ok(head.map(|head| head.log_key.kek_id))
}

impl Found {
    /// Opens or creates tables and journal in `folder`, adds to the tables what only the journal has, and reads the head.
    ///
    /// Errors: in use, unreadable, or a head that is not authentic.
    pub fn open(folder: &Path, kek: Arc<Kek>) -> Result<Self, LedgerError> {
        let tables = Tables::open(&folder.join(TABLES))?;
        let (_, applied) = tables.head()?;
        let (journal, frames) = Journal::open(folder, Arc::clone(&kek), applied)?;
        let turns = frames.iter().map(|frame| TurnRow::decode(frame.content.as_slice()));
        let turns = turns
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| LedgerError::Untrue("a turn in the journal does not decode"))?;
        // Also where there is nothing to add: it proves at every start that the disk takes a durable write.
        tables.apply(&turns, journal.sequence())?;
        let (head, _) = tables.head()?;
        let keys = tables.key_digests()?;
        if let Some(head) = &head {
            if !kek.is_authentic(&[&without_code(head)], &head.code) {
                return Err(LedgerError::Untrue(
                    "its head was edited, or was written under another key-encryption key",
                ));
            }
            if head.keys != digest_of(&keys) {
                return Err(LedgerError::Untrue("a sealed key was added, removed or replaced"));
            }
        } else if !keys.is_empty() {
            return Err(LedgerError::Untrue("its head is missing"));
        }
        Ok(Self { tables, journal, kek, head, keys })
    }

    /// The head, unless the ledger is new.
    pub fn head(&self) -> Option<&HeadRow> {
        self.head.as_ref()
    }

    /// The committed entries from index `from` on. Errors: some are missing.
    pub fn entries_from(&self, from: u64) -> Result<Vec<Vec<u8>>, LedgerError> {
        self.tables.entries_from(from, self.head.as_ref().map_or(0, |head| head.size))
    }

    /// All authorities.
    pub fn authorities(&self) -> Result<Vec<(Uid, AuthorityRow)>, LedgerError> {
        self.tables.authorities()
    }

    /// Requests whose intent has no outcome: the process ended in between.
    pub fn open_intents(&self) -> Result<Vec<(RequestId, RequestRow)>, LedgerError> {
        let requests = self.tables.requests()?;
        let mut open = Vec::new();
        for id in self.tables.open_intents()? {
            open.extend(requests.get(&id.key())?.map(|row| (id, row)));
        }
        Ok(open)
    }

    /// The ledger, ready to be written. `new` is the head of a new ledger; `frontier` is that of all entries.
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
        let Self { tables, journal, kek, keys, .. } = self;
        let tables = Arc::new(tables);
        let filler = Filler::start(Arc::clone(&tables))?;
        let recent = Recent::default();
        let mut ledger = Ledger { tables, journal, recent, filler, kek, head, frontier, keys };
        if is_new {
            let published = ledger.head.published;
            ledger.write(Batch::default(), published)?;
        }
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

    /// A view of the last commit; valid until the next one.
    pub fn read(&self) -> Result<View, LedgerError> {
        Ok(View::new(self.recent.clone(), self.tables.requests()?))
    }

    /// The plain fields behind an entry, unless there are none or they were erased; those of the last turns only after
    /// [`Self::settle`].
    pub fn plain(&self, index: u64) -> Result<Option<PlainRow>, LedgerError> {
        self.tables.plain(index)
    }

    /// Goes over to another key-encryption key: the batch, with every row sealed under it, and a head under it become
    /// true at once, in one transaction of the tables; the journal so far is then dead weight. Closes the ledger.
    ///
    /// `log_key`: the log's key, sealed under it. Errors: the old key-encryption key stays in force.
    pub fn rekey(mut self, to: Arc<Kek>, log_key: Sealed, batch: Batch) -> Result<(), LedgerError> {
        self.filler.wait()?;
        self.recent.forget_filling();
        self.fill();
        self.filler.wait()?;
        self.recent.forget_filling();
        self.kek = to;
        self.head.log_key = log_key;
        let published = self.head.published;
        let (turn, ..) = self.turn(batch, published);
        self.tables.apply(&[turn], self.journal.sequence() + 1)
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

    /// In a quiet moment: notes how many entries the checkpoint covers, and lets the tables catch up.
    pub fn settle(&mut self, published: u64) -> Result<(), LedgerError> {
        if published != self.head.published {
            self.write(Batch::default(), published)?;
        }
        self.filled()?;
        self.fill();
        Ok(())
    }

    fn write(&mut self, batch: Batch, published: u64) -> Result<Vec<Vec<u8>>, LedgerError> {
        self.filled()?;
        let (turn, frontier, keys) = self.turn(batch, published);
        let head = turn.head.clone();
        let content = turn.encode_to_vec();
        self.journal.append(&content)?;
        (self.head, self.frontier) = (head, frontier);
        if let Some(keys) = keys {
            self.keys = keys;
        }
        let entries = turn.entries.clone();
        self.recent.add(turn, content.len())?;
        if self.recent.bytes() >= FILL_AT {
            if self.recent.bytes() >= WAIT_AT && self.filler.is_busy() {
                self.filler.wait()?;
                self.recent.forget_filling();
            }
            self.fill();
        }
        Ok(entries)
    }

    /// What a batch would make of the ledger: the turn with its new head, and with it the entries' tree and the
    /// digests of authorities, where those change.
    fn turn(&self, batch: Batch, published: u64) -> (TurnRow, Frontier, Option<BTreeMap<Uid, Hash>>) {
        let Batch { entries, requests, authorities, plain, marks, fencing } = batch;
        let mut head = self.head.clone();
        let mut frontier = self.frontier.clone();
        for entry in &entries {
            frontier.push(leaf_hash(entry));
        }
        let keys = (!authorities.is_empty()).then(|| {
            let changed = authorities.iter().map(|(uid, row)| (*uid, hash(&row.encode_to_vec())));
            self.keys.iter().map(|(uid, digest)| (*uid, *digest)).chain(changed).collect()
        });
        head.size = frontier.size();
        head.root = frontier.root().to_vec();
        head.published = published;
        head.fencing = fencing.unwrap_or(head.fencing);
        if let Some(keys) = &keys {
            head.keys = digest_of(keys);
        } else if head.keys.is_empty() {
            head.keys = digest_of(&self.keys);
        }
        head.code = self.kek.authenticate(&[&without_code(&head)]);
        let turn = TurnRow {
            first: self.frontier.size(),
            entries,
            requests: requests
                .into_iter()
                .map(|(id, row)| KeyedRequest { key: id.key().to_vec(), row })
                .collect(),
            authorities: authorities
                .into_iter()
                .map(|(uid, row)| KeyedAuthority { uid: uid.0.to_vec(), row })
                .collect(),
            marks: marks.into_iter().map(|(key, row)| KeyedMark { key: key.to_vec(), row }).collect(),
            plain: plain.into_iter().map(|(index, row)| KeyedPlain { index, row }).collect(),
            head,
        };
        (turn, frontier, keys)
    }

    /// Takes note of turns that reached the tables. Errors: they did not.
    fn filled(&mut self) -> Result<(), LedgerError> {
        if self.filler.is_done()? {
            self.recent.forget_filling();
        }
        Ok(())
    }

    /// Hands the gathered turns to the tables, unless that is under way.
    fn fill(&mut self) {
        if !self.filler.is_busy() && self.recent.bytes() > 0 {
            let turns = self.recent.begin_filling();
            self.filler.fill(turns, self.journal.sequence());
            self.journal.turn_over();
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // What does not reach the tables now is read from the journal at the next start.
        let caught_up = self.filler.wait().map(|()| {
            self.recent.forget_filling();
            self.fill();
        });
        if let Err(error) = caught_up.and_then(|()| self.filler.wait()) {
            tracing::warn!(%error, "the ledger's tables did not catch up; the journal holds the rest");
        }
    }
}
