//! Which keys and signatures exist here, and how each is written in Kubernetes specs and in DER.
//!
//! Owns the closed list of key algorithms and their signature algorithm identifiers. Never holds a key. The rules come
//! from RFC 5480 and RFC 5758 (ECDSA), RFC 8017 and RFC 4055 (RSA PKCS#1 v1.5), RFC 8410 (Ed25519), FIPS 204 and
//! RFC 9881 (ML-DSA).

use const_oid::ObjectIdentifier;
use der::asn1::{Any, Null};
use spki::AlgorithmIdentifierOwned;
use std::fmt;
use std::str::FromStr;

/// A kind and size of key pair; each signs in exactly one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
    /// ECDSA on P-521 with SHA-512.
    EcdsaP521,
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// RSA with 2048 bits, PKCS#1 v1.5 with SHA-256.
    Rsa2048,
    /// RSA with 3072 bits, PKCS#1 v1.5 with SHA-384.
    Rsa3072,
    /// RSA with 4096 bits, PKCS#1 v1.5 with SHA-512.
    Rsa4096,
    /// ML-DSA-44 (FIPS 204), pure mode.
    MlDsa44,
    /// ML-DSA-65 (FIPS 204), pure mode.
    MlDsa65,
    /// ML-DSA-87 (FIPS 204), pure mode.
    MlDsa87,
}

/// The pairs that [`KeyAlgorithm::from_spec`] accepts, in words.
const ALLOWED_PAIRS: &str = "ECDSA with size 256, 384 or 521 (default 256); Ed25519 without size; \
RSA with 2048, 3072 or 4096 (default 2048); ML-DSA with 44, 65 or 87 (default 65)";

/// An algorithm, or an algorithm and size, that is not on the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("privateKey {found} is not supported; use one of: {ALLOWED_PAIRS}")]
pub struct UnsupportedAlgorithm {
    found: String,
}

impl KeyAlgorithm {
    /// All of them, in the order of the enum.
    pub const ALL: [Self; 10] = [
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Ed25519,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
    ];

