//! Tiles: their names, and the right edge of the tile tree as it grows.

use super::merkle::{Frontier, Hash, peaks_of};
use std::path::PathBuf;

/// Hashes in a full hash tile and entries in a full bundle.
pub const FULL: usize = 256;
/// The same as a count of entries.
pub const FULL_U64: u64 = 256;

/// Which row of tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// Hash tiles of this level; level 0 holds leaf hashes.
    Hashes(u8),
    /// Bundles of entries.
    Entries,
}

/// Path of a tile relative to the log's root; `width` 256 is a full tile, less a partial one.
pub fn path(row: Row, n: u64, width: usize) -> PathBuf {
    let row = match row {
        Row::Hashes(level) => level.to_string(),
        Row::Entries => "entries".to_owned(),
    };
    let n = number(n);
    if width < FULL { format!("tile/{row}/{n}.p/{width}").into() } else { format!("tile/{row}/{n}").into() }
}

/// Three digits at a time, all groups but the last with an `x` before them.
fn number(n: u64) -> String {
    let mut text = format!("{:03}", n % 1000);
    let mut rest = n / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    text
}

/// The reverse of [`path`]: `None` for every text that `path` does not give.
pub fn parse(text: &str) -> Option<(Row, u64, usize)> {
    let (row, rest) = text.strip_prefix("tile/")?.split_once('/')?;
    let row = if row == "entries" { Row::Entries } else { Row::Hashes(row.parse().ok()?) };
    let (digits, width) = match rest.split_once(".p/") {
        Some((digits, width)) => (digits, width.parse().ok().filter(|width| (1..FULL).contains(width))?),
        None => (rest, FULL),
    };
    let n = digits.split('/').try_fold(0_u64, |n, group| {
        let group: u64 = group.trim_start_matches('x').parse().ok()?;
        n.checked_mul(1000)?.checked_add(group)
    })?;
    (path(row, n, width).to_str() == Some(text)).then_some((row, n, width))
}

/// A full tile that just came to be.
#[derive(Debug, PartialEq, Eq)]
pub struct FullTile {
    /// Its row's level.
    pub level: u8,
    /// Its number in the row.
    pub n: u64,
    /// Its 256 hashes.
    pub hashes: Vec<Hash>,
}

/// The unfinished tile of each level: everything about the tree that is needed to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a tree of this size, from the hashes of the unfinished tile of each level, level 0 first.
    ///
    /// `None` when a level holds another number of hashes than the size says.
    pub fn new(size: u64, levels: Vec<Vec<Hash>>) -> Option<Self> {
        let fits = widths(size).eq(levels.iter().map(Vec::len));
        fits.then_some(Self { size, levels })
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Hashes of the unfinished tile of this level; empty when there is none.
    pub fn unfinished(&self, level: usize) -> &[Hash] {
        self.levels.get(level).map_or(&[], Vec::as_slice)
    }

    /// Number of levels with any tile.
    pub fn height(&self) -> usize {
        self.levels.len()
    }

    /// Appends a leaf; returns the tiles that it completed, lowest level first.
    pub fn push(&mut self, leaf: Hash) -> Vec<FullTile> {
        let mut full = Vec::new();
        let mut hash = leaf;
        let mut level = 0;
        loop {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(row) = self.levels.get_mut(level) else { break };
            row.push(hash);
            if row.len() < FULL {
                break;
            }
            let hashes = std::mem::take(row);
            let Some(root) = peaks_of(&hashes).first().copied() else { break };
            let n = (self.size >> (8 * (level + 1))).to_owned();
            full.push(FullTile { level: u8::try_from(level).unwrap_or(u8::MAX), n, hashes });
            hash = root;
            level += 1;
        }
        self.size += 1;
        full
    }

    /// The same tree as a frontier.
    pub fn frontier(&self) -> Frontier {
        let peaks: Vec<Hash> = self.levels.iter().rev().flat_map(|row| peaks_of(row)).collect();
        Frontier::from_peaks(self.size, peaks).unwrap_or_default()
    }
}

/// How many hashes the unfinished tile of each level has in a tree of this size, level 0 first.
pub fn widths(size: u64) -> impl Iterator<Item = usize> {
    let levels = (0_u32..8).take_while(move |level| size >> (8 * level) > 0);
    levels.map(move |level| usize::try_from((size >> (8 * level)) % FULL_U64).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::merkle::leaf_hash;

    #[test]
    fn paths_are_those_of_the_specification() {
        for (row, n, width, wanted) in [
            (Row::Hashes(0), 0, 256, "tile/0/000"),
            (Row::Hashes(1), 7, 3, "tile/1/007.p/3"),
            (Row::Entries, 1_234_067, 256, "tile/entries/x001/x234/067"),
            (Row::Entries, 1000, 17, "tile/entries/x001/000.p/17"),
        ] {
            assert_eq!(path(row, n, width), PathBuf::from(wanted));
        }
    }

    #[test]
    fn only_the_one_spelling_of_a_path_is_read() {
        for (row, n, width) in
            [(Row::Hashes(0), 0, 256), (Row::Hashes(2), 77_001, 9), (Row::Entries, 999, 255)]
        {
            assert_eq!(parse(path(row, n, width).to_str().unwrap()), Some((row, n, width)));
        }
        for bad in [
            "tile/0/0",
            "tile/00/000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/../checkpoint",
            "tile/entries/000.p/0",
            "tile/entries/000.p/256",
            "tile/0/+01",
            "checkpoint",
            "tile/0/000/",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_edge_and_the_frontier_agree_on_the_root_across_tile_borders() {
        let mut edge = Edge::default();
        let mut frontier = Frontier::default();
        let mut tiles = 0;
        for n in 0_u32..66_000 {
            let leaf = leaf_hash(&n.to_be_bytes());
            tiles += edge.push(leaf).len();
            frontier.push(leaf);
            if n % 997 == 0 || n > 65_500 {
                assert_eq!(edge.frontier(), frontier, "size {}", n + 1);
            }
        }
        assert_eq!(tiles, 257 + 1);
        let levels = (0..edge.height()).map(|level| edge.unfinished(level).to_vec()).collect();
        assert_eq!(Edge::new(edge.size(), levels), Some(edge));
    }

    #[test]
    fn full_tiles_are_numbered_from_zero_in_each_row() {
        let mut edge = Edge::default();
        let full: Vec<_> = (0_u32..65_536).flat_map(|n| edge.push(leaf_hash(&n.to_be_bytes()))).collect();
        let zero: Vec<_> = full.iter().filter(|tile| tile.level == 0).map(|tile| tile.n).collect();
        assert_eq!(zero, (0..256).collect::<Vec<_>>());
        assert_eq!(full.last().map(|tile| (tile.level, tile.n)), Some((1, 0)));
    }
}
