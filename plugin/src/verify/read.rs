//! Entries and inclusion paths from a log's files, and a search through all entries.

use super::check::Subject;
use super::source::Source;
use crate::exit::Failure;
use crate::log::entry::Entry;
use crate::log::merkle::{Hash, Node, inclusion_path, leaf_hash, nodes_left_of, nodes_of_path, root_of_tail};
use crate::log::tile::{Tile, TileError, node_in_tile};
use std::collections::BTreeMap;

/// The most bundles that are read from a server to see whether a certificate was superseded later.
const MAX_LATER: u64 = 256;

/// A log of a known size.
pub(crate) struct Log<'a> {
    source: &'a Source,
    size: u64,
    tiles: BTreeMap<Tile, Vec<u8>>,
}

/// What was found in the entries after one.
pub(crate) enum Later {
    /// All of them were read, and lead to this root.
    Read {
        /// Those that say that a certificate counts no longer.
        superseded: Vec<Entry>,
        /// Root of the tree that they complete.
        root: Hash,
    },
    /// There are too many to fetch from a server.
    TooMany {
        /// How many.
        entries: u64,
    },
}

impl<'a> Log<'a> {
    /// A log of as many entries as its checkpoint says.
    pub(crate) fn new(source: &'a Source, size: u64) -> Self {
        Self { source, size, tiles: BTreeMap::new() }
    }

    /// An entry, byte for byte. Precondition: `index` lies in the log.
    pub(crate) async fn entry(&mut self, index: u64) -> Result<Vec<u8>, Failure> {
        let tile = Tile::of_entry(index, self.size)
            .ok_or_else(|| Failure::NotAsWanted(format!("entry {index} lies behind the log's end")))?;
        let bytes = self.tile(tile).await?;
        let entries = tile.entries(bytes).map_err(|error| damaged(&error))?;
        let entry = entries.get(Tile::place_of(index)).copied();
        entry.map(<[u8]>::to_vec).ok_or_else(|| damaged(&TileError::Entries(tile.path())))
    }

    /// The inclusion path of an entry. Precondition: `index` lies in the log.
    pub(crate) async fn path(&mut self, index: u64) -> Result<Vec<Hash>, Failure> {
        let hashes = self.hashes(nodes_of_path(index, self.size)).await?;
        let path = inclusion_path(index, self.size, |node| hash_of(node, self.size, &hashes))?;
        path.ok_or_else(|| Failure::NotAsWanted(format!("entry {index} lies behind the log's end")))
    }

    /// Whether the entry at `index` says that it is the certificate's; nothing is proven by it.
    pub(crate) async fn is_entry_of(&mut self, index: u64, subject: &Subject) -> Result<bool, Failure> {
        if index >= self.size {
            return Ok(false);
        }
        Ok(is_of(&self.entry(index).await?, subject))
    }

    /// The index of the certificate's entry, the latest first. What is found still has to be proven.
    pub(crate) async fn search(&self, subject: &Subject) -> Result<Option<u64>, Failure> {
        for number in (0..self.size.div_ceil(256)).rev() {
            let first = number * 256;
            let Some(tile) = Tile::of_entry(first, self.size) else { continue };
            let bytes = self.source.tile(tile).await?;
            let entries = tile.entries(&bytes).map_err(|error| damaged(&error))?;
            if let Some(place) = entries.iter().rposition(|entry| is_of(entry, subject)) {
                return Ok(Some(first + place as u64));
            }
        }
        Ok(None)
    }

    /// The entries after `index` that tell of certificates which count no longer.
    ///
    /// The root is computed from every entry of these bundles, so that none can be left out of the copy unnoticed.
    pub(crate) async fn later(&mut self, index: u64) -> Result<Later, Failure> {
        let bundles = (index / 256)..self.size.div_ceil(256);
        let far = bundles.end - bundles.start > MAX_LATER;
        if far && matches!(self.source, Source::Server { .. }) {
            return Ok(Later::TooMany { entries: self.size - index - 1 });
        }
        let low = bundles.start * 256;
        let (mut superseded, mut leaves) = (Vec::new(), Vec::new());
        for number in bundles {
            let first = number * 256;
            let Some(tile) = Tile::of_entry(first, self.size) else { continue };
            let bytes = self.source.tile(tile).await?;
            for (entry, place) in
                tile.entries(&bytes).map_err(|error| damaged(&error))?.into_iter().zip(first..)
            {
                leaves.push(leaf_hash(entry));
                match Entry::parse(entry) {
                    Ok(entry @ Entry::Superseded { .. }) if place > index => superseded.push(entry),
                    Ok(_) | Err(_) => {}
                }
            }
        }
        let hashes = self.hashes(nodes_left_of(low, self.size)).await?;
        let root = root_of_tail(low, &leaves, |node| hash_of(node, self.size, &hashes))?;
        Ok(Later::Read { superseded, root })
    }

    /// The hash tiles that hold these nodes.
    async fn hashes(&mut self, nodes: Vec<Node>) -> Result<BTreeMap<Tile, Vec<Hash>>, Failure> {
        let mut hashes = BTreeMap::new();
        for node in nodes {
            let tile = Tile::of_node(node, self.size);
            let bytes = self.tile(tile).await?;
            hashes.insert(tile, tile.hashes(bytes).map_err(|error| damaged(&error))?);
        }
        Ok(hashes)
    }

    async fn tile(&mut self, tile: Tile) -> Result<&[u8], Failure> {
        if !self.tiles.contains_key(&tile) {
            let bytes = self.source.tile(tile).await?;
            self.tiles.insert(tile, bytes);
        }
        Ok(self.tiles.get(&tile).map(Vec::as_slice).unwrap_or_default())
    }
}

fn hash_of(node: Node, size: u64, hashes: &BTreeMap<Tile, Vec<Hash>>) -> Result<Hash, Failure> {
    let tile = Tile::of_node(node, size);
    let hash = hashes.get(&tile).and_then(|hashes| node_in_tile(node, hashes));
    hash.ok_or_else(|| damaged(&TileError::Hashes(tile.path())))
}

fn is_of(entry: &[u8], subject: &Subject) -> bool {
    match Entry::parse(entry) {
        Ok(Entry::Signature(signature)) => signature.is_of(&subject.sha256, &subject.serial),
        Ok(Entry::Intent(_) | Entry::Superseded { .. } | Entry::Other { .. }) | Err(_) => false,
    }
}

fn damaged(error: &TileError) -> Failure {
    Failure::NotAsWanted(error.to_string())
}
