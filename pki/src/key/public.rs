//! Public keys: parsed once, strictly, then known to be of a kind on our list.
//!
//! Rules: RFC 5480 (named curve, uncompressed point), RFC 3279 and RFC 8017 (RSA, NULL parameters, exponent 65537 here),
//! RFC 8410 (Ed25519), RFC 9881 (ML-DSA).

use super::{BadSignature, KeyError, edwards};
use crate::algorithm::{KeyAlgorithm, SignatureAlgorithm};
use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, ParsedPublicKey, UnparsedPublicKey, VerificationAlgorithm};
use const_oid::ObjectIdentifier;
use const_oid::db::{fips204, rfc5912, rfc8410};
use der::asn1::UintRef;
use der::{Decode, Encode, Sequence, Tagged};
use spki::SubjectPublicKeyInfoRef;

/// A public key of a kind on our list; the bytes are those it was read from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    spki: Vec<u8>,
    /// SHA-256 of the BIT STRING's value.
    digest: [u8; 32],
    /// SHA-256 of `spki`.
    pin: [u8; 32],
}

/// `RSAPublicKey` of RFC 8017 appendix A.1.1.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
}

const EXPONENT_65537: &[u8] = &[1, 0, 1];

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo.
    ///
    /// Errors: `Malformed` when it is not DER, a point not on its curve, an Ed25519 point of small order (anyone signs
    /// under it) or a key of wrong length; `Unsupported` for other algorithms, other curves, compressed points, RSA
    /// sizes other than 2048, 3072, 4096 or exponents other than 65537.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::with_verifier(der).map(|(key, _)| key)
    }

    /// The same, with the library's form of the key, which reading it makes anyway.
    pub(crate) fn with_verifier(der: &[u8]) -> Result<(Self, Verifier), KeyError> {
        let malformed = KeyError::Malformed("DER SubjectPublicKeyInfo");
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| malformed.clone())?;
        if spki.to_der().map_err(|_| malformed.clone())? != der {
            return Err(malformed);
        }
        let bits = spki.subject_public_key.as_bytes().ok_or_else(|| malformed.clone())?;
        let algorithm = recognise(&spki, bits)?;
        // The library checks what only arithmetic can: the point is on the curve, the key is well-formed.
        let parsed = parse(algorithm, der).ok_or(malformed)?;
        let key = Self { algorithm, spki: der.to_vec(), digest: sha256(bits), pin: sha256(der) };
        Ok((key, Verifier { algorithm, parsed }))
    }

    /// The library's form of this key, for a key under which many signatures are checked. Errors: none that a key which
    /// was read once can cause.
    pub fn verifier(&self) -> Result<Verifier, KeyError> {
        let parsed = parse(self.algorithm, &self.spki);
        let parsed = parsed.ok_or(KeyError::Malformed("DER SubjectPublicKeyInfo"))?;
        Ok(Verifier { algorithm: self.algorithm, parsed })
    }

    /// DER SubjectPublicKeyInfo, as read.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Kind and size.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// Checks a signature over `message`, made the way our own keys of this kind sign.
    ///
    /// `signature`: DER `ECDSA-Sig-Value` for ECDSA, the plain octets for all others, as in X.509.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        self.verify_with(self.algorithm.signature(), message, signature)
    }

    /// Checks a signature made with a named algorithm, which must fit the key. Errors: [`BadSignature`], also when it
    /// does not fit.
    pub fn verify_with(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let verifier = verifier(self.algorithm, algorithm).ok_or(BadSignature)?;
        UnparsedPublicKey::new(verifier, &self.spki).verify(message, signature).map_err(|_| BadSignature)
    }

    /// The key identifier of RFC 7093 section 2 method 1: the leftmost 160 bits of the SHA-256 of the BIT STRING's
    /// value (without tag, length and count of unused bits).
    pub fn key_identifier(&self) -> [u8; 20] {
        let mut identifier = [0; 20];
        identifier.copy_from_slice(&self.digest[..20]);
        identifier
    }

    /// SHA-256 of the whole DER SubjectPublicKeyInfo, as used for pinning.
    pub fn spki_sha256(&self) -> [u8; 32] {
        self.pin
    }
}

/// A public key in the library's form. Reading a key makes one, which for ECDSA costs a good part of what a signature costs
/// to check; it takes memory of the library's own, so it is kept for keys in use only.
#[derive(Debug, Clone)]
pub struct Verifier {
    algorithm: KeyAlgorithm,
    parsed: ParsedPublicKey,
}

impl Verifier {
    /// As [`PublicKey::verify`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        self.parsed.verify_sig(message, signature).map_err(|_| BadSignature)
    }

    /// As [`PublicKey::verify_with`].
    pub fn verify_with(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        if algorithm == self.algorithm.signature() {
            return self.verify(message, signature);
        }
        let verifier = verifier(self.algorithm, algorithm).ok_or(BadSignature)?;
        UnparsedPublicKey::new(verifier, &self.parsed).verify(message, signature).map_err(|_| BadSignature)
    }
}

/// The library's form of a key; none when it is none of this kind.
fn parse(algorithm: KeyAlgorithm, spki: &[u8]) -> Option<ParsedPublicKey> {
    ParsedPublicKey::new(verifier(algorithm, algorithm.signature())?, spki).ok()
}

