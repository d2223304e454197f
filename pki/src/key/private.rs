//! Key pairs: made, read, written and used, over aws-lc, which wipes its own memory on release.

use super::public::curve_algorithm;
use super::{BadSignature, KeyError, PublicKey, Verifier};
use crate::algorithm::KeyAlgorithm;
use crate::pem::{self, Label};
use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, PqdsaKeyPair, PqdsaSigningAlgorithm,
    RsaKeyPair,
};
use const_oid::ObjectIdentifier;
use const_oid::db::{fips204, rfc5912, rfc8410};
use der::Decode;
use pkcs8::PrivateKeyInfoRef;
use sec1::EcPrivateKey;
use std::sync::OnceLock;
use zeroize::Zeroizing;

/// How a private key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// PKCS#1 (`RSA PRIVATE KEY`) for RSA, SEC1 (`EC PRIVATE KEY`) for ECDSA, PKCS#8 for all others, which have
    /// nothing older.
    Pkcs1,
    /// PKCS#8 (`PRIVATE KEY`, RFC 5958).
    Pkcs8,
}

/// A key pair. Cannot be copied, compared, printed or serialized; its memory is wiped when dropped.
///
/// Building one from borrowed bytes and dropping it after one signature is cheap enough to do each time: nothing
/// outside aws-lc keeps the secret.
pub struct PrivateKey {
    pair: Pair,
    public: PublicKey,
    /// Made with the first own signature that is checked, if it is kept at all.
    verifier: OnceLock<Verifier>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
    MlDsa(PqdsaKeyPair),
}

