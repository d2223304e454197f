//! The tables: what turns add up to, in one redb file, brought up to date behind the journal.

use super::rows::{AuthorityRow, HeadRow, MarkRow, PlainRow, RequestRow, RequestState, TurnRow};
use super::{LedgerError, hash};
use crate::ids::{RequestId, Uid};
use crate::log::disk::{join_bundle, split_bundle};
use crate::log::merkle::Hash;
use crate::log::tile::FULL_U64;
use prost::Message as _;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::collections::BTreeMap;
use std::path::Path;

const HEAD: TableDefinition<&str, &[u8]> = TableDefinition::new("head");
const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entries");
const REQUESTS: TableDefinition<&[u8; 24], &[u8]> = TableDefinition::new("requests");
const OPEN: TableDefinition<&[u8; 24], u64> = TableDefinition::new("open");
const AUTHORITIES: TableDefinition<&[u8; 16], &[u8]> = TableDefinition::new("authorities");
const MARKS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("marks");
const PLAIN: TableDefinition<u64, &[u8]> = TableDefinition::new("plain");

/// Said of a file that the database cannot read: no free space and no mount brings it back.
const DAMAGED: &str = "its file is damaged, or is none of this signer";

/// Memory that redb may keep pages in.
const CACHE_BYTES: usize = 6 << 20;

/// The open file.
pub(super) struct Tables {
    db: Database,
}

fn failed(error: impl Into<redb::Error>) -> LedgerError {
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => LedgerError::InUse,
        redb::Error::Corrupted(_) => LedgerError::Untrue(DAMAGED),
        redb::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            LedgerError::Untrue(DAMAGED)
        }
        other => LedgerError::Storage(other.to_string()),
    }
}

fn decode<M: prost::Message + Default>(bytes: &[u8]) -> Result<M, LedgerError> {
    M::decode(bytes).map_err(|_| LedgerError::Untrue("a row does not decode"))
}

