//! Signing keys that are made in a token, sign there, and never leave it.

use super::encoding::{ec_spki, ecdsa_signature, ed25519_spki, rsa_spki};
use super::token::{Fault, Lease, Token};
use crate::error::{CustodyError, Kind};
use aws_lc_rs::digest::{self, digest};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use der::Encode as _;
use keywright_ambient::Entropy;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Curve name of Ed25519 in CKA_EC_PARAMS, as PKCS#11 v3.0 section 2.3.5 has it: PrintableString `edwards25519`.
const EDWARDS25519: &[u8] = b"\x13\x0cedwards25519";

/// Which keys a token can hold. ML-DSA is not among them: tokens of today do not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
    /// ECDSA on P-521 with SHA-512.
    EcdsaP521,
    /// Ed25519.
    Ed25519,
    /// RSA 2048, PKCS#1 v1.5 with SHA-256.
    Rsa2048,
    /// RSA 3072, PKCS#1 v1.5 with SHA-384.
    Rsa3072,
    /// RSA 4096, PKCS#1 v1.5 with SHA-512.
    Rsa4096,
}

/// How an algorithm is spoken of in PKCS#11.
enum Family {
    Ecdsa { curve: ObjectIdentifier, coordinate: usize, hash: &'static digest::Algorithm },
    Ed25519,
    Rsa { bits: u64, sign: Mechanism<'static>, kind: MechanismType },
}

impl TokenAlgorithm {
    fn family(self) -> Family {
        match self {
            Self::EcdsaP256 => {
                Family::Ecdsa { curve: rfc5912::SECP_256_R_1, coordinate: 32, hash: &digest::SHA256 }
            }
            Self::EcdsaP384 => {
                Family::Ecdsa { curve: rfc5912::SECP_384_R_1, coordinate: 48, hash: &digest::SHA384 }
            }
            Self::EcdsaP521 => {
                Family::Ecdsa { curve: rfc5912::SECP_521_R_1, coordinate: 66, hash: &digest::SHA512 }
            }
            Self::Ed25519 => Family::Ed25519,
            Self::Rsa2048 => Family::Rsa {
                bits: 2048,
                sign: Mechanism::Sha256RsaPkcs,
                kind: MechanismType::SHA256_RSA_PKCS,
            },
            Self::Rsa3072 => Family::Rsa {
                bits: 3072,
                sign: Mechanism::Sha384RsaPkcs,
                kind: MechanismType::SHA384_RSA_PKCS,
            },
            Self::Rsa4096 => Family::Rsa {
                bits: 4096,
                sign: Mechanism::Sha512RsaPkcs,
                kind: MechanismType::SHA512_RSA_PKCS,
            },
        }
    }
}

/// What is kept of a key that lives in a token: enough to find it again, nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyReference {
    /// The token's label.
    pub token: String,
    /// CKA_ID of both halves, hexadecimal, 16 random bytes.
    pub id: String,
    /// Kind and size.
    pub algorithm: TokenAlgorithm,
}

/// A key in a token.
pub struct TokenKey {
    token: Arc<Token>,
    reference: KeyReference,
    id: Vec<u8>,
    spki: Vec<u8>,
    /// Handle of the private half, and the connection it is good for.
    handle: Mutex<Option<(u64, ObjectHandle)>>,
    /// Nothing refers to it yet: it is destroyed when dropped.
    fresh: AtomicBool,
}

impl TokenKey {
    /// Makes a key pair in the token: private half sensitive, not extractable, for signing only.
    ///
    /// `label`: shown by the vendor's tools. The key is destroyed again when dropped before [`Self::keep`].
    /// Errors: the token cannot do it, or is away.
    pub fn generate(
        token: &Arc<Token>,
        algorithm: TokenAlgorithm,
        label: &str,
        entropy: &dyn Entropy,
    ) -> Result<Self, CustodyError> {
        let mut id = vec![0; 16];
        entropy.fill(&mut id).map_err(|error| token.error(Kind::System, error.to_string(), "try again"))?;
        let needed = match algorithm.family() {
            Family::Ecdsa { .. } => [MechanismType::ECC_KEY_PAIR_GEN, MechanismType::ECDSA],
            Family::Ed25519 => [MechanismType::ECC_EDWARDS_KEY_PAIR_GEN, MechanismType::EDDSA],
            Family::Rsa { kind, .. } => [MechanismType::RSA_PKCS_KEY_PAIR_GEN, kind],
        };
        if !token.has(&needed)? {
            return Err(CustodyError::new(
                Kind::Unsupported,
                "privateKey.algorithm",
                format!("token {} has no mechanism for {algorithm:?}", token.label()),
                "choose ECDSA or RSA, or a signer that keeps keys in memory",
            ));
        }
        let (made, spki) = token.with("make a key", |session, _: &Lease<'_>| {
            let (public, private) = make(token, session, algorithm, &id, label)?;
            match public_key(token, session, algorithm, public).and_then(|spki| {
                check(token, session, private)?;
                Ok(spki)
            }) {
                Ok(spki) => Ok((private, spki)),
                Err(fault) => {
                    // Best effort: the fault is what the caller has to know.
                    let _ = session.destroy_object(private).and(session.destroy_object(public));
                    Err(fault)
                }
            }
        })?;
        let reference = KeyReference { token: token.label().to_owned(), id: hex::encode(&id), algorithm };
        let _ = made;
        Ok(Self {
            token: Arc::clone(token),
            reference,
            id,
            spki,
            handle: Mutex::new(None),
            fresh: AtomicBool::new(true),
        })
    }