    /// The name used in text and over the wire, such as `ECDSA-P256` or `ML-DSA-65`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ECDSA-P256",
            Self::EcdsaP384 => "ECDSA-P384",
            Self::EcdsaP521 => "ECDSA-P521",
            Self::Ed25519 => "Ed25519",
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
            Self::Rsa4096 => "RSA-4096",
            Self::MlDsa44 => "ML-DSA-44",
            Self::MlDsa65 => "ML-DSA-65",
            Self::MlDsa87 => "ML-DSA-87",
        }
    }

    /// Reads `privateKey.algorithm` and `privateKey.size` of a Kubernetes spec.
    ///
    /// `size`: bits for ECDSA and RSA, the parameter set for ML-DSA; absent takes the default (ECDSA 256, RSA 2048,
    /// ML-DSA 65). Ed25519 has none. Errors: [`UnsupportedAlgorithm`], whose words list every allowed pair.
    pub fn from_spec(algorithm: &str, size: Option<u32>) -> Result<Self, UnsupportedAlgorithm> {
        match (algorithm, size) {
            ("ECDSA", None | Some(256)) => Ok(Self::EcdsaP256),
            ("ECDSA", Some(384)) => Ok(Self::EcdsaP384),
            ("ECDSA", Some(521)) => Ok(Self::EcdsaP521),
            ("Ed25519", None) => Ok(Self::Ed25519),
            ("RSA", None | Some(2048)) => Ok(Self::Rsa2048),
            ("RSA", Some(3072)) => Ok(Self::Rsa3072),
            ("RSA", Some(4096)) => Ok(Self::Rsa4096),
            ("ML-DSA", Some(44)) => Ok(Self::MlDsa44),
            ("ML-DSA", None | Some(65)) => Ok(Self::MlDsa65),
            ("ML-DSA", Some(87)) => Ok(Self::MlDsa87),
            (_, None) => Err(UnsupportedAlgorithm { found: format!("{{algorithm: {algorithm:?}}}") }),
            (_, Some(size)) => {
                Err(UnsupportedAlgorithm { found: format!("{{algorithm: {algorithm:?}, size: {size}}}") })
            }
        }
    }

    /// The pair that [`Self::from_spec`] reads back: algorithm and, unless Ed25519, size.
    pub const fn spec(self) -> (&'static str, Option<u32>) {
        match self {
            Self::EcdsaP256 => ("ECDSA", Some(256)),
            Self::EcdsaP384 => ("ECDSA", Some(384)),
            Self::EcdsaP521 => ("ECDSA", Some(521)),
            Self::Ed25519 => ("Ed25519", None),
            Self::Rsa2048 => ("RSA", Some(2048)),
            Self::Rsa3072 => ("RSA", Some(3072)),
            Self::Rsa4096 => ("RSA", Some(4096)),
            Self::MlDsa44 => ("ML-DSA", Some(44)),
            Self::MlDsa65 => ("ML-DSA", Some(65)),
            Self::MlDsa87 => ("ML-DSA", Some(87)),
        }
    }

    /// Whether the key can also encrypt another key (RSA key transport); only then may a certificate say so.
    pub const fn can_encipher_keys(self) -> bool {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => true,
            Self::EcdsaP256
            | Self::EcdsaP384
            | Self::EcdsaP521
            | Self::Ed25519
            | Self::MlDsa44
            | Self::MlDsa65
            | Self::MlDsa87 => false,
        }
    }

    /// How a key of this kind signs.
    pub const fn signature(self) -> SignatureAlgorithm {
        match self {
            Self::EcdsaP256 => SignatureAlgorithm::EcdsaSha256,
            Self::EcdsaP384 => SignatureAlgorithm::EcdsaSha384,
            Self::EcdsaP521 => SignatureAlgorithm::EcdsaSha512,
            Self::Ed25519 => SignatureAlgorithm::Ed25519,
            Self::Rsa2048 => SignatureAlgorithm::RsaSha256,
            Self::Rsa3072 => SignatureAlgorithm::RsaSha384,
            Self::Rsa4096 => SignatureAlgorithm::RsaSha512,
            Self::MlDsa44 => SignatureAlgorithm::MlDsa44,
            Self::MlDsa65 => SignatureAlgorithm::MlDsa65,
            Self::MlDsa87 => SignatureAlgorithm::MlDsa87,
        }
    }

    /// The `AlgorithmIdentifier` of signatures that a key of this kind makes.
    pub fn signature_algorithm(self) -> AlgorithmIdentifierOwned {
        self.signature().identifier()
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyAlgorithm {
    type Err = UnsupportedAlgorithm;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == text)
            .ok_or_else(|| UnsupportedAlgorithm { found: format!("{text:?}") })
    }
}

/// A way to sign as named in a certificate or request; more than what our own keys use, since requests made elsewhere
/// may pair a key with another hash (an RSA-4096 request is often signed with SHA-256).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA with SHA-256.
    EcdsaSha256,
    /// ECDSA with SHA-384.
    EcdsaSha384,
    /// ECDSA with SHA-512.
    EcdsaSha512,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RsaSha256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    RsaSha384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    RsaSha512,
    /// Ed25519.
    Ed25519,
    /// ML-DSA-44.
    MlDsa44,
    /// ML-DSA-65.
    MlDsa65,
    /// ML-DSA-87.
    MlDsa87,
}

/// A signature algorithm identifier that is not accepted here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureAlgorithmError {
    /// The object identifier names something else (SHA-1, RSA-PSS, HashML-DSA, DSA ...).
    #[error(
        "signature algorithm {0} is not supported; sign with ECDSA or RSA PKCS#1 v1.5 and SHA-256/384/512, Ed25519 or ML-DSA"
    )]
    Unknown(ObjectIdentifier),
    /// Known, but its parameters are not what the RFC demands.
    #[error("signature algorithm {0} has wrong parameters; RSA needs NULL, all others need none")]
    Parameters(ObjectIdentifier),
}

