//! Keywright from outside: what a person, a pipeline or an attacker of its processes sees.
//!
//! Nothing here knows the product's insides: objects go in as JSON, and what comes out is judged by openssl, by kubectl,
//! by the API server's audit log and by signals to processes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]
#![expect(clippy::needless_pass_by_value, reason = "json! reads best where it is handed over")]

mod algorithms;
mod approvals;
mod approvals_argo;
mod approvals_edits;
mod approvals_ended;
mod approvals_signed;
mod approvals_worst;
mod cluster;
mod example;
mod flux;
mod foreign;
mod interruptions;
mod loosening;
#[path = "../support/lua.rs"]
mod lua;
mod notices;
mod policies;
mod profiles;
mod refusals;
mod traces;
mod writes;