    /// A key that was kept before. Errors: it is not in the token, is another one, or could be read out of it.
    pub fn open(token: &Arc<Token>, reference: KeyReference, spki: &[u8]) -> Result<Self, CustodyError> {
        let id = hex::decode(&reference.id).unwrap_or_default();
        let found = token.with("look for a key", |session, _: &Lease<'_>| {
            check(token, session, find(token, session, ObjectClass::PRIVATE_KEY, &id)?)?;
            let public = find(token, session, ObjectClass::PUBLIC_KEY, &id)?;
            public_key(token, session, reference.algorithm, public)
        })?;
        if found != spki {
            let rule = format!("its key {} is another one than the authority's", reference.id);
            return Err(token.error(Kind::WrongKey, rule, "restore the token's backup that holds it"));
        }
        let fresh = AtomicBool::new(false);
        Ok(Self { token: Arc::clone(token), reference, id, spki: found, handle: Mutex::new(None), fresh })
    }

    /// How it is found again.
    pub fn reference(&self) -> &KeyReference {
        &self.reference
    }

    /// The public half, DER SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Something refers to it from now on: it outlives this value.
    pub fn keep(&self) {
        self.fresh.store(false, Ordering::Release);
    }

    /// Signs the whole message in the token: DER `ECDSA-Sig-Value` for ECDSA, the plain octets for all others.
    ///
    /// Errors: the token is away or busy, or refuses; nothing was signed. The caller verifies the signature.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CustodyError> {
        let token = &self.token;
        token.with("sign", |session, lease| {
            let key = self.handle(session, lease)?;
            let bad =
                || token.error(Kind::System, "sign: its signature has no sense", "see the vendor's manual");
            match self.reference.algorithm.family() {
                Family::Ecdsa { hash, coordinate, .. } => {
                    let raw = session.sign(&Mechanism::Ecdsa, key, digest(hash, message).as_ref())?;
                    if raw.len() != 2 * coordinate {
                        return Err(bad().into());
                    }
                    ecdsa_signature(&raw).ok_or_else(|| bad().into())
                }
                Family::Ed25519 => {
                    let pure = EddsaParams::new(EddsaSignatureScheme::Pure);
                    Ok(session.sign(&Mechanism::Eddsa(pure), key, message)?)
                }
                Family::Rsa { sign, .. } => Ok(session.sign(&sign, key, message)?),
            }
        })
    }

    /// Destroys both halves in the token, for good.
    pub fn destroy(&self) -> Result<(), CustodyError> {
        let token = &self.token;
        token.with("destroy a key", |session, _: &Lease<'_>| {
            for object in session.find_objects(&[Attribute::Token(true), Attribute::Id(self.id.clone())])? {
                session.destroy_object(object)?;
            }
            Ok(())
        })
    }

    fn handle(&self, session: &Session, lease: &Lease<'_>) -> Result<ObjectHandle, Fault> {
        let mut known = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some((generation, handle)) if generation == lease.generation() => Ok(handle),
            Some(_) | None => {
                // It was there: a token that lost it may be on its way out.
                let handle = match find(&self.token, session, ObjectClass::PRIVATE_KEY, &self.id) {
                    Err(Fault::Custody(error)) if error.kind == Kind::NotFound => {
                        return Err(Fault::Gone(error));
                    }
                    found => found?,
                };
                *known = Some((lease.generation(), handle));
                Ok(handle)
            }
        }
    }
}

