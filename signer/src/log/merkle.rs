//! RFC 6962 hashing and the right edge of a growing tree.

use sha2::{Digest as _, Sha256};

/// SHA-256 of a node or leaf.
pub type Hash = [u8; 32];

/// Nothing here is secret and there are millions of it: hashed without the library's guarded allocations.
fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Hash of an entry (RFC 6962 section 2.1, prefix 0).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

/// Hash of an inner node (RFC 6962 section 2.1, prefix 1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// Root of the tree with no entries.
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// The roots of the perfect subtrees that a tree consists of, widest first: all that appending needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree of this size, from its peaks, widest first.
    ///
    /// `None` when their number is not the number of ones in `size`.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends an entry by its leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Root of the whole tree.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return empty_root() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// Roots of the perfect subtrees that these sibling hashes form, widest first.
pub fn peaks_of(hashes: &[Hash]) -> Vec<Hash> {
    let mut frontier = Frontier::default();
    for hash in hashes {
        frontier.push(*hash);
    }
    frontier.peaks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 section 2.1, word for word: an oracle that shares nothing with the frontier but the two hashes.
    fn mth(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            many => {
                let split = many.len().next_power_of_two() / 2;
                node_hash(&mth(&many[..split]), &mth(&many[split..]))
            }
        }
    }

    #[test]
    fn the_root_is_the_recursive_definition_at_every_size() {
        let mut frontier = Frontier::default();
        let mut leaves = Vec::new();
        assert_eq!(frontier.root(), mth(&[]));
        for n in 0_u32..600 {
            let leaf = leaf_hash(&n.to_be_bytes());
            frontier.push(leaf);
            leaves.push(leaf);
            assert_eq!(frontier.root(), mth(&leaves), "size {}", n + 1);
            assert_eq!(frontier.size(), u64::from(n) + 1);
        }
    }

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        assert_eq!(
            hex::encode(empty_root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn peaks_that_do_not_fit_the_size_make_no_frontier() {
        assert_eq!(Frontier::from_peaks(3, vec![[0; 32]]), None);
        assert!(Frontier::from_peaks(2, vec![[0; 32]]).is_some());
    }
}
