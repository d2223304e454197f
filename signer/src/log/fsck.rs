//! Checks a whole log from its entries, as an auditor would: every bundle, every hash tile, the checkpoint.
//!
//! Needs no key but the log's public one, no ledger, and never writes.

use super::audit::is_bundle_of;
use super::disk::{DiskError, LogDir};
use super::merkle::leaf_hash;
use super::note::{Checkpoint, Verifier};
use super::tile::{Edge, FULL, FULL_U64, FullTile};

/// What a sound log was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// Its checkpoint.
    pub checkpoint: Checkpoint,
    /// How many hash tiles were compared, partial ones included.
    pub tiles: u64,
}

/// Recomputes everything from the entry bundles; `earlier` are checkpoints that were seen before.
///
/// Errors: the first thing that is missing or wrong; that an earlier checkpoint is not a beginning of this log.
pub fn fsck(dir: &LogDir, verifier: &Verifier, earlier: &[Checkpoint]) -> Result<Sound, DiskError> {
    let damaged = |what: String| DiskError::Damaged { what };
    let checkpoint =
        dir.checkpoint(verifier)?.ok_or_else(|| DiskError::Missing(dir.root().join("checkpoint")))?;
    if let Some(longer) = earlier.iter().find(|one| one.size > checkpoint.size) {
        return Err(DiskError::Cut { size: checkpoint.size, earlier: longer.size });
    }
    let forked = |edge: &Edge| {
        earlier.iter().find(|one| one.size == edge.size() && one.root != edge.frontier().root())
    };
    let mut edge = Edge::default();
    let mut tiles = 0;
    while edge.size() < checkpoint.size {
        let n = edge.size() / FULL_U64;
        let width = usize::try_from(checkpoint.size - edge.size()).map_or(FULL, |left| left.min(FULL));
        let entries = dir.entries(n, width)?;
        if width == FULL {
            let hashes: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
            let bytes = dir.full_bundle(n)?.unwrap_or_default();
            if !is_bundle_of(&bytes, &hashes) {
                return Err(damaged(format!("entry bundle {n} (bytes follow its last entry)")));
            }
        }
        for entry in entries {
            if let Some(one) = forked(&edge) {
                return Err(DiskError::Forked { size: one.size });
            }
            for FullTile { level, n, hashes } in edge.push(leaf_hash(&entry)) {
                tiles += 1;
                if dir.hashes(level, n, FULL)? != hashes {
                    return Err(damaged(format!("hash tile {n} of level {level}, or the entries below it,")));
                }
            }
        }
    }
    for level in 0..edge.height() {
        let hashes = edge.unfinished(level);
        let number = u8::try_from(level).unwrap_or(u8::MAX);
        if !hashes.is_empty() {
            tiles += 1;
            if dir.hashes(number, checkpoint.size >> (8 * (level + 1)), hashes.len())? != hashes {
                return Err(damaged(format!(
                    "the last hash tile of level {level}, or the entries below it,"
                )));
            }
        }
    }
    if edge.frontier().root() != checkpoint.root {
        return Err(damaged("an entry (the root is not the checkpoint's)".into()));
    }
    if let Some(one) = forked(&edge) {
        return Err(DiskError::Forked { size: one.size });
    }
    Ok(Sound { checkpoint, tiles })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::note::LogKey;
    use crate::log::publisher::Log;
    use std::fs;
    use std::path::Path;

    fn key() -> LogKey {
        LogKey::from_seed("keywright.dev/signer/test".into(), &[3; 32]).unwrap()
    }

    fn entries(range: std::ops::Range<u32>) -> Vec<Vec<u8>> {
        range.map(|n| format!("entry {n}").into_bytes()).collect()
    }

    fn log(root: &Path) -> LogDir {
        let dir = LogDir::new(root.join("log"));
        let mut log = Log::new(dir.clone(), key(), Edge::default(), Vec::new());
        for (from, to) in [(0, 1), (1, 200), (200, 256), (256, 900), (900, 901)] {
            log.publish(&entries(from..to)).unwrap();
            assert_eq!(fsck(&dir, key().verifier(), &[]).unwrap().checkpoint.size, u64::from(to));
        }
        dir
    }

    #[test]
    fn a_log_grown_in_any_steps_is_sound_and_its_edge_loads() {
        let temp = tempfile::tempdir().unwrap();
        let dir = log(temp.path());
        let checkpoint = dir.checkpoint(key().verifier()).unwrap().unwrap();
        let edge = dir.edge(&checkpoint).unwrap();
        let bundle = Vec::new();
        assert_eq!(Log::new(dir, key(), edge, bundle).size(), 901);
    }

    #[test]
    fn partial_tiles_of_old_checkpoints_go_away() {
        let temp = tempfile::tempdir().unwrap();
        let dir = log(temp.path());
        assert!(!dir.root().join("tile/entries/000.p").exists());
        assert_eq!(fs::read_dir(dir.root().join("tile/entries/003.p")).unwrap().count(), 2);
    }

    #[test]
    fn every_cut_or_edited_file_is_noticed() {
        let temp = tempfile::tempdir().unwrap();
        let files = ["checkpoint", "tile/0/000", "tile/0/003.p/133", "tile/1/000.p/3", "tile/entries/001"];
        for file in files {
            let root = temp.path().join(file.replace('/', "-"));
            let dir = log(&root);
            let path = dir.root().join(file);
            let sound = fs::read(&path).unwrap();
            let mut edited = sound.clone();
            edited[10] ^= 1;
            fs::write(&path, &edited).unwrap();
            assert!(fsck(&dir, key().verifier(), &[]).is_err(), "{file} edited");
            fs::write(&path, &sound[..sound.len() / 2]).unwrap();
            assert!(fsck(&dir, key().verifier(), &[]).is_err(), "{file} cut");
            fs::remove_file(&path).unwrap();
            assert!(fsck(&dir, key().verifier(), &[]).is_err(), "{file} removed");
            fs::write(&path, &sound).unwrap();
            fsck(&dir, key().verifier(), &[]).unwrap();
        }
    }

    #[test]
    fn another_history_under_the_same_key_is_told_by_an_earlier_checkpoint() {
        let temp = tempfile::tempdir().unwrap();
        let dir = log(&temp.path().join("one"));
        let fork = LogDir::new(temp.path().join("two"));
        let mut other = Log::new(fork.clone(), key(), Edge::default(), Vec::new());
        other.publish(&entries(0..300)).unwrap();
        let earlier = fork.checkpoint(key().verifier()).unwrap().unwrap();
        fsck(&dir, key().verifier(), std::slice::from_ref(&earlier)).unwrap();
        other.publish(&entries(1000..1400)).unwrap();
        fsck(&fork, key().verifier(), std::slice::from_ref(&earlier)).unwrap();
        let forked = fork.checkpoint(key().verifier()).unwrap().unwrap();
        let found = fsck(&dir, key().verifier(), &[earlier.clone(), forked]);
        assert!(matches!(found, Err(DiskError::Forked { size: 700 })), "{found:?}");
        let longer = dir.checkpoint(key().verifier()).unwrap().unwrap();
        let found = fsck(&fork, key().verifier(), &[longer]);
        assert!(matches!(found, Err(DiskError::Cut { size: 700, earlier: 901 })), "{found:?}");
    }

    #[test]
    fn an_edge_that_was_edited_does_not_load() {
        let temp = tempfile::tempdir().unwrap();
        let dir = log(temp.path());
        let checkpoint = dir.checkpoint(key().verifier()).unwrap().unwrap();
        for file in ["tile/0/003.p/133", "tile/1/000.p/3", "tile/entries/003.p/133"] {
            let path = dir.root().join(file);
            let sound = fs::read(&path).unwrap();
            let mut edited = sound.clone();
            edited[7] ^= 1;
            fs::write(&path, edited).unwrap();
            assert!(dir.edge(&checkpoint).is_err(), "{file}");
            fs::write(&path, sound).unwrap();
        }
        dir.edge(&checkpoint).unwrap();
    }
}
