//! The arena: the plan's numbers made pointers, one lock around both.
//!
//! Invariant: an offset that the plan has given out and not got back lies within the mapping, with room to the size the
//! plan says, and belongs to one holder. All bytes that belong to nobody are zero: pages start so, and are wiped when they
//! come back.

use crate::mapping::{Mapping, NoGuardedMemory, Protection};
use crate::plan::Plan;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Guarded memory, divided.
pub(crate) struct Arena {
    mapping: Mapping,
    plan: Mutex<Plan>,
}

static ARENA: OnceLock<Arena> = OnceLock::new();

impl Arena {
    pub(crate) fn new(mapping: Mapping) -> Self {
        let plan = Mutex::new(Plan::new(mapping.len()));
        Self { mapping, plan }
    }

    /// The process's arena, if it has been made.
    pub(crate) fn get() -> Option<&'static Self> {
        ARENA.get()
    }

    /// The process's arena, made now if it was not. `only`: in this way and no other.
    pub(crate) fn get_or_make(only: Option<(Protection, usize)>) -> Result<&'static Self, NoGuardedMemory> {
        if let Some(arena) = ARENA.get() {
            return Ok(arena);
        }
        let mapping = match only {
            None => Mapping::best()?,
            Some((protection, len)) => Mapping::with(protection, len)?,
        };
        // When two threads come here at once one mapping stays unused: a matter of address space only.
        Ok(ARENA.get_or_init(|| Self::new(mapping)))
    }

    /// Makes the process's allocator's fast check possible: whether `pointer` is one of ours.
    pub(crate) fn holds(&self, pointer: *const u8) -> bool {
        let start = self.mapping.start().as_ptr().addr();
        (start..start + self.mapping.len()).contains(&pointer.addr())
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for `size` zero bytes. `None`: the arena is full.
    pub(crate) fn take(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let offset = self.plan().take(size, align)?;
        // SAFETY: offsets of the plan lie within the mapping, which has as many bytes as the plan was made for.
        Some(unsafe { self.mapping.start().add(offset) })
    }

    fn offset(&self, pointer: NonNull<u8>) -> usize {
        pointer.as_ptr().addr().wrapping_sub(self.mapping.start().as_ptr().addr())
    }

    /// How many bytes may be used at `pointer`. Ends the process when it is not one of ours.
    pub(crate) fn size(&self, pointer: NonNull<u8>) -> usize {
        let size = self.plan().size(self.offset(pointer));
        size.unwrap_or_else(|_| wrong_pointer())
    }

    /// Wipes and gives back. Ends the process when `pointer` is not one of ours, or came back before.
    ///
    /// # Safety
    /// Nobody uses what is at `pointer` any more.
    pub(crate) unsafe fn give_back(&self, pointer: NonNull<u8>) {
        let offset = self.offset(pointer);
        let mut plan = self.plan();
        let Ok(size) = plan.give_back(offset) else { wrong_pointer() };
        // SAFETY: the plan says that `size` bytes at `offset` were taken, the caller that they were the caller's own, and
        // nobody else can be given them while the plan is locked.
        unsafe { wipe(pointer, size) };
        drop(plan);
    }

    /// Moves what is at `pointer` to a place of at least `size` bytes. `None`: the arena is full, nothing has changed.
    ///
    /// # Safety
    /// `pointer` is from this arena and the caller's own; afterwards only the new one is.
    pub(crate) unsafe fn resize(
        &self,
        pointer: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Option<NonNull<u8>> {
        let old = self.size(pointer);
        let new = self.take(size, align)?;
        // SAFETY: both are taken, so they do not overlap; each has room for the smaller of the two sizes.
        unsafe {
            ptr::copy_nonoverlapping(pointer.as_ptr(), new.as_ptr(), old.min(size));
            self.give_back(pointer);
        }
        Some(new)
    }

    pub(crate) fn usage(&self) -> Usage {
        let plan = self.plan();
        Usage {
            protection: self.mapping.protection(),
            size: self.mapping.len(),
            used: plan.used(),
            peak: plan.peak(),
            start: self.mapping.start().as_ptr().addr(),
        }
    }
}

/// How much of the arena is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// How its pages are kept from others.
    pub protection: Protection,
    /// Its size, in bytes.
    pub size: usize,
    /// Bytes given out now, rounded up to slots.
    pub used: usize,
    /// The most bytes that were given out at a time.
    pub peak: usize,
    /// Address of its first byte.
    pub start: usize,
}

impl Usage {
    /// Whether less than 1 MiB is left: what there is belongs to connections and work under way, not to more keys.
    pub fn is_nearly_full(&self) -> bool {
        self.size - self.used < 1 << 20
    }
}

/// Writes zeroes that the compiler may not leave out.
///
/// # Safety
/// `size` bytes at `pointer` are writable and the caller's own.
pub(crate) unsafe fn wipe(pointer: NonNull<u8>, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { ptr::write_bytes(pointer.as_ptr(), 0, size) };
    std::hint::black_box(pointer);
}

/// A pointer that is not ours was given back, or one came back twice: memory is not what it seems, so nothing goes on.
fn wrong_pointer() -> ! {
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arenas() -> [Arena; 2] {
        [Protection::Secret, Protection::Locked]
            .map(|protection| Arena::new(Mapping::with(protection, 1 << 20).unwrap()))
    }

    #[test]
    fn memory_comes_zeroed_keeps_what_is_written_and_is_wiped_when_it_goes() {
        for arena in arenas() {
            for size in [1, 16, 100, 4096, 5000, 70_000] {
                let pointer = arena.take(size, 16).unwrap();
                // SAFETY: just taken, used by this test alone; the last read is of memory still mapped.
                unsafe {
                    let bytes = std::slice::from_raw_parts_mut(pointer.as_ptr(), size);
                    assert!(bytes.iter().all(|byte| *byte == 0));
                    bytes.fill(0xa5);
                    let larger = arena.resize(pointer, size * 2, 16).unwrap();
                    assert!(std::slice::from_raw_parts(pointer.as_ptr(), size).iter().all(|byte| *byte == 0));
                    let bytes = std::slice::from_raw_parts_mut(larger.as_ptr(), size * 2);
                    assert!(bytes[..size].iter().all(|byte| *byte == 0xa5));
                    assert!(bytes[size..].iter().all(|byte| *byte == 0));
                    arena.give_back(larger);
                    assert!(std::slice::from_raw_parts(larger.as_ptr(), size).iter().all(|byte| *byte == 0));
                }
            }
            assert_eq!(arena.usage().used, 0);
        }
    }

    #[test]
    fn threads_that_take_and_give_back_at_once_never_see_each_others_bytes() {
        for arena in arenas() {
            std::thread::scope(|scope| {
                for mark in 1..=4_u8 {
                    let arena = &arena;
                    scope.spawn(move || {
                        for round in 0..2000 {
                            let size = 1 + (round * 37 + usize::from(mark) * 911) % 6000;
                            let Some(pointer) = arena.take(size, 16) else { continue };
                            // SAFETY: just taken, and nobody else has this pointer.
                            unsafe {
                                let bytes = std::slice::from_raw_parts_mut(pointer.as_ptr(), size);
                                assert!(bytes.iter().all(|byte| *byte == 0));
                                bytes.fill(mark);
                                std::thread::yield_now();
                                assert!(bytes.iter().all(|byte| *byte == mark));
                                arena.give_back(pointer);
                            }
                        }
                    });
                }
            });
            assert_eq!(arena.usage().used, 0);
        }
    }
}
