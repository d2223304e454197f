use super::*;
use crate::asn1::BasicConstraints;
use crate::certificate::{CaProfile, Serial, Template, Validity};
use crate::constraints::{NameConstraints, Subtrees};
use crate::key::PrivateKey;
use crate::name::{DistinguishedName, SubjectAltNames};
use crate::usage::Usages;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280 as oid;
use der::asn1::{AnyRef, BitStringRef, OctetString, UintRef};
use std::sync::LazyLock;
use x509_cert::ext::Extension;

static KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate(crate::algorithm::KeyAlgorithm::EcdsaP256).unwrap());

fn template(is_ca: bool) -> Template {
    let none: [&str; 0] = [];
    let permitted = Subtrees::parse("p", &["a.example"], &none, &none, &none).unwrap();
    let profile = CaProfile {
        path_length: Some(0),
        name_constraints: NameConstraints { permitted, ..Default::default() },
    };
    let usages =
        if is_ca { Usages::authority() } else { Usages::parse(&["signing", "server auth"]).unwrap() };
    Template {
        serial: Serial::from_random([7; 20]),
        subject: DistinguishedName::with_common_name("Test").unwrap(),
        sans: SubjectAltNames::parse(&["a.example"], &none, &none, &none).unwrap(),
        public_key: KEY.public_key().clone(),
        issuer_name: DistinguishedName::with_common_name("Issuer").unwrap().to_der().unwrap(),
        authority_key_identifier: Some(vec![1; 20]),
        validity: Validity::new(
            "2030-01-01T00:00:00Z".parse().unwrap(),
            "2060-01-01T00:00:00Z".parse().unwrap(),
        )
        .unwrap(),
        usages,
        ca: is_ca.then_some(profile),
        crl_distribution_points: vec!["http://a.example/crl".into()],
        ocsp_servers: vec!["http://a.example/ocsp".into()],
        issuing_certificate_urls: vec!["http://a.example/ca".into()],
    }
}

fn tbs(is_ca: bool) -> Vec<u8> {
    template(is_ca).tbs_der(KEY.algorithm()).unwrap().as_bytes().to_vec()
}

