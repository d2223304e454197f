//! The admission webhook from outside: what people, forgers and API servers see of it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod away;
mod cluster;
mod identity;
mod load;
mod replicas;
mod rotation;
