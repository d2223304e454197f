//! Processes that end with the test that started them, however it ends.
//!
//! Dropping a [`Guarded`] kills them; that covers return, error and panic. For SIGKILL, Ctrl-C and abort the kernel does
//! it: each is started through `setpriv --pdeathsig KILL`, which Linux sends when the *thread* that made the child ends
//! (prctl(2), PR_SET_PDEATHSIG). So all are made by one thread that lives as long as the test process. A shell in between
//! compares its parent's pid, for the case that the test died before setpriv had asked.

use crate::launcher::{Launcher, Started, ended, prepare};
use crate::programs::words;
use crate::{Error, Process, Program};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{OnceLock, mpsc};

/// The processes of one test.
#[derive(Debug)]
pub struct Guarded {
    logs: PathBuf,
    running: BTreeMap<Process, (Child, Program)>,
}

impl Guarded {
    /// None yet; their output will go to files in `logs`.
    pub fn new(logs: PathBuf) -> Self {
        Self { logs, running: BTreeMap::new() }
    }

    /// The pid of a process that was started and not killed by us.
    pub fn pid(&self, process: Process) -> Option<u32> {
        self.running.get(&process).map(|(child, _)| child.id())
    }

    /// Ends a process with SIGKILL and waits until it is gone. Nothing happens where it does not run.
    pub fn kill(&mut self, process: Process) -> Result<(), Error> {
        match self.running.remove(&process) {
            Some((child, _)) => {
                end(child).map_err(|source| Error::Spawn { name: process.name().into(), source })
            }
            None => Ok(()),
        }
    }

    /// Sends a signal to a process that runs.
    pub fn signal(&mut self, process: Process, signal: Signal) -> Result<(), Error> {
        let Some((child, _)) = self.running.get(&process) else {
            return Err(ended(process, self.log(process)));
        };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let sent = pid.ok_or(rustix::io::Errno::SRCH).and_then(|pid| kill_process(pid, signal));
        sent.map_err(|errno| Error::Spawn { name: process.name().into(), source: errno.into() })
    }
}

impl Launcher for Guarded {
    fn ensure(&mut self, process: Process, program: &Program) -> Result<Started, Error> {
        let ran = self.running.get(&process).map(|(_, running)| running == program);
        if ran == Some(true) && self.is_alive(process) {
            return Ok(Started::Before);
        }
        self.kill(process)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "sh", "-c", r#"[ "$PPID" = "$0" ] && exec "$@""#]);
        command.arg(std::process::id().to_string()).args(words(program));
        prepare(&mut command, program, &self.log(process))?;
        let child = spawn(command).map_err(|source| Error::Spawn { name: process.name().into(), source })?;
        self.running.insert(process, (child, program.clone()));
        Ok(if ran.is_some() { Started::Again } else { Started::Now })
    }

    fn is_alive(&mut self, process: Process) -> bool {
        self.running.get_mut(&process).is_some_and(|(child, _)| matches!(child.try_wait(), Ok(None)))
    }

    fn log(&self, process: Process) -> PathBuf {
        self.logs.join(format!("{}.log", process.name()))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // From the last started back: nobody logs that its server has gone.
        while let Some((_, (child, _))) = self.running.pop_last() {
            // Where this fails the process has ended before, or ends with us.
            let _ = end(child);
        }
    }
}

fn end(mut child: Child) -> io::Result<()> {
    child.kill()?;
    child.wait().map(|_| ())
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts a command from the thread that never ends.
fn spawn(command: Command) -> io::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, received) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in received {
                // Whoever asked waits for this; if it is gone, so is the reason for the child.
                if let Err(mpsc::SendError(Ok(child))) = answer.send(command.spawn()) {
                    let _ = end(child);
                }
            }
        });
        orders
    });
    let (answer, answered) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    starter.send((command, answer)).map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())?
}
