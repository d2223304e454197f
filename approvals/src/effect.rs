//! What is approved: the exact effect, as canonical JSON (RFC 8785), and its digest.
//!
//! Whoever shows an effect, votes on it or carries it out computes the digest anew from the facts it knows itself; equal
//! digests mean equal effects. All numbers are whole and at most 2^53 - 1, which every JSON reader keeps exactly.

use aws_lc_rs::digest::{SHA256, digest};
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_pki::usage::Usages;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The largest whole number that every JSON reader keeps exactly (RFC 7493 section 2.2).
const LARGEST: u64 = (1 << 53) - 1;

/// SHA-256 of an effect's canonical form. Its text form is `sha256:` and 64 lower-case hexadecimal digits; that text is
/// also what approvers sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectDigest([u8; 32]);

/// Text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("effectDigest {found:?} is no digest; write sha256: and 64 lower-case hexadecimal digits")]
pub struct BadDigest {
    found: String,
}

/// An effect that has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("effect{at}: {rule}")]
pub struct BadEffect {
    /// Where, as a JSON pointer.
    pub at: String,
    /// The rule that is broken, and the fix.
    pub rule: &'static str,
}

/// The effects that Keywright's own controllers ask approval for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action")]
pub enum Effect {
    /// One certificate: this key, these names, this long, from this authority, under these policies.
    IssueCertificate(Box<IssueCertificate>),
    /// The certificate of an authority whose key is, or is about to be made, in the signer.
    CertifyAuthority(Box<CertifyAuthority>),
    /// Constraints of an authority become looser.
    LoosenAuthority(Box<LoosenAuthority>),
}

/// The object that a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// The authority that acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Authority {
    /// `metadata.uid` of the issuer object.
    pub uid: String,
    /// `metadata.generation` of the issuer object: any edit of it is another effect.
    pub generation: u64,
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssueCertificate {
    /// The object it is for.
    pub certificate: Target,
    /// Which issuance for that object: the step of the request key, counted from 1. A renewal is another effect.
    pub step: u64,
    /// Subject.
    pub subject: Subject,
    /// Subject alternative names.
    pub sans: Names,
    /// SHA-256 of the DER SubjectPublicKeyInfo, lower-case hexadecimal.
    pub public_key_sha256: String,
    /// Life asked for, in seconds.
    pub duration_seconds: u64,
    /// Usages asked for, by the names of specs, sorted.
    pub usages: BTreeSet<String>,
    /// Whether it is an authority's.
    #[serde(rename = "isCA")]
    pub is_ca: bool,
    /// The authority that signs.
    pub issuer: Authority,
    /// The profile of the authority that it comes under; absent: the authority has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Text form of the digest of the policies in force; empty: none are.
    pub policy_digest: String,
}

/// The certificate of an authority. Its key is not named: for a new one it is made when the effect happens, and it never
/// leaves the signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertifyAuthority {
    /// The issuer object that the certificate is for.
    pub authority: Target,
    /// Which certificate of that object: the step of the request key, counted from 1.
    pub step: u64,
    /// Subject.
    pub subject: Subject,
    /// Kind of key, by the protocol's number.
    pub key_algorithm: i32,
    /// Life asked for, in seconds.
    pub duration_seconds: u64,
    /// The authority that signs; absent: the authority itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Authority>,
    /// Its constraints as asked for, by the field names of the signer's protocol.
    pub constraints: Value,
    /// Text form of the digest of the policies in force; empty: none are.
    pub policy_digest: String,
}

/// Constraints of an authority after a loosening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoosenAuthority {
    /// The issuer object, at the generation that is looser.
    pub issuer: Authority,
    /// The key it is about: its subject key identifier, lower-case hexadecimal.
    pub authority_key_id: String,
    /// All constraints that would hold, by the field names of the signer's protocol.
    pub constraints: Value,
}

/// A subject; what is empty is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in a Certificate's spec")]
pub struct Subject {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organizational_units: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub localities: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provinces: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub street_addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub postal_codes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
}

/// Names as sets: their order means nothing. What is empty is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in a Certificate's spec")]
pub struct Names {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub dns_names: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub ip_addresses: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub email_addresses: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub uris: BTreeSet<String>,
}

impl From<&DistinguishedName> for Subject {
    fn from(name: &DistinguishedName) -> Self {
        let name = name.clone();
        Self {
            common_name: name.common_name,
            organizations: name.organizations,
            organizational_units: name.organizational_units,
            countries: name.countries,
            localities: name.localities,
            provinces: name.provinces,
            street_addresses: name.street_addresses,
            postal_codes: name.postal_codes,
            serial_number: name.serial_number,
        }
    }
}

impl From<&SubjectAltNames> for Names {
    fn from(sans: &SubjectAltNames) -> Self {
        Self {
            dns_names: sans.dns.iter().map(|n| n.as_str().to_owned()).collect(),
            ip_addresses: sans.ips.iter().map(ToString::to_string).collect(),
            email_addresses: sans.emails.iter().map(|n| n.as_str().to_owned()).collect(),
            uris: sans.uris.iter().map(|n| n.as_str().to_owned()).collect(),
        }
    }
}

