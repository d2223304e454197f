//! What the process gives up, and when.
//!
//! ```text
//! main's first line   forbid_dumps      no core file, no debugger of the same user; guarded memory, or no start
//! before any thread   files::confine    Landlock: these folders, these ports, nothing else
//! before ready        calls::confine    seccomp: these system calls; what only an intruder asks for ends the process
//! ```
//! Nothing here can be undone, by us or by whoever takes over the process. What each step holds off, and what it does
//! not, was measured: `docs/signer-hardening.md`.

pub mod calls;
pub mod files;

use keywright_secmem::{NoGuardedMemory, Usage};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use std::io;
use std::path::PathBuf;

/// Why the process cannot be confined; it must not go on then.
#[derive(Debug, thiserror::Error)]
pub enum HardeningError {
    /// Keys would have no guarded place.
    #[error(transparent)]
    Memory(#[from] NoGuardedMemory),
    /// The kernel refused to be told to write no core files.
    #[error(
        "hardening: {what} was refused: {source}; see that no seccomp profile forbids prctl and prlimit64"
    )]
    Dumps {
        /// What was asked.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A folder that must be writable cannot be made.
    #[error("hardening: folder {path}: {source}; see that the volume is mounted and writable")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Landlock is there and refused the rules.
    #[error("hardening: Landlock refused the rules: {0}")]
    Files(#[from] landlock::RulesetError),
    /// The system calls could not be limited.
    #[error(
        "hardening: the filter of system calls was refused: {0}; see that no seccomp profile forbids seccomp(2)"
    )]
    Calls(String),
}

/// The first line of main, before arguments are read: no core files, no reading by others, no rise in privileges, and
/// guarded memory for keys. Returns what guarded memory there is.
pub fn forbid_dumps() -> Result<Usage, HardeningError> {
    let refused =
        |what| move |source: rustix::io::Errno| HardeningError::Dumps { what, source: source.into() };
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(refused("PR_SET_DUMPABLE=0"))?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(refused("RLIMIT_CORE=0"))?;
    rustix::thread::set_no_new_privs(true).map_err(refused("PR_SET_NO_NEW_PRIVS"))?;
    Ok(keywright_secmem::install()?)
}
