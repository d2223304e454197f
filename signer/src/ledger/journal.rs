//! The journal: what makes a turn durable, with one write and one fsync.
//!
//! Two files, used in turns and overwritten in place, so that in the long run no fsync has to grow a file. Each holds
//! frames; a frame is a length, a sequence number, a code that only a holder of the key-encryption key can make, and the
//! turn's content. Frames older than what the tables hold are dead weight until overwritten.
//!
//! ```text
//! | length u32 | sequence u64 | code 32 bytes | content |  little-endian, one after another from the start of the file
//! ```
//! Reading stops at the first frame that is not whole or not next: that is where a crash cut, and nothing after it was
//! ever acknowledged.

use super::LedgerError;
use crate::seal::Kek;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

const NAMES: [&str; 2] = ["journal-0", "journal-1"];
const HEADER: usize = 4 + 8 + 32;

/// The two files and where writing goes on.
pub(super) struct Journal {
    files: [File; 2],
    kek: Arc<Kek>,
    active: usize,
    offset: u64,
    /// Sequence number of the last frame.
    sequence: u64,
}

/// A frame found when opening.
pub(super) struct Frame {
    pub(super) sequence: u64,
    pub(super) content: Vec<u8>,
}

fn storage(error: &io::Error) -> LedgerError {
    LedgerError::Storage(format!("journal: {error}"))
}

impl Journal {
    /// Opens or creates the files and reads all frames after `applied`, in order.
    ///
    /// Errors: the disk; a gap, which means that a file is missing or of another age.
    pub(super) fn open(
        folder: &Path,
        kek: Arc<Kek>,
        applied: u64,
    ) -> Result<(Self, Vec<Frame>), LedgerError> {
        let open = |name: &str| {
            let path = folder.join(name);
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            options.open(path).map_err(|error| storage(&error))
        };
        let files = [open(NAMES[0])?, open(NAMES[1])?];
        let mut found: Vec<Vec<Frame>> = Vec::new();
        for file in &files {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut &*file, &mut bytes).map_err(|error| storage(&error))?;
            found.push(frames(&bytes, &kek));
        }
        found.sort_by_key(|frames| frames.first().map_or(0, |frame| frame.sequence));
        let mut sequence = applied;
        let mut fresh = Vec::new();
        for frame in found.into_iter().flatten().filter(|frame| frame.sequence > applied) {
            if frame.sequence != sequence + 1 {
                return Err(LedgerError::Untrue("a part of the journal is missing"));
            }
            sequence = frame.sequence;
            fresh.push(frame);
        }
        Ok((Self { files, kek, active: 0, offset: 0, sequence }, fresh))
    }

    /// Appends a turn and makes it durable.
    ///
    /// Errors: the disk. Whether the frame is there is then unknown; open again to find out.
    pub(super) fn append(&mut self, content: &[u8]) -> Result<(), LedgerError> {
        let sequence = self.sequence + 1;
        let length = u32::try_from(content.len())
            .map_err(|_| LedgerError::Storage("journal: a turn is over 4 GiB".to_owned()))?;
        let mut frame = Vec::with_capacity(HEADER + content.len());
        frame.extend(length.to_le_bytes());
        frame.extend(sequence.to_le_bytes());
        frame.extend(self.kek.authenticate(&[b"journal", &sequence.to_le_bytes(), content]));
        frame.extend(content);
        let [first, second] = &self.files;
        let file = if self.active == 0 { first } else { second };
        file.write_all_at(&frame, self.offset)
            .and_then(|()| file.sync_data())
            .map_err(|error| storage(&error))?;
        self.offset += frame.len() as u64;
        self.sequence = sequence;
        Ok(())
    }

    /// Goes on at the start of the other file. Precondition: its frames are all in the tables.
    pub(super) fn turn_over(&mut self) {
        self.active = 1 - self.active;
        self.offset = 0;
    }

    /// Sequence number of the last frame.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// The whole, authentic, consecutive frames from the start of a file.
fn frames(bytes: &[u8], kek: &Kek) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk::<4>()
        && let Some((sequence, after)) = after.split_first_chunk::<8>()
        && let Some((code, after)) = after.split_first_chunk::<32>()
        && let Some((content, after)) = after.split_at_checked(u32::from_le_bytes(*length) as usize)
        && kek.is_authentic(&[b"journal", sequence, content], code)
    {
        let sequence = u64::from_le_bytes(*sequence);
        if frames.last().is_some_and(|last| last.sequence + 1 != sequence) {
            break;
        }
        frames.push(Frame { sequence, content: content.to_vec() });
        rest = after;
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywright_ambient::SystemEntropy;

    fn kek(folder: &Path) -> Arc<Kek> {
        let path = folder.join("kek");
        Kek::create(&path, &SystemEntropy).unwrap();
        Arc::new(Kek::read(&path).unwrap())
    }

    fn reopened(folder: &Path, kek: &Arc<Kek>, applied: u64) -> Vec<u64> {
        let (_, frames) = Journal::open(folder, Arc::clone(kek), applied).unwrap();
        frames.iter().map(|frame| frame.sequence).collect()
    }

    #[test]
    fn frames_come_back_in_order_across_both_files_and_reuse() {
        let dir = tempfile::tempdir().unwrap();
        let kek = kek(dir.path());
        let (mut journal, _) = Journal::open(dir.path(), Arc::clone(&kek), 0).unwrap();
        for content in [&b"one"[..], b"two", b"three"] {
            journal.append(content).unwrap();
        }
        journal.turn_over();
        journal.append(b"four").unwrap();
        assert_eq!(reopened(dir.path(), &kek, 0), [1, 2, 3, 4]);
        journal.turn_over();
        journal.append(b"5").unwrap();
        assert_eq!(reopened(dir.path(), &kek, 3), [4, 5], "older frames behind the new one are dead");
    }

    #[test]
    fn a_cut_or_edited_last_frame_never_was() {
        let dir = tempfile::tempdir().unwrap();
        let kek = kek(dir.path());
        let (mut journal, _) = Journal::open(dir.path(), Arc::clone(&kek), 0).unwrap();
        journal.append(b"one").unwrap();
        journal.append(b"two").unwrap();
        let path = dir.path().join(NAMES[0]);
        let sound = std::fs::read(&path).unwrap();
        for length in 0..sound.len() {
            std::fs::write(&path, &sound[..length]).unwrap();
            let wanted: &[u64] = if length < HEADER + 3 { &[] } else { &[1] };
            assert_eq!(reopened(dir.path(), &kek, 0), wanted, "cut to {length} bytes");
        }
        let mut edited = sound;
        *edited.last_mut().unwrap() ^= 1;
        std::fs::write(&path, edited).unwrap();
        assert_eq!(reopened(dir.path(), &kek, 0), [1]);
    }

    #[test]
    fn a_missing_file_is_noticed_as_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let kek = kek(dir.path());
        let (mut journal, _) = Journal::open(dir.path(), Arc::clone(&kek), 0).unwrap();
        journal.append(b"one").unwrap();
        journal.turn_over();
        journal.append(b"two").unwrap();
        std::fs::remove_file(dir.path().join(NAMES[0])).unwrap();
        assert!(Journal::open(dir.path(), kek, 0).is_err());
    }
}
