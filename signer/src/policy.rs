//! Policies at the signer: asked before the engine's turn, about what the signer itself would certify.
//!
//! ```text
//! question   the request as the signer understood it --> Input          the operator's words about it only where no API
//!                                                                       server can be asked
//! source     --policies DIR, and the API server by its own credentials --> PolicySet
//! verdict    PolicySet + Input --> Verdict                              held against the request in the engine's turn
//! ```
//! What cannot be read denies. A request that was signed already gets its stored answer whatever policies say by then.

mod question;
mod source;
mod verdict;

pub use question::Question;
pub use source::{Policies, PolicyFolderError};
pub use verdict::Verdict;
