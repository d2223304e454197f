//! Key algorithms and the sizes each may have, for authorities and leaves alike.
//!
//! Sources: RFC 5480 (ECDSA), RFC 8410 (Ed25519), RFC 8017 (RSA), FIPS 204 and RFC 9881 (ML-DSA).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Key algorithm.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum Algorithm {
    /// RSA with PKCS#1 v1.5 signatures over SHA-256 or better; sizes 2048, 3072, 4096 bits.
    #[serde(rename = "RSA")]
    Rsa,
    /// ECDSA over the NIST curves P-256, P-384 and P-521; sizes 256, 384, 521.
    #[default]
    #[serde(rename = "ECDSA")]
    Ecdsa,
    /// Ed25519; it has one size, which is not written.
    Ed25519,
    /// ML-DSA of FIPS 204; sizes 44, 65, 87 name the parameter set.
    #[serde(rename = "ML-DSA")]
    MlDsa,
}

impl Algorithm {
    /// Every algorithm, in the order in which documentation lists them.
    pub const ALL: [Self; 4] = [Self::Rsa, Self::Ecdsa, Self::Ed25519, Self::MlDsa];

    /// The name on the wire, as in `privateKey.algorithm`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::Ecdsa => "ECDSA",
            Self::Ed25519 => "Ed25519",
            Self::MlDsa => "ML-DSA",
        }
    }

    /// Sizes that may be written for this algorithm: bits for RSA and ECDSA, the parameter set for ML-DSA; none for
    /// Ed25519.
    pub fn sizes(self) -> &'static [i32] {
        match self {
            Self::Rsa => &[2048, 3072, 4096],
            Self::Ecdsa => &[256, 384, 521],
            Self::Ed25519 => &[],
            Self::MlDsa => &[44, 65, 87],
        }
    }

    /// The size an absent `size` means: RSA 2048 and ECDSA 256 as in cert-manager, ML-DSA 65; `None` for Ed25519.
    pub fn default_size(self) -> Option<i32> {
        match self {
            Self::Rsa => Some(2048),
            Self::Ecdsa => Some(256),
            Self::Ed25519 => None,
            Self::MlDsa => Some(65),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Algorithm;

    #[test]
    fn the_default_size_of_an_algorithm_is_one_of_its_sizes() {
        for algorithm in Algorithm::ALL {
            match algorithm.default_size() {
                Some(size) => assert!(algorithm.sizes().contains(&size), "{algorithm:?}"),
                None => assert!(algorithm.sizes().is_empty(), "{algorithm:?}"),
            }
        }
    }

    #[test]
    fn the_name_of_an_algorithm_is_its_spelling_on_the_wire() {
        for algorithm in Algorithm::ALL {
            assert_eq!(serde_json::to_value(algorithm).expect("a string"), algorithm.name());
        }
    }
}
