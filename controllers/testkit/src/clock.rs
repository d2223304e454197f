//! A clock for tests: starts where it is told and advances with tokio's clock, which tests pause.

use jiff::{SignedDuration, Timestamp};
use keywright_ambient::Clock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

/// Follows tokio's clock from a fixed start, plus what the test has shifted it by.
#[derive(Debug)]
pub struct TestClock {
    start: Timestamp,
    origin: tokio::time::Instant,
    shift: AtomicI64,
}

impl TestClock {
    /// Says `start` now. With tokio's clock paused it stands still until all tasks wait, or the test moves it.
    pub fn at(start: Timestamp) -> Self {
        Self { start, origin: tokio::time::Instant::now(), shift: AtomicI64::new(0) }
    }

    /// Moves the wall clock alone, forth or (negative) back, as an administrator or NTP would; no timer fires.
    pub fn shift(&self, by: SignedDuration) {
        self.shift.fetch_add(by.as_secs(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.origin.elapsed()).unwrap_or(SignedDuration::MAX);
        let shift = SignedDuration::from_secs(self.shift.load(Ordering::SeqCst));
        self.start + passed + shift
    }

    fn monotonic(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}
