//! Test doubles of the controllers' surroundings: a clock that tests move, objects in one line, and a cluster in memory.
//!
//! A dev-dependency only. Knows the resources and the pure decisions; never the shells, so that it can serve both.
//!
//! ```text
//! clock    time that follows tokio's (paused) clock, and can be set back and forth
//! objects  Certificates and issuers as the API server would show them
//! cluster  a small API server: resource versions, watches, server-side apply, faults on demand
//! ```

#![allow(clippy::panic, reason = "a test double fails the test it serves")]

pub mod clock;
pub mod cluster;
pub mod objects;

pub use clock::TestClock;
pub use cluster::{FakeCluster, Fault, Kind, Verb, Write};
