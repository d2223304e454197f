//! What a certificate is to say, and its encoding as the bytes that get signed.
//!
//! Criticality (RFC 5280 section 4.2): basicConstraints, keyUsage and nameConstraints are critical, subjectAltName only
//! when the subject is empty, all others are not. Every certificate has a subject key identifier (RFC 7093 method 1);
//! all but self-signed roots have an authority key identifier. Leaves say `cA FALSE` outright, since some verifiers
//! tell a leaf from an unconstrained old certificate by it.

use super::{Certificate, ParseError, Serial, Validity};
use crate::algorithm::KeyAlgorithm;
use crate::asn1::{BasicConstraints, Signed, TbsCertificate, decode_exact};
use crate::constraints::NameConstraints;
use crate::key::PublicKey;
use crate::name::{DistinguishedName, NameError, SubjectAltNames, Uri};
use crate::usage::{KeyUsage, Usages};
use const_oid::db::rfc5280::{ID_CE_BASIC_CONSTRAINTS, ID_CE_SUBJECT_ALT_NAME};
use const_oid::db::rfc5912::{ID_AD_CA_ISSUERS, ID_AD_OCSP};
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{AnyRef, BitStringRef, Ia5String, OctetString, UintRef};
use der::flagset::FlagSet;
use der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, CrlDistributionPoints,
    ExtendedKeyUsage, SubjectKeyIdentifier,
};

/// What makes a certificate an authority's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaProfile {
    /// How many authorities may stand between this one and a leaf; none: any number.
    pub path_length: Option<u32>,
    /// Constraints on all names below; empty: none.
    pub name_constraints: NameConstraints,
}

/// All that a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Chosen before signing.
    pub serial: Serial,
    /// May be empty on a leaf that has SANs; the SAN extension is critical then.
    pub subject: DistinguishedName,
    /// Alternative names.
    pub sans: SubjectAltNames,
    /// The subject's key.
    pub public_key: PublicKey,
    /// Exact DER of the issuer's subject; for a root: of its own subject.
    pub issuer_name: Vec<u8>,
    /// The issuer's subject key identifier; none on a self-signed root.
    pub authority_key_identifier: Option<Vec<u8>>,
    /// Both ends inclusive.
    pub validity: Validity,
    /// Exactly what the extensions say: nothing is added or dropped. See [`Usages::for_leaf`], [`Usages::authority`].
    pub usages: Usages,
    /// Present on authorities.
    pub ca: Option<CaProfile>,
    /// URLs of CRLs.
    pub crl_distribution_points: Vec<String>,
    /// URLs of OCSP responders.
    pub ocsp_servers: Vec<String>,
    /// URLs of the issuer's certificate.
    pub issuing_certificate_urls: Vec<String>,
}

/// A template that makes no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A name breaks a rule.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Fields contradict each other.
    #[error("{field}: {rule}")]
    Inconsistent {
        /// Which field.
        field: &'static str,
        /// The rule and the fix.
        rule: &'static str,
    },
    /// Too large for DER, which no real certificate is.
    #[error("certificate: cannot be written as DER; ask for fewer or shorter names")]
    Encoding,
}

impl From<der::Error> for TemplateError {
    fn from(_: der::Error) -> Self {
        Self::Encoding
    }
}

/// DER of a TBSCertificate, and the algorithm it is to be signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TbsDer {
    der: Vec<u8>,
    algorithm: KeyAlgorithm,
}

impl TbsDer {
    /// The bytes to sign.
    pub fn as_bytes(&self) -> &[u8] {
        &self.der
    }

    /// The issuer key's algorithm.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }
}

/// A signature and TBS that do not make a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// The result does not read back.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// No DER.
    #[error("certificate: the signature and the signed part cannot be written as DER")]
    Encoding,
}

impl TbsDer {
    /// DER of the certificate with this signature, which is not looked at; nothing is read back.
    ///
    /// Errors: `Encoding`, which no real signature causes.
    pub fn with_signature(&self, signature: &[u8]) -> Result<Vec<u8>, AssembleError> {
        let encode = || -> der::Result<Vec<u8>> {
            Signed {
                content: AnyRef::from_der(&self.der)?,
                algorithm: self.algorithm.signature_algorithm(),
                signature: BitStringRef::from_bytes(signature)?,
            }
            .to_der()
        };
        encode().map_err(|_| AssembleError::Encoding)
    }
}

