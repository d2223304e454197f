//! Certificates read from DER.
//!
//! The reader is strict where a mistake could be a trap (DER only, version 3, one extension of each kind, keys on our
//! list) and keeps what it does not know: other critical extensions are listed, and [`crate::chain`] refuses them.

use super::{Serial, Validity};
use crate::algorithm::SignatureAlgorithm;
use crate::asn1::{BasicConstraints, Signed, TbsCertificate, decode_exact, is_canonical};
use crate::constraints::NameConstraints;
use crate::key::{BadSignature, KeyError, PublicKey};
use crate::name::{DistinguishedName, SubjectAltNames};
use crate::pem::{self, Label};
use crate::usage::{self, KeyUsage, Usages};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_BASIC_CONSTRAINTS, ID_CE_EXT_KEY_USAGE, ID_CE_KEY_USAGE,
    ID_CE_NAME_CONSTRAINTS, ID_CE_SUBJECT_ALT_NAME, ID_CE_SUBJECT_KEY_IDENTIFIER,
};
use der::asn1::OctetString;
use der::{Decode, Encode};
use std::collections::HashSet;
use std::fmt;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;
use x509_cert::ext::pkix::name::GeneralName;

/// The longest certificate that is read, in bytes: 512 KiB.
pub const MAX_LEN: usize = 512 * 1024;

/// A certificate read from DER; nothing in it has been verified yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: Vec<u8>,
    signature_algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
    serial: Serial,
    subject: DistinguishedName,
    unsupported_subject_attributes: usize,
    subject_der: Vec<u8>,
    issuer_der: Vec<u8>,
    validity: Validity,
    public_key: PublicKey,
    extensions: Extensions,
}

/// What the extensions say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Extensions {
    sans: SubjectAltNames,
    unsupported_sans: usize,
    subject_key_identifier: Option<Vec<u8>>,
    authority_key_identifier: Option<Vec<u8>>,
    is_ca: bool,
    path_length: Option<u32>,
    usages: Usages,
    unknown_extended_usages: usize,
    name_constraints: Option<NameConstraints>,
    unhandled_critical: Vec<ObjectIdentifier>,
}

