//! What a key may be used for: key usage bits (RFC 5280 section 4.2.1.3) and extended key usages (4.2.1.12).
//!
//! Owns the names that specs use (those of cert-manager), their split into bits and object identifiers, and the rule
//! which of them fit a key. Never decides who may have which usage.

use crate::algorithm::KeyAlgorithm;
use const_oid::ObjectIdentifier;
use der::Decode;
use der::asn1::BitStringRef;
use std::collections::BTreeSet;

/// One bit of the KeyUsage extension; the discriminant is the bit number of RFC 5280.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum KeyUsage {
    /// Signs anything but certificates and CRLs.
    DigitalSignature = 0,
    /// Also called non-repudiation.
    ContentCommitment = 1,
    /// Encrypts other keys (RSA key transport).
    KeyEncipherment = 2,
    /// Encrypts data directly.
    DataEncipherment = 3,
    /// Agrees on keys.
    KeyAgreement = 4,
    /// Signs certificates.
    CertSign = 5,
    /// Signs CRLs.
    CrlSign = 6,
    /// Key agreement for enciphering only.
    EncipherOnly = 7,
    /// Key agreement for deciphering only.
    DecipherOnly = 8,
}

/// One purpose of the ExtendedKeyUsage extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExtendedKeyUsage {
    /// Any purpose.
    Any,
    /// TLS server.
    ServerAuth,
    /// TLS client.
    ClientAuth,
    /// Code signing.
    CodeSigning,
    /// E-mail protection (S/MIME).
    EmailProtection,
    /// IPsec end system.
    IpsecEndSystem,
    /// IPsec tunnel.
    IpsecTunnel,
    /// IPsec user.
    IpsecUser,
    /// Time stamping.
    TimeStamping,
    /// OCSP response signing.
    OcspSigning,
    /// Microsoft server gated crypto.
    MicrosoftSgc,
    /// Netscape server gated crypto.
    NetscapeSgc,
}

/// A set of usages. Empty means: no KeyUsage and no ExtendedKeyUsage extension, that is, no statement.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Usages {
    /// KeyUsage bits.
    pub key: BTreeSet<KeyUsage>,
    /// ExtendedKeyUsage purposes.
    pub extended: BTreeSet<ExtendedKeyUsage>,
}

/// A usage name that is not on the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: usage {value:?} does not exist; use one of: {}", NAMES.map(|(name, _)| name).join(", "))]
pub struct UnknownUsage {
    field: String,
    value: String,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy)]
enum Usage {
    Key(KeyUsage),
    Extended(ExtendedKeyUsage),
}

/// The names of cert-manager's `KeyUsage` type; several may stand for the same usage, the first is the canonical one.
const NAMES: [(&str, Usage); 23] = [
    ("digital signature", Usage::Key(KeyUsage::DigitalSignature)),
    ("signing", Usage::Key(KeyUsage::DigitalSignature)),
    ("content commitment", Usage::Key(KeyUsage::ContentCommitment)),
    ("key encipherment", Usage::Key(KeyUsage::KeyEncipherment)),
    ("key agreement", Usage::Key(KeyUsage::KeyAgreement)),
    ("data encipherment", Usage::Key(KeyUsage::DataEncipherment)),
    ("cert sign", Usage::Key(KeyUsage::CertSign)),
    ("crl sign", Usage::Key(KeyUsage::CrlSign)),
    ("encipher only", Usage::Key(KeyUsage::EncipherOnly)),
    ("decipher only", Usage::Key(KeyUsage::DecipherOnly)),
    ("any", Usage::Extended(ExtendedKeyUsage::Any)),
    ("server auth", Usage::Extended(ExtendedKeyUsage::ServerAuth)),
    ("client auth", Usage::Extended(ExtendedKeyUsage::ClientAuth)),
    ("code signing", Usage::Extended(ExtendedKeyUsage::CodeSigning)),
    ("email protection", Usage::Extended(ExtendedKeyUsage::EmailProtection)),
    ("s/mime", Usage::Extended(ExtendedKeyUsage::EmailProtection)),
    ("ipsec end system", Usage::Extended(ExtendedKeyUsage::IpsecEndSystem)),
    ("ipsec tunnel", Usage::Extended(ExtendedKeyUsage::IpsecTunnel)),
    ("ipsec user", Usage::Extended(ExtendedKeyUsage::IpsecUser)),
    ("timestamping", Usage::Extended(ExtendedKeyUsage::TimeStamping)),
    ("ocsp signing", Usage::Extended(ExtendedKeyUsage::OcspSigning)),
    ("microsoft sgc", Usage::Extended(ExtendedKeyUsage::MicrosoftSgc)),
    ("netscape sgc", Usage::Extended(ExtendedKeyUsage::NetscapeSgc)),
];