/// The usages of a set by their canonical names, as [`IssueCertificate::usages`] wants them.
pub fn usage_names(usages: &Usages) -> BTreeSet<String> {
    usages.names().into_iter().map(str::to_owned).collect()
}

impl Effect {
    /// The effect as a JSON object, its action under `action`.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("an effect has text keys and no floats")
    }

    /// The digest. Errors: a number over 2^53 - 1.
    pub fn digest(&self) -> Result<EffectDigest, BadEffect> {
        EffectDigest::of(&self.to_value())
    }
}

impl EffectDigest {
    /// The digest of any effect that is a JSON object with a text `action`, as people write for actions of their own.
    ///
    /// Errors: no object, no action, a number that is not whole or over 2^53 - 1, or nested deeper than 32.
    pub fn of(effect: &Value) -> Result<Self, BadEffect> {
        Ok(Self::from_bytes(&canonical(effect)?))
    }

    /// The digest with these 32 octets.
    pub const fn from_octets(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The 32 octets.
    pub const fn octets(&self) -> &[u8; 32] {
        &self.0
    }

    fn from_bytes(canonical: &[u8]) -> Self {
        let mut octets = [0; 32];
        octets.copy_from_slice(digest(&SHA256, canonical).as_ref());
        Self(octets)
    }
}

/// The canonical form of an effect: the octets that are hashed. Errors: as [`EffectDigest::of`].
pub fn canonical(effect: &Value) -> Result<Vec<u8>, BadEffect> {
    let Value::Object(fields) = effect else {
        return Err(BadEffect { at: String::new(), rule: "must be a JSON object" });
    };
    if !matches!(fields.get("action"), Some(Value::String(action)) if !action.is_empty()) {
        return Err(BadEffect { at: "/action".to_owned(), rule: "must say the action as text" });
    }
    exact_object(fields, &mut String::new(), 0)?;
    Ok(serde_json_canonicalizer::to_vec(effect).expect("whole numbers and text always serialize"))
}

fn exact_object(fields: &Map<String, Value>, at: &mut String, depth: usize) -> Result<(), BadEffect> {
    fields.iter().try_for_each(|(name, value)| below(at, name, |at| exact(value, at, depth + 1)))
}

fn exact(value: &Value, at: &mut String, depth: usize) -> Result<(), BadEffect> {
    const DEEPEST: usize = 32;
    if depth > DEEPEST {
        return Err(BadEffect { at: at.clone(), rule: "is nested deeper than 32; flatten it" });
    }
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(number) if number.as_i64().is_some_and(|n| n.unsigned_abs() <= LARGEST) => Ok(()),
        Value::Number(_) => Err(BadEffect {
            at: at.clone(),
            rule: "must be a whole number of at most 2^53 - 1; write it as text",
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(i, item)| below(at, &i.to_string(), |at| exact(item, at, depth + 1))),
        Value::Object(fields) => exact_object(fields, at, depth),
    }
}

fn below(
    at: &mut String,
    name: &str,
    check: impl FnOnce(&mut String) -> Result<(), BadEffect>,
) -> Result<(), BadEffect> {
    let len = at.len();
    at.push('/');
    at.push_str(name);
    let checked = check(at);
    at.truncate(len);
    checked
}

impl fmt::Display for EffectDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl FromStr for EffectDigest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let bad = || BadDigest { found: text.chars().take(80).collect() };
        let digits = text.strip_prefix("sha256:").ok_or_else(bad)?;
        let mut octets = [0; 32];
        hex::decode_to_slice(digits, &mut octets).map_err(|_| bad())?;
        // One text for one digest: what is compared as text elsewhere must not differ in case.
        if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return Err(bad());
        }
        Ok(Self(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn issue(profile: Option<&str>) -> Effect {
        Effect::IssueCertificate(Box::new(IssueCertificate {
            certificate: Target { uid: "u".into(), namespace: "shop".into(), name: "web".into() },
            step: 1,
            subject: Subject::default(),
            sans: Names { dns_names: ["web.example.test".to_owned()].into(), ..Names::default() },
            public_key_sha256: "00".into(),
            duration_seconds: 60,
            usages: ["server auth".to_owned()].into(),
            is_ca: false,
            issuer: Authority { uid: "i".into(), generation: 2 },
            profile: profile.map(str::to_owned),
            policy_digest: String::new(),
        }))
    }

    #[test]
    fn an_effect_without_a_profile_is_what_it_always_was_and_with_one_another() {
        let before = json!({
            "action": "IssueCertificate", "certificate": {"uid": "u", "namespace": "shop", "name": "web"}, "step": 1,
            "subject": {}, "sans": {"dnsNames": ["web.example.test"]}, "publicKeySha256": "00", "durationSeconds": 60,
            "usages": ["server auth"], "isCA": false, "issuer": {"uid": "i", "generation": 2}, "policyDigest": "",
        });
        assert_eq!(issue(None).to_value(), before);
        assert_eq!(issue(None).digest(), EffectDigest::of(&before));
        let mut under = before;
        under["profile"] = json!("web");
        assert_eq!(issue(Some("web")).digest(), EffectDigest::of(&under));
        assert_ne!(issue(Some("web")).digest(), issue(None).digest());
        assert_ne!(issue(Some("web")).digest(), issue(Some("other")).digest());
    }
}
