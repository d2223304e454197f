//! The shells against a cluster in memory and a signer without a wire: the real loop, from watch to write.
//!
//! Time is tokio's, paused: hours pass in milliseconds, and the wall clock of the controllers goes with it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "everything here is a test or serves one")]
#![allow(clippy::type_complexity, reason = "tables of what happens and of what is to be seen")]

mod agreement;
mod answers;
mod approvals;
mod authorities;
mod crashes;
mod faults;
mod issuance;
mod loosening;
mod notices;
mod policies;
mod profiles;
mod receiver;
mod releases;
mod rig;
mod secrets;
mod signer;
mod specs;
mod stale;
mod subordinates;
mod time;
