//! What an issuer does not sign is said before the signer is asked, by field and with the issuer's name.

use crate::scene::{SERVICES, authority, hours, valid};
use keywright_controllers_core::certificate::effect::{effect, hours as written, life, within_limits};
use keywright_controllers_core::issuer::Limits;
use keywright_controllers_core::issuer::profile::Profile;
use keywright_controllers_core::issuer::valid::ValidAuthority;
use keywright_crds::{Algorithm, CertificatePrivateKey, CertificateSpec, KeyUsage};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::constraints::{NameConstraints, Subtrees};
use keywright_pki::usage::Usages;
use keywright_testkit::objects::{certificate, issuer};
use serde_json::json;

fn only(domain: &str) -> NameConstraints {
    let none: &[&str] = &[];
    let permitted = Subtrees::parse("permitted", &[domain], none, none, none).unwrap();
    NameConstraints { permitted, ..NameConstraints::default() }
}

#[test]
fn a_wish_outside_the_limits_names_the_field_the_rule_and_the_issuer() {
    let table: [(&str, fn(&mut CertificateSpec), Limits, Result<(), (&str, &str)>); 16] = [
        ("no limits", |_| {}, Limits::default(), Ok(())),
        ("a name within", |_| {}, Limits { names: only("example.com"), ..Limits::default() }, Ok(())),
        (
            "a name outside",
            |_| {},
            Limits { names: only("example.org"), ..Limits::default() },
            Err(("dnsNames", "web.example.com")),
        ),
        (
            "one of two names outside",
            |s| s.dns_names.push("web.example.org".into()),
            Limits { names: only("example.com"), ..Limits::default() },
            Err(("dnsNames", "web.example.org")),
        ),
        (
            "exactly the longest life",
            |s| s.duration = Some("24h".into()),
            Limits { max_leaf: Some(hours(24)), ..Limits::default() },
            Ok(()),
        ),
        (
            "a second over the longest life",
            |s| s.duration = Some("24h1s".into()),
            Limits { max_leaf: Some(hours(24)), ..Limits::default() },
            Err(("duration", "24h0m1s is over maxLeafDuration 24h")),
        ),
        ("no life written", |_| {}, Limits { max_leaf: Some(hours(24)), ..Limits::default() }, Ok(())),
        (
            "a renewal that begins before the life that the authority gives",
            |s| s.renew_before = Some("24h".into()),
            Limits { max_leaf: Some(hours(24)), ..Limits::default() },
            Err(("renewBefore", "24h is not under 24h")),
        ),
        (
            "a renewal that begins within it",
            |s| s.renew_before = Some("23h59m".into()),
            Limits { max_leaf: Some(hours(24)), ..Limits::default() },
            Ok(()),
        ),
        (
            "usages within",
            |_| {},
            Limits {
                usages: Some(Usages::parse(&["digital signature", "server auth"]).unwrap()),
                ..Limits::default()
            },
            Ok(()),
        ),
        (
            "usages outside",
            |_| {},
            Limits { usages: Some(Usages::parse(&["server auth"]).unwrap()), ..Limits::default() },
            Err(("usages", "which allows server auth")),
        ),
        (
            "an algorithm within",
            |_| {},
            Limits { algorithms: vec![KeyAlgorithm::EcdsaP256], ..Limits::default() },
            Ok(()),
        ),
        (
            "an algorithm outside",
            |_| {},
            Limits { algorithms: vec![KeyAlgorithm::Ed25519], ..Limits::default() },
            Err(("privateKey.algorithm", "choose one of")),
        ),
        (
            "an authority where none is allowed",
            |s| s.is_ca = true,
            Limits::default(),
            Err(("isCA", "allowed.isCA")),
        ),
        (
            "an authority where it is allowed",
            |s| s.is_ca = true,
            Limits { allow_ca: true, path_length: Some(1), ..Limits::default() },
            Ok(()),
        ),
        (
            "an authority below one that signs leaves only",
            |s| s.is_ca = true,
            Limits { allow_ca: true, path_length: Some(0), ..Limits::default() },
            Err(("isCA", "pathLength")),
        ),
    ];
    for (what, change, limits, expected) in table {
        let mut cert = certificate("web");
        change(&mut cert.spec);
        let by = authority(&SERVICES, "services", limits);
        match (within_limits(&valid(&cert), &by), expected) {
            (Ok(()), Ok(())) => {}
            (Err(problem), Err((field, words))) => {
                assert!(problem.field.starts_with(field), "{what}: {problem}");
                assert!(problem.to_string().contains(words), "{what}: {problem}");
                assert!(problem.to_string().contains("Issuer \"services\""), "{what}: {problem}");
            }
            (is, expected) => panic!("{what}: {is:?}, not {expected:?}"),
        }
    }
}

#[test]
fn the_life_asked_for_is_the_written_one_else_the_default_within_the_limit() {
    for (written, most, hours_asked) in [
        (None, None, 2160),
        (None, Some(24), 24),
        (None, Some(9000), 2160),
        (Some("48h"), None, 48),
        (Some("48h"), Some(24), 48),
    ] {
        let mut cert = certificate("web");
        cert.spec.duration = written.map(str::to_owned);
        let by = authority(&SERVICES, "services", Limits { max_leaf: most.map(hours), ..Limits::default() });
        assert_eq!(life(&valid(&cert), &by), hours(hours_asked), "{written:?} {most:?}");
    }
}

