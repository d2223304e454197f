//! Admission: what the API server asks before it stores an object of group `keywright.dev`.
//!
//! Owns: the stamp of who asked, the refusals that no schema can express, and the server that answers them under a
//! certificate that it makes itself. Never: a decision about what to do with an object, and never the last word. A
//! cluster-admin can delete the webhook's configuration, so the signer decides again by itself.
//!
//! ```text
//! kind, attempt   AdmissionReview -> what is attempted, by whom, on which of our kinds. Parsed once
//! stamp           the mutating half: identity stamped on create, frozen on update; the finalizer of records
//! editors         who changed a spec, and whom that may hide. Pure
//! review          the validating half: (Attempt, World) -> Review. Pure; trusts only the final object
//! answer          Review -> AdmissionReview, and the line of the decision log
//! trust           the root, the serving certificate, the bundle in the configurations; decided purely, shared by
//!                 compare-and-swap on one Secret
//! metrics         what is counted
//! trace           the span of a review
//! serve           the shell: observes the World a review needs, serves TLS, drains
//! ```
//!
//! ```text
//! request -> Attempt::parse -> needs -> observe -> World -> review -> answer
//!               |refused: not ours, no object             |refused: rule, fix, decision id
//! ```

pub mod answer;
pub mod attempt;
pub mod editors;
pub mod kind;
pub mod metrics;
pub mod review;
pub mod serve;
pub mod stamp;
mod trace;
pub mod trust;

/// Namespace of the suite, unless the command line says otherwise.
pub const NAMESPACE: &str = "keywright-system";
/// Name of this part: of its ServiceAccount, its Service, both of its configurations, and its field manager.
pub const NAME: &str = "keywright-webhook";
