//! Approvals at the signer: what needs people's agreement, whether they gave it, and that it is used once.
//!
//! ```text
//! demand    the key's constraints and the policies --> Demands, Needed   which classes have to agree
//! effect    the request as the signer understood it --> EffectDigest     to exactly what
//! pinned    --approvers FILE: classes, people, their keys                 who may agree, where signatures are needed
//! evidence  what the request brought, each proved by a pinned key or read by the signer itself
//! grant     Needed + evidence + ledger --> Approved                       moved into Linted, used in the same commit
//! ended     what a request came to of which nothing more comes, with all votes, for the log
//! gate      reads evidence and asks the policies before the engine's turn
//! ```
//! Nothing is signed without an [`Approved`], and only [`Approved::judge`] makes one. The operator only brings evidence: it
//! says neither what is needed nor who agreed.

pub mod demand;
pub mod effect;
pub mod ended;
pub mod evidence;
pub mod gate;
pub mod grant;
pub mod pinned;

pub use demand::{Demands, Needed};
pub use evidence::{Brought, Evidence};
pub use gate::{Cleared, Gate};
pub use grant::Approved;