/// Which of our algorithms a SubjectPublicKeyInfo is; `bits` is the value of its BIT STRING.
fn recognise(spki: &SubjectPublicKeyInfoRef<'_>, bits: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    let oid = spki.algorithm.oid;
    let parameters = spki.algorithm.parameters;
    if oid == rfc5912::ID_EC_PUBLIC_KEY {
        let curve = parameters
            .and_then(|any| any.decode_as::<ObjectIdentifier>().ok())
            .ok_or_else(|| KeyError::Unsupported("an elliptic curve that is not named".to_owned()))?;
        let algorithm = curve_algorithm(curve)?;
        return match bits.first() {
            Some(4) => Ok(algorithm),
            Some(2 | 3) => Err(KeyError::Unsupported("a compressed elliptic curve point".to_owned())),
            _ => Err(KeyError::Malformed("elliptic curve point")),
        };
    }
    if oid == rfc5912::RSA_ENCRYPTION {
        return match parameters {
            Some(any) if any.tag() == der::Tag::Null => rsa_algorithm(bits),
            _ => Err(KeyError::Malformed("RSA key: its parameters must be NULL")),
        };
    }
    let algorithm = match oid {
        rfc8410::ID_ED_25519 if !edwards::is_sound(bits) => {
            return Err(KeyError::Malformed("Ed25519 public key"));
        }
        rfc8410::ID_ED_25519 => KeyAlgorithm::Ed25519,
        fips204::ID_ML_DSA_44 => KeyAlgorithm::MlDsa44,
        fips204::ID_ML_DSA_65 => KeyAlgorithm::MlDsa65,
        fips204::ID_ML_DSA_87 => KeyAlgorithm::MlDsa87,
        other => return Err(KeyError::Unsupported(format!("algorithm {other} is not supported"))),
    };
    match parameters {
        None => Ok(algorithm),
        Some(_) => Err(KeyError::Malformed("public key: this algorithm has no parameters")),
    }
}

/// The algorithm of a named curve.
pub(super) fn curve_algorithm(curve: ObjectIdentifier) -> Result<KeyAlgorithm, KeyError> {
    match curve {
        rfc5912::SECP_256_R_1 => Ok(KeyAlgorithm::EcdsaP256),
        rfc5912::SECP_384_R_1 => Ok(KeyAlgorithm::EcdsaP384),
        rfc5912::SECP_521_R_1 => Ok(KeyAlgorithm::EcdsaP521),
        other => Err(KeyError::Unsupported(format!("elliptic curve {other} is not supported"))),
    }
}

fn rsa_algorithm(bits: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    let key = RsaPublicKey::from_der(bits).map_err(|_| KeyError::Malformed("RSA public key"))?;
    let modulus = key.modulus.as_bytes();
    let (Some(first), Some(last)) = (modulus.first(), modulus.last()) else {
        return Err(KeyError::Malformed("RSA public key"));
    };
    let size = modulus.len() * 8 - first.leading_zeros() as usize;
    if key.public_exponent.as_bytes() != EXPONENT_65537 {
        return Err(KeyError::Unsupported("an RSA exponent other than 65537 is not supported".to_owned()));
    }
    if last % 2 == 0 {
        return Err(KeyError::Unsupported("an even RSA modulus is no key".to_owned()));
    }
    match size {
        2048 => Ok(KeyAlgorithm::Rsa2048),
        3072 => Ok(KeyAlgorithm::Rsa3072),
        4096 => Ok(KeyAlgorithm::Rsa4096),
        other => Err(KeyError::Unsupported(format!("RSA with {other} bits is not supported"))),
    }
}

/// The library's verifier for a key and a signature algorithm; none when they do not belong together.
fn verifier(key: KeyAlgorithm, algorithm: SignatureAlgorithm) -> Option<&'static dyn VerificationAlgorithm> {
    use KeyAlgorithm as K;
    use SignatureAlgorithm as S;
    Some(match (key, algorithm) {
        (K::EcdsaP256, S::EcdsaSha256) => &signature::ECDSA_P256_SHA256_ASN1,
        (K::EcdsaP256, S::EcdsaSha384) => &signature::ECDSA_P256_SHA384_ASN1,
        (K::EcdsaP256, S::EcdsaSha512) => &signature::ECDSA_P256_SHA512_ASN1,
        (K::EcdsaP384, S::EcdsaSha256) => &signature::ECDSA_P384_SHA256_ASN1,
        (K::EcdsaP384, S::EcdsaSha384) => &signature::ECDSA_P384_SHA384_ASN1,
        (K::EcdsaP384, S::EcdsaSha512) => &signature::ECDSA_P384_SHA512_ASN1,
        (K::EcdsaP521, S::EcdsaSha256) => &signature::ECDSA_P521_SHA256_ASN1,
        (K::EcdsaP521, S::EcdsaSha384) => &signature::ECDSA_P521_SHA384_ASN1,
        (K::EcdsaP521, S::EcdsaSha512) => &signature::ECDSA_P521_SHA512_ASN1,
        (K::Rsa2048 | K::Rsa3072 | K::Rsa4096, S::RsaSha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (K::Rsa2048 | K::Rsa3072 | K::Rsa4096, S::RsaSha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (K::Rsa2048 | K::Rsa3072 | K::Rsa4096, S::RsaSha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
        (K::Ed25519, S::Ed25519) => &signature::ED25519,
        (K::MlDsa44, S::MlDsa44) => &signature::ML_DSA_44,
        (K::MlDsa65, S::MlDsa65) => &signature::ML_DSA_65,
        (K::MlDsa87, S::MlDsa87) => &signature::ML_DSA_87,
        // Every other pair is a signature that a key of this kind cannot have made.
        _ => return None,
    })
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}
