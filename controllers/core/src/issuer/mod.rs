//! `Issuer` and `ClusterIssuer`: from a spec and what the signer holds to the next step.
//!
//! ```text
//! valid      all that can be wrong with a spec
//! decide     the next step
//! ready      what the object says of itself, and its status
//! approval   what people have to agree to
//! profile    narrower sets of what it signs, one of which a Certificate comes under
//! standing   what a Certificate, or a child, may rely on
//! ```

pub mod approval;
pub mod decide;
pub mod profile;
pub mod ready;
pub mod standing;
pub mod valid;

pub use standing::{Authority, Limits, Standing};
