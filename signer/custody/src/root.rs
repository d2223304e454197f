//! The root key under which the signer's state is sealed.

use crate::error::{CustodyError, Kind};
use keywright_ambient::Entropy;
use keywright_secmem::GuardedBytes;

/// Length of the root key, in bytes.
pub const ROOT_LEN: usize = 32;

/// The root key, in guarded memory. Cannot be copied, printed or compared; wiped when dropped.
pub struct RootKey(GuardedBytes);

impl RootKey {
    /// A new one. Errors: no randomness, no guarded memory.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, CustodyError> {
        let failed = |why: String| CustodyError::new(Kind::System, "root key", why, "see the signer's log");
        let mut key = GuardedBytes::zeroed(ROOT_LEN).map_err(|full| failed(full.to_string()))?;
        entropy.fill(&mut key).map_err(|error| failed(error.to_string()))?;
        Ok(Self(key))
    }

    /// From bytes that were unwrapped; `None` when they are not 32, or there is no guarded memory for them.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        if bytes.len() == ROOT_LEN { GuardedBytes::copy_of(bytes).ok().map(Self) } else { None }
    }

    /// The 32 bytes, to be used and not to be kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