/// DER of the certificate, read back as far as it is new: that it is DER, and made of exactly these bytes, the algorithm
/// that they name and this signature. What the bytes themselves say is the linter's to read.
///
/// Does not verify the signature. Errors: the result does not read back.
pub fn seal(tbs: &TbsDer, signature: &[u8]) -> Result<Vec<u8>, AssembleError> {
    let der = tbs.with_signature(signature)?;
    let malformed = |_| ParseError::Malformed("not a DER X.509 certificate");
    let is_ours = {
        let read: Signed<'_> = decode_exact(&der).map_err(malformed)?;
        read.content == AnyRef::from_der(&tbs.der).map_err(malformed)?
            && read.algorithm == tbs.algorithm.signature_algorithm()
            && read.signature.as_bytes() == Some(signature)
    };
    if is_ours { Ok(der) } else { Err(ParseError::Malformed("not of the bytes that were signed").into()) }
}

/// Puts the signature to the bytes it was made over.
///
/// Does not verify it: see [`Certificate::verify_signed_by`]. Errors: the result does not read back as a certificate.
pub fn assemble(tbs: &TbsDer, signature: &[u8]) -> Result<Certificate, AssembleError> {
    Ok(Certificate::from_der(&tbs.with_signature(signature)?)?)
}

impl Template {
    /// The bytes to sign with an issuer key of this kind.
    ///
    /// Errors: a name or URL that breaks a rule; an empty subject without SANs or on an authority; an authority without
    /// `cert sign` or a leaf with it; an empty issuer name.
    pub fn tbs_der(&self, signature_algorithm: KeyAlgorithm) -> Result<TbsDer, TemplateError> {
        self.check()?;
        let subject = self.subject.to_der()?;
        let tbs = TbsCertificate {
            version: 2,
            serial_number: UintRef::new(self.serial.as_bytes())?,
            signature: signature_algorithm.signature_algorithm(),
            issuer: AnyRef::from_der(&self.issuer_name)?,
            validity: self.validity.to_asn1()?,
            subject: AnyRef::from_der(&subject)?,
            subject_public_key_info: AnyRef::from_der(self.public_key.spki_der())?,
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: Some(self.extensions()?),
        };
        Ok(TbsDer { der: tbs.to_der()?, algorithm: signature_algorithm })
    }

    fn check(&self) -> Result<(), TemplateError> {
        let inconsistent = |field, rule| Err(TemplateError::Inconsistent { field, rule });
        let signs = self.usages.key.contains(&KeyUsage::CertSign);
        match (&self.ca, signs) {
            (Some(_), false) => return inconsistent("usages", "an authority needs \"cert sign\"; add it"),
            (None, true) => {
                return inconsistent(
                    "usages",
                    "\"cert sign\" needs isCA (RFC 5280 4.2.1.9); drop it or set isCA",
                );
            }
            (Some(_), true) | (None, false) => {}
        }
        if self.subject.is_empty() && (self.ca.is_some() || self.sans.is_empty()) {
            return inconsistent(
                "subject",
                "is empty; give a commonName, or on a leaf at least one alternative name (RFC 5280 4.1.2.6)",
            );
        }
        if DistinguishedName::from_der_lossy(&self.issuer_name).is_err() || self.issuer_name == [0x30, 0] {
            return inconsistent("issuer", "is no DER Name or is empty; give the issuer's exact subject");
        }
        if self.authority_key_identifier.is_none() && self.issuer_name != self.subject.to_der()? {
            return inconsistent(
                "authorityKeyIdentifier",
                "is missing; only a self-signed root may leave it out",
            );
        }
        Ok(())
    }

