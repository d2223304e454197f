//! Requests for approval: what they come to, and what an object that needs one says and does.
//!
//! ```text
//! request   one ApprovalRequest: votes, classes and target to the status that shows its phase
//! consent   all requests for one effect of one object: whether to ask, to wait, to stop or to go on
//! ready     what a request says of itself
//! diff      what changes, as people see it
//! ```
//! The signer decides for itself, from the same records and with the same code (`keywright-approvals`). What is decided
//! here only tells people, and keeps the signer from being asked in vain.

pub mod consent;
pub(crate) mod diff;
pub mod ready;
pub mod request;

/// Finalizer of requests and votes, set at admission: they stay until what they came to is told.
pub const KEPT: &str = "keywright.dev/kept-until-logged";
