//! How many keys fit where a container may lock 8 MiB and no more.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair as _, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, ParsedPublicKey, PqdsaKeyPair,
    RsaKeyPair,
};
use keywright_secmem::{Protection, install_only, usage};

/// What a thousand keys take, by what `count` of them take.
fn thousand<K>(name: &str, count: usize, make: impl Fn() -> K) -> usize {
    let used = || usage().map_or(0, |usage| usage.used);
    drop(make());
    let before = used();
    let keys: Vec<K> = (0..count).map(|_| make()).collect();
    let taken = (used() - before) * 1000 / count;
    drop(keys);
    println!("{name}: {} KiB for 1,000 keys", taken >> 10);
    taken
}

#[test]
fn a_thousand_keys_leave_room_for_connections() {
    const ARENA: usize = 8 << 20;
    install_only(Protection::Locked, ARENA).unwrap();
    let most = [
        thousand("ECDSA P-256", 1000, || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()),
        thousand("ECDSA P-384", 1000, || EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap()),
        // One that has signed has its public half once more, to check its signatures with.
        thousand("ECDSA P-384 in use", 1000, || {
            let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
            let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
            let public = ParsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, spki.as_ref()).unwrap();
            (key, public)
        }),
        thousand("Ed25519", 1000, || Ed25519KeyPair::generate().unwrap()),
        thousand("ML-DSA-65", 1000, || PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap()),
    ];
    assert!(most.into_iter().max() < Some(ARENA - (1 << 20)), "{most:?}");
    // These are larger: how many fit is in docs/signer-hardening.md.
    thousand("ML-DSA-87", 200, || PqdsaKeyPair::generate(&ML_DSA_87_SIGNING).unwrap());
    thousand("RSA-2048", 5, || RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
    thousand("RSA-4096", 2, || RsaKeyPair::generate(KeySize::Rsa4096).unwrap());
}
