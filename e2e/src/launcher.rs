//! What both ways of keeping a process have in common.

use crate::{Error, Process, Program};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What `ensure` found or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It ran already, with this very command line and build.
    Before,
    /// It was started.
    Now,
    /// It ran with another command line or build, was stopped and started.
    Again,
}

/// Keeps processes. After `ensure` the process has been started; whether it is of use is asked elsewhere.
pub trait Launcher {
    /// Makes this program run as this process.
    fn ensure(&mut self, process: Process, program: &Program) -> Result<Started, Error>;
    /// Whether it runs now.
    fn is_alive(&mut self, process: Process) -> bool;
    /// Where its output goes.
    fn log(&self, process: Process) -> PathBuf;
}

/// The error for a process that should run and does not, with what it said last.
pub(crate) fn ended(process: Process, log: PathBuf) -> Error {
    let text = std::fs::read(&log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().rev().take(12).collect();
    let tail = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
    Error::Ended { name: process.name(), log, tail }
}

/// Sets what all processes get: no input, their log as output, the program's variables, no proxy for loopback.
pub(crate) fn prepare(command: &mut Command, program: &Program, log: &Path) -> Result<(), Error> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
    }
    let file = File::options().create(true).append(true).open(log).map_err(Error::file("write", log))?;
    let twin = file.try_clone().map_err(Error::file("write", log))?;
    command.stdin(Stdio::null()).stdout(file).stderr(twin);
    command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
    command.envs(program.env.iter().map(|(name, value)| (name, value)));
    Ok(())
}