/// Why bytes are no certificate that we can work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not DER of a version 3 certificate, or a part is not what RFC 5280 demands.
    #[error("certificate: {0}")]
    Malformed(&'static str),
    /// An extension whose value is not what RFC 5280 demands, or that is there twice.
    #[error("certificate: extension {0} is malformed or there twice")]
    Extension(ObjectIdentifier),
    /// A signature algorithm that is not accepted.
    #[error("certificate: {0}")]
    Signature(#[from] crate::algorithm::SignatureAlgorithmError),
    /// A public key that is not accepted.
    #[error("certificate: {0}")]
    Key(#[from] KeyError),
}

impl Certificate {
    /// Reads DER, all of it, at most [`MAX_LEN`]. Time is linear in the length. Errors: [`ParseError`].
    pub fn from_der(der: &[u8]) -> Result<Self, ParseError> {
        if der.len() > MAX_LEN {
            return Err(ParseError::Malformed("longer than 512 KiB"));
        }
        let malformed = |_| ParseError::Malformed("not a DER X.509 certificate");
        let outer: Signed<'_> = decode_exact(der).map_err(malformed)?;
        let tbs_der = outer.content.to_der().map_err(malformed)?;
        let tbs: TbsCertificate<'_> = decode_exact(&tbs_der).map_err(malformed)?;
        if tbs.version != 2 {
            return Err(ParseError::Malformed("its version is not 3"));
        }
        if tbs.extensions.as_ref().is_some_and(Vec::is_empty) {
            return Err(ParseError::Malformed("its list of extensions is empty"));
        }
        if tbs.signature != outer.algorithm {
            return Err(ParseError::Malformed("its inner and outer signature algorithms differ"));
        }
        let issuer_der = tbs.issuer.to_der().map_err(malformed)?;
        let subject_der = tbs.subject.to_der().map_err(malformed)?;
        let bad_name = |_| ParseError::Malformed("its issuer or subject is no Name");
        DistinguishedName::from_der_lossy(&issuer_der).map_err(bad_name)?;
        let (subject, unsupported_subject_attributes) =
            DistinguishedName::from_der_lossy(&subject_der).map_err(bad_name)?;
        let spki = tbs.subject_public_key_info.to_der().map_err(malformed)?;
        let signature = outer
            .signature
            .as_bytes()
            .ok_or(ParseError::Malformed("its signature is no whole number of bytes"))?
            .to_vec();
        Ok(Self {
            signature_algorithm: SignatureAlgorithm::from_identifier(&outer.algorithm)?,
            signature,
            serial: Serial::from_bytes(tbs.serial_number.as_bytes())
                .map_err(|_| ParseError::Malformed("its serial number is not positive or over 20 bytes"))?,
            subject,
            unsupported_subject_attributes,
            subject_der,
            issuer_der,
            validity: Validity::from_asn1(tbs.validity).map_err(|_| {
                ParseError::Malformed("its validity ends before it begins or is out of range")
            })?,
            public_key: PublicKey::from_spki_der(&spki)?,
            extensions: Extensions::read(tbs.extensions.as_deref().unwrap_or_default())?,
            der: der.to_vec(),
            tbs: tbs_der,
        })
    }

    /// Reads the first `CERTIFICATE` block of PEM text that holds only certificates.
    pub fn from_pem(text: &[u8]) -> Result<Self, ParseError> {
        let blocks =
            pem::read_certificates(text).map_err(|_| ParseError::Malformed("not PEM certificates"))?;
        blocks.first().map_or(Err(ParseError::Malformed("not PEM certificates")), |der| Self::from_der(der))
    }

    /// DER as read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// DER of the signed part, TBSCertificate.
    pub fn tbs_der(&self) -> &[u8] {
        &self.tbs
    }

    /// PEM with a trailing newline.
    pub fn to_pem(&self) -> String {
        pem::write(Label::Certificate, &self.der).to_string()
    }

    /// Serial number.
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Subject: the attributes that our type has fields for. See [`Self::unsupported_subject_attributes`].
    pub fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// How many attributes of the subject [`Self::subject`] leaves out.
    pub fn unsupported_subject_attributes(&self) -> usize {
        self.unsupported_subject_attributes
    }

    /// Exact DER of the subject.
    pub fn subject_der(&self) -> &[u8] {
        &self.subject_der
    }

    /// Exact DER of the issuer.
    pub fn issuer_der(&self) -> &[u8] {
        &self.issuer_der
    }

    /// Alternative names of the four kinds we know. See [`Self::unsupported_sans`].
    pub fn sans(&self) -> &SubjectAltNames {
        &self.extensions.sans
    }

    /// How many alternative names [`Self::sans`] leaves out: of another kind, or not written as we demand.
    pub fn unsupported_sans(&self) -> usize {
        self.extensions.unsupported_sans
    }

    /// Validity.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The subject's public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Subject key identifier.
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        self.extensions.subject_key_identifier.as_deref()
    }

    /// Key identifier of the authority key identifier extension.
    pub fn authority_key_identifier(&self) -> Option<&[u8]> {
        self.extensions.authority_key_identifier.as_deref()
    }

    /// Basic constraints' cA.
    pub fn is_ca(&self) -> bool {
        self.extensions.is_ca
    }

    /// Basic constraints' pathLenConstraint.
    pub fn path_length(&self) -> Option<u32> {
        self.extensions.path_length
    }

    /// Key usages and the extended key usages on our list.
    pub fn usages(&self) -> &Usages {
        &self.extensions.usages
    }

    /// How many extended key usages [`Self::usages`] leaves out.
    pub fn unknown_extended_usages(&self) -> usize {
        self.extensions.unknown_extended_usages
    }

    /// Name constraints, if there are any and they are of kinds we know; else see
    /// [`Self::unhandled_critical_extensions`].
    pub fn name_constraints(&self) -> Option<&NameConstraints> {
        self.extensions.name_constraints.as_ref()
    }

    /// Critical extensions that this code cannot process; RFC 5280 section 4.2 demands to refuse such a certificate.
    pub fn unhandled_critical_extensions(&self) -> &[ObjectIdentifier] {
        &self.extensions.unhandled_critical
    }

    /// Whether subject equals issuer, byte for byte; RFC 5280 calls it self-issued.
    pub fn is_self_issued(&self) -> bool {
        self.subject_der == self.issuer_der
    }

    /// Whether it is self-issued and its signature verifies under its own key. Costs one verification.
    pub fn is_self_signed(&self) -> bool {
        self.is_self_issued() && self.verify_signed_by(&self.public_key).is_ok()
    }

    /// Checks the signature only. Errors: [`BadSignature`], also when the key is of another kind.
    pub fn verify_signed_by(&self, issuer: &PublicKey) -> Result<(), BadSignature> {
        issuer.verify_with(self.signature_algorithm, &self.tbs, &self.signature)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("serial", &self.serial)
            .field("subject", &self.subject.to_string())
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

impl Extensions {
    fn read(list: &[Extension]) -> Result<Self, ParseError> {
        let mut all = Self::default();
        let mut seen = HashSet::new();
        for extension in list {
            let oid = extension.extn_id;
            let malformed = |_| ParseError::Extension(oid);
            if !is_canonical(oid) || !seen.insert(oid) {
                return Err(ParseError::Extension(oid));
            }
            let value = extension.extn_value.as_bytes();
            match oid {
                ID_CE_BASIC_CONSTRAINTS => {
                    let basic: BasicConstraints = decode_exact(value).map_err(malformed)?;
                    all.is_ca = basic.ca;
                    all.path_length = basic.path_length;
                }
                ID_CE_KEY_USAGE => {
                    let bits = usage::key_usage_bits(value).ok_or(ParseError::Extension(oid))?;
                    let set = bits.bits().zip(KeyUsage::ALL).filter_map(|(bit, usage)| bit.then_some(usage));
                    all.usages.key = set.collect();
                }
                ID_CE_EXT_KEY_USAGE => {
                    let purposes = Vec::<ObjectIdentifier>::from_der(value).map_err(malformed)?;
                    if purposes.is_empty() || !purposes.iter().copied().all(is_canonical) {
                        return Err(ParseError::Extension(oid));
                    }
                    for purpose in purposes {
                        match usage::ExtendedKeyUsage::from_oid(purpose) {
                            Some(known) => {
                                all.usages.extended.insert(known);
                            }
                            None => all.unknown_extended_usages += 1,
                        }
                    }
                }
                ID_CE_SUBJECT_ALT_NAME => {
                    let names = Vec::<GeneralName>::from_der(value).map_err(malformed)?;
                    if names.is_empty() {
                        return Err(ParseError::Extension(oid));
                    }
                    (all.sans, all.unsupported_sans) = SubjectAltNames::from_general_names(&names);
                }
                ID_CE_SUBJECT_KEY_IDENTIFIER => {
                    let identifier = OctetString::from_der(value).map_err(malformed)?;
                    all.subject_key_identifier = Some(identifier.as_bytes().to_vec());
                }
                ID_CE_AUTHORITY_KEY_IDENTIFIER => {
                    let identifier = AuthorityKeyIdentifier::from_der(value).map_err(malformed)?;
                    all.authority_key_identifier = identifier.key_identifier.map(|id| id.as_bytes().to_vec());
                }
                ID_CE_NAME_CONSTRAINTS => match NameConstraints::from_der(value) {
                    Ok(constraints) => all.name_constraints = Some(constraints),
                    // Even when not marked: constraints that we cannot apply must not be skipped.
                    Err(_) => all.unhandled_critical.push(oid),
                },
                other => {
                    if extension.critical {
                        all.unhandled_critical.push(other);
                    }
                }
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::KeyAlgorithm;
    use crate::certificate::{Template, assemble, seal};
    use crate::key::PrivateKey;
    use der::asn1::{AnyRef, BitStringRef};

    fn certificate() -> (PrivateKey, Certificate) {
        let key = PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let subject = DistinguishedName::with_common_name("Test").unwrap();
        let template = Template {
            serial: Serial::from_random([1; 20]),
            issuer_name: subject.to_der().unwrap(),
            subject,
            sans: SubjectAltNames::default(),
            public_key: key.public_key().clone(),
            authority_key_identifier: None,
            validity: Validity::new(
                "2025-01-01T00:00:00Z".parse().unwrap(),
                "2055-01-01T00:00:00Z".parse().unwrap(),
            )
            .unwrap(),
            usages: Usages::parse(&["digital signature"]).unwrap(),
            ca: None,
            crl_distribution_points: vec![],
            ocsp_servers: vec![],
            issuing_certificate_urls: vec![],
        };
        let tbs = template.tbs_der(key.algorithm()).unwrap();
        let certificate = assemble(&tbs, &key.sign(tbs.as_bytes()).unwrap()).unwrap();
        (key, certificate)
    }

    /// What reading says after an edit of the signed part.
    fn read(edit: impl FnOnce(&mut TbsCertificate<'_>)) -> Result<Certificate, ParseError> {
        let (_, certificate) = certificate();
        let mut tbs = TbsCertificate::from_der(certificate.tbs_der()).unwrap();
        edit(&mut tbs);
        let tbs = tbs.to_der().unwrap();
        let algorithm = KeyAlgorithm::Ed25519.signature_algorithm();
        let signature = BitStringRef::from_bytes(&certificate.signature).unwrap();
        let content = AnyRef::from_der(&tbs).unwrap();
        Certificate::from_der(&Signed { content, algorithm, signature }.to_der().unwrap())
    }

    fn push(tbs: &mut TbsCertificate<'_>, oid: &str, critical: bool, value: &[u8]) {
        let extn_id = ObjectIdentifier::new(oid).unwrap();
        let extn_value = OctetString::new(value).unwrap();
        tbs.extensions.as_mut().unwrap().push(Extension { extn_id, critical, extn_value });
    }

    #[test]
    fn what_was_put_in_comes_out() {
        let (key, certificate) = certificate();
        assert_eq!(certificate.serial(), &Serial::from_random([1; 20]));
        assert_eq!(certificate.subject().to_string(), "CN=Test");
        assert_eq!(certificate.public_key(), key.public_key());
        assert_eq!(certificate.subject_key_identifier(), Some(&key.public_key().key_identifier()[..]));
        assert_eq!(certificate.authority_key_identifier(), None);
        assert_eq!(certificate.usages().names(), ["digital signature"]);
        assert!(!certificate.is_ca() && certificate.is_self_signed());
        assert_eq!(Certificate::from_pem(certificate.to_pem().as_bytes()).unwrap(), certificate);
    }

    #[test]
    fn what_is_sealed_is_what_is_assembled_and_only_of_der() {
        let (key, certificate) = certificate();
        let template = Template {
            serial: certificate.serial().clone(),
            issuer_name: certificate.issuer_der().to_vec(),
            subject: certificate.subject().clone(),
            sans: SubjectAltNames::default(),
            public_key: key.public_key().clone(),
            authority_key_identifier: None,
            validity: certificate.validity(),
            usages: certificate.usages().clone(),
            ca: None,
            crl_distribution_points: vec![],
            ocsp_servers: vec![],
            issuing_certificate_urls: vec![],
        };
        let tbs = template.tbs_der(key.algorithm()).unwrap();
        assert_eq!(tbs.as_bytes(), certificate.tbs_der());
        assert_eq!(seal(&tbs, &certificate.signature).unwrap(), certificate.der());
        let other = key.sign(b"something else").unwrap();
        let sealed = Certificate::from_der(&seal(&tbs, &other).unwrap()).unwrap();
        assert_eq!(sealed.tbs_der(), tbs.as_bytes());
        assert!(sealed.verify_signed_by(key.public_key()).is_err(), "to verify is the caller's part");
    }

    #[test]
    fn a_change_of_any_byte_is_seen() {
        let (key, certificate) = certificate();
        for at in 0..certificate.der().len() {
            let mut changed = certificate.der().to_vec();
            changed[at] ^= 1;
            if let Ok(read) = Certificate::from_der(&changed) {
                assert!(read.verify_signed_by(key.public_key()).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn traps_are_refused() {
        assert!(read(|_| {}).is_ok());
        assert!(matches!(read(|tbs| tbs.version = 0), Err(ParseError::Malformed(_))));
        assert!(matches!(
            read(|tbs| tbs.signature = KeyAlgorithm::EcdsaP256.signature_algorithm()),
            Err(ParseError::Malformed(_))
        ));
        let twice = read(|tbs| push(tbs, "2.5.29.19", true, &[0x30, 0]));
        assert_eq!(twice, Err(ParseError::Extension(ID_CE_BASIC_CONSTRAINTS)));
        for (oid, value) in [
            ("2.5.29.17", &b"rubbish"[..]),
            ("2.5.29.37", b"rubbish"),
            // Empty lists (SIZE (1..MAX) in RFC 5280); an empty extended key usage crashed a server of others once.
            ("2.5.29.37", b"\x30\x00"),
            ("2.5.29.17", b"\x30\x00"),
            ("2.5.29.35", b"rubbish"),
            ("2.5.29.35", b"\x30\x02\x80"),
        ] {
            assert!(
                matches!(read(|tbs| push(tbs, oid, false, value)), Err(ParseError::Extension(_))),
                "{oid}"
            );
        }
        assert!(matches!(Certificate::from_der(&vec![0x30; MAX_LEN + 1]), Err(ParseError::Malformed(_))));
    }

    #[test]
    fn what_is_not_known_is_kept_in_sight() {
        let unknown = read(|tbs| push(tbs, "1.3.6.1.4.1.32473.1", true, &[5, 0])).unwrap();
        assert_eq!(unknown.unhandled_critical_extensions().len(), 1);
        let harmless = read(|tbs| push(tbs, "1.3.6.1.4.1.32473.1", false, &[5, 0])).unwrap();
        assert!(harmless.unhandled_critical_extensions().is_empty());
        let directory = b"\x30\x08\xa0\x06\x30\x04\xa4\x02\x30\x00";
        let constraints = read(|tbs| push(tbs, "2.5.29.30", false, directory)).unwrap();
        assert_eq!(constraints.unhandled_critical_extensions(), [ID_CE_NAME_CONSTRAINTS]);
        let other_name = read(|tbs| push(tbs, "2.5.29.17", false, b"\x30\x09\x82\x01a\x82\x04a_.b")).unwrap();
        assert_eq!((other_name.sans().dns.len(), other_name.unsupported_sans()), (1, 1));
    }
}
