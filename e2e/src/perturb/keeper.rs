//! Keeps one process running as the kubelet would: whatever ends it, it is started again.

use crate::guarded::Guarded;
use crate::{Error, Launcher, Process, Program};
use rustix::process::Signal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between two looks at whether it runs.
const LOOK: Duration = Duration::from_millis(10);

/// One kept process.
pub(super) struct Keeper {
    kept: Arc<Kept>,
}

struct Kept {
    process: Process,
    guarded: Mutex<Guarded>,
    program: Program,
    wanted: AtomicBool,
    pid: Arc<AtomicI32>,
    starts: AtomicU32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keeper {
    /// Keeps `program` from now on; its output goes to `logs`, and `pid` says which process it is.
    pub(super) fn new(process: Process, program: Program, logs: PathBuf, pid: Arc<AtomicI32>) -> Self {
        let kept = Arc::new(Kept {
            process,
            guarded: Mutex::new(Guarded::new(logs)),
            program,
            wanted: AtomicBool::new(true),
            pid,
            starts: AtomicU32::new(0),
        });
        let weak = Arc::downgrade(&kept);
        tokio::spawn(async move {
            while let Some(kept) = weak.upgrade() {
                // A start that fails is tried again at the next look; that it never succeeds, every case will tell.
                let _ = kept.look();
                drop(kept);
                tokio::time::sleep(LOOK).await;
            }
        });
        Self { kept }
    }

    /// SIGKILL; it is started again at once.
    pub(super) fn kill(&self) -> Result<(), Error> {
        let mut guarded = lock(&self.kept.guarded);
        guarded.kill(self.kept.process)
    }

    /// SIGKILL, and it stays down until [`Self::up`].
    pub(super) fn down(&self) -> Result<(), Error> {
        self.kept.wanted.store(false, Ordering::Release);
        self.kill()
    }

    /// Keeps it running again.
    pub(super) fn up(&self) {
        self.kept.wanted.store(true, Ordering::Release);
    }

    /// SIGSTOP or SIGCONT.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Error> {
        lock(&self.kept.guarded).signal(self.kept.process, signal)
    }

    /// How often it was started.
    pub(super) fn starts(&self) -> u32 {
        self.kept.starts.load(Ordering::Acquire)
    }
}

impl Kept {
    fn look(&self) -> Result<(), Error> {
        if !self.wanted.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut guarded = lock(&self.guarded);
        if guarded.is_alive(self.process) {
            return Ok(());
        }
        guarded.ensure(self.process, &self.program)?;
        let pid = guarded.pid(self.process).and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
        self.pid.store(pid, Ordering::Release);
        self.starts.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}
