//! The log's files: written whole, fsynced, renamed into place; read back with suspicion.

use super::merkle::{Hash, leaf_hash};
use super::note::{Checkpoint, NoteError, Verifier};
use super::tile::{Edge, FULL, FULL_U64, Row, path, widths};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Why the log's files cannot be used as they are.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The disk refused.
    #[error("log file {path}: {source}; see that the volume is mounted, writable and not full")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The checkpoint is not this log's.
    #[error("log: {0}; restore the log folder that belongs to this ledger")]
    Checkpoint(#[from] NoteError),
    /// An earlier checkpoint of the same log, signed by its key, is not a beginning of this one.
    #[error(
        "log: it had {size} entries with another root before: its key signed two histories; keep both checkpoints as proof, and rely on neither"
    )]
    Forked {
        /// Size of the earlier checkpoint.
        size: u64,
    },
    /// It is shorter than an earlier checkpoint.
    #[error("log: it has {size} entries now and had {earlier} before: it was cut; restore the log folder")]
    Cut {
        /// Number of entries now.
        size: u64,
        /// Number of entries before.
        earlier: u64,
    },
    /// A file of the log is not there.
    #[error(
        "log: {0} is missing; restore it from a copy of the log: old bundles of entries may lie in the archive"
    )]
    Missing(PathBuf),
    /// A tile is cut, or not what the checkpoint commits to.
    #[error(
        "log: {what} was cut or edited; restore the log folder, and run `keywright-signer log fsck` to see how far it is sound"
    )]
    Damaged {
        /// Which part.
        what: String,
    },
}

/// A log's folder.
#[derive(Debug, Clone)]
pub struct LogDir {
    root: PathBuf,
}

