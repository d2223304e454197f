//! The controllers' decisions: from what is wanted and what is so, to a plan and to the words of a status.
//!
//! Pure: no client, no async, no clock, no randomness. The shells in `controllers/` observe a `World`, ask here for a
//! `Plan`, carry it out and publish what [`conditions`] say.
//!
//! ```text
//! spec --valid--> ValidCertificate --\
//!                                     decide --> Plan --(shell)--> Outcome --ready--> conditions, status
//! cluster --observe--> World --------/
//! ```

pub mod approval;
pub mod certificate;
pub mod conditions;
pub mod issuer;
pub mod lease;
pub mod notice;
pub mod policy;
pub mod renewal;
pub mod wire;
