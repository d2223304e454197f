//! Project Wycheproof's vectors for every signature that this crate verifies: what must be refused is, what is valid is not.
//!
//! Each table below names a set, what it is verified with, and how many of its vectors the policy on keys leaves out;
//! a newer edition of the vectors with other numbers fails here and is looked at. Decided for `acceptable`: refused. It
//! marks an RSA digest identifier without its NULL, which RFC 8017 section 9.2 (note 2) leaves to the verifier; strict
//! here, since nobody needs it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use keywright_pki::algorithm::{KeyAlgorithm, SignatureAlgorithm};
use keywright_pki::key::{PrivateKey, PublicKey};
use wycheproof::TestResult;

/// What became of a set of vectors.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Signatures that verified.
    verified: usize,
    /// Signatures that did not, as they should.
    refused: usize,
    /// Vectors whose key is refused by policy before any signature is looked at.
    by_key: usize,
}

impl Tally {
    /// Counts one vector whose key was read. `expected`: whether it must verify.
    fn count(&mut self, verifies: bool, expected: bool, what: &str) {
        assert_eq!(verifies, expected, "{what}");
        if verifies { self.verified += 1 } else { self.refused += 1 }
    }
}

fn must_verify(result: TestResult) -> bool {
    match result {
        TestResult::Valid => true,
        TestResult::Invalid | TestResult::Acceptable => false,
    }
}

#[test]
fn ecdsa_signatures_in_der_are_judged_as_the_vectors_say() {
    use SignatureAlgorithm as S;
    use wycheproof::ecdsa::{TestName, TestSet};
    for (name, algorithm, verified, refused) in [
        (TestName::EcdsaSecp256r1Sha256, S::EcdsaSha256, 174, 310),
        (TestName::EcdsaSecp256r1Sha512, S::EcdsaSha512, 243, 311),
        (TestName::EcdsaSecp384r1Sha256, S::EcdsaSha256, 162, 310),
        (TestName::EcdsaSecp384r1Sha384, S::EcdsaSha384, 194, 310),
        (TestName::EcdsaSecp384r1Sha512, S::EcdsaSha512, 231, 311),
        (TestName::EcdsaSecp521r1Sha512, S::EcdsaSha512, 232, 310),
    ] {
        let mut tally = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki_der(&group.der).unwrap();
            for test in group.tests {
                let verifies = key.verify_with(algorithm, &test.msg, &test.sig).is_ok();
                tally.count(verifies, must_verify(test.result), &format!("{name:?} {}", test.tc_id));
            }
        }
        assert_eq!(tally, Tally { verified, refused, by_key: 0 }, "{name:?}");
    }
}

#[test]
fn ecdsa_signatures_of_two_plain_numbers_are_refused_wherever_they_are_no_der_too() {
    use wycheproof::ecdsa::{TestName, TestSet};
    for (name, algorithm) in [
        (TestName::EcdsaSecp256r1Sha256P1363, SignatureAlgorithm::EcdsaSha256),
        (TestName::EcdsaSecp384r1Sha384P1363, SignatureAlgorithm::EcdsaSha384),
        (TestName::EcdsaSecp521r1Sha512P1363, SignatureAlgorithm::EcdsaSha512),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki_der(&group.der).unwrap();
            for test in group.tests {
                assert!(key.verify_with(algorithm, &test.msg, &test.sig).is_err(), "{name:?} {}", test.tc_id);
            }
        }
    }
}

#[test]
fn keys_of_other_curves_are_refused() {
    use wycheproof::ecdsa::{TestName, TestSet};
    for name in [
        TestName::EcdsaSecp224r1Sha256,
        TestName::EcdsaSecp256k1Sha256,
        TestName::EcdsaBrainpool256r1Sha256,
        TestName::EcdsaBrainpool384r1Sha384,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            assert!(PublicKey::from_spki_der(&group.der).is_err(), "{name:?}");
        }
    }
}

#[test]
fn ed25519_signatures_are_judged_as_the_vectors_say() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key = PublicKey::from_spki_der(&group.der).unwrap();
        for test in group.tests {
            let verifies = key.verify(&test.msg, &test.sig).is_ok();
            tally.count(verifies, must_verify(test.result), &format!("Ed25519 {}", test.tc_id));
        }
    }
    assert_eq!(tally, Tally { verified: 88, refused: 63, by_key: 0 });
    for group in TestSet::load(TestName::Ed448).unwrap().test_groups {
        assert!(PublicKey::from_spki_der(&group.der).is_err());
    }
}