/// Reads the value of a KeyUsage extension; none when it is no BIT STRING, or its unused bits are not zero (X.690 section
/// 11.2.1), so that two values would say the same.
pub(crate) fn key_usage_bits(value: &[u8]) -> Option<BitStringRef<'_>> {
    let bits = BitStringRef::from_der(value).ok()?;
    let unused = (1_u8 << bits.unused_bits()) - 1;
    bits.raw_bytes().last().is_none_or(|last| last & unused == 0).then_some(bits)
}

impl Usages {
    /// Digital signature and key encipherment: what a spec without usages asks for.
    pub fn default_for_leaf() -> Self {
        Self {
            key: BTreeSet::from([KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment]),
            extended: BTreeSet::new(),
        }
    }

    /// Certificate and CRL signing: what every authority's certificate says.
    pub fn authority() -> Self {
        Self { key: BTreeSet::from([KeyUsage::CertSign, KeyUsage::CrlSign]), extended: BTreeSet::new() }
    }

    /// What an authority's certificate says when these usages were asked for: those that its key can do, and
    /// certificate and CRL signing.
    #[must_use]
    pub fn for_authority(&self, algorithm: KeyAlgorithm) -> Self {
        let mut all = Self::authority();
        all.key.extend(self.key.iter().copied().filter(|usage| usage.fits(algorithm)));
        all.extended.clone_from(&self.extended);
        all
    }

    /// Reads the names of a spec; an empty list gives [`Self::default_for_leaf`].
    ///
    /// Errors: [`UnknownUsage`], naming `usages[i]` and all names that exist.
    pub fn parse<S: AsRef<str>>(names: &[S]) -> Result<Self, UnknownUsage> {
        if names.is_empty() {
            return Ok(Self::default_for_leaf());
        }
        let mut usages = Self::default();
        for (index, name) in names.iter().enumerate() {
            let name = name.as_ref();
            match NAMES.iter().find(|(known, _)| *known == name) {
                Some((_, Usage::Key(usage))) => {
                    usages.key.insert(*usage);
                }
                Some((_, Usage::Extended(usage))) => {
                    usages.extended.insert(*usage);
                }
                None => {
                    return Err(UnknownUsage { field: format!("usages[{index}]"), value: name.to_owned() });
                }
            }
        }
        Ok(usages)
    }

    /// The canonical names, in the order of the enums; reading them back gives the same set unless it is empty.
    pub fn names(&self) -> Vec<&'static str> {
        let key = self.key.iter().map(|usage| usage.name());
        key.chain(self.extended.iter().map(|usage| usage.name())).collect()
    }

    /// Whether nothing is stated.
    pub fn is_empty(&self) -> bool {
        self.key.is_empty() && self.extended.is_empty()
    }

    /// Whether every usage of `self` is one of `allowed`.
    pub fn is_subset(&self, allowed: &Self) -> bool {
        self.key.is_subset(&allowed.key) && self.extended.is_subset(&allowed.extended)
    }

    /// What a leaf with a key of this kind can truly do.
    ///
    /// Only RSA keys encrypt other keys or data (RFC 8813 section 3, RFC 8410 section 5, RFC 9881 section 5); ECDSA
    /// keys may agree on keys, Ed25519 and ML-DSA keys may not. What the key cannot do is dropped, so that one spec
    /// works for every key type; digital signature takes the place of an emptied set.
    #[must_use]
    pub fn for_leaf(&self, algorithm: KeyAlgorithm) -> Self {
        let mut key = self.key.clone();
        key.retain(|usage| usage.fits(algorithm));
        if key.is_empty() && !self.key.is_empty() {
            key.insert(KeyUsage::DigitalSignature);
        }
        Self { key, extended: self.extended.clone() }
    }
}

impl KeyUsage {
    /// All bits in the order of RFC 5280.
    pub const ALL: [Self; 9] = [
        Self::DigitalSignature,
        Self::ContentCommitment,
        Self::KeyEncipherment,
        Self::DataEncipherment,
        Self::KeyAgreement,
        Self::CertSign,
        Self::CrlSign,
        Self::EncipherOnly,
        Self::DecipherOnly,
    ];

    /// Its number in the BIT STRING, 0 first.
    pub const fn bit(self) -> u8 {
        self as u8
    }

    /// Its canonical name in a spec.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DigitalSignature => "digital signature",
            Self::ContentCommitment => "content commitment",
            Self::KeyEncipherment => "key encipherment",
            Self::DataEncipherment => "data encipherment",
            Self::KeyAgreement => "key agreement",
            Self::CertSign => "cert sign",
            Self::CrlSign => "crl sign",
            Self::EncipherOnly => "encipher only",
            Self::DecipherOnly => "decipher only",
        }
    }

    /// Whether a key of this kind can do it at all.
    pub const fn fits(self, algorithm: KeyAlgorithm) -> bool {
        match self {
            Self::DigitalSignature | Self::ContentCommitment | Self::CertSign | Self::CrlSign => true,
            Self::KeyEncipherment | Self::DataEncipherment => algorithm.can_encipher_keys(),
            Self::KeyAgreement | Self::EncipherOnly | Self::DecipherOnly => matches!(
                algorithm,
                KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384 | KeyAlgorithm::EcdsaP521
            ),
        }
    }
}

