//! Bytes that live in the arena from their first to their last moment.

use crate::arena::Arena;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// The arena has no room left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "guarded memory: full; raise RLIMIT_MEMLOCK (at most 32 MiB are used), or spread the keys over several signers"
)]
pub struct Full;

/// Secret bytes in guarded memory, of a length fixed when made; wiped on drop.
///
/// Made first and filled in place afterwards, so that no copy is ever outside. Cannot be copied, compared, printed or
/// serialized.
pub struct GuardedBytes {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: it owns its bytes, as a boxed slice does.
unsafe impl Send for GuardedBytes {}
// SAFETY: shared references only read.
unsafe impl Sync for GuardedBytes {}

impl GuardedBytes {
    /// So many zeroes, to be filled in place. Errors: `Full`, also where there is no guarded memory at all.
    pub fn zeroed(len: usize) -> Result<Self, Full> {
        let arena = Arena::get_or_make(None).map_err(|_| Full)?;
        Ok(Self { start: arena.take(len, 16).ok_or(Full)?, len })
    }

    /// A copy; for secrets that come from where they could not be made in place. Errors: `Full`.
    pub fn copy_of(bytes: &[u8]) -> Result<Self, Full> {
        let mut copy = Self::zeroed(bytes.len())?;
        copy.copy_from_slice(bytes);
        Ok(copy)
    }

    /// Exactly `len` bytes read from `source`, straight into guarded memory. Errors: the source's, or `Full`.
    pub fn read_from(source: &mut dyn io::Read, len: usize) -> io::Result<Self> {
        let mut bytes = Self::zeroed(len).map_err(io::Error::other)?;
        source.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Forgets all but the first `len` bytes, which are wiped.
    pub fn truncate(&mut self, len: usize) {
        if let Some(tail) = self.get_mut(len..) {
            tail.fill(0);
            self.len = len;
        }
    }
}

impl Deref for GuardedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes at `start` are taken for this value alone and were zeroed when taken.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for GuardedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and the reference to `self` is the only one.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for GuardedBytes {
    fn drop(&mut self) {
        if let Some(arena) = Arena::get() {
            // SAFETY: taken from this arena in `zeroed`, and nobody can use it after this.
            unsafe { arena.give_back(self.start) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_filled_in_place_and_cut_short_without_leaving_the_tail() {
        let mut bytes = GuardedBytes::read_from(&mut &b"0123456789"[..], 8).unwrap();
        assert_eq!(&*bytes, b"01234567");
        bytes.truncate(3);
        assert_eq!(&*bytes, b"012");
        bytes.truncate(5);
        assert_eq!(bytes.len(), 3);
        assert!(Arena::get().unwrap().holds(bytes.as_ptr()));
        assert!(GuardedBytes::read_from(&mut &b"short"[..], 8).is_err());
        assert!(matches!(GuardedBytes::zeroed(1 << 40), Err(Full)));
        assert!(GuardedBytes::zeroed(0).unwrap().is_empty());
    }
}
