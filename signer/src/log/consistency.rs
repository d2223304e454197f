//! Consistency: that a longer log begins with exactly the entries of a shorter one (RFC 6962 section 2.1.2).

use super::disk::{DiskError, LogDir};
use super::merkle::{Hash, empty_root, node_hash, peaks_of};
use super::tile::FULL_U64;

/// Root of the perfect subtree of 2^`height` entries that begins at entry `start`, from the tiles of a log of `size`.
fn perfect(dir: &LogDir, start: u64, height: u32, size: u64) -> Result<Hash, DiskError> {
    let level = height / 8;
    let first = start >> (8 * level);
    let count = 1_u64 << (height % 8);
    let (tile, offset) = (first / FULL_U64, usize::try_from(first % FULL_U64).unwrap_or(0));
    let there = (size >> (8 * level)) - tile * FULL_U64;
    let width = usize::try_from(there.min(FULL_U64)).unwrap_or(256);
    let hashes = dir.hashes(u8::try_from(level).unwrap_or(u8::MAX), tile, width)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let part = hashes.get(offset..offset.saturating_add(count)).unwrap_or_default();
    peaks_of(part)
        .first()
        .copied()
        .ok_or_else(|| DiskError::Damaged { what: format!("the hashes from entry {start}") })
}

/// Largest power of two below `n`, as an exponent. Precondition: `n` is at least 2.
fn split(n: u64) -> u32 {
    (n - 1).ilog2()
}

fn range(dir: &LogDir, start: u64, end: u64, size: u64) -> Result<Hash, DiskError> {
    match end - start {
        0 => Ok(empty_root()),
        n if n.is_power_of_two() => perfect(dir, start, n.ilog2(), size),
        n => {
            let middle = start + (1 << split(n));
            Ok(node_hash(&range(dir, start, middle, size)?, &range(dir, middle, end, size)?))
        }
    }
}

/// The proof that the log's first `new` entries begin with its first `old`; `size`: how many its tiles hold.
///
/// Empty when `old` is 0 or `new`. Precondition: `old <= new <= size`. Errors: a tile is missing or cut.
pub fn prove(dir: &LogDir, old: u64, new: u64, size: u64) -> Result<Vec<Hash>, DiskError> {
    let mut proof = Vec::new();
    if old > 0 && old < new {
        walk(dir, old, (0, new), true, size, &mut proof)?;
    }
    Ok(proof)
}

fn walk(
    dir: &LogDir,
    old: u64,
    (start, end): (u64, u64),
    whole: bool,
    size: u64,
    proof: &mut Vec<Hash>,
) -> Result<(), DiskError> {
    if old == end - start {
        if !whole {
            proof.push(range(dir, start, end, size)?);
        }
        return Ok(());
    }
    let left = 1 << split(end - start);
    if old <= left {
        walk(dir, old, (start, start + left), whole, size, proof)?;
        proof.push(range(dir, start + left, end, size)?);
    } else {
        walk(dir, old - left, (start + left, end), false, size, proof)?;
        proof.push(range(dir, start, start + left, size)?);
    }
    Ok(())
}

/// Whether `proof` shows that the tree of `new` entries with root `new_root` begins with that of `old` and `old_root`.
///
/// RFC 9162 section 2.1.4.2. A tree of no entries begins every other, with an empty proof.
pub fn verify(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old > new {
        return false;
    }
    if old == 0 || old == new {
        let same = if old == new { old_root == new_root } else { *old_root == empty_root() };
        return same && proof.is_empty();
    }
    let start = if old.is_power_of_two() { Some(old_root) } else { None };
    let mut path = start.into_iter().chain(proof);
    let (mut first, mut last) = (old - 1, new - 1);
    while first & 1 == 1 {
        first >>= 1;
        last >>= 1;
    }
    let Some(seed) = path.next() else { return false };
    let (mut from, mut to) = (*seed, *seed);
    for hash in path {
        if last == 0 {
            return false;
        }
        if first & 1 == 1 || first == last {
            from = node_hash(hash, &from);
            to = node_hash(hash, &to);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                last >>= 1;
            }
        } else {
            to = node_hash(&to, hash);
        }
        first >>= 1;
        last >>= 1;
    }
    last == 0 && from == *old_root && to == *new_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::merkle::{Frontier, leaf_hash};
    use crate::log::note::LogKey;
    use crate::log::publisher::Log;
    use crate::log::tile::Edge;

    #[test]
    fn proofs_from_tiles_verify_for_all_pairs_and_for_no_other_tree() {
        let temp = tempfile::tempdir().unwrap();
        let dir = LogDir::new(temp.path().join("log"));
        let key = LogKey::from_seed("keywright.dev/signer/test".into(), &[3; 32]).unwrap();
        let entries: Vec<Vec<u8>> = (0..600_u32).map(|n| n.to_be_bytes().to_vec()).collect();
        let mut log = Log::new(dir.clone(), key, Edge::default(), Vec::new());
        log.publish(&entries).unwrap();
        let mut frontier = Frontier::default();
        let mut roots = vec![frontier.root()];
        for entry in &entries {
            frontier.push(leaf_hash(entry));
            roots.push(frontier.root());
        }
        let root = |n: u64| &roots[usize::try_from(n).unwrap()];
        let sizes = [0_u64, 1, 2, 3, 7, 8, 100, 255, 256, 257, 300, 511, 512, 513, 599, 600];
        for old in sizes {
            for new in sizes.into_iter().filter(|new| *new >= old) {
                let proof = prove(&dir, old, new, 600).unwrap();
                assert!(verify(old, root(old), new, root(new), &proof), "{old} to {new}");
                let mut other = *root(new);
                other[0] ^= 1;
                let any = old == 0 && new > 0;
                assert_eq!(verify(old, root(old), new, &other, &proof), any, "{old} to {new}, another root");
                if old > 0 && old < new {
                    let mut other = *root(old);
                    other[0] ^= 1;
                    assert!(!verify(old, &other, new, root(new), &proof), "{old} to {new}, another old root");
                    assert!(
                        !verify(old, root(old), new, root(new), &proof[1..]),
                        "{old} to {new}, a hash short"
                    );
                    let longer = [&proof[..], &[[0; 32]]].concat();
                    assert!(!verify(old, root(old), new, root(new), &longer), "{old} to {new}, a hash long");
                }
            }
        }
        assert!(!verify(5, root(5), 4, root(4), &[]));
    }
}
