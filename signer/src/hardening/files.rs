//! Landlock: the folders and ports that the process reaches, and no others.
//!
//! The kernel's newest rules that this kernel knows are used (best effort, from ABI 1 of Linux 5.13; ports need ABI 4,
//! signals and abstract sockets ABI 6); what is enforced is returned to be logged. Rules bind the calling thread and the
//! threads it starts later, so they are set before the runtime.

use super::HardeningError;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, LandlockStatus, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The rules that this code knows: those of Linux 6.15 (ABI 7).
const RULES: ABI = ABI::V7;
/// What the standard library reads to learn how many processors the process may use.
const PROCESSORS: [&str; 3] = ["/proc/self/cgroup", "/proc/self/mountinfo", "/sys/fs/cgroup"];

/// All that the process needs to reach.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Folders to read and write; made when missing, mode 0700.
    pub write: Vec<PathBuf>,
    /// Files and folders to read.
    pub read: Vec<PathBuf>,
    /// TCP ports to listen on; 0 is any port of the kernel's choice.
    pub listen: Vec<u16>,
    /// TCP ports to connect to.
    pub connect: Vec<u16>,
}

/// How far the kernel enforces the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforced {
    /// All of them.
    Fully,
    /// Files, but not all of ports and scopes: an older kernel.
    Partly,
    /// None: the kernel has no Landlock, or it is switched off.
    Not,
}

impl Enforced {
    /// In words, for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fully => "fully",
            Self::Partly => "partly: the kernel is older than the rules",
            Self::Not => "not: the kernel has no Landlock",
        }
    }
}

/// Limits the calling thread and all that it starts to `reach`. What does not exist yet is left out: whoever needs it will
/// say so.
///
/// Errors: a folder that cannot be made, or the kernel's refusal.
pub fn confine(reach: &Reach) -> Result<Enforced, HardeningError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(RULES))?
        .handle_access(AccessNet::from_all(RULES))?
        .scope(Scope::from_all(RULES))?
        .create()?;
    for folder in &reach.write {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| HardeningError::Folder { path: folder.clone(), source })?;
        // Nothing there is ever run.
        let access = AccessFs::from_all(RULES) & !AccessFs::Execute;
        if let Ok(at) = PathFd::new(folder) {
            rules = rules.add_rule(PathBeneath::new(at, access))?;
        }
    }
    let read = reach.read.iter().map(PathBuf::as_path).chain(PROCESSORS.iter().map(Path::new));
    for path in read {
        let access =
            if path.is_dir() { AccessFs::ReadFile | AccessFs::ReadDir } else { AccessFs::ReadFile.into() };
        if let Ok(at) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(at, access))?;
        }
    }
    for port in &reach.listen {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    for port in &reach.connect {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    let status = rules.restrict_self()?;
    Ok(match (status.landlock, status.ruleset) {
        (LandlockStatus::NotEnabled | LandlockStatus::NotImplemented, _)
        | (_, RulesetStatus::NotEnforced) => Enforced::Not,
        (LandlockStatus::Available { .. }, RulesetStatus::PartiallyEnforced) => Enforced::Partly,
        (LandlockStatus::Available { .. }, RulesetStatus::FullyEnforced) => Enforced::Fully,
    })
}
