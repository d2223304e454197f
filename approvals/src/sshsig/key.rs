//! Public keys of OpenSSH: `ssh-ed25519 AAAA… comment`, and the same octets without armour.

use super::wire::Reader;
use base64ct::{Base64, Encoding as _};
use der::asn1::{Any, BitString, ObjectIdentifier, UintRef};
use der::{Encode, Sequence};
use keywright_pki::key::PublicKey;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use std::fmt;

/// The longest line read, in bytes.
const MAX_LINE: usize = 8 * 1024;

/// A public key that can sign approvals.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SshPublicKey {
    pub(super) kind: Kind,
    pub(super) key: PublicKey,
    /// `application` of a key in an authenticator, which it signs along, such as `ssh:`.
    pub(super) application: Option<Vec<u8>>,
    blob: Vec<u8>,
}

/// The key types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Ed25519,
    Ecdsa256,
    Ecdsa384,
    Ecdsa521,
    Rsa,
    SkEd25519,
    SkEcdsa256,
}

/// Why something is no public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not in the form.
    #[error("it is no OpenSSH public key: {0}; give a line such as `ssh-ed25519 AAAA… name`")]
    Malformed(&'static str),
    /// A type, curve or size that is not on the list.
    #[error("{0}; use ed25519, ecdsa, rsa with 2048 to 4096 bits, sk-ssh-ed25519 or sk-ecdsa-sha2-nistp256")]
    Unsupported(String),
}

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

impl Kind {
    const ALL: [Self; 7] = [
        Self::Ed25519,
        Self::Ecdsa256,
        Self::Ecdsa384,
        Self::Ecdsa521,
        Self::Rsa,
        Self::SkEd25519,
        Self::SkEcdsa256,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::Ecdsa256 => "ecdsa-sha2-nistp256",
            Self::Ecdsa384 => "ecdsa-sha2-nistp384",
            Self::Ecdsa521 => "ecdsa-sha2-nistp521",
            Self::Rsa => "ssh-rsa",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::SkEcdsa256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    /// Name and identifier of its curve.
    const fn curve(self) -> Option<(&'static [u8], ObjectIdentifier)> {
        match self {
            Self::Ecdsa256 | Self::SkEcdsa256 => Some((b"nistp256", P256)),
            Self::Ecdsa384 => Some((b"nistp384", P384)),
            Self::Ecdsa521 => Some((b"nistp521", P521)),
            Self::Ed25519 | Self::Rsa | Self::SkEd25519 => None,
        }
    }

    const fn in_authenticator(self) -> bool {
        match self {
            Self::SkEd25519 | Self::SkEcdsa256 => true,
            Self::Ed25519 | Self::Ecdsa256 | Self::Ecdsa384 | Self::Ecdsa521 | Self::Rsa => false,
        }
    }
}

impl SshPublicKey {
    /// Reads a line of an `.pub`, `authorized_keys` (without options) or `allowed_signers` (from the key type on) file.
    /// Errors: [`BadKey`].
    pub fn from_line(line: &str) -> Result<Self, BadKey> {
        if line.len() > MAX_LINE {
            return Err(BadKey::Malformed("the line is longer than 8 KiB"));
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(base64)) = (words.next(), words.next()) else {
            return Err(BadKey::Malformed("a type and a key in base64 are needed"));
        };
        let blob =
            Base64::decode_vec(base64).map_err(|_| BadKey::Malformed("the key is not valid base64"))?;
        let key = Self::from_blob(&blob)?;
        if key.kind.name() != name {
            return Err(BadKey::Malformed("the key is of another type than the line says"));
        }
        Ok(key)
    }

    /// Reads the octets of a key (RFC 4253 section 6.6, RFC 5656, RFC 8709, PROTOCOL.u2f). Errors: [`BadKey`].
    pub fn from_blob(blob: &[u8]) -> Result<Self, BadKey> {
        let cut = BadKey::Malformed("its octets end early or go on after the end");
        let mut reader = Reader::new(blob);
        let name = reader.string().ok_or_else(|| cut.clone())?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.name().as_bytes() == name).ok_or_else(|| {
            let shown: String = String::from_utf8_lossy(name).chars().take(64).collect();
            BadKey::Unsupported(format!("key type {shown:?} is not supported"))
        })?;
        let spki = match kind {
            Kind::Rsa => {
                let exponent = reader.positive().ok_or_else(|| cut.clone())?;
                let modulus = reader.positive().ok_or_else(|| cut.clone())?;
                rsa(modulus, exponent)
            }
            Kind::Ed25519 | Kind::SkEd25519 => {
                let point = reader.string().ok_or_else(|| cut.clone())?;
                spki(ED25519, None, point)
            }
            Kind::Ecdsa256 | Kind::Ecdsa384 | Kind::Ecdsa521 | Kind::SkEcdsa256 => {
                let curve = reader.string().ok_or_else(|| cut.clone())?;
                let point = reader.string().ok_or_else(|| cut.clone())?;
                match kind.curve() {
                    Some((name, oid)) if name == curve => spki(EC, Some(oid), point),
                    Some(_) | None => return Err(BadKey::Malformed("its curve is not the one of its type")),
                }
            }
        }
        .map_err(|_| BadKey::Malformed("its numbers are out of range"))?;
        let application = if kind.in_authenticator() {
            Some(reader.string().ok_or_else(|| cut.clone())?.to_vec())
        } else {
            None
        };
        reader.end(()).ok_or(cut)?;
        let key = PublicKey::from_spki_der(&spki).map_err(|error| BadKey::Unsupported(error.to_string()))?;
        Ok(Self { kind, key, application, blob: blob.to_vec() })
    }

    /// The octets it was read from: two keys are the same when these are.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// `SHA256:` and base64 without padding, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.blob);
        format!("SHA256:{}", base64ct::Base64Unpadded::encode_string(hash.as_ref()))
    }
}

impl fmt::Display for SshPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), Base64::encode_string(&self.blob))
    }
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> der::Result<Vec<u8>> {
    let key = RsaPublicKey { modulus: UintRef::new(modulus)?, exponent: UintRef::new(exponent)? }.to_der()?;
    let algorithm = AlgorithmIdentifierOwned { oid: RSA, parameters: Some(Any::null()) };
    SubjectPublicKeyInfoOwned { algorithm, subject_public_key: BitString::from_bytes(&key)? }.to_der()
}

fn spki(oid: ObjectIdentifier, curve: Option<ObjectIdentifier>, point: &[u8]) -> der::Result<Vec<u8>> {
    let algorithm = AlgorithmIdentifierOwned { oid, parameters: curve.as_ref().map(Any::from) };
    SubjectPublicKeyInfoOwned { algorithm, subject_public_key: BitString::from_bytes(point)? }.to_der()
}