impl ExtendedKeyUsage {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Any,
        Self::ServerAuth,
        Self::ClientAuth,
        Self::CodeSigning,
        Self::EmailProtection,
        Self::IpsecEndSystem,
        Self::IpsecTunnel,
        Self::IpsecUser,
        Self::TimeStamping,
        Self::OcspSigning,
        Self::MicrosoftSgc,
        Self::NetscapeSgc,
    ];

    /// Its object identifier.
    pub const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Any => ObjectIdentifier::new_unwrap("2.5.29.37.0"),
            Self::ServerAuth => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
            Self::ClientAuth => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"),
            Self::CodeSigning => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3"),
            Self::EmailProtection => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4"),
            Self::IpsecEndSystem => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.5"),
            Self::IpsecTunnel => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.6"),
            Self::IpsecUser => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.7"),
            Self::TimeStamping => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8"),
            Self::OcspSigning => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9"),
            Self::MicrosoftSgc => ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.3.3"),
            Self::NetscapeSgc => ObjectIdentifier::new_unwrap("2.16.840.1.113730.4.1"),
        }
    }

    /// The purpose an object identifier names, if it is one of ours.
    pub fn from_oid(oid: ObjectIdentifier) -> Option<Self> {
        Self::ALL.into_iter().find(|usage| usage.oid() == oid)
    }

    /// Its canonical name in a spec.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::ServerAuth => "server auth",
            Self::ClientAuth => "client auth",
            Self::CodeSigning => "code signing",
            Self::EmailProtection => "email protection",
            Self::IpsecEndSystem => "ipsec end system",
            Self::IpsecTunnel => "ipsec tunnel",
            Self::IpsecUser => "ipsec user",
            Self::TimeStamping => "timestamping",
            Self::OcspSigning => "ocsp signing",
            Self::MicrosoftSgc => "microsoft sgc",
            Self::NetscapeSgc => "netscape sgc",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_and_canonical_names_read_back() {
        for (name, _) in NAMES {
            let usages = Usages::parse(&[name]).unwrap();
            assert_eq!(Usages::parse(&usages.names()).unwrap(), usages, "{name}");
            assert_eq!(usages.names().len(), 1);
        }
    }

    #[test]
    fn no_names_give_digital_signature_and_key_encipherment() {
        assert_eq!(Usages::parse::<&str>(&[]).unwrap().names(), ["digital signature", "key encipherment"]);
    }

    #[test]
    fn an_unknown_name_is_refused_with_its_place_and_the_list() {
        let error = Usages::parse(&["server auth", "Server Auth"]).unwrap_err().to_string();
        assert!(error.starts_with("usages[1]: usage \"Server Auth\" does not exist"), "{error}");
        assert!(error.contains("netscape sgc"), "{error}");
    }

    #[test]
    fn a_leaf_says_only_what_its_key_can_do() {
        let table: [(&[&str], KeyAlgorithm, &[&str]); 6] = [
            (&[], KeyAlgorithm::Rsa2048, &["digital signature", "key encipherment"]),
            (&[], KeyAlgorithm::EcdsaP256, &["digital signature"]),
            (&[], KeyAlgorithm::MlDsa44, &["digital signature"]),
            (
                &["key encipherment", "server auth"],
                KeyAlgorithm::Ed25519,
                &["digital signature", "server auth"],
            ),
            (&["key agreement"], KeyAlgorithm::EcdsaP384, &["key agreement"]),
            (&["client auth"], KeyAlgorithm::Ed25519, &["client auth"]),
        ];
        for (asked, algorithm, expected) in table {
            assert_eq!(Usages::parse(asked).unwrap().for_leaf(algorithm).names(), expected);
        }
    }

    #[test]
    fn an_authority_always_signs_certificates_and_crls() {
        let asked = Usages::parse(&["key encipherment", "ocsp signing"]).unwrap();
        assert_eq!(
            asked.for_authority(KeyAlgorithm::EcdsaP256).names(),
            ["cert sign", "crl sign", "ocsp signing"]
        );
        assert_eq!(Usages::default().for_authority(KeyAlgorithm::MlDsa65), Usages::authority());
    }

    #[test]
    fn bits_and_identifiers_are_those_of_the_rfc() {
        for (bit, usage) in KeyUsage::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(usage.bit()), bit);
        }
        for usage in ExtendedKeyUsage::ALL {
            assert_eq!(ExtendedKeyUsage::from_oid(usage.oid()), Some(usage));
        }
    }
}
