use super::{Serial, Validity};
use crate::constraints::NameConstraints;
use crate::key::{BadSignature, PublicKey};
use crate::name::{DistinguishedName, SubjectAltNames};
use crate::usage::Usages;

/// A certificate read from DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    serial: Serial,
    subject: DistinguishedName,
    subject_der: Vec<u8>,
    issuer_der: Vec<u8>,
    sans: SubjectAltNames,
    validity: Validity,
    public_key: PublicKey,
    subject_key_identifier: Option<Vec<u8>>,
    authority_key_identifier: Option<Vec<u8>>,
    is_ca: bool,
    path_length: Option<u32>,
    usages: Usages,
    name_constraints: Option<NameConstraints>,
}

/// Why bytes are no certificate that we can work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("certificate: {0}")]
pub struct ParseError(String);

impl Certificate {
    /// Reads DER, all of it.
    pub fn from_der(_der: &[u8]) -> Result<Self, ParseError> {
        Err(ParseError("not read yet".to_owned()))
    }
    /// DER as read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
    /// DER of the signed part.
    pub fn tbs_der(&self) -> &[u8] {
        &self.der
    }
    /// PEM with a trailing newline.
    pub fn to_pem(&self) -> String {
        String::new()
    }
    /// Serial number.
    pub fn serial(&self) -> &Serial {
        &self.serial
    }
    /// Subject: the attributes that our type has fields for.
    pub fn subject(&self) -> &DistinguishedName {
        &self.subject
    }
    /// Exact DER of the subject.
    pub fn subject_der(&self) -> &[u8] {
        &self.subject_der
    }
    /// Exact DER of the issuer.
    pub fn issuer_der(&self) -> &[u8] {
        &self.issuer_der
    }
    /// Alternative names of the four kinds we know.
    pub fn sans(&self) -> &SubjectAltNames {
        &self.sans
    }
    /// Validity.
    pub fn validity(&self) -> Validity {
        self.validity
    }
    /// The subject's public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
    /// SKI.
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        self.subject_key_identifier.as_deref()
    }
    /// AKI.
    pub fn authority_key_identifier(&self) -> Option<&[u8]> {
        self.authority_key_identifier.as_deref()
    }
    /// Basic constraints' cA.
    pub fn is_ca(&self) -> bool {
        self.is_ca
    }
    /// Basic constraints' pathLenConstraint.
    pub fn path_length(&self) -> Option<u32> {
        self.path_length
    }
    /// Usages.
    pub fn usages(&self) -> &Usages {
        &self.usages
    }
    /// Name constraints.
    pub fn name_constraints(&self) -> Option<&NameConstraints> {
        self.name_constraints.as_ref()
    }
    /// Subject equals issuer and the signature verifies under its own key.
    pub fn is_self_signed(&self) -> bool {
        self.subject_der == self.issuer_der && self.verify_signed_by(&self.public_key).is_ok()
    }
    /// Checks the signature.
    pub fn verify_signed_by(&self, _issuer: &PublicKey) -> Result<(), BadSignature> {
        Err(BadSignature)
    }
}
