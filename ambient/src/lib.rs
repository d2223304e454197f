//! The only place that asks the machine for the time or for randomness.
//!
//! Everything else takes both as values or through these two traits, so that each decision can be tested at any
//! instant and with any bytes. `clippy.toml` forbids the underlying calls everywhere but here.

use jiff::Timestamp;
use std::fmt::Debug;
use std::time::Instant;

/// Tells the time. UTC, as precise as the machine gives it.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Wall-clock time: for validity, for conditions; it may jump both ways.
    fn now(&self) -> Timestamp;
    /// Time that only goes forward: for measuring durations and deadlines.
    fn monotonic(&self) -> Instant;
}

/// Fills buffers with bytes nobody can predict.
pub trait Entropy: Debug + Send + Sync + 'static {
    /// Overwrites all of `buffer`. Errors: `NoEntropy` when the machine has none to give; trying again may help.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy>;
}

/// The machine's random source failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoEntropy;

impl std::fmt::Display for NoEntropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the machine's random source gave no bytes; trying again may help")
    }
}

impl std::error::Error for NoEntropy {}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one module that may ask")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one module that may ask")]
    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// The random source of aws-lc, seeded by the kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the one module that may ask")]
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        aws_lc_rs::rand::fill(buffer).map_err(|_| NoEntropy)
    }
}
