//! One guarded stretch of address space, and the system calls that make it.
//!
//! ```text
//! [no access][ secret pages, touched when first used ........................ ][no access]
//! ```
//! First choice is `memfd_secret(2)`: its pages are taken out of the kernel's own map of memory, are not readable through
//! `/proc/PID/mem`, `process_vm_readv` or a debugger, and are in no core file. Second choice: private pages locked on
//! first use (never in swap), left out of core files and wiped in a forked child. Both count against `RLIMIT_MEMLOCK`,
//! whose soft limit is raised to the hard one. The pages are made when they are touched, so a large arena costs nothing
//! until it is used, and needs no system call later.

use crate::plan::PAGE;
use std::io;
use std::ptr::{self, NonNull};

/// Most bytes that are mapped, however much may be locked.
const MOST: usize = 32 << 20;
/// Fewest bytes that are worth starting with.
const FEWEST: usize = 2 << 20;

/// How the pages are kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// `memfd_secret(2)`.
    Secret,
    /// `mlock2(2)` with `MADV_DONTDUMP` and `MADV_WIPEONFORK`.
    Locked,
}

impl std::fmt::Display for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Secret => "memfd_secret",
            Self::Locked => "mlock",
        })
    }
}

/// There is no guarded memory to be had.
#[derive(Debug, thiserror::Error)]
pub enum NoGuardedMemory {
    /// Neither way works.
    #[error(
        "guarded memory: {wanted} bytes can neither be had from memfd_secret ({secret}) nor locked with mlock ({locked}); RLIMIT_MEMLOCK is {limit} bytes: raise it to 8 MiB or more, or grant CAP_IPC_LOCK"
    )]
    Refused {
        /// Bytes asked for.
        wanted: usize,
        /// Why not from `memfd_secret`.
        secret: io::Error,
        /// Why not by locking.
        locked: io::Error,
        /// The limit on locked memory, in bytes.
        limit: u64,
    },
    /// The address space itself.
    #[error("guarded memory: {0}")]
    System(#[from] io::Error),
    /// The arena was asked for too late.
    #[error(
        "guarded memory: the cryptographic library has its own allocator already; install the arena first in main"
    )]
    TooLate,
}

/// The mapping; never unmapped, for what points into it may live as long as the process.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
    protection: Protection,
}

// SAFETY: the mapping is an address range; who may touch which part of it is the plan's affair.
unsafe impl Send for Mapping {}
// SAFETY: as above; no method changes the mapping.
unsafe impl Sync for Mapping {}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Raises the soft limit on locked memory to the hard one; returns it, in bytes.
fn raise_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for one rlimit, read and written only during the calls.
    unsafe {
        check(libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit))?;
        limit.rlim_cur = limit.rlim_max;
        check(libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit))?;
    }
    Ok(limit.rlim_cur)
}

/// Address space that cannot be accessed.
fn reserve(len: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: a new private mapping at an address of the kernel's choice touches nothing that exists.
    let start = unsafe {
        libc::mmap(
            ptr::null_mut(),
            len,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(start.cast::<u8>()).ok_or_else(|| io::Error::other("a mapping at address zero"))
}

/// Maps `len` bytes over the reserved range at `start`.
///
/// # Safety
/// `start..start + len` must be page aligned and part of a range from [`reserve`] that nobody else uses.
unsafe fn map_over(start: NonNull<u8>, len: usize, flags: libc::c_int, fd: libc::c_int) -> io::Result<()> {
    // SAFETY: the caller owns the range, so replacing what is mapped there takes nothing away from others.
    let at = unsafe {
        libc::mmap(
            start.as_ptr().cast(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            flags | libc::MAP_FIXED,
            fd,
            0,
        )
    };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// # Safety
/// As [`map_over`].
unsafe fn map_secret(start: NonNull<u8>, len: usize) -> io::Result<()> {
    // SAFETY: the call takes flags only; the file it opens is closed on exec.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let fd = libc::c_int::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    let size = libc::off_t::try_from(len).map_err(io::Error::other)?;
    // SAFETY: `fd` is ours; the range is the caller's to give.
    let mapped = unsafe {
        check(libc::ftruncate(fd, size))
            .and_then(|()| map_over(start, len, libc::MAP_SHARED, fd))
            // A forked child shall not share it.
            .and_then(|()| check(libc::madvise(start.as_ptr().cast(), len, libc::MADV_DONTFORK)))
            .and_then(|()| check(libc::madvise(start.as_ptr().cast(), len, libc::MADV_DONTDUMP)))
    };
    // SAFETY: `fd` is ours and not used again; the mapping outlives it, and no /proc/PID/fd leads to the pages.
    unsafe { libc::close(fd) };
    mapped
}

/// # Safety
/// As [`map_over`].
unsafe fn map_locked(start: NonNull<u8>, len: usize) -> io::Result<()> {
    let address = start.as_ptr().cast();
    // SAFETY: the range is the caller's to give; advice and locks change no contents.
    unsafe {
        map_over(start, len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
        check(libc::madvise(address, len, libc::MADV_DONTDUMP))?;
        check(libc::madvise(address, len, libc::MADV_WIPEONFORK))?;
        check(libc::mlock2(address, len, libc::MLOCK_ONFAULT))
    }
}

impl Mapping {
    /// Maps what `RLIMIT_MEMLOCK` allows, between 2 and 32 MiB.
    pub(crate) fn best() -> Result<Self, NoGuardedMemory> {
        let limit = raise_limit()?;
        let len = usize::try_from(limit).unwrap_or(MOST).clamp(FEWEST, MOST) / PAGE * PAGE;
        let secret = match Self::with(Protection::Secret, len) {
            Ok(mapping) => return Ok(mapping),
            Err(secret) => secret,
        };
        Self::with(Protection::Locked, len).map_err(|locked| NoGuardedMemory::Refused {
            wanted: len,
            secret,
            locked,
            limit,
        })
    }

    /// Maps `len` bytes, a multiple of the page size, in this way and no other.
    pub(crate) fn with(protection: Protection, len: usize) -> io::Result<Self> {
        let reserved = reserve(len + 2 * PAGE)?;
        // SAFETY: one page into a reserved range of `len` bytes and two pages.
        let start = unsafe { reserved.add(PAGE) };
        // SAFETY: the range lies within what was just reserved and nobody else knows it.
        let mapped = unsafe {
            match protection {
                Protection::Secret => map_secret(start, len),
                Protection::Locked => map_locked(start, len),
            }
        };
        if let Err(error) = mapped {
            // SAFETY: gives back the whole range reserved above; nothing points into it.
            unsafe { libc::munmap(reserved.as_ptr().cast(), len + 2 * PAGE) };
            return Err(error);
        }
        Ok(Self { start, len, protection })
    }

    pub(crate) fn protection(&self) -> Protection {
        self.protection
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Address of the first byte.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }
}