impl Drop for TokenKey {
    fn drop(&mut self) {
        if self.fresh.load(Ordering::Acquire)
            && let Err(error) = self.destroy()
        {
            tracing::warn!(%error, id = self.reference.id, "an unused key stays in the token");
        }
    }
}

fn make(
    token: &Token,
    session: &Session,
    algorithm: TokenAlgorithm,
    id: &[u8],
    label: &str,
) -> Result<(ObjectHandle, ObjectHandle), Fault> {
    let both =
        [Attribute::Token(true), Attribute::Id(id.to_vec()), Attribute::Label(label.as_bytes().to_vec())];
    let mut public = vec![Attribute::Verify(true)];
    let mechanism = match algorithm.family() {
        Family::Ecdsa { curve, .. } => {
            let curve = curve.to_der().map_err(|_| token.error(Kind::System, "its curve", "report this"))?;
            public.push(Attribute::EcParams(curve));
            Mechanism::EccKeyPairGen
        }
        Family::Ed25519 => {
            public.push(Attribute::EcParams(EDWARDS25519.to_vec()));
            Mechanism::EccEdwardsKeyPairGen
        }
        Family::Rsa { bits, .. } => {
            public.push(Attribute::ModulusBits(bits.into()));
            public.push(Attribute::PublicExponent(vec![1, 0, 1]));
            Mechanism::RsaPkcsKeyPairGen
        }
    };
    let mut private = vec![
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ];
    public.extend(both.clone());
    private.extend(both);
    Ok(session.generate_key_pair(&mechanism, &public, &private)?)
}

fn find(token: &Token, session: &Session, class: ObjectClass, id: &[u8]) -> Result<ObjectHandle, Fault> {
    let template = [Attribute::Class(class), Attribute::Token(true), Attribute::Id(id.to_vec())];
    match session.find_objects(&template)?[..] {
        [key] => Ok(key),
        [] => {
            let rule = format!("holds no key with the id {}", hex::encode(id));
            Err(token.error(Kind::NotFound, rule, "restore the token's backup that holds it").into())
        }
        _ => {
            let rule = format!("holds several keys with the id {}", hex::encode(id));
            Err(token.error(Kind::Ambiguous, rule, "remove the copies with the vendor's tool").into())
        }
    }
}

/// Refuses a private key that could be read out of the token, or that could ever have been.
fn check(token: &Token, session: &Session, private: ObjectHandle) -> Result<(), Fault> {
    let wanted = [
        (AttributeType::Sensitive, Attribute::Sensitive(true)),
        (AttributeType::Extractable, Attribute::Extractable(false)),
        (AttributeType::AlwaysSensitive, Attribute::AlwaysSensitive(true)),
        (AttributeType::NeverExtractable, Attribute::NeverExtractable(true)),
        (AttributeType::Sign, Attribute::Sign(true)),
    ];
    let found = session.get_attributes(private, &wanted.clone().map(|(kind, _)| kind))?;
    if wanted.iter().all(|(_, value)| found.contains(value)) {
        return Ok(());
    }
    let rule =
        "a private key in it is not sensitive, not non-extractable since it was made, or not for signing";
    Err(token.error(Kind::Unsupported, rule, "make the authority anew: this key may have been copied").into())
}

fn public_key(
    token: &Token,
    session: &Session,
    algorithm: TokenAlgorithm,
    public: ObjectHandle,
) -> Result<Vec<u8>, Fault> {
    let spki = match algorithm.family() {
        Family::Ecdsa { curve, coordinate, .. } => {
            match &session.get_attributes(public, &[AttributeType::EcPoint])?[..] {
                [Attribute::EcPoint(point)] => ec_spki(curve, coordinate, point),
                _ => None,
            }
        }
        Family::Ed25519 => match &session.get_attributes(public, &[AttributeType::EcPoint])?[..] {
            [Attribute::EcPoint(point)] => ed25519_spki(point),
            _ => None,
        },
        Family::Rsa { .. } => {
            match &session.get_attributes(public, &[AttributeType::Modulus, AttributeType::PublicExponent])?[..]
            {
                [Attribute::Modulus(modulus), Attribute::PublicExponent(exponent)] => {
                    rsa_spki(modulus, exponent)
                }
                _ => None,
            }
        }
    };
    spki.ok_or_else(|| {
        token.error(Kind::Unsupported, "its public key has no known form", "see the vendor's manual").into()
    })
}
