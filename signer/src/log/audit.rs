//! The look at every start: that the log's files still hold what its checkpoint commits to.
//!
//! The right edge is proved against the checkpoint's root by `LogDir::edge`. From there this goes down: entries against leaf
//! hashes, tiles against the hashes above them, on all cores. So an entry or tile that was edited, cut or removed is
//! noticed before anything is signed, not only by `log fsck`.
//!
//! Bounded, so that a long log does not hold up a start: the newest [`NEWEST`] bundles. Full bundles may be missing only
//! from the oldest on, which is what archiving leaves.

use super::disk::{DiskError, LogDir, split_bundle};
use super::merkle::{Hash, leaf_hash, peaks_of};
use super::tile::{Edge, FULL, FULL_U64};

/// Most bundles of 256 entries that a start looks through: half a million entries.
pub const NEWEST: u64 = 2048;

fn damaged(what: String) -> DiskError {
    DiskError::Damaged { what }
}

/// The root over a full tile's hashes.
fn root_of(hashes: &[Hash]) -> Option<Hash> {
    peaks_of(hashes).first().copied()
}

/// Compares the newest `most` full bundles and the tiles above them with the edge, which is proved.
///
/// Errors: `Damaged`, naming the file.
pub fn audit(dir: &LogDir, edge: &Edge, most: u64) -> Result<(), DiskError> {
    let full = edge.size() / FULL_U64;
    let mut first = full.saturating_sub(most);
    let mut roots = bundles(dir, first, full)?;
    let mut level = 1_u8;
    while !roots.is_empty() {
        (first, roots) = tiles(dir, edge, level, first, &roots)?;
        level += 1;
    }
    Ok(())
}

/// Looks through the bundles `first..full` and their leaf tiles on all cores; gives the tiles' roots.
fn bundles(dir: &LogDir, first: u64, full: u64) -> Result<Vec<Hash>, DiskError> {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let share = (full - first).div_ceil(cores).max(1);
    let parts: Vec<Result<Part, DiskError>> = std::thread::scope(|scope| {
        let starts = (first..full).step_by(usize::try_from(share).unwrap_or(usize::MAX));
        let threads: Vec<_> =
            starts.map(|from| scope.spawn(move || part(dir, from, full.min(from + share)))).collect();
        let ended = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err(damaged("a part of the log that could not be read".into())))
        };
        threads.into_iter().map(ended).collect()
    });
    let mut all = Part::default();
    for part in parts {
        let part = part?;
        if let (Some(present), Some(missing)) = (all.present.or(part.present), part.missing)
            && present < missing
        {
            return Err(damaged(format!("entry bundle {missing}")));
        }
        all.present = all.present.or(part.present);
        all.roots.extend(part.roots);
    }
    Ok(all.roots)
}

/// What one thread found.
#[derive(Default)]
struct Part {
    roots: Vec<Hash>,
    /// The oldest bundle that is there.
    present: Option<u64>,
    /// The newest bundle that is not.
    missing: Option<u64>,
}

fn part(dir: &LogDir, from: u64, to: u64) -> Result<Part, DiskError> {
    let mut part = Part::default();
    for n in from..to {
        let hashes = dir.hashes(0, n, FULL)?;
        match dir.full_bundle(n)? {
            None => part.missing = Some(n),
            Some(bytes) => {
                part.present = part.present.or(Some(n));
                if !is_bundle_of(&bytes, &hashes) {
                    return Err(damaged(format!("entry bundle {n}, or hash tile {n} of level 0,")));
                }
            }
        }
        part.roots.extend(root_of(&hashes));
    }
    Ok(part)
}

/// Whether the bundle holds exactly the entries with these leaf hashes, and nothing after them.
pub(super) fn is_bundle_of(bytes: &[u8], hashes: &[Hash]) -> bool {
    let mut length = 0;
    let entries = split_bundle(bytes).inspect(|entry| length += 2 + entry.len());
    let same = entries.map(leaf_hash).eq(hashes.iter().copied());
    same && length == bytes.len()
}

/// Compares known hashes, from index `first` of this level on, with its full tiles and its unfinished one; gives the
/// index of the first full tile and the roots of all that were looked at.
fn tiles(
    dir: &LogDir,
    edge: &Edge,
    level: u8,
    first: u64,
    known: &[Hash],
) -> Result<(u64, Vec<Hash>), DiskError> {
    let differs = |n: u64| damaged(format!("hash tile {n} of level {level}, or a tile below it,"));
    let end = first + known.len() as u64;
    let tile = first / FULL_U64;
    let mut roots = Vec::new();
    for n in tile..end / FULL_U64 {
        let hashes = dir.hashes(level, n, FULL)?;
        compare(&hashes, n * FULL_U64, first, known).then_some(()).ok_or_else(|| differs(n))?;
        roots.extend(root_of(&hashes));
    }
    let last = end / FULL_U64;
    let unfinished = edge.unfinished(level.into());
    compare(unfinished, last * FULL_U64, first, known).then_some(()).ok_or_else(|| differs(last))?;
    Ok((tile, roots))
}

