//! Certificates and requests built byte by byte to be taken for what they are not. Each is signed by the right key, so
//! that only the trap in it can be why it is refused.
//!
//! A row that ends in `Refused` must not be read; `Unjudged` must be read but never pass below name constraints; what is
//! `Fine` shows that the row next to it fails for its own reason.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use jiff::Timestamp;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::{CaProfile, Certificate, Serial, Template, Validity, assemble};
use keywright_pki::chain::{self, Fault};
use keywright_pki::constraints::{NameConstraints, Subtrees};
use keywright_pki::csr::Csr;
use keywright_pki::key::PrivateKey;
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_pki::usage::Usages;

const NONE: [&str; 0] = [];

/// One DER value: tag, length in its shortest form, content.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = match content.len() {
        short @ 0..0x80 => vec![u8::try_from(short).unwrap()],
        middle @ 0x80..0x100 => vec![0x81, u8::try_from(middle).unwrap()],
        long => [&[0x82], &u16::try_from(long).unwrap().to_be_bytes()[..]].concat(),
    };
    [&[tag], &length[..], &content].concat()
}

/// The same with a length that needs one byte less than it has.
fn stretched(der: &[u8]) -> Vec<u8> {
    assert!(der[1] < 0x80, "only short ones are stretched here");
    [&der[..1], &[0x81], &der[1..]].concat()
}

fn oid(text: &str) -> Vec<u8> {
    tlv(6, &[const_oid::ObjectIdentifier::new(text).unwrap().as_bytes()])
}

fn extension(kind: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    tlv(0x30, &[&oid(kind), flag, &tlv(4, &[value])])
}

fn common_name(tag: u8, text: &[u8]) -> Vec<u8> {
    let attribute = tlv(0x30, &[&oid("2.5.4.3"), &tlv(tag, &[text])]);
    tlv(0x30, &[&tlv(0x31, &[&attribute])])
}

const BASIC: &str = "2.5.29.19";
const KEY_USAGE: &str = "2.5.29.15";
const SAN: &str = "2.5.29.17";
const NAME_CONSTRAINTS: &str = "2.5.29.30";
const ED25519: &[u8] = &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70];

/// The parts of a certificate in DER, in order, and the key that signs it.
struct Parts<'a> {
    key: &'a PrivateKey,
    version: Vec<u8>,
    serial: Vec<u8>,
    algorithm: Vec<u8>,
    issuer: Vec<u8>,
    not_before: Vec<u8>,
    subject: Vec<u8>,
    spki: Vec<u8>,
    extensions: Vec<Vec<u8>>,
    outer_algorithm: Vec<u8>,
    unused_bits: u8,
    after_tbs: Vec<u8>,
}

impl Parts<'_> {
    fn build(&self) -> Vec<u8> {
        let validity = tlv(0x30, &[&self.not_before, b"\x17\x0d490101000000Z"]);
        let extensions: Vec<&[u8]> = self.extensions.iter().map(Vec::as_slice).collect();
        let extensions = tlv(0xa3, &[&tlv(0x30, &extensions)]);
        let tbs = tlv(
            0x30,
            &[
                &self.version,
                &self.serial,
                &self.algorithm,
                &self.issuer,
                &validity,
                &self.subject,
                &self.spki,
                &extensions,
                &self.after_tbs,
            ],
        );
        let signature = self.key.sign(&tbs).unwrap();
        tlv(0x30, &[&tbs, &self.outer_algorithm, &tlv(3, &[&[self.unused_bits], &signature])])
    }
}

