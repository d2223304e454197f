//! A certificate's signature, checked once more by other code.
//!
//! Everything else here verifies with aws-lc. Where there is an implementation in Rust of the same algorithm (RustCrypto:
//! p384, ml-dsa), it is asked too: a defect in one of them is then no false verdict but a contradiction.

use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::Certificate;
use keywright_pki::key::PublicKey;
use ml_dsa::pkcs8::DecodePublicKey;
use ml_dsa::{MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Verifier, VerifyingKey};
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;

/// ecdsa-with-SHA384 (RFC 5758 section 3.2): the only hash that the second implementation is asked with.
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");

/// What the second implementation says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opinion {
    /// The issuer's key signed it.
    Signed(&'static str),
    /// It did not.
    NotSigned(&'static str),
    /// There is none for this algorithm.
    NotAsked,
}

/// Asks whether `issuer` signed `certificate`.
pub(crate) fn ask(certificate: &Certificate, issuer: &PublicKey) -> Opinion {
    let Ok(outer) = x509_cert::Certificate::from_der(certificate.der()) else { return Opinion::NotAsked };
    let (message, signature) = (certificate.tbs_der(), outer.signature().raw_bytes());
    let (name, signed) = match issuer.algorithm() {
        KeyAlgorithm::EcdsaP384 if outer.signature_algorithm().oid == ECDSA_SHA384 => {
            ("p384", p384(issuer.spki_der(), message, signature))
        }
        KeyAlgorithm::MlDsa44 => ("ml-dsa", ml_dsa::<MlDsa44>(issuer.spki_der(), message, signature)),
        KeyAlgorithm::MlDsa65 => ("ml-dsa", ml_dsa::<MlDsa65>(issuer.spki_der(), message, signature)),
        KeyAlgorithm::MlDsa87 => ("ml-dsa", ml_dsa::<MlDsa87>(issuer.spki_der(), message, signature)),
        KeyAlgorithm::EcdsaP256
        | KeyAlgorithm::EcdsaP384
        | KeyAlgorithm::EcdsaP521
        | KeyAlgorithm::Ed25519
        | KeyAlgorithm::Rsa2048
        | KeyAlgorithm::Rsa3072
        | KeyAlgorithm::Rsa4096 => return Opinion::NotAsked,
    };
    if signed { Opinion::Signed(name) } else { Opinion::NotSigned(name) }
}

fn p384(spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = p384::ecdsa::VerifyingKey::from_public_key_der(spki) else { return false };
    let Ok(signature) = p384::ecdsa::DerSignature::try_from(signature) else { return false };
    key.verify(message, &signature).is_ok()
}

fn ml_dsa<P: MlDsaParams>(spki: &[u8], message: &[u8], signature: &[u8]) -> bool
where
    VerifyingKey<P>: DecodePublicKey,
{
    let Ok(key) = VerifyingKey::<P>::from_public_key_der(spki) else { return false };
    let Ok(signature) = ml_dsa::Signature::<P>::try_from(signature) else { return false };
    key.verify(message, &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use keywright_pki::certificate::{CaProfile, Serial, Template, Validity, assemble};
    use keywright_pki::key::PrivateKey;
    use keywright_pki::name::{DistinguishedName, SubjectAltNames};
    use keywright_pki::usage::Usages;

    fn root(key: &PrivateKey) -> Certificate {
        let at = |second| Timestamp::from_second(second).unwrap();
        let name = DistinguishedName::with_common_name("Test root").unwrap();
        let template = Template {
            serial: Serial::from_random([0x51; 20]),
            issuer_name: name.to_der().unwrap(),
            subject: name,
            sans: SubjectAltNames::default(),
            public_key: key.public_key().clone(),
            authority_key_identifier: None,
            validity: Validity::new(at(1_700_000_000), at(1_900_000_000)).unwrap(),
            usages: Usages::authority(),
            ca: Some(CaProfile::default()),
            crl_distribution_points: vec![],
            ocsp_servers: vec![],
            issuing_certificate_urls: vec![],
        };
        let tbs = template.tbs_der(key.algorithm()).unwrap();
        assemble(&tbs, &key.sign(tbs.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn both_implementations_agree_on_what_was_signed_and_by_whom() {
        for (algorithm, name) in [
            (KeyAlgorithm::EcdsaP384, Some("p384")),
            (KeyAlgorithm::MlDsa44, Some("ml-dsa")),
            (KeyAlgorithm::MlDsa65, Some("ml-dsa")),
            (KeyAlgorithm::MlDsa87, Some("ml-dsa")),
            (KeyAlgorithm::EcdsaP256, None),
            (KeyAlgorithm::Ed25519, None),
        ] {
            let (key, other) =
                (PrivateKey::generate(algorithm).unwrap(), PrivateKey::generate(algorithm).unwrap());
            let certificate = root(&key);
            let (yes, no) = match name {
                Some(name) => (Opinion::Signed(name), Opinion::NotSigned(name)),
                None => (Opinion::NotAsked, Opinion::NotAsked),
            };
            assert_eq!(ask(&certificate, key.public_key()), yes, "{algorithm}");
            assert_eq!(ask(&certificate, other.public_key()), no, "{algorithm}");
            assert!(certificate.verify_signed_by(key.public_key()).is_ok());
        }
    }
}
