//! Guarded memory for keys, and the ways that lead key bytes into it and nowhere else.
//!
//! ```text
//! mapping   memfd_secret, else locked pages; guard pages around           (system calls)
//!   plan    which bytes belong to whom                                    (numbers only, no unsafe)
//!   arena   both under one lock; zero when taken, wiped when given back
//!     library   all that aws-lc allocates
//!     scope     all that Rust code allocates while it works on keys, and its stack
//!     bytes     GuardedBytes: what we keep ourselves
//!   heap      the system's allocator, for all that is no secret
//!   code      the program's own pages, given back at rest
//! ```
//! The one crate of the workspace that contains unsafe code. The guarded memory is used by the signer only, `code` by
//! the operator and the webhook too. Never decides what a key is or
//! who may use it. What it protects against, and what not, is measured in `docs/signer-hardening.md`.

mod arena;
mod bytes;
mod code;
mod heap;
mod library;
mod mapping;
mod plan;
mod scope;

pub use arena::Usage;
pub use bytes::{Full, GuardedBytes};
pub use code::Code;
pub use heap::give_back_free_memory;
pub use mapping::{NoGuardedMemory, Protection};
pub use scope::{GuardedHeap, STACK, on_keys, wiping_stack};

/// Makes the arena and leads the cryptographic library's allocations into it. Call it first in main, once.
///
/// Errors: no guarded memory can be had, or the library was in use already; the process must not go on then.
pub fn install() -> Result<Usage, NoGuardedMemory> {
    heap::limit_pools();
    let arena = arena::Arena::get_or_make(None)?;
    library::lead_into_arena()?;
    Ok(arena.usage())
}

/// As [`install`], with this protection and size in bytes (a multiple of 4096) and no other: for tests of each way.
pub fn install_only(protection: Protection, size: usize) -> Result<Usage, NoGuardedMemory> {
    let arena = arena::Arena::get_or_make(Some((protection, size)))?;
    library::lead_into_arena()?;
    Ok(arena.usage())
}

/// How full the arena is; `None` when there is none.
pub fn usage() -> Option<Usage> {
    arena::Arena::get().map(arena::Arena::usage)
}
