//! Every algorithm as authority and as leaf: our own verifier, and those that other people use.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use jiff::{SignedDuration, Timestamp};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::{CaProfile, Certificate, Serial, Template, Validity, assemble};
use keywright_pki::chain::{self, Fault};
use keywright_pki::constraints::{NameConstraints, Subtrees};
use keywright_pki::csr::{self, Csr};
use keywright_pki::key::{Encoding, PrivateKey};
use keywright_pki::lint::{lint, lint_certificate};
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_pki::usage::Usages;
use std::path::Path;
use std::process::{Command, Output};

const NONE: [&str; 0] = [];

fn day(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

fn validity() -> Validity {
    Validity::new(day("2025-01-01"), day("2055-01-01")).unwrap()
}

fn sans() -> SubjectAltNames {
    SubjectAltNames::parse(
        &["web.a.example", "*.w.a.example"],
        &["10.0.0.1", "2001:db8::1"],
        &["ops@a.example"],
        &["spiffe://a.example/ns/web"],
    )
    .unwrap()
}

/// A key with its certificate, and how to sign with it.
struct Authority {
    key: PrivateKey,
    certificate: Certificate,
}

impl Authority {
    fn root(key: PrivateKey, profile: CaProfile) -> Self {
        let subject = DistinguishedName { countries: vec!["DE".into()], ..name("Test root") };
        let template = Template {
            serial: Serial::from_random([0xab; 20]),
            issuer_name: subject.to_der().unwrap(),
            subject,
            sans: SubjectAltNames::default(),
            public_key: key.public_key().clone(),
            authority_key_identifier: None,
            validity: validity(),
            usages: Usages::authority(),
            ca: Some(profile),
            crl_distribution_points: vec![],
            ocsp_servers: vec![],
            issuing_certificate_urls: vec![],
        };
        let certificate = sign(&template, &key);
        Self { key, certificate }
    }

    /// A template for something below this authority.
    fn below(&self, subject: DistinguishedName, key: &PrivateKey) -> Template {
        Template {
            serial: Serial::from_random(key.public_key().key_identifier()),
            subject,
            sans: SubjectAltNames::default(),
            public_key: key.public_key().clone(),
            issuer_name: self.certificate.subject_der().to_vec(),
            authority_key_identifier: self.certificate.subject_key_identifier().map(<[u8]>::to_vec),
            validity: validity(),
            usages: Usages::authority(),
            ca: None,
            crl_distribution_points: vec!["http://crl.example/root.crl".into()],
            ocsp_servers: vec!["http://ocsp.example".into()],
            issuing_certificate_urls: vec!["http://crl.example/root.cer".into()],
        }
    }

    fn child(&self, key: PrivateKey, common_name: &str, profile: CaProfile) -> Self {
        let template = Template { ca: Some(profile), ..self.below(name(common_name), &key) };
        let certificate = sign(&template, &self.key);
        Self { key, certificate }
    }

    fn leaf(&self, key: &PrivateKey, usages: &[&str]) -> Certificate {
        let usages = Usages::parse(usages).unwrap().for_leaf(key.algorithm());
        sign(&Template { sans: sans(), usages, ..self.below(name("web.a.example"), key) }, &self.key)
    }
}

fn name(common_name: &str) -> DistinguishedName {
    DistinguishedName::with_common_name(common_name).unwrap()
}

fn sign(template: &Template, key: &PrivateKey) -> Certificate {
    let tbs = template.tbs_der(key.algorithm()).unwrap();
    assert_eq!(lint(tbs.as_bytes()), []);
    let certificate = assemble(&tbs, &key.sign(tbs.as_bytes()).unwrap()).unwrap();
    assert_eq!(lint_certificate(certificate.der()), []);
    certificate.verify_signed_by(key.public_key()).unwrap();
    certificate
}

fn constrained() -> CaProfile {
    let permitted = Subtrees::parse(
        "p",
        &["a.example"],
        &["10.0.0.0/8", "2001:db8::/32"],
        &["a.example"],
        &["a.example"],
    );
    let excluded = Subtrees::parse("e", &["secret.a.example"], &["10.9.0.0/16"], &NONE, &NONE);
    CaProfile {
        path_length: Some(1),
        name_constraints: NameConstraints { permitted: permitted.unwrap(), excluded: excluded.unwrap() },
    }
}

fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    Command::new(program).args(arguments).output().ok()
}

