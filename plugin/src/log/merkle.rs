//! Merkle tree hashes and inclusion paths.
//!
//! Sources: RFC 6962 section 2.1 for the tree, RFC 9162 section 2.1.3 for the path and its check.

use aws_lc_rs::digest::{Context, SHA256};

/// SHA-256 of a leaf or node.
pub type Hash = [u8; 32];

/// The longest path there is: one hash for each bit of an index.
pub const MAX_PATH: usize = 64;

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Hash of an entry.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

/// Hash of two subtrees.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// A subtree that is full: `2^level` leaves from leaf `index * 2^level` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Height above the leaves.
    pub level: u32,
    /// Number among those of its level.
    pub index: u64,
}

/// The inclusion path of leaf `index` in a tree of `size` leaves, from the leaf's sibling up.
///
/// `read` gives the hashes of full subtrees. `None` when the leaf is not in the tree. Errors: the first of `read`.
pub fn inclusion_path<E>(
    index: u64,
    size: u64,
    mut read: impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if index >= size {
        return Ok(None);
    }
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(range_hash(middle, high, &mut read)?);
            high = middle;
        } else {
            path.push(range_hash(low, middle, &mut read)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(Some(path))
}

/// The full subtrees that [`inclusion_path`] will read, in its order.
pub fn nodes_of_path(index: u64, size: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    let collected = inclusion_path(index, size, |node| {
        nodes.push(node);
        Ok::<_, std::convert::Infallible>([0; 32])
    });
    match collected {
        Ok(_) => nodes,
    }
}

/// The root that a leaf and its path lead to in a tree of `size` leaves.
///
/// `None` when the leaf is not in the tree or the path has the wrong length.
pub fn root_of_path(index: u64, size: u64, leaf: &Hash, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    // Places of the leaf and of the tree's last leaf, level by level.
    let (mut place, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return None;
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            // A right edge without a sibling moves up unchanged.
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// The root of a tree of which the leaves from `first` on are all at hand and the rest is known by full subtrees.
///
/// `read` gives the hashes of full subtrees to the left of `first`. Errors: the first of `read`.
pub fn root_of_tail<E>(
    first: u64,
    tail: &[Hash],
    mut read: impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let size = first.saturating_add(tail.len() as u64);
    if size == 0 {
        return Ok(sha256(&[]));
    }
    mixed_hash(0, size, first, tail, &mut read)
}

/// The full subtrees that [`root_of_tail`] will read, in its order.
pub fn nodes_left_of(first: u64, size: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    let (mut low, mut high) = (0, size);
    while low < first {
        if high <= first {
            collect_nodes(low, high, &mut nodes);
            break;
        }
        let middle = low + split(high - low);
        if middle <= first {
            collect_nodes(low, middle, &mut nodes);
            low = middle;
        } else {
            high = middle;
        }
    }
    nodes
}

fn collect_nodes(low: u64, high: u64, nodes: &mut Vec<Node>) {
    let collected = range_hash(low, high, &mut |node| {
        nodes.push(node);
        Ok::<_, std::convert::Infallible>([0; 32])
    });
    match collected {
        Ok(_) => {}
    }
}

/// Hash of the leaves from `low` up to `high`, of which those from `first` on are `tail`. Precondition: not empty.
fn mixed_hash<E>(
    low: u64,
    high: u64,
    first: u64,
    tail: &[Hash],
    read: &mut impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Hash, E> {
    if high <= first {
        return range_hash(low, high, read);
    }
    if high - low == 1 {
        let place = usize::try_from(low - first).unwrap_or(usize::MAX);
        // `root_of_tail` takes the size from the tail, so the leaf is there.
        return Ok(tail.get(place).copied().unwrap_or([0; 32]));
    }
    let middle = low + split(high - low);
    let left = mixed_hash(low, middle, first, tail, read)?;
    let right = mixed_hash(middle, high, first, tail, read)?;
    Ok(node_hash(&left, &right))
}

/// Hash of the leaves from `low` up to `high`. Precondition: not empty, and `low` is where a left subtree may begin.
fn range_hash<E>(low: u64, high: u64, read: &mut impl FnMut(Node) -> Result<Hash, E>) -> Result<Hash, E> {
    let count = high - low;
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return read(Node { level, index: low >> level });
    }
    let middle = low + split(count);
    let left = range_hash(low, middle, read)?;
    let right = range_hash(middle, high, read)?;
    Ok(node_hash(&left, &right))
}

/// The largest power of two that is less than `count`. Precondition: at least 2.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    /// RFC 6962 section 2.1 word for word.
    fn tree_hash(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [one] => *one,
            many => {
                let middle = many.len().next_power_of_two() / 2;
                node_hash(&tree_hash(&many[..middle]), &tree_hash(&many[middle..]))
            }
        }
    }

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    fn path(leaves: &[Hash], index: u64) -> Vec<Hash> {
        let read = |node: Node| {
            let from = usize::try_from(node.index << node.level).unwrap();
            Ok::<_, Infallible>(tree_hash(&leaves[from..from + (1 << node.level)]))
        };
        inclusion_path(index, leaves.len() as u64, read).unwrap().unwrap()
    }

    #[test]
    fn every_leaf_of_every_small_tree_leads_to_the_root() {
        for size in 1..70 {
            let leaves = leaves(size);
            let root = tree_hash(&leaves);
            for index in 0..size {
                let path = path(&leaves, index);
                let leaf = &leaves[usize::try_from(index).unwrap()];
                assert_eq!(root_of_path(index, size, leaf, &path), Some(root), "{index} of {size}");
                for other in (0..size).filter(|other| *other != index) {
                    assert_ne!(
                        root_of_path(other, size, leaf, &path),
                        Some(root),
                        "{index} as {other} of {size}"
                    );
                }
            }
        }
    }

    /// The tree of the eight entries that RFC 6962's own tests use (google/certificate-transparency, C++ and Go).
    #[test]
    fn the_published_vectors_hold() {
        let entries: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        for (size, root) in [
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ] {
            assert_eq!(hex::encode(tree_hash(&leaves[..size])), root, "size {size}");
        }
        let shown: Vec<String> = path(&leaves, 5).iter().map(hex::encode).collect();
        assert_eq!(
            shown,
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
    }

    #[test]
    fn a_path_that_is_too_short_or_too_long_leads_nowhere() {
        let leaves = leaves(13);
        let path = path(&leaves, 12);
        let longer: Vec<Hash> = path.iter().copied().chain([[0; 32]]).collect();
        assert_eq!(root_of_path(12, 13, &leaves[12], &path[..path.len() - 1]), None);
        assert_eq!(root_of_path(12, 13, &leaves[12], &longer), None);
        assert_eq!(root_of_path(13, 13, &leaves[12], &path), None);
        assert_eq!(root_of_path(0, 1, &leaves[0], &[]), Some(leaves[0]));
        assert_eq!(inclusion_path(5, 5, |_| Ok::<_, Infallible>([0; 32])), Ok(None));
    }

    #[test]
    fn the_root_follows_from_any_tail_and_the_subtrees_to_its_left() {
        for size in 0..40_u64 {
            let leaves = leaves(size);
            for first in 0..=size {
                let mut read = Vec::new();
                let root = root_of_tail(first, &leaves[usize::try_from(first).unwrap()..], |node| {
                    read.push(node);
                    let from = usize::try_from(node.index << node.level).unwrap();
                    Ok::<_, Infallible>(tree_hash(&leaves[from..from + (1 << node.level)]))
                });
                assert_eq!(root, Ok(tree_hash(&leaves)), "{first} of {size}");
                assert_eq!(nodes_left_of(first, size), read, "{first} of {size}");
                assert!(read.iter().all(|node| (node.index + 1) << node.level <= first));
            }
        }
    }

    #[test]
    fn the_largest_trees_do_not_overflow() {
        for (index, size) in [(0, u64::MAX), (u64::MAX - 1, u64::MAX), (1 << 63, (1 << 63) + 1)] {
            let nodes = nodes_of_path(index, size);
            assert!(!nodes.is_empty() && nodes.len() < 4096);
            let path = inclusion_path(index, size, |_| Ok::<_, Infallible>([7; 32])).unwrap().unwrap();
            assert!(path.len() <= MAX_PATH);
            assert!(root_of_path(index, size, &[1; 32], &path).is_some());
        }
    }

    proptest! {
        #[test]
        fn any_path_length_is_judged_without_a_panic(index: u64, size: u64, count in 0_usize..70) {
            let _ = root_of_path(index, size, &[1; 32], &vec![[2; 32]; count]);
        }

        #[test]
        fn the_path_of_any_leaf_has_the_length_its_check_expects(size in 1_u64.., part: u64) {
            let index = part % size;
            let path = inclusion_path(index, size, |_| Ok::<_, Infallible>([3; 32])).unwrap().unwrap();
            prop_assert!(root_of_path(index, size, &[1; 32], &path).is_some());
        }
    }
}
