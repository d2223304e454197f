//! Every reader of foreign bytes gives a value or an error: on random bytes, and on real ones with some changed.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::{CaProfile, Certificate, Serial, Template, Validity, assemble};
use keywright_pki::constraints::{NameConstraints, Subtrees};
use keywright_pki::csr::{self, Csr};
use keywright_pki::key::{Encoding, PrivateKey, PublicKey};
use keywright_pki::lint::{lint, lint_certificate};
use keywright_pki::name::{DistinguishedName, DnsName, EmailAddress, SubjectAltNames, Uri};
use keywright_pki::{chain, pem};
use proptest::prelude::*;
use std::sync::LazyLock;

/// Real input for each reader.
struct Samples {
    all: Vec<Vec<u8>>,
    certificate: Certificate,
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(|| {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let ml_dsa = PrivateKey::generate(KeyAlgorithm::MlDsa44).unwrap();
    let subject = DistinguishedName::with_common_name("Root").unwrap();
    let sans =
        SubjectAltNames::parse(&["a.example", "*.b.example"], &["10.0.0.1"], &["x@a.example"], &["urn:x"])
            .unwrap();
    let permitted =
        Subtrees::parse("p", &["a.example"], &["10.0.0.0/8"], &["a.example"], &[".b.example"]).unwrap();
    let constraints = NameConstraints { permitted: permitted.clone(), excluded: permitted };
    let template = Template {
        serial: Serial::from_random([1; 20]),
        issuer_name: subject.to_der().unwrap(),
        subject: subject.clone(),
        sans: sans.clone(),
        public_key: key.public_key().clone(),
        authority_key_identifier: Some(vec![1; 20]),
        validity: Validity::new(
            "2025-01-01T00:00:00Z".parse().unwrap(),
            "2055-01-01T00:00:00Z".parse().unwrap(),
        )
        .unwrap(),
        usages: keywright_pki::usage::Usages::parse(&["cert sign", "any", "server auth"]).unwrap(),
        ca: Some(CaProfile { path_length: Some(1), name_constraints: constraints.clone() }),
        crl_distribution_points: vec!["http://a.example".into()],
        ocsp_servers: vec!["http://a.example".into()],
        issuing_certificate_urls: vec![],
    };
    let tbs = template.tbs_der(key.algorithm()).unwrap();
    let certificate = assemble(&tbs, &key.sign(tbs.as_bytes()).unwrap()).unwrap();
    let all = vec![
        certificate.der().to_vec(),
        certificate.to_pem().into_bytes(),
        tbs.as_bytes().to_vec(),
        csr::build(&subject, &sans, &key).unwrap(),
        key.to_pkcs8_der().unwrap().to_vec(),
        ml_dsa.to_pkcs8_der().unwrap().to_vec(),
        key.to_pem(Encoding::Pkcs1).unwrap().as_bytes().to_vec(),
        key.public_key().spki_der().to_vec(),
        constraints.to_der().unwrap(),
        subject.to_der().unwrap(),
    ];
    Samples { all, certificate }
});

fn read_with_everything(bytes: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(bytes) {
        let at = "2030-01-01T00:00:00Z".parse().unwrap();
        let known = &SAMPLES.certificate;
        let _ = chain::verify(&certificate, &[], known, at);
        let _ = chain::verify(known, std::slice::from_ref(&certificate), &certificate, at);
        assert_eq!(certificate.der(), bytes);
    }
    let _ = Certificate::from_pem(bytes);
    let _ = lint(bytes);
    let _ = lint_certificate(bytes);
    let _ = Csr::parse(bytes);
    let _ = Csr::from_pem(bytes);
    let _ = PrivateKey::from_pkcs8_der(bytes);
    let _ = PrivateKey::from_pem(bytes);
    let _ = PublicKey::from_spki_der(bytes);
    let _ = NameConstraints::from_der(bytes);
    let _ = DistinguishedName::from_der(bytes);
    let _ = pem::read(bytes);
    let _ = pem::read_certificates(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_read_or_refused(bytes: Vec<u8>) {
        read_with_everything(&bytes);
    }

    #[test]
    fn real_bytes_with_some_changed_are_read_or_refused(
        sample: prop::sample::Index,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = sample.get(&SAMPLES.all).clone();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_with_everything(&bytes);
    }

    #[test]
    fn any_text_is_a_name_or_refused_and_a_name_reads_back(text in "\\PC{0,40}|[a-zA-Z0-9.*@:/\\[\\]_%-]{0,40}") {
        if let Ok(name) = DnsName::parse(&text) {
            prop_assert_eq!(DnsName::parse(name.as_str()).unwrap(), name);
        }
        if let Ok(address) = EmailAddress::parse(&text) {
            prop_assert_eq!(EmailAddress::parse(address.as_str()).unwrap(), address);
        }
        if let Ok(uri) = Uri::parse(&text) {
            let _ = uri.host();
            prop_assert_eq!(uri.as_str(), &text);
        }
        if let Ok(name) = DistinguishedName::with_common_name(&text) {
            prop_assert_eq!(DistinguishedName::from_der(&name.to_der().unwrap()).unwrap(), name);
        }
        let _ = text.parse::<Serial>();
        let _ = text.parse::<KeyAlgorithm>();
        let one = [text.as_str()];
        let _ = SubjectAltNames::parse(&one, &one, &one, &one);
        let _ = Subtrees::parse("x", &one, &[], &[], &[]);
        let _ = Subtrees::parse("x", &[], &one, &[], &[]);
        let _ = Subtrees::parse("x", &[], &[], &one, &[]);
        let _ = Subtrees::parse("x", &[], &[], &[], &one);
    }
}
