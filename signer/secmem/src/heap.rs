//! The system's allocator, for all that is no secret: few pools, and what is free given back in quiet moments.
//!
//! glibc keeps a pool for each thread that allocates and returns little of what was freed, so that a process which was
//! busy once stays as large as it then was. Other C libraries have no such pools; nothing is done there.

/// Pools of the system's allocator: one for each of few cores; the threads share them.
#[cfg(target_env = "gnu")]
const POOLS: libc::c_int = 2;

/// Keeps the number of pools small. Before other threads are started.
pub(crate) fn limit_pools() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number; that it may fail changes nothing but the size of the process.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, POOLS);
    }
}

/// Gives the system back the memory that the process has freed. Takes milliseconds after much work: for quiet moments.
pub fn give_back_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: has no condition; it takes the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
