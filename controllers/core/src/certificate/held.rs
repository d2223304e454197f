//! What lies under `spec.secretName`, as far as a decision needs it.
//!
//! Reading never fails: whatever somebody put there is one of these, and each asks for a different reaction.

#![allow(missing_docs, reason = "the fields of a variant are described by the variant")]

use super::mark;
use k8s_openapi::api::core::v1::Secret;
use keywright_pki::certificate::Certificate;
use keywright_pki::key::PrivateKey;
use keywright_pki::pem;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Entries of a Secret by name; wiped when dropped, as one of them is the private key.
pub type Entries = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// The type of every Secret we write.
pub const TLS_TYPE: &str = "kubernetes.io/tls";
/// Entries of the Secret that are ours alone.
const ENTRIES: [&str; 5] = ["tls.crt", "tls.key", "ca.crt", "tls-combined.pem", "key.der"];

/// What was found.
pub enum Found {
    /// No Secret of that name.
    Nothing,
    /// One that we must not touch.
    Blocked(Obstacle),
    /// One of ours.
    Ours(Box<Held>),
}

/// Why a Secret is not ours to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Of another type than kubernetes.io/tls; a Secret's type never changes.
    AnotherType { type_: String },
    /// It holds entries and does not carry our mark.
    NotOurs,
    /// It carries our mark, and somebody else declares the same entries.
    ForeignWriter { manager: String },
}

/// A Secret of ours, read.
pub struct Held {
    /// `metadata.resourceVersion`, to write over exactly this.
    pub version: Option<String>,
    /// Certificate in `tls.crt`, if it reads.
    pub leaf: Option<Certificate>,
    /// Private key in `tls.key`, if it reads.
    pub key: Option<PrivateKey>,
    /// Every entry, as it is.
    pub entries: Entries,
    /// Our marks.
    pub marks: BTreeMap<String, String>,
}

impl Held {
    /// Number of the issuance that lies here; 0 if it does not say.
    pub fn revision(&self) -> u64 {
        self.number(mark::REVISION).unwrap_or(0)
    }

    /// Index in the signer's log, if it says.
    pub fn log_index(&self) -> Option<u64> {
        self.number(mark::LOG_INDEX)
    }

    /// One of our marks.
    pub fn mark(&self, name: &str) -> Option<&str> {
        self.marks.get(name).map(String::as_str)
    }

    /// True when key and certificate belong together.
    pub fn key_fits(&self) -> bool {
        match (&self.leaf, &self.key) {
            (Some(leaf), Some(key)) => leaf.public_key() == key.public_key(),
            _ => false,
        }
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.mark(name)?.parse().ok()
    }
}

/// Reads what the API server returned for the Secret's name.
///
/// `manager`: our own field manager. A Secret marked for a Certificate that no longer claims it is there to be taken
/// over: one Certificate deleted and applied again finds its Secret, and a renamed one its successor.
pub fn read(secret: Option<Secret>, manager: &str) -> Found {
    let Some(secret) = secret else { return Found::Nothing };
    let type_ = secret.type_.clone().unwrap_or_default();
    if type_ != TLS_TYPE {
        return Found::Blocked(Obstacle::AnotherType { type_ });
    }
    let marks = marks(&secret);
    let foreign = foreign_writer(&secret, manager);
    let version = secret.metadata.resource_version.clone();
    let entries: Entries = secret
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(name, bytes)| (name, Zeroizing::new(bytes.0)))
        .collect();
    if !marks.contains_key(mark::CERTIFICATE_UID) && entries.values().any(|bytes| !bytes.is_empty()) {
        return Found::Blocked(Obstacle::NotOurs);
    }
    if let Some(manager) = foreign {
        return Found::Blocked(Obstacle::ForeignWriter { manager });
    }
    let certificates =
        entries.get("tls.crt").and_then(|text| pem::read_certificates(text).ok()).unwrap_or_default();
    let leaf = certificates.first().and_then(|der| Certificate::from_der(der).ok());
    let key = entries.get("tls.key").and_then(|text| PrivateKey::from_pem(text).ok());
    Found::Ours(Box::new(Held { version, leaf, key, entries, marks }))
}

fn marks(secret: &Secret) -> BTreeMap<String, String> {
    let labels = secret.metadata.labels.iter().flatten();
    let annotations = secret.metadata.annotations.iter().flatten();
    labels
        .chain(annotations)
        .filter(|(name, _)| name.starts_with("keywright.dev/"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A manager other than us that declares one of our entries.
///
/// Somebody's `kubectl edit` or `patch` is a slip that one new issuance mends, and writing takes the entry back. A
/// manager that applies, or any program of another name, will come again: fighting it is a loop
/// (cert-manager/website#2128).
fn foreign_writer(secret: &Secret, manager: &str) -> Option<String> {
    let fields = secret.metadata.managed_fields.as_deref().unwrap_or_default();
    fields.iter().find_map(|entry| {
        let name = entry.manager.as_deref().unwrap_or("");
        let by_hand = name.starts_with("kubectl") && entry.operation.as_deref() == Some("Update");
        let data = entry.fields_v1.as_ref()?.0.get("f:data")?;
        let declares = ENTRIES.iter().any(|e| data.get(format!("f:{e}")).is_some());
        (name != manager && !by_hand && declares).then(|| name.to_owned())
    })
}
