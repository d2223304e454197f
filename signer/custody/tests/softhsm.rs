//! Tokens, against SoftHSM2: what is made there stays there, and what goes wrong is said and not made worse.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code outside #[test] functions")]

mod support;

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, AttributeType};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use der::Decode as _;
use keywright_ambient::SystemEntropy;
use keywright_custody::pkcs11::{KeyReference, Token, TokenAlgorithm, TokenKey};
use keywright_custody::{Custodian, Kind, Retry, RootKey, SecretSource, TokenSpec};
use spki::SubjectPublicKeyInfoRef;
use std::sync::Arc;
use support::{PIN, SoftHsm, with_soft_hsm};

fn verifies(algorithm: &'static dyn VerificationAlgorithm, spki: &[u8], message: &[u8], signature: &[u8]) {
    let key = SubjectPublicKeyInfoRef::from_der(spki).unwrap().subject_public_key.raw_bytes().to_vec();
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).unwrap();
}

fn open_token(hsm: &SoftHsm, label: &str) -> Arc<Token> {
    hsm.token(label);
    Arc::new(Token::new(hsm.spec(label)))
}

#[test]
fn keys_of_each_kind_are_made_in_the_token_sign_there_and_are_found_again() {
    with_soft_hsm("keys_of_each_kind_are_made_in_the_token_sign_there_and_are_found_again", |hsm| {
        let token = open_token(&hsm, "ca");
        let all: [(TokenAlgorithm, &'static dyn VerificationAlgorithm); 5] = [
            (TokenAlgorithm::EcdsaP256, &signature::ECDSA_P256_SHA256_ASN1),
            (TokenAlgorithm::EcdsaP384, &signature::ECDSA_P384_SHA384_ASN1),
            (TokenAlgorithm::EcdsaP521, &signature::ECDSA_P521_SHA512_ASN1),
            (TokenAlgorithm::Rsa2048, &signature::RSA_PKCS1_2048_8192_SHA256),
            (TokenAlgorithm::Ed25519, &signature::ED25519),
        ];
        for (algorithm, verifier) in all {
            let key = match TokenKey::generate(&token, algorithm, "keywright test", &SystemEntropy) {
                Ok(key) => key,
                // Some builds of SoftHSM come without EdDSA, and must then say so.
                Err(error) if algorithm == TokenAlgorithm::Ed25519 => {
                    assert_eq!(error.kind, Kind::Unsupported, "{error}");
                    continue;
                }
                Err(error) => panic!("{algorithm:?}: {error}"),
            };
            verifies(verifier, key.spki_der(), b"hello", &key.sign(b"hello").unwrap());
            key.keep();
            let (reference, spki) = (key.reference().clone(), key.spki_der().to_vec());
            drop(key);
            let key = TokenKey::open(&token, reference, &spki).unwrap();
            verifies(verifier, key.spki_der(), b"again", &key.sign(b"again").unwrap());
        }
    });
}

/// Another user of the same token, past all of our code.
fn foreign(hsm: &SoftHsm, label: &str, work: impl FnOnce(&cryptoki::session::Session)) {
    let library = Pkcs11::new(support::module()).unwrap();
    let _ = library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    let slots = library.get_slots_with_initialized_token().unwrap();
    let slot =
        slots.into_iter().find(|slot| library.get_token_info(*slot).unwrap().label() == label).unwrap();
    let session = library.open_rw_session(slot).unwrap();
    let _ = session.login(UserType::User, Some(&AuthPin::from(PIN.to_owned())));
    work(&session);
    let _ = hsm;
}

#[test]
fn the_private_half_cannot_be_read_out_and_an_unused_key_does_not_stay() {
    with_soft_hsm("the_private_half_cannot_be_read_out_and_an_unused_key_does_not_stay", |hsm| {
        let token = open_token(&hsm, "ca");
        let key = TokenKey::generate(&token, TokenAlgorithm::EcdsaP256, "kept", &SystemEntropy).unwrap();
        key.keep();
        let id = hex::decode(&key.reference().id).unwrap();
        drop(TokenKey::generate(&token, TokenAlgorithm::EcdsaP256, "unused", &SystemEntropy).unwrap());
        foreign(&hsm, "ca", |session| {
            let all = session.find_objects(&[Attribute::Token(true)]).unwrap();
            assert_eq!(all.len(), 2, "the kept pair and nothing else");
            let private = [Attribute::Id(id.clone()), Attribute::Private(true)];
            let [key] = session.find_objects(&private).unwrap()[..] else { panic!("one private half") };
            let read = session.get_attributes(key, &[AttributeType::Value]).unwrap_or_default();
            assert!(read.is_empty(), "its value is not given out");
            let about = session
                .get_attributes(
                    key,
                    &[
                        AttributeType::Sensitive,
                        AttributeType::AlwaysSensitive,
                        AttributeType::Extractable,
                        AttributeType::NeverExtractable,
                        AttributeType::Local,
                    ],
                )
                .unwrap();
            let wanted = [
                Attribute::Sensitive(true),
                Attribute::AlwaysSensitive(true),
                Attribute::Extractable(false),
                Attribute::NeverExtractable(true),
                Attribute::Local(true),
            ];
            assert_eq!(about, wanted);
            assert!(session.update_attributes(key, &[Attribute::Extractable(true)]).is_err());
            assert!(session.update_attributes(key, &[Attribute::Sensitive(false)]).is_err());
        });
    });
}

#[test]
fn a_key_that_could_have_been_copied_is_not_used() {
    with_soft_hsm("a_key_that_could_have_been_copied_is_not_used", |hsm| {
        let token = open_token(&hsm, "ca");
        token.connect().unwrap();
        let id = vec![7; 16];
        foreign(&hsm, "ca", |session| {
            let both = [Attribute::Token(true), Attribute::Id(id.clone())];
            let curve = Attribute::EcParams(vec![6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
            let public = [&both[..], &[curve, Attribute::Verify(true)]].concat();
            let private =
                [&both[..], &[Attribute::Sign(true), Attribute::Extractable(true), Attribute::Private(true)]]
                    .concat();
            session
                .generate_key_pair(&cryptoki::mechanism::Mechanism::EccKeyPairGen, &public, &private)
                .unwrap();
        });
        let reference =
            KeyReference { token: "ca".into(), id: hex::encode(&id), algorithm: TokenAlgorithm::EcdsaP256 };
        let error = TokenKey::open(&token, reference.clone(), &[]).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, Kind::Unsupported, "{error}");
        let absent = KeyReference { id: hex::encode([8; 16]), ..reference };
        let error = TokenKey::open(&token, absent, &[]).map(|_| ()).unwrap_err();
        assert_eq!((error.kind, error.retry()), (Kind::NotFound, Retry::OnChange), "{error}");
    });
}

#[test]
fn a_token_that_is_taken_away_fails_signatures_and_works_again_when_it_is_back() {
    with_soft_hsm("a_token_that_is_taken_away_fails_signatures_and_works_again_when_it_is_back", |hsm| {
        let token = open_token(&hsm, "ca");
        let key = TokenKey::generate(&token, TokenAlgorithm::EcdsaP256, "k", &SystemEntropy).unwrap();
        key.keep();
        key.sign(b"one").unwrap();
        hsm.unplug();
        for _ in 0..3 {
            let error = key.sign(b"two").unwrap_err();
            assert_eq!((error.kind, error.retry()), (Kind::Unreachable, Retry::Backoff), "{error}");
        }
        hsm.plug();
        let signature = key.sign(b"three").unwrap();
        verifies(&signature::ECDSA_P256_SHA256_ASN1, key.spki_der(), b"three", &signature);
    });
}

#[test]
fn many_threads_share_the_sessions_that_the_token_allows() {
    with_soft_hsm("many_threads_share_the_sessions_that_the_token_allows", |hsm| {
        hsm.token("ca");
        for sessions in [1, 3] {
            let token = Arc::new(Token::new(TokenSpec { sessions, ..hsm.spec("ca") }));
            let key = TokenKey::generate(&token, TokenAlgorithm::EcdsaP256, "k", &SystemEntropy).unwrap();
            std::thread::scope(|scope| {
                for n in 0_u8..12 {
                    let key = &key;
                    scope.spawn(move || {
                        for round in 0_u8..10 {
                            let signature = key.sign(&[n, round]).unwrap();
                            verifies(
                                &signature::ECDSA_P256_SHA256_ASN1,
                                key.spki_der(),
                                &[n, round],
                                &signature,
                            );
                        }
                    });
                }
            });
        }
    });
}

#[test]
fn threads_that_sign_while_the_token_goes_and_comes_end_with_right_signatures_or_errors() {
    let name = "threads_that_sign_while_the_token_goes_and_comes_end_with_right_signatures_or_errors";
    with_soft_hsm(name, |hsm| {
        let token = open_token(&hsm, "ca");
        let key = TokenKey::generate(&token, TokenAlgorithm::EcdsaP256, "k", &SystemEntropy).unwrap();
        key.keep();
        std::thread::scope(|scope| {
            for n in 0_u8..4 {
                let key = &key;
                scope.spawn(move || {
                    for round in 0_u8..60 {
                        match key.sign(&[n, round]) {
                            Ok(signature) => {
                                verifies(
                                    &signature::ECDSA_P256_SHA256_ASN1,
                                    key.spki_der(),
                                    &[n, round],
                                    &signature,
                                );
                            }
                            Err(error) => {
                                assert!(matches!(error.kind, Kind::Unreachable | Kind::NotFound), "{error}");
                            }
                        }
                    }
                });
            }
            for _ in 0..3 {
                hsm.unplug();
                std::thread::sleep(std::time::Duration::from_millis(5));
                hsm.plug();
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        });
        key.sign(b"at the end").unwrap();
    });
}

#[test]
fn a_wrong_pin_is_sent_once_however_often_it_is_tried() {
    with_soft_hsm("a_wrong_pin_is_sent_once_however_often_it_is_tried", |hsm| {
        hsm.token("ca");
        let pin = hsm.dir.join("a-pin");
        support::private(&pin, "0000-wrong");
        let spec = TokenSpec { pin: SecretSource::File(pin.clone()), ..hsm.spec("ca") };
        let token = Arc::new(Token::new(spec.clone()));
        let error = token.connect().unwrap_err();
        assert_eq!((error.kind, error.retry()), (Kind::Refused, Retry::OnChange), "{error}");
        assert!(!error.to_string().contains("0000-wrong"), "{error}");
        // With the right PIN in the file the token would let us in: that it does not shows that it is not asked.
        support::private(&pin, PIN);
        for _ in 0..20 {
            assert_eq!(token.connect().unwrap_err(), error);
        }
        Token::new(spec).connect().unwrap();
    });
}

#[test]
fn what_is_missing_is_named() {
    with_soft_hsm("what_is_missing_is_named", |hsm| {
        hsm.token("ca");
        let spec = hsm.spec("ca");
        let no_module = TokenSpec { module: "/no/such/library.so".into(), ..spec.clone() };
        let no_token = TokenSpec { token: "other".into(), ..spec.clone() };
        let no_pin = TokenSpec { pin: SecretSource::File("/no/such/pin".into()), ..spec };
        for (spec, kind, words) in [
            (no_module, Kind::NotFound, "PKCS#11 module /no/such/library.so"),
            (no_token, Kind::NotFound, "PKCS#11 token other"),
            (no_pin, Kind::Secret, "/no/such/pin"),
        ] {
            let error = Token::new(spec).connect().unwrap_err();
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    });
}

#[test]
fn a_root_key_is_wrapped_by_a_key_that_stays_in_the_token() {
    with_soft_hsm("a_root_key_is_wrapped_by_a_key_that_stays_in_the_token", |hsm| {
        hsm.token("ca");
        hsm.token("other");
        let custodian =
            |label: &str, key: &str| Custodian::Token(Box::new(Token::new(hsm.spec(label))), key.into());
        let (right, elsewhere) = (custodian("ca", "kek"), custodian("other", "kek"));
        let root = RootKey::generate(&SystemEntropy).unwrap();
        let missing = right.wrap(&root, "aa", &SystemEntropy).unwrap_err();
        assert_eq!(missing.kind, Kind::NotFound, "{missing}");
        right.create(&SystemEntropy).unwrap();
        assert_eq!(right.create(&SystemEntropy).unwrap_err().kind, Kind::Ambiguous);
        elsewhere.create(&SystemEntropy).unwrap();
        let envelope = right.wrap(&root, "aa", &SystemEntropy).unwrap();
        assert!(right.fits(&envelope.wrapped) && !elsewhere.fits(&envelope.wrapped));
        assert_eq!(right.unwrap(&envelope).unwrap().as_bytes(), root.as_bytes());
        let error = elsewhere.unwrap(&envelope).map(|_| ()).unwrap_err();
        assert_eq!((error.kind, error.retry()), (Kind::WrongKey, Retry::OnChange), "{error}");
        let mut edited = envelope;
        if let keywright_custody::Wrapped::Pkcs11 { sealed, .. } = &mut edited.wrapped {
            let flipped = if sealed.starts_with('0') { "1" } else { "0" };
            sealed.replace_range(..1, flipped);
        }
        assert_eq!(right.unwrap(&edited).map(|_| ()).unwrap_err().kind, Kind::WrongKey);
    });
}
