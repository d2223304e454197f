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

/// Bytes of each group of the text form.
const GROUPS: [usize; 5] = [4, 2, 2, 2, 6];

impl Uid {
    /// No object's.
    pub const NIL: Self = Self([0; 16]);
}

impl FromStr for Uid {
    type Err = UidError;

    fn from_str(text: &str) -> Result<Self, UidError> {
        let mut uid = [0; 16];
        let (mut groups, mut rest) = (text.split('-'), uid.as_mut_slice());
        for length in GROUPS {
            let (bytes, after) = rest.split_at_mut_checked(length).ok_or(UidError)?;
            let group = groups.next().ok_or(UidError)?;
            hex::decode_to_slice(group, bytes).map_err(|_| UidError)?;
            rest = after;
        }
        if groups.next().is_some() { Err(UidError) } else { Ok(Self(uid)) }
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'-'; 36];
        let (mut bytes, mut places) = (self.0.as_slice(), text.as_mut_slice());
        for length in GROUPS {
            let (group, later) = bytes.split_at_checked(length).ok_or(fmt::Error)?;
            let (digits, after) = places.split_at_mut_checked(2 * length).ok_or(fmt::Error)?;
            hex::encode_to_slice(group, digits).map_err(|_| fmt::Error)?;
            // Over the hyphen, but for the last group, after which there is nothing.
            (bytes, places) = (later, after.get_mut(1..).unwrap_or_default());
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
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
        assert_eq!(Uid::NIL.to_string(), "00000000-0000-0000-0000-000000000000");
        for bad in [
            "",
            "0f8fad5bd9cb469fa16570867728950e",
            "0f8fad5b-d9cb-469f-a165-70867728950g",
            "0f8fad5b-d9cb-469f-a165-70867728950e-",
            "0f8fad5b-d9cb-469f-a165-70867728950e-00",
            "0f8fad5b-d9cb-469f-a165",
            "0f8fad5bd9-cb-469f-a165-70867728950e",
            "{x}",
        ] {
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
