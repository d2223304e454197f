//! Breaks the operator on purpose, against a real API server, and judges what comes of it.
//!
//! ```text
//! rig        a control plane, the product behind two proxies, keepers that start again what dies   rig, keeper, proxy
//! scene      what people do meanwhile, stage by stage                                              scene
//! cases      crash, faults, view, …: each disturbs one thing                   crash, faults, view, frozen, clock, restore
//! judge      what must hold afterwards                                                             judge, quiet, sampler, signer_log
//! run        which cases, in which order, and what is printed                                      run
//! ```
//! Everything that is chosen is chosen by a seed, which each failure prints.

mod clock;
pub(crate) mod cluster;
mod crash;
mod faults;
mod frozen;
mod fuzz;
mod held;
mod judge;
mod keeper;
mod kinds;
pub(crate) mod label;
mod link;
mod mutate;
mod proxy;
mod quiet;
mod random;
mod restore;
mod rig;
mod run;
mod sampler;
mod scene;
mod signer_log;
mod unread;
mod view;

pub use run::{Extent, Options, run};