impl SignatureAlgorithm {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::EcdsaSha256,
        Self::EcdsaSha384,
        Self::EcdsaSha512,
        Self::RsaSha256,
        Self::RsaSha384,
        Self::RsaSha512,
        Self::Ed25519,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
    ];

    /// Its object identifier.
    pub const fn oid(self) -> ObjectIdentifier {
        use const_oid::db::{fips204, rfc5912, rfc8410};
        match self {
            Self::EcdsaSha256 => rfc5912::ECDSA_WITH_SHA_256,
            Self::EcdsaSha384 => rfc5912::ECDSA_WITH_SHA_384,
            Self::EcdsaSha512 => rfc5912::ECDSA_WITH_SHA_512,
            Self::RsaSha256 => rfc5912::SHA_256_WITH_RSA_ENCRYPTION,
            Self::RsaSha384 => rfc5912::SHA_384_WITH_RSA_ENCRYPTION,
            Self::RsaSha512 => rfc5912::SHA_512_WITH_RSA_ENCRYPTION,
            Self::Ed25519 => rfc8410::ID_ED_25519,
            Self::MlDsa44 => fips204::ID_ML_DSA_44,
            Self::MlDsa65 => fips204::ID_ML_DSA_65,
            Self::MlDsa87 => fips204::ID_ML_DSA_87,
        }
    }

    /// Its `AlgorithmIdentifier`: NULL parameters for RSA (RFC 4055 section 5), none for all others.
    pub fn identifier(self) -> AlgorithmIdentifierOwned {
        let parameters = self.has_null_parameters().then(|| Any::from(Null));
        AlgorithmIdentifierOwned { oid: self.oid(), parameters }
    }

    /// Reads an `AlgorithmIdentifier`. Errors: [`SignatureAlgorithmError`].
    pub fn from_identifier(identifier: &AlgorithmIdentifierOwned) -> Result<Self, SignatureAlgorithmError> {
        let found = Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.oid() == identifier.oid)
            .ok_or(SignatureAlgorithmError::Unknown(identifier.oid))?;
        if found.identifier() == *identifier {
            Ok(found)
        } else {
            Err(SignatureAlgorithmError::Parameters(identifier.oid))
        }
    }

    const fn has_null_parameters(self) -> bool {
        matches!(self, Self::RsaSha256 | Self::RsaSha384 | Self::RsaSha512)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_reads_back_from_its_name_and_its_spec() {
        for algorithm in KeyAlgorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            let (name, size) = algorithm.spec();
            assert_eq!(KeyAlgorithm::from_spec(name, size), Ok(algorithm));
        }
    }

    #[test]
    fn an_absent_size_takes_the_default() {
        for (name, expected) in [
            ("ECDSA", KeyAlgorithm::EcdsaP256),
            ("Ed25519", KeyAlgorithm::Ed25519),
            ("RSA", KeyAlgorithm::Rsa2048),
            ("ML-DSA", KeyAlgorithm::MlDsa65),
        ] {
            assert_eq!(KeyAlgorithm::from_spec(name, None), Ok(expected));
        }
    }

    #[test]
    fn an_unsupported_pair_is_refused_with_the_list_of_pairs() {
        for (name, size) in [
            ("ECDSA", Some(224)),
            ("ECDSA", Some(512)),
            ("Ed25519", Some(256)),
            ("RSA", Some(1024)),
            ("RSA", Some(0)),
            ("ML-DSA", Some(2)),
            ("ecdsa", None),
            ("", None),
        ] {
            let error = KeyAlgorithm::from_spec(name, size).unwrap_err().to_string();
            assert!(error.contains("ECDSA with size 256, 384 or 521"), "{error}");
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn identifiers_read_back_and_wrong_parameters_are_refused() {
        for algorithm in SignatureAlgorithm::ALL {
            let mut identifier = algorithm.identifier();
            assert_eq!(SignatureAlgorithm::from_identifier(&identifier), Ok(algorithm));
            identifier.parameters = match identifier.parameters {
                None => Some(Any::from(Null)),
                Some(_) => None,
            };
            assert_eq!(
                SignatureAlgorithm::from_identifier(&identifier),
                Err(SignatureAlgorithmError::Parameters(algorithm.oid()))
            );
        }
    }
}