fn must_run(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments).unwrap_or_else(|| panic!("{program} is needed for this test"));
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

/// OpenSSL knows ML-DSA since 3.5.
fn openssl_knows(algorithm: KeyAlgorithm) -> bool {
    let post_quantum =
        matches!(algorithm, KeyAlgorithm::MlDsa44 | KeyAlgorithm::MlDsa65 | KeyAlgorithm::MlDsa87);
    let version = must_run("openssl", &["version"]);
    let mut numbers =
        version.trim_start_matches("OpenSSL ").split('.').map_while(|part| part.parse::<u32>().ok());
    let at_least = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (3, 5);
    !post_quantum || at_least
}

fn path(folder: &Path, file: &str) -> String {
    folder.join(file).to_str().unwrap().to_owned()
}

/// A root, a child and a leaf of one algorithm, checked by us and by OpenSSL.
fn check_algorithm(algorithm: KeyAlgorithm) {
    let generate = || PrivateKey::generate(algorithm).unwrap();
    let root = Authority::root(generate(), constrained());
    let child =
        root.child(generate(), "Test child", CaProfile { path_length: Some(0), ..CaProfile::default() });
    let leaf_key = generate();
    let leaf =
        child.leaf(&leaf_key, &["digital signature", "key encipherment", "server auth", "client auth"]);

    assert_eq!(
        chain::verify(&leaf, std::slice::from_ref(&child.certificate), &root.certificate, day("2030-01-01")),
        Ok(())
    );
    assert!(root.certificate.is_self_signed() && !leaf.is_self_signed());
    assert_eq!(leaf.sans(), &sans());
    assert_eq!(leaf.public_key(), leaf_key.public_key());

    let request = csr::build(&name("web"), &sans(), &leaf_key).unwrap();
    assert_eq!(Csr::parse(&request).unwrap().public_key(), leaf_key.public_key());

    if !openssl_knows(algorithm) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = path(folder.path(), name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let root_file = file("root.pem", root.certificate.to_pem().as_bytes());
    let child_file = file("child.pem", child.certificate.to_pem().as_bytes());
    let leaf_file = file("leaf.pem", leaf.to_pem().as_bytes());
    let arguments =
        ["verify", "-x509_strict", "-check_ss_sig", "-purpose", "sslserver", "-CAfile", &root_file];
    must_run("openssl", &[&arguments[..], &["-untrusted", &child_file, &leaf_file]].concat());
    let text = must_run("openssl", &["x509", "-in", &leaf_file, "-noout", "-text"]);
    for part in
        ["DNS:*.w.a.example", "URI:spiffe://a.example/ns/web", "CA:FALSE", "OCSP - URI:http://ocsp.example"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }

    let request_file = file("request.der", &request);
    let verified =
        must_run("openssl", &["req", "-inform", "DER", "-in", &request_file, "-noout", "-verify", "-text"]);
    assert!(verified.contains("DNS:web.a.example"), "{verified}");

    for encoding in [Encoding::Pkcs1, Encoding::Pkcs8] {
        let pem = leaf_key.to_pem(encoding).unwrap();
        let key_file = file("key.pem", pem.as_bytes());
        let public = must_run("openssl", &["pkey", "-in", &key_file, "-check", "-pubout"]);
        let certified = must_run("openssl", &["x509", "-in", &leaf_file, "-noout", "-pubkey"]);
        assert!(public.contains(certified.trim()), "{public} {certified}");
    }

    // And the other way round: a request and a key that OpenSSL made.
    let key_file = file("key.pem", leaf_key.to_pem(Encoding::Pkcs8).unwrap().as_bytes());
    let made = path(folder.path(), "made.pem");
    must_run("openssl", &["req", "-new", "-key", &key_file, "-subj", "/CN=x", "-out", &made]);
    assert_eq!(Csr::from_pem(&std::fs::read(&made).unwrap()).unwrap().public_key(), leaf_key.public_key());
}

macro_rules! every_algorithm {
    ($($test:ident: $algorithm:ident),+) => {
        $(#[test] fn $test() { check_algorithm(KeyAlgorithm::$algorithm); })+
        #[test]
        fn no_algorithm_is_left_out() {
            assert_eq!([$(KeyAlgorithm::$algorithm),+], KeyAlgorithm::ALL);
        }
    };
}

every_algorithm! {
    ecdsa_p256_holds_as_root_child_and_leaf: EcdsaP256,
    ecdsa_p384_holds_as_root_child_and_leaf: EcdsaP384,
    ecdsa_p521_holds_as_root_child_and_leaf: EcdsaP521,
    ed25519_holds_as_root_child_and_leaf: Ed25519,
    rsa_2048_holds_as_root_child_and_leaf: Rsa2048,
    rsa_3072_holds_as_root_child_and_leaf: Rsa3072,
    rsa_4096_holds_as_root_child_and_leaf: Rsa4096,
    ml_dsa_44_holds_as_root_child_and_leaf: MlDsa44,
    ml_dsa_65_holds_as_root_child_and_leaf: MlDsa65,
    ml_dsa_87_holds_as_root_child_and_leaf: MlDsa87
}

fn p256() -> PrivateKey {
    PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap()
}

fn fault(
    leaf: &Certificate,
    intermediates: &[&Authority],
    root: &Authority,
    at: Timestamp,
) -> Option<(usize, Fault)> {
    let intermediates: Vec<_> = intermediates.iter().map(|one| one.certificate.clone()).collect();
    let error = chain::verify(leaf, &intermediates, &root.certificate, at).err()?;
    Some((error.position, error.fault))
}

#[test]
fn each_broken_rule_is_found_at_its_level() {
    let now = day("2030-01-01");
    let root = Authority::root(p256(), CaProfile::default());
    let child = root.child(p256(), "Child", CaProfile { path_length: Some(0), ..CaProfile::default() });
    let grandchild = child.child(p256(), "Grandchild", CaProfile::default());
    let leaf = child.leaf(&p256(), &[]);
    assert_eq!(fault(&leaf, &[&child], &root, now), None);

    let early = fault(&leaf, &[&child], &root, day("2024-12-31"));
    assert!(matches!(early, Some((0, Fault::NotValid { .. }))), "{early:?}");
    let last_second: Timestamp = "2055-01-01T00:00:00.9Z".parse().unwrap();
    assert_eq!(fault(&leaf, &[&child], &root, last_second), None);
    let late = fault(&leaf, &[&child], &root, last_second + SignedDuration::from_secs(1));
    assert!(matches!(late, Some((0, Fault::NotValid { .. }))), "{late:?}");

    assert_eq!(fault(&leaf, &[], &root, now), Some((0, Fault::WrongIssuer)));
    let other_root = Authority::root(p256(), CaProfile::default());
    assert_eq!(fault(&leaf, &[&child], &other_root, now), Some((1, Fault::WrongIssuerKey)));

    let deep = grandchild.leaf(&p256(), &[]);
    assert_eq!(
        fault(&deep, &[&grandchild, &child], &root, now),
        Some((2, Fault::PathTooLong { allowed: 0, found: 1 }))
    );

    let impostor_key = p256();
    let impostor = Authority { certificate: child.leaf(&impostor_key, &[]), key: impostor_key };
    let below_leaf = impostor.leaf(&p256(), &[]);
    assert_eq!(fault(&below_leaf, &[&impostor, &child], &root, now), Some((1, Fault::NotAuthority)));

    let mut forged = leaf.der().to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    if let Ok(forged) = Certificate::from_der(&forged) {
        assert_eq!(fault(&forged, &[&child], &root, now), Some((0, Fault::BadSignature)));
    }
    let eleven = vec![&child; 9];
    assert_eq!(fault(&leaf, &eleven, &root, now), Some((0, Fault::TooLong)));
}

#[test]
fn constraints_of_every_authority_above_apply() {
    let now = day("2030-01-01");
    let root = Authority::root(p256(), constrained());
    let child = root.child(p256(), "Child", CaProfile::default());
    let key = p256();
    for (dns, holds) in [("x.a.example", true), ("secret.a.example", false), ("b.example", false)] {
        let sans = SubjectAltNames::parse(&[dns], &NONE, &NONE, &NONE).unwrap();
        let usages = Usages::parse::<&str>(&[]).unwrap().for_leaf(key.algorithm());
        let leaf =
            sign(&Template { sans, usages, ..child.below(DistinguishedName::default(), &key) }, &child.key);
        let found = fault(&leaf, &[&child], &root, now);
        match found {
            None => assert!(holds, "{dns}"),
            Some((0, Fault::Name { authority: 2, .. })) => assert!(!holds, "{dns}"),
            other => panic!("{dns}: {other:?}"),
        }
    }
    let outside = root.child(p256(), "evil.example", CaProfile::default());
    let leaf = outside.leaf(&p256(), &[]);
    assert!(matches!(fault(&leaf, &[&outside], &root, now), Some((1, Fault::Name { authority: 2, .. }))));
}

#[test]
fn contradictions_in_a_template_are_refused() {
    let root = Authority::root(p256(), CaProfile::default());
    let key = p256();
    let good = Template {
        sans: sans(),
        usages: Usages::parse(&["digital signature"]).unwrap(),
        ..root.below(name("web"), &key)
    };
    assert!(good.tbs_der(KeyAlgorithm::EcdsaP256).is_ok());
    let without_sans = SubjectAltNames::default();
    for (template, words) in [
        (Template { usages: Usages::authority(), ..good.clone() }, "needs isCA"),
        (Template { ca: Some(CaProfile::default()), ..good.clone() }, "cert sign"),
        (Template { subject: DistinguishedName::default(), sans: without_sans, ..good.clone() }, "subject"),
        (
            Template {
                subject: DistinguishedName::default(),
                usages: Usages::authority(),
                ca: Some(CaProfile::default()),
                ..good.clone()
            },
            "subject",
        ),
        (Template { issuer_name: vec![0x30, 0], ..good.clone() }, "issuer"),
        (Template { issuer_name: b"rubbish".to_vec(), ..good.clone() }, "issuer"),
        (Template { authority_key_identifier: None, ..good.clone() }, "authorityKeyIdentifier"),
        (Template { ocsp_servers: vec!["urn:x".into()], ..good.clone() }, "ocspServers[0]"),
        (
            Template { crl_distribution_points: vec!["no url".into()], ..good.clone() },
            "crlDistributionPoints[0]",
        ),
    ] {
        let error = template.tbs_der(KeyAlgorithm::EcdsaP256).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_leaf_without_subject_has_a_critical_san_and_everyone_accepts_it() {
    let root = Authority::root(p256(), CaProfile::default());
    let key = p256();
    let usages = Usages::parse(&["digital signature", "server auth"]).unwrap();
    let template = Template { sans: sans(), usages, ..root.below(DistinguishedName::default(), &key) };
    let leaf = sign(&template, &root.key);
    let folder = tempfile::tempdir().unwrap();
    let (root_file, leaf_file) = (path(folder.path(), "root.pem"), path(folder.path(), "leaf.pem"));
    std::fs::write(&root_file, root.certificate.to_pem()).unwrap();
    std::fs::write(&leaf_file, leaf.to_pem()).unwrap();
    must_run("openssl", &["verify", "-x509_strict", "-CAfile", &root_file, &leaf_file]);
    let text = must_run("openssl", &["x509", "-in", &leaf_file, "-noout", "-text"]);
    assert!(text.contains("X509v3 Subject Alternative Name: critical"), "{text}");
}
