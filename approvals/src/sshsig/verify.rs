//! The signature, the statement that it is made over, and the check.

use super::key::{BadKey, Kind, SshPublicKey};
use super::wire::{Reader, put};
use super::{NAMESPACE, armor};
use crate::effect::EffectDigest;
use aws_lc_rs::digest::{SHA256, SHA512, digest};
use der::asn1::UintRef;
use der::{Encode, Sequence};
use keywright_pki::algorithm::SignatureAlgorithm;

const MAGIC: &[u8; 6] = b"SSHSIG";
const VERSION: u32 = 1;
/// Authenticator flag: somebody touched it.
const USER_PRESENT: u8 = 1;

/// A signature, read and not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSignature {
    key: SshPublicKey,
    namespace: Vec<u8>,
    reserved: Vec<u8>,
    hash: Hash,
    algorithm: SignatureAlgorithm,
    /// As [`keywright_pki::key::PublicKey::verify_with`] wants it.
    signature: Vec<u8>,
    authenticator: Option<Authenticator>,
}

/// How the message is hashed before it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha512,
}

/// What an authenticator signs along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Authenticator {
    flags: u8,
    counter: u32,
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSshSignature {
    /// Not in armour.
    #[error("it is no SSH signature: {0}; give the .sig file that ssh-keygen -Y sign wrote")]
    Armor(&'static str),
    /// The octets are not in the form of PROTOCOL.sshsig.
    #[error("it is no SSH signature: {0}")]
    Malformed(&'static str),
    /// The key within it cannot be used.
    #[error("its key cannot be used: {0}")]
    Key(#[from] BadKey),
    /// A hash or signature algorithm that is not on the list, or not one of the key's.
    #[error("it is made with {0}, which is not accepted for this key; use the defaults of ssh-keygen")]
    Algorithm(String),
    /// Made for another purpose.
    #[error("it is made for namespace {found:?}; sign with ssh-keygen -Y sign -n {NAMESPACE}")]
    Namespace {
        /// Which.
        found: String,
    },
    /// The authenticator did not ask for a touch.
    #[error("the authenticator was not touched; sign with a key that requires it")]
    NotTouched,
    /// The arithmetic says no.
    #[error("it does not verify over this digest")]
    Wrong,
}

#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// Checks that armoured `signature` is an approval of `effect`, and tells which key made it: whether that key is the
/// approver's is for the caller to say. The message is the digest's text form, without a line break.
pub fn approves(effect: &EffectDigest, signature: &str) -> Result<SshPublicKey, BadSshSignature> {
    let signature = SshSignature::from_armor(signature)?;
    signature.verify(NAMESPACE, effect.to_string().as_bytes())?;
    Ok(signature.key)
}

impl SshSignature {
    /// Reads armoured text. Errors: [`BadSshSignature`].
    pub fn from_armor(text: &str) -> Result<Self, BadSshSignature> {
        Self::from_octets(&armor::read(text)?)
    }

    /// Reads the octets within the armour. Errors: [`BadSshSignature`].
    pub fn from_octets(octets: &[u8]) -> Result<Self, BadSshSignature> {
        let cut = || BadSshSignature::Malformed("its octets end early or go on after the end");
        let mut reader = Reader::new(octets);
        if reader.take(MAGIC.len()) != Some(MAGIC) {
            return Err(BadSshSignature::Malformed("it does not begin with SSHSIG"));
        }
        if reader.number() != Some(VERSION) {
            return Err(BadSshSignature::Malformed("it is not of version 1"));
        }
        let key = SshPublicKey::from_blob(reader.string().ok_or_else(cut)?)?;
        let namespace = reader.string().ok_or_else(cut)?.to_vec();
        let reserved = reader.string().ok_or_else(cut)?.to_vec();
        let hash = match reader.string().ok_or_else(cut)? {
            b"sha256" => Hash::Sha256,
            b"sha512" => Hash::Sha512,
            other => return Err(BadSshSignature::Algorithm(shown(other))),
        };
        let inner = reader.string().ok_or_else(cut)?;
        reader.end(()).ok_or_else(cut)?;
        let mut inner = Reader::new(inner);
        let algorithm = algorithm(key.kind, inner.string().ok_or_else(cut)?)?;
        let signature = inner.string().ok_or_else(cut)?;
        let signature = match key.kind {
            Kind::Ecdsa256 | Kind::Ecdsa384 | Kind::Ecdsa521 | Kind::SkEcdsa256 => {
                ecdsa(signature).ok_or_else(cut)?
            }
            Kind::Ed25519 | Kind::Rsa | Kind::SkEd25519 => signature.to_vec(),
        };
        let authenticator = match &key.application {
            None => None,
            Some(_) => Some(Authenticator {
                flags: inner.byte().ok_or_else(cut)?,
                counter: inner.number().ok_or_else(cut)?,
            }),
        };
        inner.end(()).ok_or_else(cut)?;
        Ok(Self { key, namespace, reserved, hash, algorithm, signature, authenticator })
    }

    /// The key that it claims to be made with.
    pub fn key(&self) -> &SshPublicKey {
        &self.key
    }

    /// Checks it over `message`. Errors: `Namespace`, `NotTouched`, `Wrong`.
    pub fn verify(&self, namespace: &str, message: &[u8]) -> Result<(), BadSshSignature> {
        if self.namespace != namespace.as_bytes() {
            return Err(BadSshSignature::Namespace { found: shown(&self.namespace) });
        }
        let statement = self.statement(message);
        let signed = match (&self.authenticator, &self.key.application) {
            (Some(seen), Some(application)) => {
                if seen.flags & USER_PRESENT == 0 {
                    return Err(BadSshSignature::NotTouched);
                }
                // PROTOCOL.u2f: the authenticator signs the hashes, and what it saw.
                let mut signed = digest(&SHA256, application).as_ref().to_vec();
                signed.push(seen.flags);
                signed.extend_from_slice(&seen.counter.to_be_bytes());
                signed.extend_from_slice(digest(&SHA256, &statement).as_ref());
                signed
            }
            _ => statement,
        };
        self.key.key.verify_with(self.algorithm, &signed, &self.signature).map_err(|_| BadSshSignature::Wrong)
    }

    /// What is signed: magic, namespace, reserved, hash and the hash of the message.
    fn statement(&self, message: &[u8]) -> Vec<u8> {
        let (name, hash): (&[u8], _) = match self.hash {
            Hash::Sha256 => (b"sha256", digest(&SHA256, message)),
            Hash::Sha512 => (b"sha512", digest(&SHA512, message)),
        };
        let mut out = MAGIC.to_vec();
        for part in [&self.namespace, &self.reserved, name, hash.as_ref()] {
            put(&mut out, part);
        }
        out
    }
}

/// The signature algorithms of a key type. RSA with SHA-1 is none.
fn algorithm(kind: Kind, name: &[u8]) -> Result<SignatureAlgorithm, BadSshSignature> {
    let found = match (kind, name) {
        (Kind::Rsa, b"rsa-sha2-256") => SignatureAlgorithm::RsaSha256,
        (Kind::Rsa, b"rsa-sha2-512") => SignatureAlgorithm::RsaSha512,
        (Kind::Ed25519 | Kind::SkEd25519, _) if name == kind.name().as_bytes() => SignatureAlgorithm::Ed25519,
        (Kind::Ecdsa256 | Kind::SkEcdsa256, _) if name == kind.name().as_bytes() => {
            SignatureAlgorithm::EcdsaSha256
        }
        (Kind::Ecdsa384, _) if name == kind.name().as_bytes() => SignatureAlgorithm::EcdsaSha384,
        (Kind::Ecdsa521, _) if name == kind.name().as_bytes() => SignatureAlgorithm::EcdsaSha512,
        _ => return Err(BadSshSignature::Algorithm(shown(name))),
    };
    Ok(found)
}

/// Two positive numbers, as DER (RFC 3279 section 2.2.3).
fn ecdsa(octets: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(octets);
    let (r, s) = (reader.positive()?, reader.positive()?);
    reader.end(())?;
    EcdsaSignature { r: UintRef::new(r).ok()?, s: UintRef::new(s).ok()? }.to_der().ok()
}

fn shown(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).chars().take(64).collect()
}
