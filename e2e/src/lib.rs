//! Runs Keywright from outside: a real etcd and kube-apiserver, the product's own binaries under their own
//! ServiceAccounts, and nothing of the product's insides.
//!
//! ```text
//! Site      where it all lives: one folder, its ports, the five command lines     site, ports, programs
//! Launcher  who keeps a process alive and who takes it down
//!             Guarded   dies with the test, however the test ends                 guarded
//!             Detached  outlives the command, known by its pid file               detached
//! raise     Site + Launcher -> running, in order, only what is not running yet    raise, install
//! ControlPlane, Suite        what a test holds                                    suite
//! Replicas  several webhooks behind one address                                   replicas
//! load      admissions at a steady rate
//! dev                        `keywright-dev up | demo | down`, behind the Makefile
//! perturb, bench             break it on purpose; measure it
//! ```
//!
//! It never reads a key of the product and never acts for it: everything is done with kubectl, the API and signals.

pub mod assets;
pub mod audit;
pub mod bench;
pub mod detached;
pub mod dev;
mod error;
pub mod guarded;
mod install;
pub mod keys;
mod launcher;
pub mod load;
pub mod perturb;
pub mod ports;
mod process;
mod programs;
mod raise;
pub mod replicas;
pub mod site;
mod suite;
mod wait;

pub use error::Error;
pub use launcher::{Launcher, Started};
pub use process::Identity;
pub use programs::{Process, Program};
pub use suite::{ControlPlane, Suite};
pub use wait::wait_for;
