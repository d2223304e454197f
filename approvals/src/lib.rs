//! Approvals: people who agree to one exact effect.
//!
//! Owns what an effect is and its digest, who may vote, which votes count, which phase a request is in, and the check
//! of signatures that `ssh-keygen -Y sign` makes. Never asks for the time or the world: instants, votes and answers to
//! "may this person still approve?" are arguments. The operator, the webhook, the plugin and the signer all decide with
//! this code; the signer's decision is the one that counts.
//!
//! ```text
//! effect    what is approved, as canonical JSON (RFC 8785) and its SHA-256
//! identity  who somebody is to the API server, and which person that is
//! class     which groups must agree, and the limits of a grant
//! vote      one decision of one person, and whether it counts
//! tally     all votes under one class: denied, met since when, or who is missing
//! phase     the states of a request, and the step from one to the next
//! records   all of these from the objects of the API
//! sshsig    detached signatures of OpenSSH, read and verified
//! statement what approvers sign: the effect and all that makes a signature good for one request only
//! ```
//!
//! ```text
//! Pending --quorum of every group--> Approved --used--> Consumed --grant over--> Ended(T) | --late deny--> Revoked(T)
//!    |--any valid deny--> Denied(T)     |--deny before use--> Denied(T)
//!    |--past expires----> Expired(T)    |--past useBy-------> Expired(T)
//!    |--requester-------> Withdrawn(T)  |--effect changed---> Superseded(T)          (T): nothing follows
//! ```

pub mod class;
pub mod effect;
pub mod identity;
pub mod phase;
pub mod records;
mod seats;
pub mod sshsig;
pub mod statement;
pub mod tally;
pub mod vote;

pub use class::{Class, Group, Proof};
pub use effect::{Effect, EffectDigest};
pub use identity::{Authors, Identity, Principal};
pub use phase::{Observed, Phase, Recorded, Standing, Use, phase};
pub use tally::{Tally, tally};
pub use vote::{Ignored, Request, Signed, Verdict, Vote, vote_name};