/// Whether hashes that begin at index `at` agree with those known from `first` on, where both speak of the same index.
fn compare(hashes: &[Hash], at: u64, first: u64, known: &[Hash]) -> bool {
    (at..).zip(hashes).filter(|(index, _)| *index >= first).all(|(index, hash)| {
        usize::try_from(index - first).ok().and_then(|place| known.get(place)) == Some(hash)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::note::LogKey;
    use crate::log::publisher::Log;
    use std::fs;
    use std::path::Path;

    fn log(root: &Path, size: u32) -> (LogDir, Edge) {
        let dir = LogDir::new(root.join("log"));
        let key = LogKey::from_seed("keywright.dev/signer/test".into(), &[3; 32]).unwrap();
        let verifier = key.verifier().clone();
        let entries: Vec<Vec<u8>> = (0..size).map(|n| format!("entry {n}").into_bytes()).collect();
        Log::new(dir.clone(), key, Edge::default(), Vec::new()).publish(&entries).unwrap();
        let checkpoint = dir.checkpoint(&verifier).unwrap().unwrap();
        let edge = dir.edge(&checkpoint).unwrap();
        (dir, edge)
    }

    #[test]
    fn sound_logs_of_every_shape_pass_however_much_is_looked_at() {
        let temp = tempfile::tempdir().unwrap();
        for size in [0, 1, 255, 256, 257, 512, 65_535, 65_536, 65_537, 65_536 + 512, 2 * 65_536 + 300] {
            let (dir, edge) = log(&temp.path().join(size.to_string()), size);
            for most in [0, 1, 2, 255, 256, 257, NEWEST] {
                audit(&dir, &edge, most).unwrap_or_else(|error| panic!("{size}, newest {most}: {error}"));
            }
        }
    }

    #[test]
    fn every_file_that_was_edited_cut_lengthened_or_removed_is_noticed() {
        let temp = tempfile::tempdir().unwrap();
        let (dir, edge) = log(temp.path(), 65_536 + 700);
        for file in [
            "tile/entries/000",
            "tile/entries/100",
            "tile/entries/257",
            "tile/0/000",
            "tile/0/100",
            "tile/0/257",
            "tile/1/000",
        ] {
            let path = dir.root().join(file);
            let sound = fs::read(&path).unwrap();
            let mut edited = sound.clone();
            edited[40] ^= 1;
            let longer = [&sound[..], b"\0\x01x"].concat();
            for (what, bytes) in
                [("edited", &edited[..]), ("cut", &sound[..sound.len() / 2]), ("longer", &longer)]
            {
                fs::write(&path, bytes).unwrap();
                assert!(audit(&dir, &edge, NEWEST).is_err(), "{file} {what}");
            }
            fs::remove_file(&path).unwrap();
            // The oldest bundle alone may be in an archive.
            assert_eq!(audit(&dir, &edge, NEWEST).is_err(), file != "tile/entries/000", "{file} removed");
            fs::write(&path, &sound).unwrap();
        }
        audit(&dir, &edge, NEWEST).unwrap();
    }

    #[test]
    fn archived_bundles_may_be_missing_from_the_oldest_on_and_no_others() {
        let temp = tempfile::tempdir().unwrap();
        let (dir, edge) = log(temp.path(), 5 * 256 + 9);
        for n in 0..3 {
            fs::remove_file(dir.root().join(format!("tile/entries/{n:03}"))).unwrap();
            audit(&dir, &edge, NEWEST).unwrap();
        }
        fs::remove_file(dir.root().join("tile/entries/004")).unwrap();
        assert!(
            audit(&dir, &edge, NEWEST).is_err(),
            "a newer one is missing behind an older one that is there"
        );
    }

    #[test]
    fn a_swap_of_two_whole_bundles_with_their_tiles_is_noticed() {
        let temp = tempfile::tempdir().unwrap();
        let (dir, edge) = log(temp.path(), 4 * 256 + 1);
        for row in ["entries", "0"] {
            let at = |n: u32| dir.root().join(format!("tile/{row}/{n:03}"));
            fs::rename(at(1), at(9)).unwrap();
            fs::rename(at(2), at(1)).unwrap();
            fs::rename(at(9), at(2)).unwrap();
        }
        assert!(audit(&dir, &edge, NEWEST).is_err());
    }
}
