//! This crate (aws-lc) against independent implementations (RustCrypto p384 and ml-dsa): what one signs the other
//! verifies, what one refuses the other refuses, and the same seed gives the same key.
//!
//! Messages are empty, of the lengths around the blocks of the hashes, and random; every signature is also tried with one
//! bit changed, in itself and in the message.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::csr::{self, Csr};
use keywright_pki::key::{Encoding, PrivateKey, PublicKey};
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use ml_dsa::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use ml_dsa::{Keypair, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signer, SigningKey, Verifier, VerifyingKey};
use p384::ecdsa as p384_ecdsa;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Edges of SHA-384's and SHAKE256's blocks, and of lengths that need one more byte.
const EDGES: [usize; 16] = [0, 1, 31, 32, 111, 112, 113, 127, 128, 135, 136, 137, 255, 256, 4096, 65_536];

/// A message for every edge, and some of random length and content.
fn messages() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = EDGES.iter().map(|len| vec![0xa5; *len]).collect();
    let mut runner = TestRunner::deterministic();
    all.extend(
        (0..16).map(|_| prop::collection::vec(any::<u8>(), 0..2048).new_tree(&mut runner).unwrap().current()),
    );
    all
}

/// One side of a comparison.
type Verify<'a> = &'a dyn Fn(&[u8], &[u8]) -> bool;

/// Both accept the signature, and agree on each of some changes to it; `at` spreads the changes.
fn both_agree(ours: Verify<'_>, theirs: Verify<'_>, message: &[u8], signature: &[u8]) {
    assert!(ours(message, signature) && theirs(message, signature), "{} bytes", message.len());
    let same = |message: &[u8], signature: &[u8], what: &str| {
        let verdicts = (ours(message, signature), theirs(message, signature));
        assert_eq!(verdicts, (false, false), "{what}");
    };
    for share in 0..8 {
        let mut changed = signature.to_vec();
        let at = (changed.len() - 1) * share / 7;
        changed[at] ^= 1 << share;
        same(message, &changed, &format!("bit {share} of byte {at} of the signature"));
    }
    same(message, &signature[1..], "the first byte cut");
    same(message, &signature[..signature.len() - 1], "the last byte cut");
    same(message, &[signature, &[0]].concat(), "a byte more");
    same(message, &[], "no signature");
    same(&[message, &[0]].concat(), signature, "a longer message");
    if let Some((_, rest)) = message.split_first() {
        same(rest, signature, "a shorter message");
    }
}

fn p384_pair(key: &PrivateKey) -> (p384_ecdsa::SigningKey, p384_ecdsa::VerifyingKey) {
    let der = key.to_pkcs8_der().unwrap();
    let signing = p384_ecdsa::SigningKey::from(p384::SecretKey::from_pkcs8_der(&der).unwrap());
    let verifying = p384_ecdsa::VerifyingKey::from_public_key_der(key.public_key().spki_der()).unwrap();
    (signing, verifying)
}

#[test]
fn ecdsa_on_p384_is_the_same_in_both() {
    for _ in 0..2 {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP384).unwrap();
        let (signing, verifying) = p384_pair(&key);
        assert_eq!(signing.verifying_key(), &verifying, "both compute the same public key");
        let ours = |message: &[u8], signature: &[u8]| key.public_key().verify(message, signature).is_ok();
        let theirs = |message: &[u8], signature: &[u8]| {
            p384_ecdsa::DerSignature::try_from(signature)
                .is_ok_and(|signature| verifying.verify(message, &signature).is_ok())
        };
        for message in messages().into_iter().step_by(3) {
            both_agree(&ours, &theirs, &message, &key.sign(&message).unwrap());
            let signature: p384_ecdsa::DerSignature = signing.sign(&message);
            both_agree(&ours, &theirs, &message, signature.as_bytes());
        }
    }
}

#[test]
fn p384_keys_of_the_other_side_are_read_and_written_back() {
    for secret in [1_u8, 2, 0x7f, 0xff] {
        let mut scalar = [0; 48];
        scalar[47] = secret;
        let theirs = p384::SecretKey::from_slice(&scalar).unwrap();
        let key = PrivateKey::from_pkcs8_der(theirs.to_pkcs8_der().unwrap().as_bytes()).unwrap();
        assert_eq!(key.public_key().spki_der(), theirs.public_key().to_public_key_der().unwrap().as_bytes());
        let sec1 = PrivateKey::from_pem(key.to_pem(Encoding::Pkcs1).unwrap().as_bytes()).unwrap();
        assert_eq!(sec1.public_key(), key.public_key());
    }
}

fn ml_dsa_is_the_same<P>(algorithm: KeyAlgorithm)
where
    P: MlDsaParams,
    SigningKey<P>: DecodePrivateKey + EncodePrivateKey,
    VerifyingKey<P>: DecodePublicKey + EncodePublicKey,
{
    for seed in [[0; 32], [0xff; 32], [7; 32]] {
        let theirs = SigningKey::<P>::from_seed(&seed.into());
        let pkcs8 = theirs.to_pkcs8_der().unwrap();
        let key = PrivateKey::from_pkcs8_der(pkcs8.as_bytes()).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.to_pkcs8_der().unwrap().as_slice(), pkcs8.as_bytes(), "the seed is written the same");
        let spki = theirs.verifying_key().to_public_key_der().unwrap();
        assert_eq!(key.public_key().spki_der(), spki.as_bytes(), "the same seed gives the same key");
        let public = PublicKey::from_spki_der(spki.as_bytes()).unwrap();
        let verifying = VerifyingKey::<P>::from_public_key_der(key.public_key().spki_der()).unwrap();
        let ours = |message: &[u8], signature: &[u8]| public.verify(message, signature).is_ok();
        let theirs_verify = |message: &[u8], signature: &[u8]| {
            ml_dsa::Signature::<P>::try_from(signature)
                .is_ok_and(|signature| verifying.verify(message, &signature).is_ok())
        };
        for message in messages().into_iter().step_by(3) {
            both_agree(&ours, &theirs_verify, &message, &key.sign(&message).unwrap());
            both_agree(&ours, &theirs_verify, &message, &theirs.sign(&message).encode());
        }
    }
}

#[test]
fn ml_dsa_44_is_the_same_in_both() {
    ml_dsa_is_the_same::<MlDsa44>(KeyAlgorithm::MlDsa44);
}

#[test]
fn ml_dsa_65_is_the_same_in_both() {
    ml_dsa_is_the_same::<MlDsa65>(KeyAlgorithm::MlDsa65);
}

#[test]
fn ml_dsa_87_is_the_same_in_both() {
    ml_dsa_is_the_same::<MlDsa87>(KeyAlgorithm::MlDsa87);
}

#[test]
fn a_key_made_here_is_read_there_and_signs_the_same_requests() {
    let key = PrivateKey::generate(KeyAlgorithm::MlDsa65).unwrap();
    let theirs = SigningKey::<MlDsa65>::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap();
    let spki = theirs.verifying_key().to_public_key_der().unwrap();
    assert_eq!(spki.as_bytes(), key.public_key().spki_der());
    let name = DistinguishedName::with_common_name("web").unwrap();
    let request = csr::build(&name, &SubjectAltNames::default(), &key).unwrap();
    assert_eq!(Csr::parse(&request).unwrap().public_key(), key.public_key());
}
