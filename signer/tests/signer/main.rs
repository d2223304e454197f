//! The signer's tests from beside and from outside: the engine in a temporary folder, and the process with its callers.
//!
//! One program, as each would compile the engine's parts and what the tests share again. Apart from it are only tests that
//! need a process of their own kind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code outside #[test] functions")]
#![allow(missing_docs, unreachable_pub, clippy::new_without_default, reason = "read only beside the tests")]

#[path = "../support/mod.rs"]
mod support;
mod world;

#[path = "../../custody/tests/support/mod.rs"]
mod hsm;
#[path = "../../custody/tests/support/vault.rs"]
mod vault;

mod adversary;
mod approvals;
mod authority;
mod confined;
mod custody;
mod ended;
mod lookup;
mod policies;
mod profiles;
mod real_vault;
mod state;
mod tampered;
mod traces;
mod vault_server;
mod wire;
mod wycheproof_seal;
