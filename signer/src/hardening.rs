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
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

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

/// What every user of this machine may do to the signer's files, in words for its own log; nothing where all is well, or not
/// there yet. A volume's root is often open to its group, so only everybody's rights count.
pub fn open_to_everybody(state: &Path, tls: &Path) -> Vec<String> {
    let key = tls.join("tls.key");
    let cases =
        [(state, 0o002, "write into the state folder"), (&*key, 0o006, "use the key of the TLS identity")];
    let open = cases.into_iter().filter_map(|(path, rights, what)| {
        let mode = std::fs::metadata(path).ok()?.mode();
        let told = || format!("every user of this machine can {what}; run `chmod o= {}`", path.display());
        (mode & rights != 0).then(told)
    });
    open.collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_everybody_may_write_or_read_is_told_and_what_a_group_may_is_not() {
        let temp = tempfile::tempdir().unwrap();
        let key = temp.path().join("tls.key");
        let told = || open_to_everybody(temp.path(), temp.path()).len();
        assert_eq!(told(), 0, "no key yet");
        write(&key, "key").unwrap();
        for (folder, file, wanted) in
            [(0o2775, 0o640, 0), (0o777, 0o640, 1), (0o700, 0o644, 1), (0o777, 0o666, 2)]
        {
            set_permissions(temp.path(), Permissions::from_mode(folder)).unwrap();
            set_permissions(&key, Permissions::from_mode(file)).unwrap();
            assert_eq!(told(), wanted, "{folder:o} {file:o}");
        }
    }
}
