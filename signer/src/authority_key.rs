//! The key of an authority, wherever it lives: one type for the signing path, whatever holds the secret.
//!
//! Owns the encoding of what is sealed for each kind. Never decides whether a key may be used: that is the judge's.

use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::key::{KeyError, PrivateKey, PublicKey};
use keywright_secmem::{GuardedBytes, on_keys, wiping_stack};

/// The key of an authority. Cannot be copied or printed.
pub enum AuthorityKey {
    /// In this process; sealed at rest.
    Memory(PrivateKey),
}

impl From<PrivateKey> for AuthorityKey {
    fn from(key: PrivateKey) -> Self {
        Self::Memory(key)
    }
}

impl AuthorityKey {
    /// What is sealed at rest: PKCS#8. Errors: the library could not encode it, or guarded memory is full.
    pub fn to_secret(&self) -> Result<GuardedBytes, KeyError> {
        let full = |_| KeyError::Library { operation: "write a key", algorithm: self.algorithm() };
        match self {
            Self::Memory(key) => on_keys(|| GuardedBytes::copy_of(&*key.to_pkcs8_der()?).map_err(full)),
        }
    }

    /// The key of an opened seal. Errors: it is none.
    pub fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        wiping_stack(|| PrivateKey::from_pkcs8_der(secret)).map(Self::Memory)
    }

    /// Kind and size.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.public_key().algorithm()
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        match self {
            Self::Memory(key) => key.public_key(),
        }
    }

    /// Signs the whole message; the caller verifies the signature. Errors: nothing was signed.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match self {
            Self::Memory(key) => wiping_stack(|| key.sign(message)),
        }
    }
}
