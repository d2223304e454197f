//! What the log's entries say, and their one encoding.
//!
//! An entry is a JSON object in UTF-8: keys sorted, no whitespace, values are strings, unsigned integers, booleans or
//! arrays of strings; never a float, never null. Instants are seconds since the Unix epoch; hashes and serials are lower
//! case hexadecimal; UIDs are RFC 4122 text. `v` is the version of this encoding, 1. The log never holds a name of a
//! person or machine: subject and alternative names enter as `names`, a SHA-256 over a random salt and the plain fields,
//! which are kept beside the log and can be erased without breaking a proof.
//!
//! | `kind` | written | besides `at`, `kind`, `v` |
//! |---|---|---|
//! | `key` | when a key is made, tightened or loosened, when everything is re-wrapped under another key-encryption key (`event` `rewrapped`, `from`, `to`, `custody`, `keys`), or its state is changed by hand | `authority`, `event` (`created`, `tightened`, `loosened`, `active`, `retiring`, `disabled`, `destroyed`), `caller`; with the first three `algorithm`, `purpose`, `spki`, `constraints` (SHA-256 of what is in force, as protobuf), `custody`; with the others `from` |
//! | `intent` | durably before a signature is made | `authority`, `uid`, `step`, `caller`, `fencing`, `serial`, `spki`, `notBefore`, `notAfter`, `usages`, `isCa`, `tbs`, `names`, and `profile` where the authority has profiles |
//! | `superseded` | before a second certificate of one request | `uid`, `step`, `serial`, `why` |
//! | `signature` | when the certificate exists, before it leaves | `intent` (index), `serial`, `certificate` |
//! | `abandoned` | an intent that came to nothing | `intent` (index), `serial`, `why` |
//! | `refusal` | a request that was refused | `caller`, `operation`, `reason`, `field`, and `uid`, `step`, `authority` where known; `count` where it stands for a row of which only the first, second, fourth and so on are written: so many were refused in this row until now; `classes`, `effect`, `policies`, `decision` where people or a policy refused |
//! | `approval-used` | with the intent, or the loosening, that it allows | `uid`, `step`, `request` (UID of the ApprovalRequest), `class`, `effect`, `approvals` (how many), `signatures` (SHA-256 of each), `votes` (as `names`, over the votes and signatures) |
//! | `approval-ended` | once for each ApprovalRequest that ended, before it and its votes are let go | `request` (its UID), `target` (kind of the object that it is about), `uid` (of that object), `class`, `effect`, `outcome` as the signer finds it (`denied`, `withdrawn`, `superseded`, `expired`, `used`, or `revoked`: denied after its use), `told` (phase in its status, the operator's word), `approvals` and `denials` (votes of either kind, counted or not), `signatures` (SHA-256 of each, of the first 512), `votes` (as `names`, over the names of request and target, requester, beneficiary, creator, editors, all votes and their signatures), `caller` |
//! | `fencing-reset` | by hand, offline | `from` |

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;
use std::collections::BTreeMap;

/// Version of the encoding.
const VERSION: u64 = 1;
/// Room that an entry of an intent, the longest that is usual, takes.
const USUAL: usize = 768;
/// Longest entry that a bundle can hold (16-bit length, c2sp.org/tlog-tiles).
pub const MAX_LEN: usize = 65_535;

/// A value in an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Text.
    Text(String),
    /// An unsigned integer.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// A list of texts.
    List(Vec<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}
impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// Which event an entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A key was made, tightened or changed state.
    Key,
    /// A signature is about to be made.
    Intent,
    /// An earlier certificate of the same request counts no longer.
    Superseded,
    /// A signature was made.
    Signature,
    /// An intent came to nothing.
    Abandoned,
    /// A request was refused.
    Refusal,
    /// People agreed, and their approval is used up.
    ApprovalUsed,
    /// A request for approval ended, and its votes may be let go.
    ApprovalEnded,
    /// The highest fencing token was forgotten, by hand.
    FencingReset,
}

impl Kind {
    /// As in the entry.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Intent => "intent",
            Self::Superseded => "superseded",
            Self::Signature => "signature",
            Self::Abandoned => "abandoned",
            Self::Refusal => "refusal",
            Self::ApprovalUsed => "approval-used",
            Self::ApprovalEnded => "approval-ended",
            Self::FencingReset => "fencing-reset",
        }
    }
}

/// One entry on its way into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry(BTreeMap<&'static str, Value>);

impl Entry {
    /// An entry of this kind at this instant (seconds since the Unix epoch).
    pub fn new(kind: Kind, at: u64) -> Self {
        let fields = [("at", at.into()), ("kind", kind.name().into()), ("v", VERSION.into())];
        Self(BTreeMap::from(fields))
    }

    /// With one more field; empty texts are left out.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if value != Value::Text(String::new()) {
            self.0.insert(key, value);
        }
        self
    }

    /// The canonical encoding. `None` when it would be longer than [`MAX_LEN`].
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(USUAL);
        serde_json::to_writer(&mut bytes, &self.0).ok()?;
        (bytes.len() <= MAX_LEN).then_some(bytes)
    }
}

/// Lower-case hexadecimal.
pub fn hexadecimal(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut digits = vec![0; 2 * bytes.len()];
    // It has the length that is asked for, and digits are text.
    let written = hex::encode_to_slice(bytes, &mut digits);
    written.ok().and_then(|()| String::from_utf8(digits).ok()).unwrap_or_default()
}

/// The commitment to plain fields: SHA-256 over the 16-byte salt and the length-prefixed fields.
pub fn commit(salt: &[u8; 16], fields: &[String]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(salt);
    for field in fields {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field.as_bytes());
    }
    hexadecimal(context.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_sorted_and_tight() {
        let entry = Entry::new(Kind::Signature, 1_900_000_000)
            .with("serial", "40aa")
            .with("intent", 7)
            .with("certificate", "")
            .with("usages", Value::List(vec!["server auth".into()]));
        let wanted = r#"{"at":1900000000,"intent":7,"kind":"signature","serial":"40aa","usages":["server auth"],"v":1}"#;
        assert_eq!(entry.encode(), Some(wanted.as_bytes().to_vec()));
    }

    #[test]
    fn hexadecimal_is_lower_case_two_digits_a_byte() {
        assert_eq!(hexadecimal([0, 9, 0xab, 0xff]), "0009abff");
        assert_eq!(hexadecimal([]), "");
    }

    #[test]
    fn an_entry_too_long_for_a_bundle_is_not_encoded() {
        assert_eq!(Entry::new(Kind::Refusal, 0).with("field", "x".repeat(MAX_LEN)).encode(), None);
    }

    #[test]
    fn the_commitment_depends_on_salt_and_on_where_fields_end() {
        let fields = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        assert_ne!(commit(&[0; 16], &fields(&["ab", "c"])), commit(&[0; 16], &fields(&["a", "bc"])));
        assert_ne!(commit(&[0; 16], &fields(&["ab"])), commit(&[1; 16], &fields(&["ab"])));
    }
}
