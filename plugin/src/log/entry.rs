//! What an entry of the signer's log says, as far as a verifier has to know.
//!
//! An entry is JSON in one spelling: keys sorted, no white space, strings, unsigned integers, booleans and arrays of
//! strings. Another spelling is refused: two texts must never say the same.

use super::merkle::Hash;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The version of entries that is read.
const VERSION: u64 = 1;

/// What an entry tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A certificate was signed.
    Signature(Signature),
    /// A certificate is about to be signed.
    Intent(Intent),
    /// A certificate counts no longer, as another one took its place.
    Superseded {
        /// Its serial number in lower-case hexadecimal.
        serial: String,
        /// Why.
        why: String,
        /// When, in seconds since the Unix epoch.
        at: u64,
    },
    /// Something else.
    Other {
        /// Its kind.
        kind: String,
    },
}

/// A signature's entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Signature {
    /// When, in seconds since the Unix epoch.
    pub at: u64,
    /// Index of the intent that came before it.
    pub intent: u64,
    /// Serial number of the certificate in lower-case hexadecimal.
    pub serial: String,
    /// SHA-256 of its DER in lower-case hexadecimal.
    pub certificate: String,
}

/// An intent's entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Intent {
    /// When, in seconds since the Unix epoch.
    pub at: u64,
    /// Who asked.
    #[serde(default)]
    pub caller: String,
    /// The profile of the authority that it comes under; `None`: the authority has none.
    #[serde(default)]
    pub profile: Option<String>,
    /// Serial number in lower-case hexadecimal.
    pub serial: String,
    /// SHA-256 of the SubjectPublicKeyInfo in lower-case hexadecimal.
    pub spki: String,
    /// SHA-256 of the TBSCertificate in lower-case hexadecimal.
    pub tbs: String,
}

/// Why bytes are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not JSON in its one spelling.
    #[error("entry: not a JSON object with sorted keys and no white space")]
    NotCanonical,
    /// Of another version.
    #[error("entry: its version is {0}, only 1 is known here; use a newer kubectl keywright")]
    Version(String),
    /// A field is missing or of the wrong type.
    #[error("entry: a field of kind {kind} is missing or of the wrong type: {problem}")]
    Field {
        /// Its kind.
        kind: String,
        /// What the reader says.
        problem: String,
    },
}

impl Entry {
    /// Reads an entry.
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        let fields: BTreeMap<String, Value> =
            serde_json::from_slice(bytes).map_err(|_| EntryError::NotCanonical)?;
        let again = serde_json::to_vec(&fields).map_err(|_| EntryError::NotCanonical)?;
        if again != bytes || !fields.values().all(is_allowed) {
            return Err(EntryError::NotCanonical);
        }
        match fields.get("v") {
            Some(version) if version.as_u64() == Some(VERSION) => {}
            Some(version) => return Err(EntryError::Version(version.to_string())),
            None => return Err(EntryError::Version("missing".to_owned())),
        }
        let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let value = Value::Object(fields.into_iter().collect());
        let problem =
            |error: serde_json::Error| EntryError::Field { kind: kind.clone(), problem: error.to_string() };
        Ok(match kind.as_str() {
            "signature" => Self::Signature(serde_json::from_value(value).map_err(problem)?),
            "intent" => Self::Intent(serde_json::from_value(value).map_err(problem)?),
            "superseded" => {
                let fields: Superseded = serde_json::from_value(value).map_err(problem)?;
                Self::Superseded { serial: fields.serial, why: fields.why, at: fields.at }
            }
            _ => Self::Other { kind },
        })
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        match self {
            Self::Signature(_) => "signature",
            Self::Intent(_) => "intent",
            Self::Superseded { .. } => "superseded",
            Self::Other { kind } => kind,
        }
    }
}

#[derive(Deserialize)]
struct Superseded {
    at: u64,
    serial: String,
    #[serde(default)]
    why: String,
}

impl Signature {
    /// Whether it is the entry of the certificate with this digest and serial number.
    pub fn is_of(&self, sha256: &Hash, serial: &str) -> bool {
        self.certificate == hex::encode(sha256) && self.serial == serial
    }
}

fn is_allowed(value: &Value) -> bool {
    match value {
        Value::String(_) | Value::Bool(_) => true,
        Value::Number(number) => number.is_u64(),
        Value::Array(list) => list.iter().all(Value::is_string),
        Value::Null | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIGNATURE: &str =
        r#"{"at":1900000000,"certificate":"ab","intent":7,"kind":"signature","serial":"40aa","v":1}"#;

    #[test]
    fn entries_are_read_by_kind() {
        let Ok(Entry::Signature(signature)) = Entry::parse(SIGNATURE.as_bytes()) else {
            panic!("a signature")
        };
        assert_eq!((signature.at, signature.intent, signature.serial.as_str()), (1_900_000_000, 7, "40aa"));
        for (text, kind) in [
            (r#"{"at":1,"kind":"refusal","reason":"x","v":1}"#, "refusal"),
            (r#"{"at":1,"kind":"superseded","serial":"40aa","step":3,"v":1,"why":"key lost"}"#, "superseded"),
            (
                r#"{"at":1,"kind":"intent","serial":"40aa","spki":"a","tbs":"b","usages":["server auth"],"v":1}"#,
                "intent",
            ),
        ] {
            assert_eq!(Entry::parse(text.as_bytes()).unwrap().kind(), kind);
        }
    }

    #[test]
    fn another_spelling_of_the_same_is_refused() {
        for text in [
            r#"{"at":1, "kind":"refusal","v":1}"#,
            r#"{"kind":"refusal","at":1,"v":1}"#,
            r#"{"at":1,"at":1,"kind":"refusal","v":1}"#,
            r#"{"at":1.0,"kind":"refusal","v":1}"#,
            r#"{"at":-1,"kind":"refusal","v":1}"#,
            r#"{"at":1,"kind":"re\u0066usal","v":1}"#,
            r#"{"at":1,"kind":"refusal","v":1,"x":null}"#,
            r#"{"at":1,"kind":"refusal","v":1,"x":{}}"#,
            r#"{"at":1,"kind":"refusal","v":1}x"#,
            "[]",
            "",
        ] {
            assert_eq!(Entry::parse(text.as_bytes()), Err(EntryError::NotCanonical), "{text}");
        }
    }

    #[test]
    fn other_versions_and_missing_fields_are_named() {
        let other = r#"{"at":1,"kind":"refusal","v":2}"#;
        assert_eq!(Entry::parse(other.as_bytes()), Err(EntryError::Version("2".into())));
        let none = r#"{"at":1,"kind":"refusal"}"#;
        assert_eq!(Entry::parse(none.as_bytes()), Err(EntryError::Version("missing".into())));
        let short = r#"{"at":1,"kind":"signature","v":1}"#;
        assert!(matches!(Entry::parse(short.as_bytes()), Err(EntryError::Field { .. })));
    }

    #[test]
    fn a_signature_is_of_one_certificate_only() {
        let signature =
            Signature { at: 1, intent: 0, serial: "40aa".into(), certificate: hex::encode([7; 32]) };
        assert!(signature.is_of(&[7; 32], "40aa"));
        assert!(!signature.is_of(&[8; 32], "40aa"));
        assert!(!signature.is_of(&[7; 32], "40ab"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes: Vec<u8>, text: String) {
            let _ = Entry::parse(&bytes);
            let _ = Entry::parse(text.as_bytes());
        }
    }
}
