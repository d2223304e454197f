//! Key pairs and public keys, over aws-lc: the one place that touches the cryptographic library.
//!
//! Owns reading and writing keys (PKCS#8, PKCS#1, SEC1, SubjectPublicKeyInfo), signing and verifying. A private key lives
//! in memory of aws-lc, which wipes what it frees; buffers here are wiped when dropped. Never asks for randomness itself:
//! aws-lc's own generator makes keys and nonces.

mod edwards;
mod private;
mod public;

pub use private::{Encoding, PrivateKey};
pub use public::{PublicKey, Verifier};

use crate::algorithm::KeyAlgorithm;

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a key of a kind on our list.
    #[error(
        "key: {0}; use ECDSA P-256/384/521, Ed25519, RSA 2048/3072/4096 with exponent 65537, or ML-DSA-44/65/87"
    )]
    Unsupported(String),
    /// The bytes are no well-formed key.
    #[error("key: not a well-formed {0}; give unencrypted PKCS#8, PKCS#1 or SEC1")]
    Malformed(&'static str),
    /// The library failed to make a key or a signature.
    #[error("key: the cryptographic library could not {operation} with {algorithm}; trying again may help")]
    Library {
        /// What it was to do.
        operation: &'static str,
        /// With which algorithm.
        algorithm: KeyAlgorithm,
    },
}

/// The signature does not belong to this key and message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify under this public key")]
pub struct BadSignature;

#[cfg(test)]
mod tests;
