use super::{BadSignature, KeyError};
use crate::algorithm::KeyAlgorithm;

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    spki: Vec<u8>,
}

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo.
    pub fn from_spki_der(_der: &[u8]) -> Result<Self, KeyError> {
        Err(KeyError::Malformed("public key"))
    }
    /// DER SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }
    /// Kind and size.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }
    /// Checks a signature made by the key's own algorithm.
    pub fn verify(&self, _message: &[u8], _signature: &[u8]) -> Result<(), BadSignature> {
        Err(BadSignature)
    }
    /// RFC 7093 method 1.
    pub fn key_identifier(&self) -> [u8; 20] {
        [0; 20]
    }
    /// SHA-256 of the DER SubjectPublicKeyInfo.
    pub fn spki_sha256(&self) -> [u8; 32] {
        [0; 32]
    }
}