impl PrivateKey {
    /// Makes a key pair with the library's own random source. RSA takes up to seconds: call it off the async threads.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let failed = |_| KeyError::Library { operation: "make a key", algorithm };
        Self::new(match Kind::of(algorithm) {
            Kind::Ecdsa(signing) => Pair::Ecdsa(EcdsaKeyPair::generate(signing).map_err(failed)?),
            Kind::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            Kind::Rsa(size) => Pair::Rsa(RsaKeyPair::generate(size).map_err(failed)?),
            Kind::MlDsa(signing) => Pair::MlDsa(PqdsaKeyPair::generate(signing).map_err(failed)?),
        })
    }

    /// Reads PKCS#8 DER, not encrypted; `der` is only borrowed.
    ///
    /// Errors: `Malformed` or `Unsupported`. ML-DSA needs the seed (RFC 9881 section 6): a key in expanded form only
    /// could never be written again.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let malformed = |_| KeyError::Malformed("PKCS#8 private key");
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| KeyError::Malformed("PKCS#8 private key"))?;
        let key = Self::new(match info.algorithm.oid {
            rfc5912::ID_EC_PUBLIC_KEY => {
                let curve = info
                    .algorithm
                    .parameters
                    .and_then(|any| any.decode_as::<ObjectIdentifier>().ok())
                    .ok_or_else(|| KeyError::Unsupported("an elliptic curve that is not named".to_owned()))?;
                Pair::Ecdsa(EcdsaKeyPair::from_pkcs8(ecdsa(curve)?, der).map_err(malformed)?)
            }
            rfc5912::RSA_ENCRYPTION => Pair::Rsa(RsaKeyPair::from_pkcs8(der).map_err(malformed)?),
            rfc8410::ID_ED_25519 => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(malformed)?),
            fips204::ID_ML_DSA_44 | fips204::ID_ML_DSA_65 | fips204::ID_ML_DSA_87 => {
                if info.private_key.as_bytes().first() == Some(&EXPANDED_ONLY) {
                    return Err(KeyError::Unsupported(
                        "an ML-DSA key without its seed is not supported".to_owned(),
                    ));
                }
                let signing = ml_dsa(info.algorithm.oid);
                Pair::MlDsa(PqdsaKeyPair::from_pkcs8(signing, der).map_err(malformed)?)
            }
            other => return Err(KeyError::Unsupported(format!("algorithm {other} is not supported"))),
        })?;
        Ok(key)
    }

    /// Reads PEM with exactly one private key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let blocks = pem::read(text).map_err(|_| KeyError::Malformed("PEM private key"))?;
        let mut found = None;
        for block in &blocks {
            let key = match block.label {
                Label::Pkcs8 => Self::from_pkcs8_der(&block.der)?,
                Label::Pkcs1 => Self::new(Pair::Rsa(
                    RsaKeyPair::from_der(&block.der)
                        .map_err(|_| KeyError::Malformed("PKCS#1 private key"))?,
                ))?,
                Label::Sec1 => Self::from_sec1_der(&block.der)?,
                Label::EcParameters => continue,
                Label::Certificate | Label::CertificateRequest => {
                    return Err(KeyError::Malformed("PEM private key: it holds something else too"));
                }
            };
            if found.replace(key).is_some() {
                return Err(KeyError::Malformed("PEM private key: it holds several"));
            }
        }
        found.ok_or(KeyError::Malformed("PEM private key"))
    }

    /// PKCS#8 version 1 DER; for ML-DSA in the seed form of RFC 9881.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let failed = |_| self.cannot("write a key");
        let document = match &self.pair {
            Pair::Ecdsa(pair) => pair.to_pkcs8v1().map_err(failed)?,
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?,
            Pair::MlDsa(pair) => pair.to_pkcs8v1().map_err(failed)?,
            Pair::Rsa(pair) => {
                let document = pair.as_der().map_err(failed)?;
                return Ok(Zeroizing::new(document.as_ref().to_vec()));
            }
        };
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// PEM with a trailing newline.
    pub fn to_pem(&self, encoding: Encoding) -> Result<Zeroizing<String>, KeyError> {
        let failed = |_| self.cannot("write a key");
        match (&self.pair, encoding) {
            (Pair::Ecdsa(pair), Encoding::Pkcs1) => {
                let der = pair.private_key().as_der().map_err(failed)?;
                Ok(pem::write(Label::Sec1, der.as_ref()))
            }
            (Pair::Rsa(_), Encoding::Pkcs1) => {
                let pkcs8 = self.to_pkcs8_der()?;
                let info =
                    PrivateKeyInfoRef::try_from(pkcs8.as_slice()).map_err(|_| self.cannot("write a key"))?;
                Ok(pem::write(Label::Pkcs1, info.private_key.as_bytes()))
            }
            (Pair::Ed25519(_) | Pair::MlDsa(_), Encoding::Pkcs1) | (_, Encoding::Pkcs8) => {
                Ok(pem::write(Label::Pkcs8, &self.to_pkcs8_der()?))
            }
        }
    }

    /// Kind and size.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.public.algorithm()
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs the whole message, as [`KeyAlgorithm::signature`] says; ECDSA and ML-DSA signatures differ each time.
    ///
    /// Returns DER `ECDSA-Sig-Value` for ECDSA, the plain octets for all others. Errors: `Library`.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |_| self.cannot("sign");
        // Signing a digest needs no random source as an argument; the digest is the one of the algorithm.
        match &self.pair {
            Pair::Ecdsa(pair) => {
                let signature = pair.sign_digest(&digest(self.digest(), message)).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let padding = rsa_padding(self.algorithm()).ok_or_else(|| self.cannot("sign"))?;
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign_digest(padding, &digest(self.digest(), message), &mut out).map_err(failed)?;
                Ok(out)
            }
            Pair::MlDsa(pair) => {
                let mut out = vec![0; pair.algorithm().signature_len()];
                let len = pair.sign(message, &mut out).map_err(failed)?;
                out.truncate(len);
                Ok(out)
            }
        }
    }

    /// Checks a signature that this key made; as [`PublicKey::verify`].
    ///
    /// The library's form of the public half is kept from the first time on where it is small: for ECDSA and Ed25519. That
    /// of other keys takes as much memory as the key itself, and next to none of the time of a signature.
    pub fn verify_own(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        match &self.pair {
            Pair::Ecdsa(_) | Pair::Ed25519(_) => {
                let verifier = if let Some(made) = self.verifier.get() {
                    made
                } else {
                    let made = self.public.verifier().map_err(|_| BadSignature)?;
                    self.verifier.get_or_init(|| made)
                };
                verifier.verify(message, signature)
            }
            Pair::Rsa(_) | Pair::MlDsa(_) => self.public.verify(message, signature),
        }
    }

    fn new(pair: Pair) -> Result<Self, KeyError> {
        let spki = match &pair {
            Pair::Ecdsa(pair) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::MlDsa(pair) => pair.public_key().as_der(),
        };
        let spki =
            spki.map_err(|_| KeyError::Malformed("private key: its public half cannot be computed"))?;
        Ok(Self { public: PublicKey::from_spki_der(spki.as_ref())?, pair, verifier: OnceLock::new() })
    }

    fn from_sec1_der(der: &[u8]) -> Result<Self, KeyError> {
        let malformed = KeyError::Malformed("SEC1 private key");
        let key = EcPrivateKey::from_der(der).map_err(|_| malformed.clone())?;
        let curve = key
            .parameters
            .and_then(sec1::EcParameters::named_curve)
            .ok_or_else(|| KeyError::Unsupported("an elliptic curve that is not named".to_owned()))?;
        let pair = EcdsaKeyPair::from_private_key_der(ecdsa(curve)?, der).map_err(|_| malformed)?;
        Self::new(Pair::Ecdsa(pair))
    }

    fn digest(&self) -> &'static digest::Algorithm {
        match self.algorithm() {
            KeyAlgorithm::EcdsaP384 | KeyAlgorithm::Rsa3072 => &digest::SHA384,
            KeyAlgorithm::EcdsaP521 | KeyAlgorithm::Rsa4096 => &digest::SHA512,
            KeyAlgorithm::EcdsaP256
            | KeyAlgorithm::Rsa2048
            | KeyAlgorithm::Ed25519
            | KeyAlgorithm::MlDsa44
            | KeyAlgorithm::MlDsa65
            | KeyAlgorithm::MlDsa87 => &digest::SHA256,
        }
    }

    fn cannot(&self, operation: &'static str) -> KeyError {
        KeyError::Library { operation, algorithm: self.algorithm() }
    }
}