#[test]
fn rsa_pkcs1_signatures_are_judged_as_the_vectors_say() {
    use SignatureAlgorithm as S;
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    for (name, algorithm, verified, refused, by_key) in [
        (TestName::Rsa2048Sha256, S::RsaSha256, 7, 250, 2),
        (TestName::Rsa2048Sha384, S::RsaSha384, 7, 251, 0),
        (TestName::Rsa2048Sha512, S::RsaSha512, 7, 251, 1),
        (TestName::Rsa3072Sha256, S::RsaSha256, 7, 251, 1),
        (TestName::Rsa3072Sha384, S::RsaSha384, 7, 252, 0),
        (TestName::Rsa3072Sha512, S::RsaSha512, 7, 252, 1),
        (TestName::Rsa4096Sha256, S::RsaSha256, 7, 251, 0),
        (TestName::Rsa4096Sha384, S::RsaSha384, 7, 252, 0),
        (TestName::Rsa4096Sha512, S::RsaSha512, 7, 252, 0),
        (TestName::Rsa8192Sha512, S::RsaSha512, 0, 0, 259),
    ] {
        let mut tally = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let Ok(key) = PublicKey::from_spki_der(&group.der) else {
                tally.by_key += group.tests.len();
                continue;
            };
            for test in group.tests {
                let verifies = key.verify_with(algorithm, &test.msg, &test.sig).is_ok();
                tally.count(verifies, must_verify(test.result), &format!("{name:?} {}", test.tc_id));
            }
        }
        assert_eq!(tally, Tally { verified, refused, by_key }, "{name:?}");
    }
}

#[test]
fn ml_dsa_signatures_are_judged_as_the_vectors_say_and_those_with_a_context_are_refused() {
    use wycheproof::mldsa_verify::{TestFlag, TestName, TestSet};
    for (name, algorithm, tally) in [
        (TestName::MlDsa44Verify, KeyAlgorithm::MlDsa44, Tally { verified: 75, refused: 101, by_key: 4 }),
        (TestName::MlDsa65Verify, KeyAlgorithm::MlDsa65, Tally { verified: 77, refused: 129, by_key: 4 }),
        (TestName::MlDsa87Verify, KeyAlgorithm::MlDsa87, Tally { verified: 69, refused: 168, by_key: 4 }),
    ] {
        let mut found = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki_der(&group.der);
            for test in group.tests {
                let what = format!("{name:?} {}", test.tc_id);
                let wrong_length = test.flags.contains(&TestFlag::IncorrectPublicKeyLength);
                assert_eq!(key.is_err(), wrong_length, "{what}");
                let Ok(key) = &key else {
                    found.by_key += 1;
                    continue;
                };
                assert_eq!(key.algorithm(), algorithm);
                // X.509 signs with the empty context (RFC 9881 section 3), so any other is another message.
                let plain = test.ctx.is_none_or(|context| context.is_empty());
                let verifies = key.verify(&test.msg, &test.sig).is_ok();
                found.count(verifies, must_verify(test.result) && plain, &what);
            }
        }
        assert_eq!(found, tally, "{name:?}");
    }
}

#[test]
fn ml_dsa_keys_come_from_their_seed_as_the_vectors_say_and_wrong_seeds_are_refused() {
    use wycheproof::mldsa_sign::{TestFlag, TestName, TestSet};
    for (name, tally) in [
        (TestName::MlDsa44SignSeed, Tally { verified: 70, refused: 3, by_key: 3 }),
        (TestName::MlDsa65SignSeed, Tally { verified: 80, refused: 3, by_key: 3 }),
        (TestName::MlDsa87SignSeed, Tally { verified: 71, refused: 3, by_key: 3 }),
    ] {
        let mut found = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let Some(pkcs8) = group.privkey_pkcs8 else { continue };
            let key = PrivateKey::from_pkcs8_der(&pkcs8);
            for test in group.tests {
                let what = format!("{name:?} {}", test.tc_id);
                let wrong_length = test.flags.contains(&TestFlag::IncorrectPrivateKeyLength);
                assert_eq!(key.is_err(), wrong_length, "{what}");
                let Ok(key) = &key else {
                    found.by_key += 1;
                    continue;
                };
                let public = key.public_key();
                assert!(public.spki_der().ends_with(group.pubkey.as_ref().unwrap()), "{what}");
                // Those without a message begin in the middle of the algorithm, which cannot be reached from here.
                let Some(message) = &test.msg else { continue };
                public.verify(message, &key.sign(message).unwrap()).unwrap();
                let plain = test.ctx.as_deref().map_or(0, Vec::len) == 0;
                let verifies = public.verify(message, &test.sig).is_ok();
                found.count(verifies, must_verify(test.result) && plain, &what);
            }
        }
        assert_eq!(found, tally, "{name:?}");
    }
}