impl Tables {
    /// Opens or creates the file.
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        let db = redb::Builder::new().set_cache_size(CACHE_BYTES).create(path).map_err(failed)?;
        let write = db.begin_write().map_err(failed)?;
        write.open_table(HEAD).map_err(failed)?;
        write.open_table(ENTRIES).map_err(failed)?;
        write.open_table(REQUESTS).map_err(failed)?;
        write.open_table(OPEN).map_err(failed)?;
        write.open_table(AUTHORITIES).map_err(failed)?;
        write.open_table(PLAIN).map_err(failed)?;
        write.open_table(MARKS).map_err(failed)?;
        write.commit().map_err(failed)?;
        Ok(Self { db })
    }

    /// The head and the sequence number of the last turn that is in the tables.
    pub(super) fn head(&self) -> Result<(Option<HeadRow>, u64), LedgerError> {
        let read = self.db.begin_read().map_err(failed)?;
        let table = read.open_table(HEAD).map_err(failed)?;
        let head = table.get("head").map_err(failed)?.map(|row| decode(row.value())).transpose()?;
        let applied = table.get("applied").map_err(failed)?;
        let applied = applied.and_then(|row| row.value().try_into().ok()).map_or(0, u64::from_le_bytes);
        Ok((head, applied))
    }

    /// Adds turns, in order, durably. `last`: the sequence number of the last of them.
    pub(super) fn apply(&self, turns: &[TurnRow], last: u64) -> Result<(), LedgerError> {
        let mut write = self.db.begin_write().map_err(failed)?;
        // So that a start after a crash need not walk the whole file.
        write.set_quick_repair(true);
        {
            let mut entries = write.open_table(ENTRIES).map_err(failed)?;
            let mut requests = write.open_table(REQUESTS).map_err(failed)?;
            let mut open = write.open_table(OPEN).map_err(failed)?;
            let mut authorities = write.open_table(AUTHORITIES).map_err(failed)?;
            let mut plain = write.open_table(PLAIN).map_err(failed)?;
            let mut marks = write.open_table(MARKS).map_err(failed)?;
            let mut head = write.open_table(HEAD).map_err(failed)?;
            // Of several states of one request in these turns only the last is written, in the order of the keys.
            let mut newest = BTreeMap::new();
            for turn in turns {
                if !turn.entries.is_empty() {
                    let mut bundle =
                        Vec::with_capacity(turn.entries.iter().map(|entry| entry.len() + 2).sum());
                    turn.entries.iter().for_each(|entry| join_bundle(&mut bundle, entry));
                    entries.insert(turn.first, bundle.as_slice()).map_err(failed)?;
                }
                for request in &turn.requests {
                    newest.insert(key_of(&request.key)?, &request.row);
                }
                for authority in &turn.authorities {
                    let uid: &[u8; 16] = authority.uid.as_slice().try_into().map_err(|_| UNREADABLE)?;
                    authorities.insert(uid, authority.row.encode_to_vec().as_slice()).map_err(failed)?;
                }
                for mark in &turn.marks {
                    let key = mark_key(&mark.key)?;
                    marks.insert(&key, mark.row.encode_to_vec().as_slice()).map_err(failed)?;
                }
                for fields in &turn.plain {
                    plain.insert(fields.index, fields.row.encode_to_vec().as_slice()).map_err(failed)?;
                }
            }
            for (key, row) in newest {
                requests.insert(&key, row.encode_to_vec().as_slice()).map_err(failed)?;
                match row.state() {
                    RequestState::Intent => {
                        open.insert(&key, row.intent).map_err(failed)?;
                    }
                    RequestState::Signed | RequestState::Superseded | RequestState::Abandoned => {
                        open.remove(&key).map_err(failed)?;
                    }
                }
            }
            if let Some(turn) = turns.last() {
                head.insert("head", turn.head.encode_to_vec().as_slice()).map_err(failed)?;
                prune(&mut entries, turn.head.published / FULL_U64 * FULL_U64)?;
            }
            head.insert("applied", last.to_le_bytes().as_slice()).map_err(failed)?;
        }
        write.commit().map_err(failed)
    }

    /// The committed entries from index `from` up to `size`. Errors: some are missing.
    pub(super) fn entries_from(&self, from: u64, size: u64) -> Result<Vec<Vec<u8>>, LedgerError> {
        let read = self.db.begin_read().map_err(failed)?;
        let table = read.open_table(ENTRIES).map_err(failed)?;
        let mut entries = Vec::new();
        let mut next = from;
        for row in table.iter().map_err(failed)? {
            let (first, bundle) = row.map_err(failed)?;
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

    /// Digest of each authority's row.
    pub(super) fn key_digests(&self) -> Result<BTreeMap<Uid, Hash>, LedgerError> {
        let read = self.db.begin_read().map_err(failed)?;
        let table = read.open_table(AUTHORITIES).map_err(failed)?;
        let rows = table.iter().map_err(failed)?;
        rows.map(|row| row.map(|(uid, row)| (Uid(*uid.value()), hash(row.value()))).map_err(failed)).collect()
    }

    /// All authorities.
    pub(super) fn authorities(&self) -> Result<Vec<(Uid, AuthorityRow)>, LedgerError> {
        let read = self.db.begin_read().map_err(failed)?;
        let table = read.open_table(AUTHORITIES).map_err(failed)?;
        let rows = table.iter().map_err(failed)?;
        rows.map(|row| {
            let (uid, row) = row.map_err(failed)?;
            Ok((Uid(*uid.value()), decode(row.value())?))
        })
        .collect()
    }

    /// Requests whose intent has no outcome.
    pub(super) fn open_intents(&self) -> Result<Vec<RequestId>, LedgerError> {
        let read = self.db.begin_read().map_err(failed)?;
        let table = read.open_table(OPEN).map_err(failed)?;
        let rows = table.iter().map_err(failed)?;
        rows.map(|row| row.map(|(key, _)| RequestId::from_key(key.value())).map_err(failed)).collect()
    }

    /// The plain fields behind an entry.
    pub(super) fn plain(&self, index: u64) -> Result<Option<PlainRow>, LedgerError> {
        let read = self.db.begin_read().map_err(failed)?;
        let table = read.open_table(PLAIN).map_err(failed)?;
        let row = table.get(index).map_err(failed)?;
        row.map(|row| decode(row.value())).transpose()
    }

    /// The requests and marks as they are now.
    pub(super) fn requests(&self) -> Result<Requests, LedgerError> {
        let read = self.db.begin_read().map_err(failed)?;
        let requests = read.open_table(REQUESTS).map_err(failed)?;
        Ok(Requests { requests, marks: read.open_table(MARKS).map_err(failed)? })
    }
}

const UNREADABLE: LedgerError = LedgerError::Untrue("a turn in the journal does not decode");

/// The key of a request's row in a turn.
pub(super) fn key_of(bytes: &[u8]) -> Result<[u8; 24], LedgerError> {
    bytes.try_into().map_err(|_| UNREADABLE)
}

/// The key of a mark in a turn.
pub(super) fn mark_key(bytes: &[u8]) -> Result<[u8; 32], LedgerError> {
    bytes.try_into().map_err(|_| UNREADABLE)
}

/// Removes the rows of entries that lie wholly below `floor`: their bundles are published.
fn prune(entries: &mut redb::Table<'_, u64, &[u8]>, floor: u64) -> Result<(), LedgerError> {
    loop {
        let gone = match entries.first().map_err(failed)? {
            Some((first, bundle)) => {
                let first = first.value();
                (first + split_bundle(bundle.value()).count() as u64 <= floor).then_some(first)
            }
            None => None,
        };
        match gone {
            Some(first) => entries.remove(first).map_err(failed)?,
            None => return Ok(()),
        };
    }
}

/// The tables of requests and marks at one commit.
pub(super) struct Requests {
    requests: redb::ReadOnlyTable<&'static [u8; 24], &'static [u8]>,
    marks: redb::ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
}

impl Requests {
    /// The row of exactly this request.
    pub(super) fn get(&self, key: &[u8; 24]) -> Result<Option<RequestRow>, LedgerError> {
        let row = self.requests.get(key).map_err(failed)?;
        row.map(|row| decode(row.value())).transpose()
    }

    /// The mark under this key.
    pub(super) fn mark(&self, key: &[u8; 32]) -> Result<Option<MarkRow>, LedgerError> {
        let row = self.marks.get(key).map_err(failed)?;
        row.map(|row| decode(row.value())).transpose()
    }

    /// The last row between these keys.
    pub(super) fn last(
        &self,
        from: &[u8; 24],
        to: &[u8; 24],
    ) -> Result<Option<([u8; 24], RequestRow)>, LedgerError> {
        let mut rows = self.requests.range::<&[u8; 24]>(from..=to).map_err(failed)?;
        let Some(row) = rows.next_back() else { return Ok(None) };
        let (key, row) = row.map_err(failed)?;
        Ok(Some((*key.value(), decode(row.value())?)))
    }
}