/// The rules broken after an edit of a certificate without findings.
fn rules(is_ca: bool, edit: impl FnOnce(&mut TbsCertificate<'_>)) -> Vec<&'static str> {
    let der = tbs(is_ca);
    let mut parsed = TbsCertificate::from_der(&der).unwrap();
    edit(&mut parsed);
    lint(&parsed.to_der().unwrap()).into_iter().map(|finding| finding.rule).collect()
}

fn extension<'a>(tbs: &'a mut TbsCertificate<'_>, kind: ObjectIdentifier) -> &'a mut Extension {
    tbs.extensions.as_mut().unwrap().iter_mut().find(|one| one.extn_id == kind).unwrap()
}

fn set(tbs: &mut TbsCertificate<'_>, kind: ObjectIdentifier, value: &[u8]) {
    extension(tbs, kind).extn_value = OctetString::new(value).unwrap();
}

fn remove(tbs: &mut TbsCertificate<'_>, kind: ObjectIdentifier) {
    tbs.extensions.as_mut().unwrap().retain(|one| one.extn_id != kind);
}

#[test]
fn what_we_build_has_no_findings() {
    assert_eq!(lint(&tbs(false)), []);
    assert_eq!(lint(&tbs(true)), []);
}

#[test]
fn serial_numbers_are_positive_short_and_unpredictable() {
    let with = |bytes: &'static [u8]| rules(false, |tbs| tbs.serial_number = UintRef::new(bytes).unwrap());
    assert_eq!(with(&[0]), ["serial-positive", "serial-entropy"]);
    assert_eq!(with(&[1]), ["serial-entropy"]);
    assert_eq!(with(&[0x7f; 20]), [""; 0]);
    assert_eq!(with(&[0x80; 20]), ["serial-length"]);
    assert_eq!(with(&[1; 21]), ["serial-length"]);
}

#[test]
fn version_times_and_signature_algorithm_are_checked() {
    assert_eq!(rules(false, |tbs| tbs.version = 1), ["version-3"]);
    assert_eq!(
        rules(false, |tbs| {
            let time = tbs.validity.not_before.to_date_time();
            tbs.validity.not_before = Time::GeneralTime(der::asn1::GeneralizedTime::from_date_time(time));
        }),
        ["time-encoding"]
    );
    assert_eq!(
        rules(false, |tbs| (tbs.validity.not_before, tbs.validity.not_after) =
            (tbs.validity.not_after, tbs.validity.not_before)),
        ["validity-order"]
    );
    assert_eq!(
        rules(false, |tbs| tbs.signature.parameters = Some(der::asn1::Null.into())),
        ["signature-algorithm"]
    );
    assert_eq!(
        rules(false, |tbs| tbs.signature.oid = const_oid::db::rfc5912::SHA_1_WITH_RSA_ENCRYPTION),
        ["signature-algorithm"]
    );
}

#[test]
fn names_are_checked() {
    let empty = AnyRef::from_der(&[0x30, 0]).unwrap();
    assert_eq!(rules(false, |tbs| tbs.issuer = empty), ["issuer-present"]);
    let empty_relative = AnyRef::from_der(&[0x30, 2, 0x31, 0]).unwrap();
    assert_eq!(rules(false, |tbs| tbs.issuer = empty_relative), ["issuer-present"]);
    assert_eq!(rules(false, |tbs| tbs.subject = empty_relative), ["subject-attributes"]);
    assert_eq!(rules(false, |tbs| tbs.subject = empty), ["san-criticality"]);
    assert_eq!(rules(true, |tbs| tbs.subject = empty), ["ca-subject-present", "san-criticality"]);
    assert_eq!(
        rules(false, |tbs| {
            tbs.subject = empty;
            remove(tbs, oid::ID_CE_SUBJECT_ALT_NAME);
        }),
        ["subject-or-san"]
    );
    assert_eq!(
        rules(false, |tbs| {
            tbs.subject = empty;
            extension(tbs, oid::ID_CE_SUBJECT_ALT_NAME).critical = true;
        }),
        [""; 0]
    );
    // C=Germany
    let long_country = b"\x30\x12\x31\x10\x30\x0e\x06\x03\x55\x04\x06\x13\x07Germany";
    assert_eq!(
        rules(false, |tbs| tbs.subject = AnyRef::from_der(long_country).unwrap()),
        ["subject-attributes"]
    );
    for value in [&b"\x30\x00"[..], b"rubbish"] {
        assert_eq!(rules(false, |tbs| set(tbs, oid::ID_CE_SUBJECT_ALT_NAME, value)), ["san-not-empty"]);
    }
    assert_eq!(
        rules(false, |tbs| set(tbs, oid::ID_CE_SUBJECT_ALT_NAME, b"\x30\x05\x82\x03a_b")),
        ["san-names"]
    );
}

#[test]
fn every_extension_has_its_criticality_and_comes_once() {
    for (kind, is_ca) in [
        (oid::ID_CE_BASIC_CONSTRAINTS, true),
        (oid::ID_CE_BASIC_CONSTRAINTS, false),
        (oid::ID_CE_KEY_USAGE, false),
        (oid::ID_CE_NAME_CONSTRAINTS, true),
        (oid::ID_CE_EXT_KEY_USAGE, false),
        (oid::ID_CE_SUBJECT_KEY_IDENTIFIER, false),
        (oid::ID_CE_AUTHORITY_KEY_IDENTIFIER, false),
        (oid::ID_CE_CRL_DISTRIBUTION_POINTS, false),
        (oid::ID_PE_AUTHORITY_INFO_ACCESS, false),
    ] {
        let flipped = rules(is_ca, |tbs| extension(tbs, kind).critical ^= true);
        assert_eq!(flipped, ["criticality"], "{kind}");
        let doubled = rules(is_ca, |tbs| {
            let again = extension(tbs, kind).clone();
            tbs.extensions.as_mut().unwrap().push(again);
        });
        assert_eq!(doubled, ["extension-once"], "{kind}");
    }
    let unknown = rules(false, |tbs| {
        let extn_id = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.1");
        let extn_value = OctetString::new([5, 0].as_slice()).unwrap();
        tbs.extensions.as_mut().unwrap().push(Extension { extn_id, critical: false, extn_value });
    });
    assert_eq!(unknown, ["extension-known"]);
    assert!(rules(false, |tbs| tbs.extensions = None).contains(&"extensions-present"));
}

#[test]
fn authorities_and_leaves_say_what_they_are() {
    let no_ca = BasicConstraints { ca: false, path_length: Some(0) }.to_der().unwrap();
    assert_eq!(
        rules(false, |tbs| set(tbs, oid::ID_CE_BASIC_CONSTRAINTS, &no_ca)),
        ["path-length-only-with-ca"]
    );
    let cert_sign = &[3, 2, 2, 0x04];
    assert_eq!(rules(false, |tbs| set(tbs, oid::ID_CE_KEY_USAGE, cert_sign)), ["leaf-may-not-sign"]);
    let crl_sign_only = &[3, 2, 1, 0x02];
    assert_eq!(rules(true, |tbs| set(tbs, oid::ID_CE_KEY_USAGE, crl_sign_only)), ["ca-may-sign"]);
    assert_eq!(rules(true, |tbs| remove(tbs, oid::ID_CE_KEY_USAGE)), ["ca-may-sign"]);
    assert_eq!(
        rules(true, |tbs| set(tbs, oid::ID_CE_BASIC_CONSTRAINTS, b"rubbish")),
        ["basic-constraints-readable", "leaf-may-not-sign", "name-constraints-only-on-ca"]
    );
    assert_eq!(
        rules(true, |tbs| set(tbs, oid::ID_CE_NAME_CONSTRAINTS, &[0x30, 0])),
        ["name-constraints-readable"]
    );
}

#[test]
fn key_usage_fits_the_key_and_is_der() {
    for (value, expected) in [
        (&[3, 2, 5, 0x20][..], vec!["key-usage-fits-key"]),
        (&[3, 2, 7, 0x80], vec![]),
        (&[3, 2, 0, 0x80], vec!["key-usage-trailing-zeros"]),
        (&[3, 1, 0], vec!["key-usage-not-empty"]),
        (&[3, 2, 0, 0x01], vec!["key-agreement-bits"]),
        (&[3, 3, 6, 0x80, 0x40], vec!["key-usage-known"]),
        (&[3, 2, 7, 0xff], vec!["key-usage-readable"]),
        (b"rubbish", vec!["key-usage-readable"]),
    ] {
        assert_eq!(rules(false, |tbs| set(tbs, oid::ID_CE_KEY_USAGE, value)), expected, "{value:02x?}");
    }
    assert_eq!(rules(false, |tbs| set(tbs, oid::ID_CE_EXT_KEY_USAGE, &[0x30, 0])), ["extended-key-usage"]);
    let twice = b"\x30\x0c\x06\x04\x55\x1d\x25\x00\x06\x04\x55\x1d\x25\x00";
    assert_eq!(rules(false, |tbs| set(tbs, oid::ID_CE_EXT_KEY_USAGE, twice)), ["extended-key-usage-once"]);
}

#[test]
fn key_identifiers_are_there_and_made_from_the_key() {
    assert_eq!(
        rules(false, |tbs| set(tbs, oid::ID_CE_SUBJECT_KEY_IDENTIFIER, &[4, 2, 1, 1])),
        ["subject-key-identifier-method"]
    );
    for value in [&[4, 0][..], b"rubbish"] {
        let broken = rules(false, |tbs| set(tbs, oid::ID_CE_SUBJECT_KEY_IDENTIFIER, value));
        assert_eq!(broken.first(), Some(&"subject-key-identifier"));
    }
    assert_eq!(
        rules(false, |tbs| remove(tbs, oid::ID_CE_SUBJECT_KEY_IDENTIFIER)),
        ["subject-key-identifier"]
    );
    assert_eq!(
        rules(false, |tbs| remove(tbs, oid::ID_CE_AUTHORITY_KEY_IDENTIFIER)),
        ["authority-key-identifier"]
    );
    assert_eq!(
        rules(false, |tbs| {
            tbs.issuer = tbs.subject;
            remove(tbs, oid::ID_CE_AUTHORITY_KEY_IDENTIFIER);
        }),
        [""; 0]
    );
    assert_eq!(
        rules(false, |tbs| set(tbs, oid::ID_CE_AUTHORITY_KEY_IDENTIFIER, &[0x30, 0])),
        ["authority-key-identifier-form"]
    );
}

#[test]
fn extensions_are_der_inside() {
    // cA FALSE written out, though it is the default.
    assert_eq!(
        rules(false, |tbs| set(tbs, oid::ID_CE_BASIC_CONSTRAINTS, &[0x30, 3, 1, 1, 0])),
        ["extension-canonical", "basic-constraints-readable"]
    );
    for kind in [oid::ID_CE_CRL_DISTRIBUTION_POINTS, oid::ID_PE_AUTHORITY_INFO_ACCESS] {
        assert_eq!(rules(false, |tbs| set(tbs, kind, b"rubbish")), ["extension-canonical"]);
    }
}

#[test]
fn a_key_that_is_not_accepted_is_found() {
    let spki = b"\x30\x08\x30\x03\x06\x01\x2a\x03\x01\x00";
    let found = rules(false, |tbs| tbs.subject_public_key_info = AnyRef::from_der(spki).unwrap());
    assert_eq!(found, ["key-supported"]);
}

#[test]
fn a_key_that_was_read_before_stands_for_its_own_bytes_only() {
    let whole = |edit: fn(&mut TbsCertificate<'_>)| {
        let der = tbs(false);
        let mut parsed = TbsCertificate::from_der(&der).unwrap();
        edit(&mut parsed);
        let (content, algorithm) = (parsed.to_der().unwrap(), KEY.algorithm().signature_algorithm());
        let signature = KEY.sign(&content).unwrap();
        let signature = BitStringRef::from_bytes(&signature).unwrap();
        Signed { content: AnyRef::from_der(&content).unwrap(), algorithm, signature }.to_der().unwrap()
    };
    let other = PrivateKey::generate(KEY.algorithm()).unwrap();
    let sound = whole(|_| {});
    for key in [KEY.public_key(), other.public_key()] {
        assert_eq!(lint_certificate_of(&sound, key), lint_certificate(&sound));
        assert_eq!(lint_certificate_of(&sound, key), []);
    }
    let rubbish = whole(|tbs| {
        let spki = b"\x30\x08\x30\x03\x06\x01\x2a\x03\x01\x00";
        tbs.subject_public_key_info = AnyRef::from_der(spki).unwrap();
    });
    let found: Vec<_> = lint_certificate_of(&rubbish, KEY.public_key()).iter().map(|one| one.rule).collect();
    assert_eq!(found, ["key-supported"]);
}

#[test]
fn bytes_that_are_no_der_are_found() {
    let mut der = tbs(false);
    der.push(0);
    assert_eq!(lint(&der).first().map(|finding| finding.rule), Some("der-readable"));
    assert_eq!(lint(&[]).first().map(|finding| finding.rule), Some("der-readable"));
    assert_eq!(lint_certificate(&[0x30, 0]).first().map(|finding| finding.rule), Some("der-readable"));
}
