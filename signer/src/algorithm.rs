//! Key algorithms between the protocol and the crypto library.

use keywright_pki::algorithm::KeyAlgorithm;
use keywright_signer_protocol::v1alpha1::KeyAlgorithm as Wire;

/// The algorithm a message names; `None` when it names none.
pub(crate) fn from_wire(wire: i32) -> Option<KeyAlgorithm> {
    match Wire::try_from(wire).ok()? {
        Wire::Unspecified => None,
        Wire::EcdsaP256 => Some(KeyAlgorithm::EcdsaP256),
        Wire::EcdsaP384 => Some(KeyAlgorithm::EcdsaP384),
        Wire::EcdsaP521 => Some(KeyAlgorithm::EcdsaP521),
        Wire::Ed25519 => Some(KeyAlgorithm::Ed25519),
        Wire::Rsa2048 => Some(KeyAlgorithm::Rsa2048),
        Wire::Rsa3072 => Some(KeyAlgorithm::Rsa3072),
        Wire::Rsa4096 => Some(KeyAlgorithm::Rsa4096),
        Wire::MlDsa44 => Some(KeyAlgorithm::MlDsa44),
        Wire::MlDsa65 => Some(KeyAlgorithm::MlDsa65),
        Wire::MlDsa87 => Some(KeyAlgorithm::MlDsa87),
    }
}

/// The algorithm as a message names it.
pub(crate) fn to_wire(algorithm: KeyAlgorithm) -> Wire {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => Wire::EcdsaP256,
        KeyAlgorithm::EcdsaP384 => Wire::EcdsaP384,
        KeyAlgorithm::EcdsaP521 => Wire::EcdsaP521,
        KeyAlgorithm::Ed25519 => Wire::Ed25519,
        KeyAlgorithm::Rsa2048 => Wire::Rsa2048,
        KeyAlgorithm::Rsa3072 => Wire::Rsa3072,
        KeyAlgorithm::Rsa4096 => Wire::Rsa4096,
        KeyAlgorithm::MlDsa44 => Wire::MlDsa44,
        KeyAlgorithm::MlDsa65 => Wire::MlDsa65,
        KeyAlgorithm::MlDsa87 => Wire::MlDsa87,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_goes_there_and_back() {
        for algorithm in KeyAlgorithm::ALL {
            assert_eq!(from_wire(to_wire(algorithm).into()), Some(algorithm));
        }
        assert_eq!(from_wire(0), None);
        assert_eq!(from_wire(99), None);
    }
}
