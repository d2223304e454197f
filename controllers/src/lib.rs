//! The controllers: observe the cluster, ask `keywright-controllers-core` what to do, carry it out.
//!
//! Every `.await` is here and every decision is there. A controller starts from the world at each look and remembers
//! nothing that it could not lose: what stands in memory (backoff, own writes, results not yet published) only saves
//! work.
//!
//! ```text
//! watch --> caches --> queue --> reconcile: observe -> decide -> apply -> publish
//! ```

mod agenda;
pub mod approval;
pub mod backoff;
pub mod caches;
pub mod certificate;
pub mod confirm;
pub mod context;
pub mod error;
pub mod events;
pub mod issuer;
pub mod metrics;
pub mod notice;
pub mod own_writes;
pub mod policy;
pub mod publish;
pub mod queue;
pub mod run;
pub mod scope;
pub mod signer;
pub mod timers;
mod trace;
pub mod verdict;
pub mod watch;
