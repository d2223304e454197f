//! PKCS#11 tokens: hardware security modules, smart cards, SoftHSM.
//!
//! ```text
//! module (one vendor library per process) -> token (slot, login, a few sessions) -> kek  (AES key that wraps root keys)
//!                                                                               \-> key  (signing key of an authority)
//! ```
//! Keys are made in the token with CKA_SENSITIVE true and CKA_EXTRACTABLE false, and one that says otherwise is not
//! used. A PIN that was refused is never tried again. Sessions are limited, shared and waited for.

mod encoding;
mod kek;
mod key;
mod module;
mod token;

pub use key::{KeyReference, TokenAlgorithm, TokenKey};
pub use token::Token;

pub(crate) use kek::{create as create_kek, unwrap, wrap};