#[test]
fn an_effect_is_the_same_for_the_same_wish_however_it_is_written() {
    let by = authority(&SERVICES, "services", Limits::default());
    let digest = |change: fn(&mut CertificateSpec)| {
        let mut cert = certificate("web");
        change(&mut cert.spec);
        effect(&valid(&cert), &by)
    };
    let plain = digest(|_| {});
    assert_eq!(plain.len(), 64);
    for same in [
        digest(|s| s.duration = Some("2160h".into())),
        digest(|s| s.duration = Some("129600m".into())),
        digest(|s| s.secret_name = "other".into()),
        digest(|s| s.revision_history_limit = Some(9)),
        digest(|s| s.renew_before = Some("1h".into())),
    ] {
        assert_eq!(same, plain);
    }
    for other in [
        digest(|s| s.duration = Some("2161h".into())),
        digest(|s| s.common_name = Some("web".into())),
        digest(|s| s.is_ca = true),
        digest(|s| s.ip_addresses = vec!["192.0.2.1".into()]),
    ] {
        assert_ne!(other, plain);
    }
}

#[test]
fn a_life_is_written_as_people_write_it() {
    for (seconds, text) in
        [(7_776_000, "2160h"), (5400, "1h30m"), (300, "5m"), (61, "1m1s"), (3601, "1h0m1s"), (59, "0m59s")]
    {
        assert_eq!(written(jiff::SignedDuration::from_secs(seconds)), text);
    }
}

/// The profiles of an issuer with these.
fn profiles(written: &[serde_json::Value]) -> Vec<Profile> {
    let mut issuer = issuer("services");
    issuer.spec.authority.as_mut().unwrap().profiles =
        written.iter().map(|one| serde_json::from_value(one.clone()).unwrap()).collect();
    ValidAuthority::parse(&issuer).unwrap().limits.profiles
}

#[test]
fn a_wish_outside_the_profile_names_the_field_the_rule_and_the_profile() {
    let web = json!({ "name": "web", "maxDuration": "24h", "nameConstraints": { "permitted": { "dnsDomains": ["example.com"] } },
        "allowed": { "usages": ["digital signature", "server auth"], "privateKeyAlgorithms": ["ECDSA"] } });
    let sub = json!({ "name": "sub", "allowed": { "isCA": true } });
    let table: [(&str, fn(&mut CertificateSpec), Result<(), (&str, &str)>); 10] = [
        ("within", |_| {}, Ok(())),
        ("none named", |s| s.profile = None, Err(("profile", "it is required"))),
        ("unknown", |s| s.profile = Some("x".into()), Err(("profile", "name one of web, sub"))),
        ("a name", |s| s.dns_names = vec!["a.example.org".into()], Err(("dnsNames", "a.example.org"))),
        ("a life", |s| s.duration = Some("25h".into()), Err(("duration", "25h is over maxDuration 24h"))),
        ("a usage", |s| s.usages = vec![KeyUsage::CodeSigning], Err(("usages", "which allows"))),
        (
            "a key",
            |s| {
                let key =
                    CertificatePrivateKey { algorithm: Algorithm::Rsa, ..CertificatePrivateKey::default() };
                s.private_key = Some(key);
            },
            Err(("privateKey.algorithm", "is not allowed by")),
        ),
        ("an authority", |s| s.is_ca = true, Err(("isCA", "does not sign authorities (allowed.isCA)"))),
        (
            "a renewal",
            |s| s.renew_before = Some("24h".into()),
            Err((
                "renewBefore",
                "the longest life that profile \"web\" of Issuer \"services\" gives (maxDuration)",
            )),
        ),
        (
            "an authority under a profile that allows it",
            |s| (s.is_ca, s.profile) = (true, Some("sub".into())),
            Ok(()),
        ),
    ];
    let limits = Limits { allow_ca: true, profiles: profiles(&[web, sub]), ..Limits::default() };
    let by = authority(&SERVICES, "services", limits);
    for (what, change, expected) in table {
        let mut cert = certificate("web");
        cert.spec.profile = Some("web".into());
        change(&mut cert.spec);
        match (within_limits(&valid(&cert), &by), expected) {
            (Ok(()), Ok(())) => {}
            (Err(problem), Err((field, words))) => {
                assert!(problem.field.starts_with(field), "{what}: {problem}");
                assert!(problem.to_string().contains(words), "{what}: {problem}");
                assert!(problem.to_string().contains("Issuer \"services\""), "{what}: {problem}");
            }
            (is, expected) => panic!("{what}: {is:?}, not {expected:?}"),
        }
    }
}

#[test]
fn a_profile_only_narrows_and_its_longest_life_is_the_default() {
    let wide = json!({ "name": "default", "maxDuration": "900h", "allowed": { "isCA": true } });
    let strict =
        |max| Limits { max_leaf: max, profiles: profiles(std::slice::from_ref(&wide)), ..Limits::default() };
    for (most, asked) in [(None, 900), (Some(24), 24), (Some(9000), 900)] {
        let by = authority(&SERVICES, "services", strict(most.map(hours)));
        let mut cert = certificate("web");
        assert_eq!(life(&valid(&cert), &by), hours(asked));
        assert_eq!(within_limits(&valid(&cert), &by), Ok(()));
        cert.spec.is_ca = true;
        assert!(within_limits(&valid(&cert), &by).is_err(), "the authority does not allow it");
    }
}

#[test]
fn another_profile_is_another_effect_and_none_is_as_it_always_was() {
    let digest = |profile: Option<&str>, limits| {
        let mut cert = certificate("web");
        cert.spec.profile = profile.map(str::to_owned);
        effect(&valid(&cert), &authority(&SERVICES, "services", limits))
    };
    let some = || Limits { profiles: profiles(&[json!({ "name": "default" })]), ..Limits::default() };
    assert_eq!(
        digest(None, Limits::default()),
        digest(None, some()),
        "profiles that come later re-issue nothing"
    );
    assert_ne!(digest(None, some()), digest(Some("default"), some()));
    assert_ne!(digest(Some("a"), some()), digest(Some("b"), some()));
}
