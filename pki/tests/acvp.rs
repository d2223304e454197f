//! NIST's own ML-DSA vectors (ACVP, FIPS 204): keys from seeds through this crate, and the inner algorithms through the
//! independent implementation that `differential.rs` holds this crate's signatures against.
//!
//! The signature vectors enter below the context prefix, where aws-lc-rs has no door; Wycheproof's vectors enter above.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use base64ct::{Base64, Encoding as _};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::key::PrivateKey;
use ml_dsa::{
    EncodedVerifyingKey, ExpandedSigningKey, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature, VerifyingKey,
};

/// The fields of every line that is no comment.
fn lines(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').collect())
}

fn base64(text: &str) -> Vec<u8> {
    Base64::decode_vec(text).unwrap()
}

/// PKCS#8 of RFC 9881 section 6 with only the seed.
fn pkcs8(algorithm: KeyAlgorithm, seed: &[u8]) -> Vec<u8> {
    let last = match algorithm {
        KeyAlgorithm::MlDsa44 => 17,
        KeyAlgorithm::MlDsa65 => 18,
        _ => 19,
    };
    let oid = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, last];
    [&[0x30, 0x34, 2, 1, 0, 0x30, 11, 6, 9], &oid[..], &[4, 34, 0x80, 32], seed].concat()
}

#[test]
fn a_seed_gives_the_public_key_that_nist_publishes() {
    let mut count = 0;
    for line in lines(include_str!("acvp/keygen.txt")) {
        let [set, test, seed, digest] = line[..].try_into().unwrap();
        let seed = hex::decode(seed).unwrap();
        let algorithm: KeyAlgorithm = set.parse().unwrap();
        let key = PrivateKey::from_pkcs8_der(&pkcs8(algorithm, &seed)).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        // 22 bytes of SubjectPublicKeyInfo stand before the key.
        let raw = &key.public_key().spki_der()[22..];
        let found = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, raw);
        assert_eq!(hex::encode(found), digest, "{set} {test}");
        count += 1;
    }
    assert_eq!(count, 75);
}

fn verifies<P: MlDsaParams>(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = VerifyingKey::<P>::decode(&EncodedVerifyingKey::<P>::try_from(key).unwrap());
    Signature::<P>::try_from(signature).is_ok_and(|signature| key.verify_internal(message, &signature))
}

#[test]
fn the_independent_implementation_verifies_what_nist_says_and_nothing_else() {
    let mut key = Vec::new();
    let mut count = 0;
    for line in lines(include_str!("acvp/sigver.txt")) {
        if let ["key", _, public] = line[..] {
            key = base64(public);
            continue;
        }
        let [set, test, expected, reason, message, signature] = line[..].try_into().unwrap();
        let (message, signature) = (base64(message), base64(signature));
        let found = match set {
            "ML-DSA-44" => verifies::<MlDsa44>(&key, &message, &signature),
            "ML-DSA-65" => verifies::<MlDsa65>(&key, &message, &signature),
            _ => verifies::<MlDsa87>(&key, &message, &signature),
        };
        assert_eq!(found.to_string(), expected, "{set} {test} {reason}");
        count += 1;
    }
    assert_eq!(count, 15);
}

#[expect(deprecated, reason = "the vectors give keys in expanded form only")]
fn sign<P: MlDsaParams>(key: &[u8], random: &[u8], message: &[u8]) -> Vec<u8> {
    let key = ExpandedSigningKey::<P>::from_expanded(key.try_into().unwrap());
    key.sign_internal(&[message], random.try_into().unwrap()).encode().to_vec()
}

#[test]
fn the_independent_implementation_signs_as_nist_says() {
    let mut count = 0;
    for line in lines(include_str!("acvp/siggen.txt")) {
        let [set, test, random, key, message, signature] = line[..].try_into().unwrap();
        let (random, key, message) = (base64(random), base64(key), base64(message));
        let found = match set {
            "ML-DSA-44" => sign::<MlDsa44>(&key, &random, &message),
            "ML-DSA-65" => sign::<MlDsa65>(&key, &random, &message),
            _ => sign::<MlDsa87>(&key, &random, &message),
        };
        assert_eq!(found, base64(signature), "{set} {test}");
        count += 1;
    }
    assert_eq!(count, 6);
}
