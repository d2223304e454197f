//! The certificate as it will be, under a throwaway key: what is linted before the real key is used.
//!
//! One throwaway key for each signature algorithm, made once in the process's life. It signs one fixed message and is
//! wiped: no linter verifies a draft's signature, so that one stands for all, and a draft costs no signature. RSA keys of
//! every size sign alike, so 2048 bits do for all of them. A draft never leaves this process: its signature does not verify.

use crate::refusal::Refusal;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::TbsDer;
use keywright_pki::key::PrivateKey;
use keywright_secmem::wiping_stack;
use std::sync::OnceLock;

/// What a throwaway key signs.
const MESSAGE: &[u8] = b"keywright throwaway";

/// The signatures of the throwaway keys, by position in [`KINDS`].
static SIGNATURES: [OnceLock<Vec<u8>>; KINDS.len()] = [const { OnceLock::new() }; KINDS.len()];

/// The kinds of throwaway keys.
const KINDS: [KeyAlgorithm; 8] = [
    KeyAlgorithm::EcdsaP256,
    KeyAlgorithm::EcdsaP384,
    KeyAlgorithm::EcdsaP521,
    KeyAlgorithm::Ed25519,
    KeyAlgorithm::Rsa2048,
    KeyAlgorithm::MlDsa44,
    KeyAlgorithm::MlDsa65,
    KeyAlgorithm::MlDsa87,
];

/// The kind whose signatures look like those of this one.
fn kind(algorithm: KeyAlgorithm) -> KeyAlgorithm {
    match algorithm {
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => KeyAlgorithm::Rsa2048,
        KeyAlgorithm::EcdsaP256
        | KeyAlgorithm::EcdsaP384
        | KeyAlgorithm::EcdsaP521
        | KeyAlgorithm::Ed25519
        | KeyAlgorithm::MlDsa44
        | KeyAlgorithm::MlDsa65
        | KeyAlgorithm::MlDsa87 => algorithm,
    }
}

/// A signature of this kind, by a key that is gone. Slow the first time for RSA: see [`prepare`].
fn signature(algorithm: KeyAlgorithm) -> Result<&'static [u8], Refusal> {
    let kind = kind(algorithm);
    let place = KINDS.iter().position(|one| *one == kind).and_then(|at| SIGNATURES.get(at));
    let place = place.ok_or_else(|| Refusal::internal("an algorithm has no throwaway key"))?;
    if let Some(made) = place.get() {
        return Ok(made);
    }
    let made = wiping_stack(|| PrivateKey::generate(kind).and_then(|key| key.sign(MESSAGE)))
        .map_err(|_| Refusal::unavailable("the library could not make a throwaway key"))?;
    Ok(place.get_or_init(|| made))
}

/// Makes the throwaway key for authorities of this algorithm ahead of its first use, away from threads that serve.
pub(crate) fn prepare(algorithm: KeyAlgorithm) -> Result<(), Refusal> {
    signature(algorithm).map(|_| ())
}

/// DER of the certificate of these bytes under a throwaway key. Errors: it cannot be written, which is a defect.
pub(crate) fn of(tbs: &TbsDer) -> Result<Vec<u8>, Refusal> {
    tbs.with_signature(signature(tbs.algorithm())?)
        .map_err(|_| Refusal::internal("the certificate cannot be written; nothing was signed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_has_one_signature_that_all_drafts_share() {
        for algorithm in KeyAlgorithm::ALL {
            let first = signature(algorithm).unwrap();
            assert!(!first.is_empty());
            assert!(std::ptr::eq(first, signature(algorithm).unwrap()), "{algorithm:?}");
        }
    }
}