/// What a row does to the parts.
type Edit = fn(&mut Parts<'_>);

/// A root with constraints on every kind of name, and the parts of a good leaf below it.
struct Scene {
    key: PrivateKey,
    root: Certificate,
    leaf_spki: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let key = PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let subject = DistinguishedName::with_common_name("Root").unwrap();
        let permitted =
            Subtrees::parse("p", &["a.example"], &["10.0.0.0/8"], &["a.example"], &["a.example"]).unwrap();
        let name_constraints = NameConstraints { permitted, ..NameConstraints::default() };
        let template = Template {
            serial: Serial::from_random([1; 20]),
            issuer_name: subject.to_der().unwrap(),
            subject,
            sans: SubjectAltNames::default(),
            public_key: key.public_key().clone(),
            authority_key_identifier: None,
            validity: Validity::new(at("2025-01-01"), at("2049-01-01")).unwrap(),
            usages: Usages::authority(),
            ca: Some(CaProfile { path_length: Some(0), name_constraints }),
            crl_distribution_points: vec![],
            ocsp_servers: vec![],
            issuing_certificate_urls: vec![],
        };
        let tbs = template.tbs_der(key.algorithm()).unwrap();
        let root = assemble(&tbs, &key.sign(tbs.as_bytes()).unwrap()).unwrap();
        let leaf = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        Self { leaf_spki: leaf.public_key().spki_der().to_vec(), key, root }
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            key: &self.key,
            version: vec![0xa0, 3, 2, 1, 2],
            serial: vec![2, 1, 1],
            algorithm: ED25519.to_vec(),
            issuer: self.root.subject_der().to_vec(),
            not_before: b"\x17\x0d250101000000Z".to_vec(),
            subject: common_name(0x0c, b"web.a.example"),
            spki: self.leaf_spki.clone(),
            extensions: vec![
                extension(BASIC, true, &[0x30, 0]),
                extension(KEY_USAGE, true, &[3, 2, 7, 0x80]),
                extension(SAN, false, &tlv(0x30, &[&tlv(0x82, &[b"web.a.example"])])),
            ],
            outer_algorithm: ED25519.to_vec(),
            unused_bits: 0,
            after_tbs: vec![],
        }
    }

    /// What becomes of the leaf after an edit.
    fn leaf(&self, edit: impl FnOnce(&mut Parts<'_>)) -> Outcome {
        let mut parts = self.parts();
        edit(&mut parts);
        self.judge(&parts.build())
    }

    fn judge(&self, der: &[u8]) -> Outcome {
        let Ok(leaf) = Certificate::from_der(der) else { return Outcome::Refused };
        match chain::verify(&leaf, &[], &self.root, at("2030-01-01")) {
            Ok(()) => Outcome::Fine,
            Err(error) => match error.fault {
                Fault::UnjudgedNames { .. } => Outcome::Unjudged,
                Fault::Name { .. } => Outcome::Outside,
                Fault::UnhandledCritical(_) => Outcome::Unknown,
                other => panic!("not for its trap: {other:?}"),
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is valid.
    Fine,
    /// It cannot be read.
    Refused,
    /// A name in it is not one that constraints can judge.
    Unjudged,
    /// A name in it lies outside of the constraints.
    Outside,
    /// A critical extension of it cannot be processed.
    Unknown,
}

fn at(day: &str) -> Timestamp {
    format!("{day}T00:00:00Z").parse().unwrap()
}

#[test]
fn a_good_leaf_is_fine() {
    assert_eq!(Scene::new().leaf(|_| {}), Outcome::Fine);
}

#[test]
fn numbers_have_one_form_and_a_range() {
    let scene = Scene::new();
    for (name, serial, expected) in [
        ("20 bytes", tlv(2, &[&[0x7f; 20]]), Outcome::Fine),
        ("zero", vec![2, 1, 0], Outcome::Refused),
        ("negative", vec![2, 1, 0x80], Outcome::Refused),
        ("negative with a padded sign", vec![2, 2, 0xff, 0x80], Outcome::Refused),
        ("a leading zero too many", vec![2, 2, 0, 1], Outcome::Refused),
        ("20 bytes and a sign byte", tlv(2, &[&[0], &[0x80; 20]]), Outcome::Refused),
        ("1,000 bytes", tlv(2, &[&[1; 1000]]), Outcome::Refused),
        ("no byte", vec![2, 0], Outcome::Refused),
        ("a length in long form", vec![2, 0x81, 1, 1], Outcome::Refused),
        ("an enumeration", vec![10, 1, 1], Outcome::Refused),
    ] {
        assert_eq!(scene.leaf(|parts| parts.serial = serial), expected, "serial: {name}");
    }
    for (name, version) in [
        ("1, left out", vec![]),
        ("1, written out", vec![0xa0, 3, 2, 1, 0]),
        ("2", vec![0xa0, 3, 2, 1, 1]),
        ("4", vec![0xa0, 3, 2, 1, 3]),
        ("258", vec![0xa0, 4, 2, 2, 1, 2]),
        ("3 without its tag", vec![2, 1, 2]),
    ] {
        assert_eq!(scene.leaf(|parts| parts.version = version), Outcome::Refused, "version: {name}");
    }
}

#[test]
fn times_have_one_form() {
    let scene = Scene::new();
    for (time, expected) in [
        (&b"\x17\x0d250101000000Z"[..], Outcome::Fine),
        (b"\x17\x0b2501010000Z", Outcome::Refused),
        (b"\x17\x112501010000+0100", Outcome::Refused),
        (b"\x17\x0d250230000000Z", Outcome::Refused),
        (b"\x17\x0d251301000000Z", Outcome::Refused),
        (b"\x17\x0d250101240000Z", Outcome::Refused),
        (b"\x17\x0d2501010000 0Z", Outcome::Refused),
        (b"\x17\x0d2501010000000", Outcome::Refused),
        (b"\x18\x1120250101000000.0Z", Outcome::Refused),
        (b"\x18\x0e20250101000000", Outcome::Refused),
        (b"\x18\x0f99991332000000Z", Outcome::Refused),
    ] {
        let found = scene.leaf(|parts| parts.not_before = time.to_vec());
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(time));
    }
}

#[test]
fn what_is_ber_but_not_der_is_refused() {
    let scene = Scene::new();
    let good = scene.parts().build();
    let body = &good[4..];
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    for (name, der) in [
        ("indefinite length", [&[0x30, 0x80], body, &[0, 0]].concat()),
        ("a length in three bytes", [&[0x30, 0x83, 0], &length[..], body].concat()),
        ("a length of 2^32", [&[0x30, 0x85, 1, 0, 0, 0, 0], body].concat()),
        ("a primitive sequence", [&[0x10], &good[1..]].concat()),
        ("a tag in long form", [&[0x3f, 0x10], &good[1..]].concat()),
        ("a trailing byte", [&good[..], &[0]].concat()),
        ("a byte cut", good[..good.len() - 1].to_vec()),
        ("a leading byte", [&[0], &good[..]].concat()),
    ] {
        assert_eq!(scene.judge(&der), Outcome::Refused, "{name}");
    }
    let rows: [(&str, Edit); 18] = [
        ("a stretched serial number", |parts| parts.serial = stretched(&parts.serial)),
        ("a stretched subject", |parts| parts.subject = stretched(&parts.subject)),
        ("a stretched extension", |parts| parts.extensions[0] = stretched(&parts.extensions[0])),
        ("something after the extensions", |parts| parts.after_tbs = vec![5, 0]),
        ("the extensions twice", |parts| parts.after_tbs = tlv(0xa3, &[&tlv(0x30, &[&parts.extensions[0]])])),
        ("TRUE written as 1", |parts| {
            parts.extensions[0] = tlv(0x30, &[&oid(BASIC), &[1, 1, 1], &tlv(4, &[&[0x30, 0]])]);
        }),
        ("FALSE written out", |parts| {
            parts.extensions[0] = tlv(0x30, &[&oid(BASIC), &[1, 1, 0], &tlv(4, &[&[0x30, 0]])]);
        }),
        ("cA FALSE written out", |parts| parts.extensions[0] = extension(BASIC, true, &[0x30, 3, 1, 1, 0])),
        ("a path length below zero", |parts| {
            parts.extensions[0] = extension(BASIC, true, &[0x30, 6, 1, 1, 0xff, 2, 1, 0xff]);
        }),
        ("a path length of 2^32", |parts| {
            parts.extensions[0] = extension(BASIC, true, &[0x30, 10, 1, 1, 0xff, 2, 5, 1, 0, 0, 0, 0]);
        }),
        ("basic constraints with a tail", |parts| {
            parts.extensions[0] = extension(BASIC, true, &[0x30, 0, 0]);
        }),
        ("a key usage with a tail", |parts| {
            parts.extensions[1] = extension(KEY_USAGE, true, &[3, 2, 7, 0x80, 0]);
        }),
        ("a key usage whose unused bits are set", |parts| {
            parts.extensions[1] = extension(KEY_USAGE, true, &[3, 2, 7, 0xff]);
        }),
        ("a key usage with nine unused bits", |parts| {
            parts.extensions[1] = extension(KEY_USAGE, true, &[3, 2, 9, 0x80]);
        }),
        ("an object identifier with a padded arc", |parts| {
            let padded = [6, 4, 0x55, 0x1d, 0x80, 0x13];
            parts.extensions.push(tlv(0x30, &[&padded, &tlv(4, &[&[0x30, 3, 1, 1, 0xff]])]));
        }),
        ("an attribute type with a padded arc", |parts| {
            let attribute = tlv(0x30, &[&[6, 4, 0x55, 4, 0x80, 3], &tlv(0x0c, &[b"evil.example"])]);
            parts.subject = tlv(0x30, &[&tlv(0x31, &[&attribute])]);
        }),
        ("an object identifier that ends within an arc", |parts| {
            parts.extensions.push(tlv(0x30, &[&[6, 3, 0x55, 0x1d, 0x93], &tlv(4, &[&[5, 0]])]));
        }),
        ("a signature with unused bits", |parts| parts.unused_bits = 4),
    ];
    for (name, edit) in rows {
        assert_eq!(scene.leaf(edit), Outcome::Refused, "{name}");
    }
}

#[test]
fn extensions_and_algorithms_cannot_say_two_things() {
    let scene = Scene::new();
    let ed25519_with_null = [0x30, 7, 6, 3, 0x2b, 0x65, 0x70, 5, 0];
    for index in 0..3 {
        let twice = scene.leaf(|parts| parts.extensions.push(parts.extensions[index].clone()));
        assert_eq!(twice, Outcome::Refused, "extension {index} twice");
    }
    let rows: [(&str, Edit, Outcome); 8] = [
        ("no extensions", |parts| parts.extensions.clear(), Outcome::Refused),
        ("an empty SAN", |parts| parts.extensions[2] = extension(SAN, false, &[0x30, 0]), Outcome::Refused),
        (
            "an empty extended key usage",
            |parts| {
                parts.extensions.push(extension("2.5.29.37", false, &[0x30, 0]));
            },
            Outcome::Refused,
        ),
        (
            "an unknown critical extension",
            |parts| {
                parts.extensions.push(extension("1.3.6.1.4.1.32473.1", true, &[5, 0]));
            },
            Outcome::Unknown,
        ),
        (
            "a critical policy constraint",
            |parts| {
                parts.extensions.push(extension("2.5.29.36", true, &[0x30, 3, 0x80, 1, 0]));
            },
            Outcome::Unknown,
        ),
        (
            "another inner algorithm",
            |parts| parts.algorithm = vec![0x30, 5, 6, 3, 0x2b, 0x65, 0x71],
            Outcome::Refused,
        ),
        (
            "an inner algorithm with its parameters empty",
            |parts| parts.algorithm = vec![0x30, 7, 6, 3, 0x2b, 0x65, 0x70, 5, 0],
            Outcome::Refused,
        ),
        ("an issuer that is no name", |parts| parts.issuer = vec![5, 0], Outcome::Refused),
    ];
    for (name, edit, expected) in rows {
        assert_eq!(scene.leaf(edit), expected, "{name}");
    }
    let both = scene.leaf(|parts| {
        parts.algorithm = ed25519_with_null.to_vec();
        parts.outer_algorithm = ed25519_with_null.to_vec();
    });
    assert_eq!(both, Outcome::Refused, "both algorithms with parameters");
}

#[test]
fn alternative_names_that_only_look_permitted_do_not_pass() {
    use Outcome::{Fine, Outside, Refused, Unjudged};
    let scene = Scene::new();
    for (tag, value, expected) in [
        // DNS names
        (0x82, &b"x.a.example"[..], Fine),
        (0x82, b"X.A.EXAMPLE", Fine),
        (0x82, b"*.a.example", Fine),
        (0x82, b"*.example", Outside),
        (0x82, b"ba.example", Outside),
        (0x82, b"a.example.evil", Outside),
        (0x82, b"evil.example\0.a.example", Unjudged),
        (0x82, b"a.example.", Unjudged),
        (0x82, b".a.example", Unjudged),
        (0x82, b"x..a.example", Unjudged),
        (0x82, b"*.*.a.example", Unjudged),
        (0x82, b"x*.a.example", Unjudged),
        (0x82, b" x.a.example", Unjudged),
        (0x82, b"x.a.example\n", Unjudged),
        (0x82, b"evil.example/.a.example", Unjudged),
        (0x82, b"", Unjudged),
        (0x82, b"*", Unjudged),
        (0x82, "b\u{fc}cher.a.example".as_bytes(), Refused),
        (0x82, b"10.0.0.1", Unjudged),
        // IP addresses
        (0x87, &[10, 0, 0, 1], Fine),
        (0x87, &[11, 0, 0, 1], Outside),
        (0x87, &[10, 0, 0], Unjudged),
        (0x87, &[10, 0, 0, 0, 255, 0, 0, 0], Unjudged),
        (0x87, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1], Unjudged),
        (0x87, &[0; 16], Outside),
        // e-mail addresses
        (0x81, b"x@a.example", Fine),
        (0x81, b"x@A.Example", Fine),
        (0x81, b"x@b.a.example", Outside),
        (0x81, b"evil@evil.example@a.example", Unjudged),
        (0x81, b"\"evil@evil.example\"@a.example", Unjudged),
        (0x81, b"x@a.example ", Unjudged),
        (0x81, b"a.example", Unjudged),
        (0x81, b"x@[10.0.0.1]", Unjudged),
        (0x81, b"x@a.example\0", Unjudged),
        // URIs
        (0x86, b"https://a.example/", Fine),
        (0x86, b"https://A.EXAMPLE:443/", Fine),
        (0x86, b"https://x.a.example/", Outside),
        (0x86, b"https://a.example@evil.example/", Outside),
        (0x86, b"https://a.example:x@evil.example/", Outside),
        (0x86, b"https://evil.example#@a.example", Outside),
        (0x86, b"https://evil.example?@a.example", Outside),
        (0x86, b"https://evil.example\\@a.example/", Unjudged),
        (0x86, b"https://a.example./", Unjudged),
        (0x86, b"https://a.example%00.evil.example/", Unjudged),
        (0x86, b"https://a.example:443:80/", Unjudged),
        (0x86, b"https://10.0.0.1/", Outside),
        (0x86, b"https://[::ffff:10.0.0.1]/", Outside),
        (0x86, b"https:a.example", Unjudged),
        (0x86, b"//a.example/", Unjudged),
        (0x86, b"urn:a.example", Outside),
        // other kinds: a directory name, a registered identifier, an other name with text in it
        (0xa4, &[0x30, 0], Unjudged),
        (0x88, &[0x2a], Unjudged),
        (0xa0, b"\x06\x01\x2a\xa0\x07\x0c\x05x@y.z", Unjudged),
    ] {
        let names = tlv(0x30, &[&tlv(tag, &[value])]);
        let found = scene.leaf(|parts| parts.extensions[2] = extension(SAN, false, &names));
        assert_eq!(found, expected, "{tag:02x} {}", String::from_utf8_lossy(value));
    }
}

#[test]
fn common_names_that_a_verifier_may_take_for_a_host_do_not_pass() {
    use Outcome::{Fine, Outside, Refused, Unjudged};
    let scene = Scene::new();
    let row = |subject: Vec<u8>| scene.leaf(|parts| parts.subject = subject);
    for (tag, text, expected) in [
        (0x0c, &b"x.a.example"[..], Fine),
        (0x13, b"Web server", Fine),
        (0x0c, b"evil.example", Outside),
        (0x0c, b"EVIL.EXAMPLE.", Outside),
        (0x0c, b"11.0.0.1", Outside),
        (0x0c, b"::ffff:11.0.0.1", Outside),
        (0x0c, b"evil_1.example", Outside),
        (0x16, b"evil.example", Outside),
        // T61String, BMPString, UniversalString, control characters: not read here, but by others.
        (0x14, b"evil.example", Unjudged),
        (0x1e, b"\0e\0v\0i\0l\0.\0e\0x", Unjudged),
        (0x1c, b"\0\0\0e\0\0\0.\0\0\0x", Unjudged),
        (0x0c, b"evil.example\0", Unjudged),
        (0x0c, b"", Unjudged),
        (0x0c, &[b'a'; 65], Unjudged),
        (0x0c, b"\xff.example", Unjudged),
    ] {
        let found = row(common_name(tag, text));
        assert!(
            found == expected || found == Refused && expected == Unjudged,
            "{tag:02x} {found:?} {}",
            String::from_utf8_lossy(text)
        );
    }
    let attribute = |kind: &str, tag: u8, text: &[u8]| tlv(0x30, &[&oid(kind), &tlv(tag, &[text])]);
    let good = attribute("2.5.4.3", 0x0c, b"x.a.example");
    let evil = attribute("2.5.4.3", 0x0c, b"evil.example");
    let mail = attribute("1.2.840.113549.1.9.1", 0x16, b"x@evil.example");
    let two_names = tlv(0x30, &[&tlv(0x31, &[&good]), &tlv(0x31, &[&evil])]);
    assert_eq!(row(two_names), Unjudged, "a second common name");
    let one_set = tlv(0x30, &[&tlv(0x31, &[&evil, &good])]);
    assert!(matches!(row(one_set), Unjudged | Refused), "two common names in one set");
    let with_mail = tlv(0x30, &[&tlv(0x31, &[&good]), &tlv(0x31, &[&mail])]);
    assert_eq!(row(with_mail), Unjudged, "an e-mail address in the subject");
    assert_eq!(row(tlv(0x30, &[&[0x31, 0]])), Refused, "an empty relative name");
}

#[test]
fn constraints_that_cannot_be_applied_are_never_passed_over() {
    let scene = Scene::new();
    let tree = |tag: u8, value: &[u8]| tlv(0x30, &[&tlv(0xa0, &[&tlv(0x30, &[&tlv(tag, &[value])])])]);
    for (name, value) in [
        ("a wildcard", tree(0x82, b"*.a.example")),
        ("a trailing dot", tree(0x82, b"a.example.")),
        ("a NUL", tree(0x82, b"a.example\0.evil")),
        ("a U-label", tree(0x82, "b\u{fc}cher.example".as_bytes())),
        ("a URI with its scheme", tree(0x86, b"https://a.example")),
        ("a URI with a port", tree(0x86, b"a.example:443")),
        ("an address without a mask", tree(0x87, &[10, 0, 0, 0])),
        ("a mask with a hole", tree(0x87, &[10, 0, 0, 0, 255, 0, 255, 0])),
        ("host bits", tree(0x87, &[10, 1, 0, 0, 255, 0, 0, 0])),
        ("a directory name", tree(0xa4, &[0x30, 0])),
        ("a registered identifier", tree(0x88, &[0x2a])),
        ("a minimum", tlv(0x30, &[&tlv(0xa0, &[&tlv(0x30, &[b"\x82\x01a", &[0x80, 1, 1]])])])),
        ("a maximum", tlv(0x30, &[&tlv(0xa0, &[&tlv(0x30, &[b"\x82\x01a", &[0x81, 1, 1]])])])),
        ("a tail", [tree(0x82, b"a.example"), vec![5, 0]].concat()),
        ("no sequence", vec![5, 0]),
    ] {
        for critical in [true, false] {
            let found =
                scene.leaf(|parts| parts.extensions.push(extension(NAME_CONSTRAINTS, critical, &value)));
            assert_eq!(found, Outcome::Unknown, "{name}");
        }
    }
}

#[test]
fn requests_have_one_form_and_prove_possession_of_a_real_key() {
    let key = PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let spki = key.public_key().spki_der();
    let request = |version: &[u8], spki: &[u8], attributes: &[u8], algorithm: &[u8]| {
        let info = tlv(0x30, &[version, &common_name(0x0c, b"web"), spki, attributes]);
        let signature = key.sign(&info).unwrap();
        tlv(0x30, &[&info, algorithm, &tlv(3, &[&[0], &signature])])
    };
    let zero = [2, 1, 0];
    let none = [0xa0, 0];
    assert!(Csr::parse(&request(&zero, spki, &none, ED25519)).is_ok());
    assert!(Csr::parse(&request(&zero, spki, &[], ED25519)).is_ok(), "some leave the attributes out");
    let mut unknown_key = spki.to_vec();
    unknown_key[8] = 0x71;
    let with_null = [0x30, 7, 6, 3, 0x2b, 0x65, 0x70, 5, 0];
    for (name, der) in [
        ("version 2", request(&[2, 1, 1], spki, &none, ED25519)),
        ("a padded version", request(&[2, 2, 0, 0], spki, &none, ED25519)),
        ("another algorithm for the key", request(&zero, &unknown_key, &none, ED25519)),
        ("parameters of the signature", request(&zero, spki, &none, &with_null)),
        (
            "an ECDSA signature",
            request(&zero, spki, &none, b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"),
        ),
        ("a tail", [request(&zero, spki, &none, ED25519), vec![0]].concat()),
        ("a tail inside", request(&zero, spki, &[0xa0, 0, 5, 0], ED25519)),
        ("indefinite attributes", request(&zero, spki, &[0xa0, 0x80, 0, 0], ED25519)),
    ] {
        assert!(Csr::parse(&der).is_err(), "{name}");
    }
    // Anyone signs under the neutral element: R is it too, S is zero.
    let mut neutral = spki.to_vec();
    neutral[12..].fill(0);
    neutral[12] = 1;
    let info = tlv(0x30, &[&zero, &common_name(0x0c, b"web"), &neutral, &none]);
    let mut signature = [0; 65];
    signature[1] = 1;
    assert!(Csr::parse(&tlv(0x30, &[&info, ED25519, &tlv(3, &[&signature])])).is_err(), "a key of nobody");
}

#[test]
fn empty_lists_of_names_are_no_names() {
    let empty = SubjectAltNames::parse(&NONE, &NONE, &NONE, &NONE).unwrap();
    assert!(empty.is_empty());
    let constraints = NameConstraints {
        permitted: Subtrees::parse("p", &["a.example"], &NONE, &NONE, &NONE).unwrap(),
        ..NameConstraints::default()
    };
    assert!(constraints.check(&DistinguishedName::default(), &empty).is_ok());
}
