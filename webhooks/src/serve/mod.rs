//! The shell: everything of this crate that waits is here or in the keeper of [`crate::trust`].
//!
//! ```text
//! listen     TLS, connections, draining
//! handle     one AdmissionReview: parse -> observe -> review -> answer
//! observe    the facts that a review needs
//! claims     which Certificates name which Secret, by a watch
//! policies   the policies of the cluster, compiled, by a watch
//! waiting    how many requests for approval of each requester wait, by a watch
//! readiness  what /readyz says
//! ```

pub mod claims;
mod followed;
pub mod handle;
pub mod listen;
pub mod observe;
pub mod policies;
pub mod readiness;
pub mod waiting;
