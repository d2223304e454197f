//! Tiles: names of files, which hash is in which, and entry bundles.
//!
//! Source: c2sp.org/tlog-tiles. Tiles hold 256 hashes of one level; the levels of tiles are eight levels of nodes apart.

use super::merkle::{Hash, Node, node_hash};

/// Hashes in a full tile, entries in a full bundle.
const FULL: u64 = 256;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Row {
    /// Hashes of this level of tiles; 0 holds leaf hashes.
    Hashes(u8),
    /// Entries.
    Entries,
}

/// One tile of a tree of some size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// What it holds.
    pub row: Row,
    /// Its number in the row.
    pub number: u64,
    /// How many hashes or entries it has, 1 to 256.
    pub width: u16,
}

/// Bytes that are not the tile they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Fewer hashes than the tree's size demands, or half a hash.
    #[error("tile {0}: cut, or no whole number of hashes")]
    Hashes(String),
    /// Fewer entries than the tree's size demands, or bytes after the last.
    #[error("tile {0}: cut, or something stands behind its last entry")]
    Entries(String),
}

impl Tile {
    /// The tile of entry `index` in a log of `size` entries; `None` when it is not in the log.
    pub fn of_entry(index: u64, size: u64) -> Option<Self> {
        (index < size).then(|| Self::within(Row::Entries, index / FULL, size))
    }

    /// The tile that holds what is below a node in a log of `size` entries.
    pub fn of_node(node: Node, size: u64) -> Self {
        let level = node.level / 8;
        let first = node.index << (node.level % 8);
        let row = Row::Hashes(u8::try_from(level).unwrap_or(u8::MAX));
        Self::within(row, first / FULL, size >> (8 * level))
    }

    /// `count`: hashes or entries of the whole row.
    fn within(row: Row, number: u64, count: u64) -> Self {
        let width = count.saturating_sub(number * FULL).min(FULL);
        Self { row, number, width: u16::try_from(width).unwrap_or(256) }
    }

    /// The same tile when it is full.
    #[must_use]
    pub fn full(self) -> Self {
        Self { width: 256, ..self }
    }

    /// Whether it is full.
    pub fn is_full(self) -> bool {
        u64::from(self.width) == FULL
    }

    /// Its file, relative to the log's root.
    pub fn path(self) -> String {
        let mut groups = vec![format!("{:03}", self.number % 1000)];
        let mut rest = self.number / 1000;
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        groups.reverse();
        let row = match self.row {
            Row::Hashes(level) => level.to_string(),
            Row::Entries => "entries".to_owned(),
        };
        let partial = if self.is_full() { String::new() } else { format!(".p/{}", self.width) };
        format!("tile/{row}/{}{partial}", groups.join("/"))
    }

    /// The hashes of a hash tile. Bytes of a wider one will do, as a log only grows.
    pub fn hashes(self, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        let fits = rest.is_empty() && hashes.len() <= 256;
        match hashes.get(..usize::from(self.width)) {
            Some(hashes) if fits => Ok(hashes.to_vec()),
            Some(_) | None => Err(TileError::Hashes(self.path())),
        }
    }

    /// The entries of a bundle: each a 16-bit big-endian length and so many bytes. Bytes of a wider one will do.
    pub fn entries(self, bytes: &[u8]) -> Result<Vec<&[u8]>, TileError> {
        let damaged = || TileError::Entries(self.path());
        let mut entries = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk::<2>().ok_or_else(damaged)?;
            let (entry, after) =
                after.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(damaged)?;
            entries.push(entry);
            rest = after;
        }
        if entries.len() > 256 || entries.len() < usize::from(self.width) {
            return Err(damaged());
        }
        entries.truncate(usize::from(self.width));
        Ok(entries)
    }

    /// Where an entry stands in its bundle.
    pub fn place_of(index: u64) -> usize {
        usize::try_from(index % FULL).unwrap_or(0)
    }
}

