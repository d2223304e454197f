//! The cryptographic library's allocations, led into the arena.
//!
//! aws-lc keeps keys, their expanded forms and all temporaries of its arithmetic in memory of its own. It takes other
//! allocation functions once, before it has allocated anything, through `CRYPTO_set_mem_functions` (include/openssl/mem.h
//! of aws-lc-sys); `OPENSSL_malloc`, `OPENSSL_realloc` and `OPENSSL_free` then end here. They may be called with any lock
//! held and from destructors of threads, and must not call the library: the arena has one lock, calls nothing and
//! allocates nothing itself.

use crate::arena::Arena;
use crate::mapping::NoGuardedMemory;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::{self, NonNull};

/// Leads all further allocations of the library into the process's arena, which must exist.
///
/// Errors: `TooLate` when the library has other functions already.
pub(crate) fn lead_into_arena() -> Result<(), NoGuardedMemory> {
    // SAFETY: the three functions have the types and the meaning that the library asks for, for as long as the process
    // lives; called before the first use of the library, as `install` demands.
    let taken = unsafe { aws_lc_sys::CRYPTO_set_mem_functions(Some(allocate), Some(resize), Some(release)) };
    if taken == 1 { Ok(()) } else { Err(NoGuardedMemory::TooLate) }
}

unsafe extern "C" fn allocate(size: usize, _file: *const c_char, _line: c_int) -> *mut c_void {
    let block = Arena::get().and_then(|arena| arena.take(size, 16));
    block.map_or(ptr::null_mut(), |block| block.as_ptr().cast())
}

/// # Safety
/// `block` is null or from `allocate` or `resize`, and not released; on success it is not used again.
unsafe extern "C" fn resize(
    block: *mut c_void,
    size: usize,
    file: *const c_char,
    line: c_int,
) -> *mut c_void {
    let Some(old) = NonNull::new(block.cast::<u8>()) else {
        // SAFETY: has no condition.
        return unsafe { allocate(size, file, line) };
    };
    // SAFETY: the caller's promise.
    let moved = Arena::get().and_then(|arena| unsafe { arena.resize(old, size, 16) });
    moved.map_or(ptr::null_mut(), |block| block.as_ptr().cast())
}

/// # Safety
/// `block` is null or from `allocate` or `resize`, and not used again.
unsafe extern "C" fn release(block: *mut c_void, _file: *const c_char, _line: c_int) {
    if let (Some(arena), Some(block)) = (Arena::get(), NonNull::new(block.cast::<u8>())) {
        // SAFETY: the caller's promise.
        unsafe { arena.give_back(block) };
    }
}
