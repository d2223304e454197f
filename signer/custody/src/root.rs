//! The root key under which the signer's state is sealed.

use keywright_ambient::{Entropy, NoEntropy};
use zeroize::Zeroizing;

/// Length of the root key, in bytes.
pub const ROOT_LEN: usize = 32;

/// The root key. Cannot be copied, printed or compared; wiped when dropped.
pub struct RootKey(Box<Zeroizing<[u8; ROOT_LEN]>>);

impl RootKey {
    /// A new one. Errors: no randomness.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut key = Box::new(Zeroizing::new([0; ROOT_LEN]));
        entropy.fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// From bytes that were unwrapped; `None` when they are not 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Box::new(Zeroizing::new([0; ROOT_LEN]));
        if bytes.len() != ROOT_LEN {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// The bytes, to be used and not to be kept.
    pub fn as_bytes(&self) -> &[u8; ROOT_LEN] {
        &self.0
    }
}