/// The hash of a node from the hashes of its tile; `None` when they do not reach that far.
pub fn node_in_tile(node: Node, hashes: &[Hash]) -> Option<Hash> {
    let height = node.level % 8;
    let first = usize::try_from((node.index << height) % FULL).ok()?;
    let mut row = hashes.get(first..first + (1 << height))?.to_vec();
    while row.len() > 1 {
        row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row.first().copied()
}

#[cfg(test)]
mod tests {
    use super::super::merkle::{inclusion_path, leaf_hash, nodes_of_path, root_of_path};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn names_are_those_of_the_specification() {
        for (row, number, width, wanted) in [
            (Row::Hashes(0), 0, 256, "tile/0/000"),
            (Row::Hashes(1), 7, 3, "tile/1/007.p/3"),
            (Row::Entries, 1_234_067, 256, "tile/entries/x001/x234/067"),
            (Row::Entries, 273, 17, "tile/entries/273.p/17"),
        ] {
            assert_eq!(Tile { row, number, width }.path(), wanted);
        }
    }

    /// The example of c2sp.org/tlog-tiles: a tree of 70,000 entries.
    #[test]
    fn tiles_are_as_wide_as_the_size_says() {
        let tile = |level, index| Tile::of_node(Node { level, index }, 70_000).path();
        assert_eq!(tile(0, 69_999), "tile/0/273.p/112");
        assert_eq!(tile(8, 272), "tile/1/001.p/17");
        assert_eq!(tile(16, 0), "tile/2/000.p/1");
        assert_eq!(tile(0, 255), "tile/0/000");
        assert_eq!(Tile::of_entry(69_999, 70_000).map(Tile::path), Some("tile/entries/273.p/112".to_owned()));
        assert_eq!(Tile::of_entry(70_000, 70_000), None);
    }

    fn root(hashes: &[Hash]) -> Hash {
        match hashes {
            [one] => *one,
            many => {
                let middle = many.len().next_power_of_two() / 2;
                node_hash(&root(&many[..middle]), &root(&many[middle..]))
            }
        }
    }

    /// All hash tiles of a log, made here from their definition: 256 hashes each, and a row above of the full ones' roots.
    fn tiles_of_log(leaves: &[Hash]) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut row = leaves.to_vec();
        for level in 0_u8.. {
            for (number, hashes) in (0_u64..).zip(row.chunks(256)) {
                let width = u16::try_from(hashes.len()).unwrap();
                files.insert(Tile { row: Row::Hashes(level), number, width }.path(), hashes.concat());
            }
            row = row.as_chunks::<256>().0.iter().map(|hashes| root(hashes)).collect();
            if row.is_empty() {
                break;
            }
        }
        files
    }

    #[test]
    fn cut_or_padded_tiles_are_refused_and_wider_ones_will_do() {
        let tile = Tile { row: Row::Hashes(0), number: 0, width: 2 };
        assert_eq!(tile.hashes(&[1; 64]), Ok(vec![[1; 32]; 2]));
        assert_eq!(tile.hashes(&[1; 96]), Ok(vec![[1; 32]; 2]));
        for wrong in [0, 32, 63, 65, 257 * 32] {
            assert!(tile.hashes(&vec![1; wrong]).is_err(), "{wrong}");
        }
        let bundle = Tile { row: Row::Entries, number: 0, width: 2 };
        assert_eq!(bundle.entries(b"\0\x03one\0\0"), Ok(vec![&b"one"[..], b""]));
        assert_eq!(bundle.entries(b"\0\x03one\0\0\0\x01x"), Ok(vec![&b"one"[..], b""]));
        for wrong in [&b""[..], b"\0", b"\0\x03on", b"\0\x03one", b"\0\x03one\0\0\0"] {
            assert!(bundle.entries(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes: Vec<u8>, width in 1_u16..=256, level in 0_u32..64, index: u32) {
            let tile = Tile { row: Row::Entries, number: 0, width };
            let _ = tile.entries(&bytes);
            let hashes = tile.hashes(&bytes).unwrap_or_default();
            let _ = node_in_tile(Node { level, index: index.into() }, &hashes);
        }
    }

    #[test]
    fn paths_built_from_tiles_lead_to_the_root() {
        for size in [1_u64, 2, 255, 256, 257, 511, 700, 66_000] {
            let leaves: Vec<Hash> = (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect();
            let files = tiles_of_log(&leaves);
            let wanted = root(&leaves);
            for index in [0, 1, size / 2, size.saturating_sub(2), size - 1] {
                let index = index.min(size - 1);
                let path = inclusion_path(index, size, |node| {
                    let tile = Tile::of_node(node, size);
                    let hashes = tile.hashes(&files[&tile.path()])?;
                    node_in_tile(node, &hashes).ok_or(TileError::Hashes(tile.path()))
                });
                let path = path.unwrap().unwrap();
                let leaf = &leaves[usize::try_from(index).unwrap()];
                assert_eq!(root_of_path(index, size, leaf, &path), Some(wanted), "{index} of {size}");
                assert!(nodes_of_path(index, size).len() >= path.len());
            }
        }
    }
}