/// First byte of an ML-DSA private key that is an OCTET STRING: the expanded key alone (RFC 9881 section 6).
const EXPANDED_ONLY: u8 = 0x04;

/// What the library needs to know to make a key.
enum Kind {
    Ecdsa(&'static EcdsaSigningAlgorithm),
    Ed25519,
    Rsa(KeySize),
    MlDsa(&'static PqdsaSigningAlgorithm),
}

impl Kind {
    fn of(algorithm: KeyAlgorithm) -> Self {
        match algorithm {
            KeyAlgorithm::EcdsaP256 => Self::Ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyAlgorithm::EcdsaP384 => Self::Ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyAlgorithm::EcdsaP521 => Self::Ecdsa(&signature::ECDSA_P521_SHA512_ASN1_SIGNING),
            KeyAlgorithm::Ed25519 => Self::Ed25519,
            KeyAlgorithm::Rsa2048 => Self::Rsa(KeySize::Rsa2048),
            KeyAlgorithm::Rsa3072 => Self::Rsa(KeySize::Rsa3072),
            KeyAlgorithm::Rsa4096 => Self::Rsa(KeySize::Rsa4096),
            KeyAlgorithm::MlDsa44 => Self::MlDsa(&signature::ML_DSA_44_SIGNING),
            KeyAlgorithm::MlDsa65 => Self::MlDsa(&signature::ML_DSA_65_SIGNING),
            KeyAlgorithm::MlDsa87 => Self::MlDsa(&signature::ML_DSA_87_SIGNING),
        }
    }
}

/// PKCS#1 v1.5 with the digest of the key's size.
fn rsa_padding(algorithm: KeyAlgorithm) -> Option<&'static dyn signature::RsaEncoding> {
    match algorithm {
        KeyAlgorithm::Rsa2048 => Some(&signature::RSA_PKCS1_SHA256),
        KeyAlgorithm::Rsa3072 => Some(&signature::RSA_PKCS1_SHA384),
        KeyAlgorithm::Rsa4096 => Some(&signature::RSA_PKCS1_SHA512),
        KeyAlgorithm::EcdsaP256
        | KeyAlgorithm::EcdsaP384
        | KeyAlgorithm::EcdsaP521
        | KeyAlgorithm::Ed25519
        | KeyAlgorithm::MlDsa44
        | KeyAlgorithm::MlDsa65
        | KeyAlgorithm::MlDsa87 => None,
    }
}

fn ecdsa(curve: ObjectIdentifier) -> Result<&'static EcdsaSigningAlgorithm, KeyError> {
    match Kind::of(curve_algorithm(curve)?) {
        Kind::Ecdsa(signing) => Ok(signing),
        Kind::Ed25519 | Kind::Rsa(_) | Kind::MlDsa(_) => Err(KeyError::Malformed("elliptic curve key")),
    }
}

fn ml_dsa(oid: ObjectIdentifier) -> &'static PqdsaSigningAlgorithm {
    match oid {
        fips204::ID_ML_DSA_44 => &signature::ML_DSA_44_SIGNING,
        fips204::ID_ML_DSA_65 => &signature::ML_DSA_65_SIGNING,
        _ => &signature::ML_DSA_87_SIGNING,
    }
}
