//! The isolated process that holds the keys.
//!
//! ```text
//! transport (TLS 1.3, pins) -> service (who may ask) -> parse (what is asked) -> engine (one turn at a time)
//!   engine: history, judge, path (Linted -> Recorded -> Signed -> Released) -> ledger (one durable commit)
//!   behind it: log (C2SP tlog-tiles, for others to verify)          at rest: seal (AES-256-GCM under a KEK)
//! ```
//! Owns the keys, their constraints and the log. Never sees a Secret of a tenant, asks a cluster about approvals only
//! and only where it is told to, and never signs bytes that it did not build itself.

pub mod access;
mod algorithm;
pub mod approval;
pub mod authority;
pub mod authority_key;
pub mod cli;
pub mod constraints;
pub mod custody;
mod draft;
pub mod engine;
pub mod hardening;
pub mod health;
pub mod history;
pub mod ids;
pub mod judge;
pub mod key_state;
pub mod ledger;
pub mod limits;
pub mod log;
pub mod log_server;
pub mod metrics;
pub mod parse;
pub mod path;
pub mod policy;
pub mod profile;
pub mod purpose;
pub mod rates;
pub mod refusal;
pub mod run;
pub mod seal;
pub mod service;
pub mod store;
mod trace;
pub mod transport;
pub mod witness;
