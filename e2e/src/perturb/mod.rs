//! Breaks the operator on purpose, against a real API server, and judges what comes of it.
//!
//! ```text
//! rig        a control plane, the product behind two proxies, keepers that start again what dies   rig, keeper, proxy
//! scene      what people do meanwhile, stage by stage                                              scene
//! cases      crash, faults, view, …: each disturbs one thing                                       crash, faults, view
//! judge      what must hold afterwards                                                             judge, quiet, sampler, signer_log
//! run        which cases, in which order, and what is printed                                      run
//! ```
//! Everything that is chosen is chosen by a seed, which each failure prints.

mod cluster;
mod crash;
mod faults;
mod fuzz;
mod judge;
mod keeper;
mod label;
mod proxy;
mod quiet;
mod random;
mod rig;
mod run;
mod sampler;
mod scene;
mod signer_log;
mod unread;
mod view;

pub use run::{Extent, Options, run};
