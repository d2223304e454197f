//! Processes that outlive the command that starts them: `make up` now, `make down` tomorrow.
//!
//! Each runs in a session of its own (setsid(1)), so that no terminal takes it along. `<name>.pid` holds its pid, for
//! anyone; `<name>.json` what we need to know it again: when it started and from what.

use crate::keys::write_private;
use crate::launcher::{Launcher, Started, prepare};
use crate::process::Trace;
use crate::programs::words;
use crate::{Error, Identity, Process, Program};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a process may take to end by itself, and how long its parent to notice.
const GRACE: Duration = Duration::from_secs(5);

/// The processes of one site, found through its pid files.
#[derive(Debug)]
pub struct Detached {
    run: PathBuf,
    logs: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    identity: Identity,
    program: Program,
}

impl Detached {
    /// Those whose pid files are in `run`; output goes to `logs`.
    pub fn new(run: PathBuf, logs: PathBuf) -> Self {
        Self { run, logs }
    }

    /// What runs as this process now. A pid file whose process ended, or whose pid another program has, is nothing.
    pub fn running(&self, process: Process) -> Option<Identity> {
        self.record(process).map(|record| record.identity)
    }

    fn record(&self, process: Process) -> Option<Record> {
        let text = fs::read(self.record_path(process)).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        record.identity.is_alive().then_some(record)
    }

    fn record_path(&self, process: Process) -> PathBuf {
        self.run.join(format!("{}.json", process.name()))
    }

    fn pid_path(&self, process: Process) -> PathBuf {
        self.run.join(format!("{}.pid", process.name()))
    }

    /// SIGTERM, SIGKILL after five seconds, and until it has ended; both files are removed. Answers what there was to
    /// stop.
    pub fn stop(&self, process: Process) -> Result<Option<Identity>, Error> {
        let running = self.running(process);
        if let Some(identity) = running {
            end(identity);
        }
        for path in [self.pid_path(process), self.record_path(process)] {
            remove(&path)?;
        }
        Ok(running)
    }

    fn start(&self, process: Process, program: &Program) -> Result<(), Error> {
        fs::create_dir_all(&self.run).map_err(Error::file("make", &self.run))?;
        let mut command = Command::new("setsid");
        command.args(words(program));
        prepare(&mut command, program, &self.log(process))?;
        let spawned = |source| Error::Spawn { name: process.name().into(), source };
        // Never waited for: when we end, it becomes a child of init.
        let child = command.spawn().map_err(spawned)?;
        let pid = i32::try_from(child.id()).map_err(|_| spawned(std::io::ErrorKind::InvalidData.into()))?;
        let identity = Identity::of(pid).ok_or_else(|| spawned(std::io::ErrorKind::NotFound.into()))?;
        let record = serde_json::to_vec(&Record { identity, program: program.clone() });
        let record = record.map_err(|error| spawned(error.into()))?;
        write_private(&self.record_path(process), &record)?;
        write_private(&self.pid_path(process), format!("{pid}\n").as_bytes())
    }
}

impl Launcher for Detached {
    fn ensure(&mut self, process: Process, program: &Program) -> Result<Started, Error> {
        let record = self.record(process);
        if record.as_ref().is_some_and(|record| record.program == *program) {
            return Ok(Started::Before);
        }
        if let Some(record) = &record {
            end(record.identity);
        }
        self.start(process, program)?;
        Ok(if record.is_some() { Started::Again } else { Started::Now })
    }

    fn is_alive(&mut self, process: Process) -> bool {
        self.record(process).is_some()
    }

    fn log(&self, process: Process) -> PathBuf {
        self.logs.join(format!("{}.log", process.name()))
    }
}

/// Ends a process and returns when it has ended.
fn end(identity: Identity) {
    identity.signal(Signal::TERM);
    identity.signal(Signal::CONT); // one that was stopped by a signal could not hear the first
    if !within(GRACE, || !identity.is_alive()) {
        identity.signal(Signal::KILL);
        within(GRACE, || !identity.is_alive());
    }
}

/// Waits until nothing is left of processes that have ended, not even a zombie, whose pid others would still count.
/// One that nobody reaps holds nothing else, so this gives up after some seconds.
pub fn until_reaped(ended: &[Identity]) {
    within(GRACE, || ended.iter().all(|identity| identity.trace() == Trace::None));
}

/// Looks until `seen`, for at most `limit`; says whether it was seen.
fn within(limit: Duration, seen: impl Fn() -> bool) -> bool {
    let look = Duration::from_millis(20);
    for _ in 0..limit.as_millis() / look.as_millis() {
        if seen() {
            return true;
        }
        std::thread::sleep(look);
    }
    seen()
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
