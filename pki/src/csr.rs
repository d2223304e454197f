//! PKCS#10 requests (RFC 2986): a public key and the proof that its private half is in the requester's hands.
//!
//! A parsed request shows its public key and nothing else: names, usages and a CA flag inside of it are wishes, and
//! what a certificate says comes from elsewhere.

use crate::algorithm::SignatureAlgorithm;
use crate::asn1::{RequestInfo, Signed, decode_exact};
use crate::key::{KeyError, PrivateKey, PublicKey};
use crate::name::{DistinguishedName, NameError, SubjectAltNames};
use crate::pem::{self, Label};
use const_oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME;
use const_oid::db::rfc5912::ID_EXTENSION_REQ;
use der::asn1::{Any, AnyRef, BitStringRef, OctetString, SetOfVec};
use der::{Decode, Encode};
use x509_cert::attr::Attribute;
use x509_cert::ext::Extension;

/// The longest request that is read, in bytes: 256 KiB.
pub const MAX_LEN: usize = 256 * 1024;

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
    /// A signature algorithm that is not accepted.
    #[error("request: {0}")]
    Signature(#[from] crate::algorithm::SignatureAlgorithmError),
    /// The self-signature is wrong: no proof of possession.
    #[error(
        "request: its signature was not made by its own key; sign it with the private key that belongs to it"
    )]
    NoProofOfPossession,
}

/// Builds a request: subject, an extension request for the SANs when there are any, and the proof of possession.
///
/// Returns DER. Errors: a name that breaks a rule, or the library failed to sign.
pub fn build(
    subject: &DistinguishedName,
    sans: &SubjectAltNames,
    key: &PrivateKey,
) -> Result<Vec<u8>, CsrError> {
    let subject = subject.to_der()?;
    let encoding = |_| CsrError::Malformed("cannot be written as DER; ask for fewer or shorter names");
    let info = encode_info(&subject, sans, key.public_key()).map_err(encoding)?;
    let signature = key.sign(&info)?;
    let encode = || -> der::Result<Vec<u8>> {
        Signed {
            content: AnyRef::from_der(&info)?,
            algorithm: key.algorithm().signature_algorithm(),
            signature: BitStringRef::from_bytes(&signature)?,
        }
        .to_der()
    };
    encode().map_err(encoding)
}

/// A request whose signature was checked; it shows the public key and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    public_key: PublicKey,
}

impl Csr {
    /// Reads DER, all of it, and checks the proof of possession.
    ///
    /// Errors: `Malformed`, a key or signature algorithm that is not accepted, or `NoProofOfPossession`.
    pub fn parse(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > MAX_LEN {
            return Err(CsrError::Malformed("longer than 256 KiB"));
        }
        let malformed = |_| CsrError::Malformed("not a DER PKCS#10 request");
        let outer: Signed<'_> = decode_exact(der).map_err(malformed)?;
        let info_der = outer.content.to_der().map_err(malformed)?;
        let info: RequestInfo<'_> = decode_exact(&info_der).map_err(malformed)?;
        if info.version != 0 {
            return Err(CsrError::Malformed("its version is not 1"));
        }
        let spki = info.subject_public_key_info.to_der().map_err(malformed)?;
        let (public_key, verifier) = PublicKey::with_verifier(&spki)?;
        let algorithm = SignatureAlgorithm::from_identifier(&outer.algorithm)?;
        let signature = outer
            .signature
            .as_bytes()
            .ok_or(CsrError::Malformed("its signature is no whole number of bytes"))?;
        verifier.verify_with(algorithm, &info_der, signature).map_err(|_| CsrError::NoProofOfPossession)?;
        Ok(Self { public_key })
    }

    /// Reads PEM with exactly one `CERTIFICATE REQUEST`, then as [`Self::parse`].
    pub fn from_pem(text: &[u8]) -> Result<Self, CsrError> {
        let blocks = pem::read(text).map_err(|_| CsrError::Malformed("not a PEM request"))?;
        match blocks.as_slice() {
            [block] if block.label == Label::CertificateRequest => Self::parse(&block.der),
            _ => Err(CsrError::Malformed("not exactly one PEM block CERTIFICATE REQUEST")),
        }
    }

