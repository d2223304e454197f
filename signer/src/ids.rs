//! Names of things that the ledger is keyed by.

use std::fmt;
use std::str::FromStr;

/// UID of a Kubernetes object, for ever: a UUID (RFC 4122).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(pub [u8; 16]);

/// Not a UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID in its RFC 4122 text form")]
pub struct UidError;

impl Uid {
    /// No object's.
    pub const NIL: Self = Self([0; 16]);
}

impl FromStr for Uid {
    type Err = UidError;

    fn from_str(text: &str) -> Result<Self, UidError> {
        let groups: Vec<&str> = text.split('-').collect();
        if !groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) {
            return Err(UidError);
        }
        let mut uid = [0; 16];
        hex::decode_to_slice(groups.concat(), &mut uid).map_err(|_| UidError)?;
        Ok(Self(uid))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::encode(self.0);
        let mut at = 0;
        for (n, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
            if n > 0 {
                f.write_str("-")?;
            }
            f.write_str(digits.get(at..at + length).unwrap_or_default())?;
            at += length;
        }
        Ok(())
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What one credential is made for: an object and its revision. At most one live credential each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId {
    /// The object.
    pub uid: Uid,
    /// Its revision, from 1.
    pub step: u64,
}

impl RequestId {
    /// The key in the ledger: UID, then the step in big-endian, so that the steps of an object lie together in order.
    pub fn key(&self) -> [u8; 24] {
        let mut key = [0; 24];
        let (uid, step) = key.split_at_mut(16);
        uid.copy_from_slice(&self.uid.0);
        step.copy_from_slice(&self.step.to_be_bytes());
        key
    }

    /// The reverse of [`Self::key`].
    pub fn from_key(key: &[u8; 24]) -> Self {
        let mut uid = [0; 16];
        let mut step = [0; 8];
        let (first, last) = key.split_at(16);
        uid.copy_from_slice(first);
        step.copy_from_slice(last);
        Self { uid: Uid(uid), step: u64::from_be_bytes(step) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_read_and_written_in_rfc_4122_form_only() {
        let text = "0f8fad5b-d9cb-469f-a165-70867728950e";
        assert_eq!(text.parse::<Uid>().unwrap().to_string(), text);
        for bad in ["", "0f8fad5bd9cb469fa16570867728950e", "0f8fad5b-d9cb-469f-a165-70867728950g", "{x}"] {
            assert_eq!(bad.parse::<Uid>(), Err(UidError), "{bad}");
        }
    }

    #[test]
    fn keys_order_by_object_then_step() {
        let id = |uid, step| RequestId { uid: Uid([uid; 16]), step };
        assert!(id(1, 300).key() < id(2, 1).key());
        assert!(id(1, 255).key() < id(1, 256).key());
        assert_eq!(RequestId::from_key(&id(3, 77).key()), id(3, 77));
    }
}
