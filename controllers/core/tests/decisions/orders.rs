//! When a certificate is asked for: each reason, the number of the issuance, and whose key.

use crate::decide::{key, shown, table};
use crate::scene::{OTHER, SERVICES, Scene, day, hours};
use keywright_controllers_core::certificate::mark;
use keywright_controllers_core::issuer::{Limits, Standing};
use keywright_crds::{Algorithm, CertificatePrivateKey, KeyUsage, RotationPolicy};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::key::{Encoding, PrivateKey};

#[test]
fn a_certificate_is_asked_for_when_it_is_missing_damaged_changed_due_or_requested() {
    table(&[
        ("no Secret", |s| s.secret = None, "Sign Missing step 2 keep false over nothing"),
        (
            "no Secret and no status",
            |s| (s.secret, s.revision) = (None, 0),
            "Sign Missing step 1 keep false over nothing",
        ),
        ("no entries", |s| s.secret().data = None, "Sign Missing step 2 keep false over 41"),
        (
            "empty entries",
            |s| {
                for entry in ["tls.crt", "tls.key", "ca.crt"] {
                    s.put(entry, b"");
                }
            },
            "Sign Missing step 2 keep false over 41",
        ),
        (
            "what a leader of before wrote late",
            |s| {
                let status = s.cert.status.as_mut().unwrap();
                (status.serial_number, status.log_index) = (Some("0a".into()), Some(9));
            },
            "Sign Displaced step 2 keep false over 41",
        ),
        (
            "what the signer says does not count",
            |s| s.superseded = s.cert.status.as_ref().unwrap().serial_number.clone(),
            "Sign Displaced step 2 keep false over 41",
        ),
        ("garbage in tls.crt", |s| s.put("tls.crt", b"x"), "Sign Damaged step 2 keep false over 41"),
        ("garbage in tls.key", |s| s.put("tls.key", b"x"), "Sign Damaged step 2 keep false over 41"),
        (
            "another key",
            |s| {
                let other = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
                s.put("tls.key", other.to_pem(Encoding::Pkcs8).unwrap().as_bytes());
            },
            "Sign Damaged step 2 keep false over 41",
        ),
        (
            "another name",
            |s| s.cert.spec.dns_names = vec!["b.example.com".into()],
            "Sign Changed step 2 keep false over 41",
        ),
        (
            "another life",
            |s| s.cert.spec.duration = Some("24h".into()),
            "Sign Changed step 2 keep false over 41",
        ),
        (
            "other usages",
            |s| s.cert.spec.usages = vec![KeyUsage::ClientAuth],
            "Sign Changed step 2 keep false over 41",
        ),
        (
            "another kind of key",
            |s| key(s).algorithm = Algorithm::Ed25519,
            "Sign Changed step 2 keep false over 41",
        ),
        (
            "an authority",
            |s| {
                s.cert.spec.is_ca = true;
                s.cert.spec.common_name = Some("web".into());
                s.issuer(&SERVICES, "services", Limits { allow_ca: true, ..Limits::default() });
            },
            "Sign Changed step 2 keep false over 41",
        ),
        (
            "another issuer",
            |s| s.issuer(&OTHER, "other", Limits::default()),
            "Sign Changed step 2 keep false over 41",
        ),
        (
            "an issuer made again with another key",
            |s| s.issuer(&OTHER, "services", Limits::default()),
            "Sign Changed step 2 keep false over 41",
        ),
        (
            "less life by default",
            |s| {
                s.issuer(&SERVICES, "services", Limits { max_leaf: Some(hours(24)), ..Limits::default() });
            },
            "Sign Changed step 2 keep false over 41",
        ),
        (
            "an effect that somebody wrote",
            |s| s.annotate(mark::EFFECT, "00"),
            "Sign Changed step 2 keep false over 41",
        ),
        ("due", |s| s.now = day("2030-03-02"), "Sign Due step 2 keep false over 41"),
        ("expired", |s| s.now = day("2031-01-01"), "Sign Due step 2 keep false over 41"),
        (
            "requested",
            |s| {
                s.cert.metadata.annotations = Some([(mark::RENEW.to_owned(), "now".to_owned())].into());
            },
            "Sign Requested step 2 keep false over 41",
        ),
    ]);
}

#[test]
fn the_step_is_over_everything_that_is_known_to_be_used() {
    table(&[
        (
            "status ahead of the Secret",
            |s| {
                s.revision = 8;
                s.put("tls.crt", b"x");
            },
            "Sign Damaged step 9 keep false over 41",
        ),
        (
            "the Secret ahead of the status",
            |s| {
                s.annotate(mark::REVISION, "8");
                s.put("tls.crt", b"x");
            },
            "Sign Damaged step 9 keep false over 41",
        ),
        (
            "a number that is none",
            |s| {
                s.annotate(mark::REVISION, "-3");
                s.put("tls.crt", b"x");
            },
            "Sign Damaged step 2 keep false over 41",
        ),
        (
            "the largest number",
            |s| {
                s.annotate(mark::REVISION, "18446744073709551615");
                s.put("tls.crt", b"x");
            },
            "Sign Damaged step 18446744073709551615 keep false over 41",
        ),
    ]);
}

#[test]
fn a_key_is_kept_when_the_policy_says_so_and_it_fits() {
    table(&[
        (
            "Never",
            |s| {
                key(s).rotation_policy = RotationPolicy::Never;
                s.now = day("2030-03-02");
            },
            "Sign Due step 2 keep true over 41",
        ),
        (
            "Never, certificate damaged",
            |s| {
                key(s).rotation_policy = RotationPolicy::Never;
                s.put("tls.crt", b"x");
            },
            "Sign Damaged step 2 keep true over 41",
        ),
        (
            "Never, key damaged",
            |s| {
                key(s).rotation_policy = RotationPolicy::Never;
                s.put("tls.key", b"x");
            },
            "Sign Damaged step 2 keep false over 41",
        ),
        (
            "Never, another kind of key wanted",
            |s| {
                *key(s) = CertificatePrivateKey {
                    algorithm: Algorithm::Ed25519,
                    rotation_policy: RotationPolicy::Never,
                    ..CertificatePrivateKey::default()
                };
            },
            "Sign Changed step 2 keep false over 41",
        ),
    ]);
}

#[test]
fn a_leaf_that_ends_with_its_authority_is_renewed_only_when_that_gains_something() {
    let mut scene = Scene::published(|_| {});
    scene.now = day("2030-03-02");
    let ending = |to: &str| {
        let mut ca = crate::scene::authority(&SERVICES, "services", Limits::default());
        ca.chain[0] = crate::scene::until(&SERVICES, day(to));
        Standing::Ready(std::sync::Arc::new(ca))
    };
    scene.issuer = ending("2030-04-01");
    assert!(shown(&scene.decide()).starts_with("Republish"), "{}", shown(&scene.decide()));
    scene.issuer = ending("2030-04-02");
    assert!(shown(&scene.decide()).starts_with("Sign Due"), "{}", shown(&scene.decide()));
}