impl LogDir {
    /// The folder at this path; it need not exist yet.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn io(path: &Path) -> impl FnOnce(io::Error) -> DiskError {
        let path = path.to_owned();
        move |source| DiskError::Io { path, source }
    }

    /// The checkpoint, its signature verified; `None` when there is none.
    pub fn checkpoint(&self, verifier: &Verifier) -> Result<Option<Checkpoint>, DiskError> {
        let path = self.root.join("checkpoint");
        match fs::read(&path) {
            Ok(note) => Ok(Some(verifier.open(&note)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Self::io(&path)(error)),
        }
    }

    /// A tile of at least this width: exactly this one, a wider partial one, or the full one.
    fn tile(&self, row: Row, n: u64, width: usize) -> Result<Vec<u8>, DiskError> {
        let wanted = self.root.join(path(row, n, width));
        let full = self.root.join(path(row, n, FULL));
        let mut candidates = vec![wanted.clone(), full];
        if width < FULL
            && let Some(partial) = wanted.parent()
            && let Ok(list) = fs::read_dir(partial)
        {
            let widths = list.flatten().filter_map(|file| file.file_name().to_str()?.parse::<usize>().ok());
            candidates.extend(widths.filter(|w| *w > width).map(|w| partial.join(w.to_string())));
        }
        for candidate in candidates {
            match fs::read(&candidate) {
                Ok(bytes) => return Ok(bytes),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => return Err(Self::io(&candidate)(error)),
            }
        }
        Err(DiskError::Missing(wanted))
    }

    /// The first `width` hashes of a hash tile.
    pub fn hashes(&self, level: u8, n: u64, width: usize) -> Result<Vec<Hash>, DiskError> {
        let bytes = self.tile(Row::Hashes(level), n, width)?;
        let hashes: Vec<Hash> = bytes.as_chunks().0.iter().take(width).copied().collect();
        let is_whole = width < FULL || bytes.len() == FULL * size_of::<Hash>();
        if hashes.len() == width && is_whole {
            Ok(hashes)
        } else {
            Err(DiskError::Damaged { what: path(Row::Hashes(level), n, width).display().to_string() })
        }
    }

    /// A full bundle as it is; none when it is not there, as after archiving.
    pub fn full_bundle(&self, n: u64) -> Result<Option<Vec<u8>>, DiskError> {
        let file = self.root.join(path(Row::Entries, n, FULL));
        match fs::read(&file) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Self::io(&file)(error)),
        }
    }

    /// The first `width` entries of a bundle.
    pub fn entries(&self, n: u64, width: usize) -> Result<Vec<Vec<u8>>, DiskError> {
        let bytes = self.tile(Row::Entries, n, width)?;
        let entries: Vec<Vec<u8>> = split_bundle(&bytes).take(width).map(<[u8]>::to_vec).collect();
        if entries.len() == width {
            Ok(entries)
        } else {
            Err(DiskError::Damaged { what: path(Row::Entries, n, width).display().to_string() })
        }
    }

    /// The right edge of the tree that the checkpoint commits to, proved against its root; and its last bundle, entry by
    /// entry, against the leaf hashes.
    ///
    /// Errors: `Damaged` when a file of the edge is missing or does not lead to the root.
    pub fn edge(&self, checkpoint: &Checkpoint) -> Result<Edge, DiskError> {
        let mut levels = Vec::new();
        for (level, width) in widths(checkpoint.size).enumerate() {
            let number = u8::try_from(level).unwrap_or(u8::MAX);
            let n = checkpoint.size >> (8 * (level + 1));
            levels.push(if width == 0 { Vec::new() } else { self.hashes(number, n, width)? });
        }
        let damaged = |what: &str| DiskError::Damaged { what: what.to_owned() };
        let edge = Edge::new(checkpoint.size, levels).ok_or_else(|| damaged("the right edge"))?;
        if edge.frontier().root() != checkpoint.root {
            return Err(damaged("the right edge (its root is not the checkpoint's)"));
        }
        if let Some(last) = checkpoint.size.checked_sub(1) {
            let n = last / FULL_U64;
            let width = usize::try_from(last % FULL_U64).unwrap_or(0) + 1;
            let wanted = self.hashes(0, n, width)?;
            let found = self.entries(n, width)?;
            if !found.iter().map(|entry| leaf_hash(entry)).eq(wanted) {
                return Err(damaged("the last bundle of entries"));
            }
        }
        Ok(edge)
    }

    /// Writes these files, each whole, then makes their folders durable.
    pub fn write(&self, files: &[(PathBuf, Vec<u8>)]) -> Result<(), DiskError> {
        let mut folders = BTreeSet::new();
        for (relative, bytes) in files {
            let path = self.root.join(relative);
            let folder = path.parent().unwrap_or(&self.root).to_owned();
            if !folder.is_dir() {
                fs::create_dir_all(&folder).map_err(Self::io(&folder))?;
                for above in folder.ancestors().skip(1).take_while(|above| above.starts_with(&self.root)) {
                    folders.insert(above.to_owned());
                }
            }
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("tile");
            let draft = folder.join(format!(".{name}.new"));
            let mut file = File::create(&draft).map_err(Self::io(&draft))?;
            file.write_all(bytes).and_then(|()| file.sync_data()).map_err(Self::io(&draft))?;
            fs::rename(&draft, &path).map_err(Self::io(&path))?;
            folders.insert(folder);
        }
        for folder in folders {
            File::open(&folder).and_then(|dir| dir.sync_all()).map_err(Self::io(&folder))?;
        }
        Ok(())
    }

    /// Removes a partial tile that a later one replaced. That it is gone already is no error; nor is that it stays.
    pub fn forget(&self, row: Row, n: u64, width: usize) {
        let file = self.root.join(path(row, n, width));
        if fs::remove_file(&file).is_ok()
            && let Some(folder) = file.parent()
        {
            // Succeeds only when it is empty, which is when it should go.
            let _ = fs::remove_dir(folder);
        }
    }

    /// The folder's path.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// The entries of a bundle: each a 16-bit big-endian length and so many bytes. Ends early when the bundle is cut.
pub fn split_bundle(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = after;
        Some(entry)
    })
}

/// Appends one entry to a bundle. Precondition: at most 65,535 bytes, which `Entry::encode` guarantees.
pub fn join_bundle(bundle: &mut Vec<u8>, entry: &[u8]) {
    let length = u16::try_from(entry.len()).unwrap_or(u16::MAX);
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry.get(..usize::from(length)).unwrap_or(entry));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_splits_into_what_was_joined_and_a_cut_one_ends_early() {
        let mut bundle = Vec::new();
        for entry in [&b"one"[..], b"", b"three"] {
            join_bundle(&mut bundle, entry);
        }
        assert_eq!(split_bundle(&bundle).collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        assert_eq!(split_bundle(&bundle[..bundle.len() - 1]).count(), 2);
        assert_eq!(split_bundle(&[0]).count(), 0);
    }
}
