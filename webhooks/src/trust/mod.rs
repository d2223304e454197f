//! The webhook's own trust: a root, a serving certificate, and the bundle by which API servers recognise it.
//!
//! ```text
//! material    makes and reads certificates
//! keys        the Secret's content, and what to do about it next. Pure
//! bundle      the roots that the configurations carry, and must carry. Pure
//! presented   which certificate is served now, and when another may take its place
//! keeper      the shell: watches the Secret and both configurations and carries out what is decided
//! probe       one dry-run admission through the API server and back
//! ```
//!
//! All replicas share one Secret and none leads. Each does what the state asks for; the Secret's resourceVersion lets
//! one of them win, and the others look again. A new root goes a way in which no API server ever meets a certificate
//! that it cannot check:
//!
//! ```text
//! NewRoot   new root + old root in the Secret; the serving certificate is still the old root's
//! (inject)  both configurations carry both roots
//! (settle)  for so long that every API server has seen it
//! NewLeaf   a serving certificate of the new root; replicas serve it one by one
//! Prune     the old root leaves the bundle when it has expired
//! ```
//! Deleting the Secret starts this at once: the replicas that run go on with the certificate they have.

pub mod bundle;
pub mod keeper;
pub mod keys;
pub mod material;
pub mod presented;
pub mod probe;