    fn extensions(&self) -> Result<Vec<Extension>, TemplateError> {
        let mut list = Vec::new();
        let basic = match &self.ca {
            Some(profile) => BasicConstraints { ca: true, path_length: profile.path_length },
            None => BasicConstraints { ca: false, path_length: None },
        };
        list.push(extension(ID_CE_BASIC_CONSTRAINTS, true, &basic)?);
        if !self.usages.key.is_empty() {
            let bits = self.usages.key.iter().fold(0_u16, |bits, usage| bits | 1 << usage.bit());
            let flags = FlagSet::new(bits).map_err(|_| TemplateError::Encoding)?;
            list.push(known(true, &x509_cert::ext::pkix::KeyUsage(flags))?);
        }
        if !self.usages.extended.is_empty() {
            let oids = self.usages.extended.iter().map(|usage| usage.oid()).collect();
            list.push(known(false, &ExtendedKeyUsage(oids))?);
        }
        let identifier = OctetString::new(self.public_key.key_identifier())?;
        list.push(known(false, &SubjectKeyIdentifier(identifier))?);
        if let Some(identifier) = &self.authority_key_identifier {
            let key_identifier = Some(OctetString::new(identifier.as_slice())?);
            list.push(known(false, &AuthorityKeyIdentifier { key_identifier, ..Default::default() })?);
        }
        if !self.sans.is_empty() {
            list.push(extension(
                ID_CE_SUBJECT_ALT_NAME,
                self.subject.is_empty(),
                &self.sans.to_general_names()?,
            )?);
        }
        if let Some(constraints) =
            self.ca.as_ref().map(|ca| &ca.name_constraints).filter(|set| !set.is_empty())
        {
            list.push(known(true, &constraints.to_asn1()?)?);
        }
        if !self.crl_distribution_points.is_empty() {
            let points = urls("crlDistributionPoints", &self.crl_distribution_points)?
                .into_iter()
                .map(|url| DistributionPoint {
                    distribution_point: Some(DistributionPointName::FullName(vec![url])),
                    reasons: None,
                    crl_issuer: None,
                })
                .collect();
            list.push(known(false, &CrlDistributionPoints(points))?);
        }
        let describe = |method| move |url| AccessDescription { access_method: method, access_location: url };
        let ocsp = urls("ocspServers", &self.ocsp_servers)?.into_iter().map(describe(ID_AD_OCSP));
        let issuers = urls("issuingCertificateURLs", &self.issuing_certificate_urls)?.into_iter();
        let access: Vec<_> = ocsp.chain(issuers.map(describe(ID_AD_CA_ISSUERS))).collect();
        if !access.is_empty() {
            list.push(known(false, &AuthorityInfoAccessSyntax(access))?);
        }
        Ok(list)
    }
}

fn known<T: AssociatedOid + Encode>(critical: bool, value: &T) -> Result<Extension, TemplateError> {
    extension(T::OID, critical, value)
}

fn extension<T: Encode>(
    oid: ObjectIdentifier,
    critical: bool,
    value: &T,
) -> Result<Extension, TemplateError> {
    Ok(Extension { extn_id: oid, critical, extn_value: OctetString::new(value.to_der()?)? })
}

/// The URLs of a certificate's field, if verifiers would fetch them. Errors: the first that is none, with its index.
pub fn fetched_urls(field: &str, texts: &[String]) -> Result<Vec<Uri>, NameError> {
    let fetched = |text: &String| -> Result<Uri, NameError> {
        let url = Uri::parse(text)?;
        if matches!(url.scheme(), "http" | "https" | "ldap" | "ldaps" | "ftp") {
            return Ok(url);
        }
        let (rule, fix) = ("has a scheme that verifiers do not fetch", "use http:// (RFC 5280 4.2.1.13)");
        Err(NameError::new(text, rule, fix))
    };
    let at = |(index, text)| fetched(text).map_err(|error| error.at(format!("{field}[{index}]")));
    texts.iter().enumerate().map(at).collect()
}

fn urls(field: &str, texts: &[String]) -> Result<Vec<GeneralName>, TemplateError> {
    let name = |url: &Uri| -> Result<_, TemplateError> {
        Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(url.as_str())?))
    };
    fetched_urls(field, texts)?.iter().map(name).collect()
}