    /// The key whose possession was proved.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}

fn encode_info(subject: &[u8], sans: &SubjectAltNames, key: &PublicKey) -> der::Result<Vec<u8>> {
    let mut attributes = SetOfVec::new();
    if !sans.is_empty() {
        let wanted = vec![Extension {
            extn_id: ID_CE_SUBJECT_ALT_NAME,
            critical: subject == [0x30, 0],
            extn_value: OctetString::new(sans.to_general_names()?.to_der()?)?,
        }];
        let values = SetOfVec::from_iter([Any::encode_from(&wanted)?])?;
        attributes.insert(Attribute { oid: ID_EXTENSION_REQ, values })?;
    }
    RequestInfo {
        version: 0,
        subject: AnyRef::from_der(subject)?,
        subject_public_key_info: AnyRef::from_der(key.spki_der())?,
        attributes: Some(attributes),
    }
    .to_der()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::KeyAlgorithm;
    use std::process::Command;

    fn request() -> (PrivateKey, Vec<u8>) {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let none: [&str; 0] = [];
        let sans = SubjectAltNames::parse(&["a.example"], &none, &none, &none).unwrap();
        let der = build(&DistinguishedName::with_common_name("web").unwrap(), &sans, &key).unwrap();
        (key, der)
    }

    #[test]
    fn a_request_proves_possession_of_its_key() {
        let (key, der) = request();
        assert_eq!(Csr::parse(&der).unwrap().public_key(), key.public_key());
        let pem = pem::write(Label::CertificateRequest, &der);
        assert_eq!(Csr::from_pem(pem.as_bytes()).unwrap().public_key(), key.public_key());
        assert!(Csr::from_pem(pem.repeat(2).as_bytes()).is_err());
        assert!(Csr::from_pem(pem::write(Label::Certificate, &der).as_bytes()).is_err());
    }

    #[test]
    fn another_key_in_a_signed_request_proves_nothing() {
        let (key, der) = request();
        let other = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let (mine, theirs) = (key.public_key().spki_der(), other.public_key().spki_der());
        let at = der.windows(mine.len()).position(|window| window == mine).unwrap();
        let swapped = [&der[..at], theirs, &der[at + mine.len()..]].concat();
        assert_eq!(Csr::parse(&swapped), Err(CsrError::NoProofOfPossession));
    }

    #[test]
    fn a_changed_name_or_trailing_bytes_are_refused() {
        let (_, der) = request();
        let at = der.windows(3).position(|window| window == b"web").unwrap();
        let mut changed = der.clone();
        changed[at] = b'x';
        assert_eq!(Csr::parse(&changed), Err(CsrError::NoProofOfPossession));
        let mut trailing = der.clone();
        trailing.push(0);
        assert!(matches!(Csr::parse(&trailing), Err(CsrError::Malformed(_))));
        assert!(matches!(Csr::parse(&vec![0; MAX_LEN + 1]), Err(CsrError::Malformed(_))));
        assert!(matches!(Csr::parse(&[]), Err(CsrError::Malformed(_))));
    }

    #[test]
    fn requests_of_openssl_are_read_with_other_digests_and_wishes_and_weak_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.pem");
        let key = key.to_str().unwrap();
        let make = |new_key: &[&str], options: &[&str]| {
            let base = ["req", "-new", "-nodes", "-keyout", key, "-subj", "/CN=x"];
            let output = Command::new("openssl").args(base).args(new_key).args(options).output();
            Csr::from_pem(&output.expect("openssl is needed for this test").stdout)
        };
        let rsa = ["-newkey", "rsa:4096"];
        assert_eq!(make(&rsa, &["-sha256"]).unwrap().public_key().algorithm(), KeyAlgorithm::Rsa4096);
        let p384 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
        assert_eq!(make(&p384, &["-sha512"]).unwrap().public_key().algorithm(), KeyAlgorithm::EcdsaP384);
        let wishes = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign"];
        assert_eq!(make(&p384, &wishes).unwrap().public_key().algorithm(), KeyAlgorithm::EcdsaP384);
        assert!(matches!(make(&rsa, &["-sha1"]), Err(CsrError::Signature(_))));
        assert!(matches!(make(&["-newkey", "rsa:1024"], &[]), Err(CsrError::Key(_))));
        let pss = ["-sigopt", "rsa_padding_mode:pss"];
        assert!(matches!(make(&["-newkey", "rsa:2048"], &pss), Err(CsrError::Signature(_))));
    }
}
