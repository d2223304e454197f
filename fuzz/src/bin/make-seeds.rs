//! Writes the seeds of all targets into `fuzz/seeds/`, each file only if it is not there: run it after adding one.
//!
//! Everything in them is made by our own code; the keys are of no use to anyone. Seeds that a fuzzer found are kept beside
//! them under the name of the mistake that they showed.

#![allow(clippy::unwrap_used, reason = "a program for developers, that stops at the first surprise")]

use aws_lc_rs::digest;
use base64ct::{Base64, Encoding as _};
use keywright_approvals::sshsig::armored;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::{CaProfile, Serial, Template, Validity, assemble};
use keywright_pki::constraints::{NameConstraints, Subtrees};
use keywright_pki::csr;
use keywright_pki::key::{Encoding, PrivateKey};
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_pki::pem::{self, Label};
use keywright_pki::usage::Usages;
use keywright_signer::log::disk::join_bundle;
use keywright_signer::log::entry::{Entry, Kind};
use keywright_signer::log::merkle::{leaf_hash, node_hash};
use keywright_signer::log::note::LogKey;
use keywright_signer_protocol::v1alpha1 as wire;
use kubectl_keywright::log::proof::Proof;
use prost::Message;
use std::path::Path;

const NONE: [&str; 0] = [];

fn put(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    if !path.exists() {
        std::fs::write(path, bytes).unwrap();
    }
}

fn key(algorithm: KeyAlgorithm) -> PrivateKey {
    PrivateKey::generate(algorithm).unwrap()
}

fn subject() -> DistinguishedName {
    DistinguishedName {
        organizations: vec!["Example".into()],
        countries: vec!["DE".into()],
        ..DistinguishedName::with_common_name("Web").unwrap()
    }
}

fn sans() -> SubjectAltNames {
    SubjectAltNames::parse(
        &["a.example", "*.b.example"],
        &["192.0.2.1", "2001:db8::1"],
        &["ops@a.example"],
        &["spiffe://td.example/ns/a", "https://a.example:8443/x"],
    )
    .unwrap()
}

fn constraints() -> NameConstraints {
    let permitted = Subtrees::parse(
        "p",
        &["a.example", ".b.example"],
        &["192.0.2.0/24", "2001:db8::/32"],
        &["a.example"],
        &[".example"],
    );
    let excluded = Subtrees::parse("x", &["c.a.example"], &NONE, &["root@a.example"], &NONE);
    NameConstraints { permitted: permitted.unwrap(), excluded: excluded.unwrap() }
}

fn certificate(key: &PrivateKey, is_ca: bool) -> Vec<u8> {
    let ca = CaProfile { path_length: Some(1), name_constraints: constraints() };
    let usages = Usages::parse(&["digital signature", "server auth", "client auth"]).unwrap();
    let template = Template {
        serial: Serial::from_random([7; 20]),
        issuer_name: subject().to_der().unwrap(),
        subject: subject(),
        sans: sans(),
        public_key: key.public_key().clone(),
        authority_key_identifier: Some(vec![1; 20]),
        validity: Validity::new(
            "2025-01-01T00:00:00Z".parse().unwrap(),
            "2055-01-01T00:00:00Z".parse().unwrap(),
        )
        .unwrap(),
        usages: if is_ca { Usages::authority() } else { usages },
        ca: is_ca.then_some(ca),
        crl_distribution_points: vec!["http://a.example/crl".into()],
        ocsp_servers: vec!["http://a.example/ocsp".into()],
        issuing_certificate_urls: vec!["http://a.example/ca".into()],
    };
    let tbs = template.tbs_der(key.algorithm()).unwrap();
    assemble(&tbs, &key.sign(tbs.as_bytes()).unwrap()).unwrap().der().to_vec()
}

fn x509() {
    for algorithm in
        [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Ed25519, KeyAlgorithm::Rsa2048, KeyAlgorithm::MlDsa44]
    {
        let name = algorithm.name().to_lowercase();
        let key = key(algorithm);
        let request = csr::build(&subject(), &sans(), &key).unwrap();
        put("csr", &format!("{name}.der"), &request);
        put("csr", &format!("{name}.pem"), pem::write(Label::CertificateRequest, &request).as_bytes());
        put("public-key", &name, key.public_key().spki_der());
        put("private-key", &format!("{name}.der"), &key.to_pkcs8_der().unwrap());
        put("private-key", &format!("{name}.pem"), key.to_pem(Encoding::Pkcs1).unwrap().as_bytes());
    }
    for algorithm in
        [KeyAlgorithm::EcdsaP384, KeyAlgorithm::EcdsaP521, KeyAlgorithm::MlDsa65, KeyAlgorithm::MlDsa87]
    {
        let key = key(algorithm);
        put("public-key", &algorithm.name().to_lowercase(), key.public_key().spki_der());
        put("private-key", &format!("{}.der", algorithm.name().to_lowercase()), &key.to_pkcs8_der().unwrap());
    }
    for (algorithm, is_ca) in
        [(KeyAlgorithm::EcdsaP256, true), (KeyAlgorithm::EcdsaP256, false), (KeyAlgorithm::Ed25519, true)]
    {
        let name = format!("{}-{}", algorithm.name().to_lowercase(), if is_ca { "ca" } else { "leaf" });
        let der = certificate(&key(algorithm), is_ca);
        put("certificate", &name, &der);
        put("lint", &name, &der);
        let text = pem::write(Label::Certificate, &der);
        put("pem", &name, format!("subject=Web\r\n{}{}", text.as_str(), text.as_str()).as_bytes());
    }
    let key = key(KeyAlgorithm::EcdsaP256);
    put("pem", "key-pkcs8", key.to_pem(Encoding::Pkcs8).unwrap().as_bytes());
    put("pem", "key-sec1", key.to_pem(Encoding::Pkcs1).unwrap().as_bytes());
}

fn names() {
    put("names", "distinguished", &subject().to_der().unwrap());
    for (name, text) in [
        ("dns", "*.web-1.example.com"),
        ("email", "First.Last+tag@example.com"),
        ("uri", "https://user@example.com:8443/a?b=%C3%A4#c"),
        ("uri-ipv6", "https://[2001:db8::1]:8443/"),
        ("spiffe", "spiffe://td.example/ns/a/sa/b"),
        ("serial", "00f1e2d3"),
        ("ips", "192.0.2.1\n2001:db8::1"),
    ] {
        put("names", name, text.as_bytes());
    }
    put("constraints", "der", &constraints().to_der().unwrap());
    put(
        "constraints",
        "dns",
        b"p d a.example\nx d x.a.example\nP d .example\nX d c.x.a.example\nn d *.a.example\nn c b.a.example",
    );
    put(
        "constraints",
        "ip",
        b"p i 10.0.0.0/16\nx i 2001:db8::/32\nP i 10.0.0.0/8\nP i ::/0\nn i 10.0.0.1\nn c ::ffff:10.0.0.1",
    );
    put(
        "constraints",
        "mail-and-uri",
        b"p e a.example\nx e root@a.example\nP e .example\nP u .example\np u a.example\nn e x@a.example\nn u https://a.example/",
    );
}

fn messages() {
    let request_key =
        Some(wire::RequestKey { object_uid: "6f1e0c3a-0000-4000-8000-000000000001".into(), step: 1 });
    let object =
        Some(wire::ObjectRef { kind: "Certificate".into(), namespace: "a".into(), name: "web".into() });
    let name = wire::DistinguishedName {
        common_name: "Web".into(),
        countries: vec!["DE".into()],
        ..Default::default()
    };
    let permitted = wire::Subtrees {
        dns_domains: vec!["a.example".into()],
        ip_ranges: vec!["10.0.0.0/8".into()],
        ..Default::default()
    };
    let constraints = wire::Constraints {
        path_length: Some(1),
        permitted: Some(permitted),
        max_leaf_seconds: Some(86_400),
        allowed_usages: vec!["server auth".into(), "digital signature".into()],
        allowed_key_algorithms: vec![wire::KeyAlgorithm::EcdsaP256.into()],
        allowed_callers: vec!["operator".into()],
        rate_per_second: Some(10),
        crl_distribution_points: vec!["http://a.example/crl".into()],
        ..Default::default()
    };
    let issue = wire::IssueRequest {
        fencing_token: 1,
        request_key: request_key.clone(),
        object: object.clone(),
        authority_uid: "6f1e0c3a-0000-4000-8000-000000000002".into(),
        pkcs10: csr::build(&subject(), &sans(), &key(KeyAlgorithm::Ed25519)).unwrap(),
        subject: Some(name.clone()),
        sans: Some(wire::SubjectAltNames {
            dns_names: vec!["a.example".into()],
            ip_addresses: vec!["10.0.0.1".into()],
            email_addresses: vec!["x@a.example".into()],
            uris: vec!["spiffe://td/x".into()],
        }),
        duration_seconds: 3600,
        usages: vec!["server auth".into()],
        is_ca: false,
        ..Default::default()
    };
    let ensure = wire::EnsureAuthorityRequest {
        fencing_token: 1,
        request_key,
        object,
        subject: Some(name),
        key_algorithm: wire::KeyAlgorithm::MlDsa65.into(),
        duration_seconds: 86_400,
        parent_uid: "6f1e0c3a-0000-4000-8000-000000000003".into(),
        constraints: Some(constraints.clone()),
        expected_key_id: vec![1; 20],
        ..Default::default()
    };
    let refusal = wire::Refusal {
        reason: wire::refusal::Reason::Malformed.into(),
        field: "pkcs10".into(),
        rule: "must be DER".into(),
        fix: "send DER".into(),
        ..Default::default()
    };
    let of_jwt = wire::EnsureKeyRequest {
        fencing_token: 1,
        key_uid: "6f1e0c3a-0000-4000-8000-000000000004".into(),
        purpose: wire::KeyPurpose::Jwt.into(),
        key_algorithm: wire::KeyAlgorithm::EcdsaP256.into(),
        constraints: Some(wire::Constraints {
            burst: Some(5),
            rate_per_second: Some(1),
            ..Default::default()
        }),
    };
    let batch = wire::IssueBatchRequest { requests: vec![issue.clone(), issue.clone()] };
    let default = wire::Profile { name: "default".into(), allow_ca: true, ..Default::default() };
    let web = wire::Profile { name: "web".into(), max_leaf_seconds: Some(3600), ..Default::default() };
    let profiled = wire::Constraints { profiles: vec![web, default], ..constraints.clone() };
    let under = wire::IssueRequest { profile: "web".into(), ..issue.clone() };
    for (kind, name, message) in [
        (0, "issue", issue.encode_to_vec()),
        (0, "issue-under-a-profile", under.encode_to_vec()),
        (1, "ensure", ensure.encode_to_vec()),
        (2, "batch", batch.encode_to_vec()),
        (3, "constraints", constraints.encode_to_vec()),
        (3, "profiles", profiled.encode_to_vec()),
        (4, "key", of_jwt.encode_to_vec()),
        (5, "refusal", refusal.encode_to_vec()),
    ] {
        put("messages", name, &[&[kind], message.as_slice()].concat());
    }
    let peers = format!(
        r#"{{"peers":[{{"name":"operator","role":"operator","spkiSha256":"{}"}}]}}"#,
        "5a".repeat(32)
    );
    put("peers", "one", peers.as_bytes());
    put("peers", "none", br#"{"peers":[]}"#);
}

fn log() {
    let uid = "6f1e0c3a-0000-4000-8000-000000000001";
    let intent = Entry::new(Kind::Intent, 1_900_000_000)
        .with("authority", uid)
        .with("caller", "operator")
        .with("serial", "4001")
        .with("spki", "5a".repeat(32))
        .with("tbs", "5b".repeat(32))
        .with("isCa", false)
        .with("fencing", 1_u64)
        .encode()
        .unwrap();
    let signature = Entry::new(Kind::Signature, 1_900_000_000)
        .with("intent", 0_u64)
        .with("serial", "4001")
        .with("certificate", "5c".repeat(32))
        .encode()
        .unwrap();
    let superseded = Entry::new(Kind::Superseded, 1_900_000_001).with("serial", "4001").with("why", "again");
    put("log-entry", "intent", &intent);
    put("log-entry", "signature", &signature);
    put("log-entry", "superseded", &superseded.encode().unwrap());

    let key = LogKey::from_seed("keywright.dev/signer/test".into(), &[7; 32]).unwrap();
    let root = node_hash(&leaf_hash(&intent), &leaf_hash(&signature));
    let checkpoint = key.checkpoint(2, &root);
    let verifier = key.verifier().text();
    put("note", "checkpoint", &[verifier.as_bytes(), b"\n", &checkpoint].concat());
    let cosigned = format!("\u{2014} witness.example {}\n", Base64::encode_string(&[1; 76]));
    put("note", "cosigned", &[verifier.as_bytes(), b"\n", &checkpoint, cosigned.as_bytes()].concat());

    let line = |ask: &str| [verifier.as_bytes(), b"\n", ask.as_bytes(), b"\n\n", &checkpoint].concat();
    put("witness", "first", &line("old 0"));
    put("witness", "same", &line("old 2"));
    put("witness", "grown", &line(&format!("old 1\n{}", Base64::encode_string(&leaf_hash(&signature)))));

    let mut bundle = Vec::new();
    for entry in [&intent, &signature] {
        join_bundle(&mut bundle, entry);
    }
    let numbers = |index: u64, size: u64| [index.to_be_bytes(), size.to_be_bytes()].concat();
    put("tile", "bundle", &[numbers(1, 2), bundle].concat());
    put("tile", "hashes", &[numbers(2, 70_000), vec![7; 4 * 32]].concat());
    put("tile", "path", b"tile/entries/x001/x234/067.p/12");
    put("tile", "largest", &numbers(u64::MAX - 1, u64::MAX));

    let proof = Proof {
        certificate: vec![0x30, 0],
        entry: signature,
        index: 1,
        path: vec![leaf_hash(&intent)],
        checkpoint,
    };
    put("proof", "signature", proof.write().unwrap().as_bytes());
}

fn policies() {
    let rego = [
        (
            "deny",
            "package keywright\n\ndeny contains msg if {\n\tsome name in input.object.spec.dnsNames\n\tnot endswith(name, \".example.com\")\n\tmsg := sprintf(\"%v\", [name])\n}\n",
        ),
        (
            "allow",
            "package keywright\n\nimport rego.v1\n\ndefault allow := false\n\nallow if input.request == \"CREATE\"\n",
        ),
        (
            "require-approval",
            "package keywright\n\nrequire_approval contains \"production\" if input.object.metadata.namespace == \"shop\"\n\nwarn contains {\"message\": \"x\"} if true\n",
        ),
        (
            "comprehensions",
            "package keywright\n\nnames := {lower(n) | some n in input.object.spec.dnsNames}\n\nallow if {\n\tcount(names) > 0\n\tevery n in names { regex.match(`^[a-z.]+$`, n) }\n\tnumbers.range(1, 3) == [1, 2, 3]\n}\n",
        ),
        ("faults", "package keywright\n\nallow if max([]) == 1 / 0\n\ndeny contains \"a\" + 1\n"),
    ];
    for (name, source) in rego {
        put("rego", name, source.as_bytes());
    }
    let whole = br#"{"request":"CREATE","object":{"kind":"Certificate","metadata":{"name":"web","namespace":"shop"},"spec":{"dnsNames":["web.example.com","a.example.net"]}},"oldObject":{"kind":"Certificate"},"user":{"username":"ann","uid":"u","groups":["dev"],"extra":{"scopes":["a"]}},"csr":{"subject":"CN=web","dnsNames":["web.example.com"],"ipAddresses":["10.0.0.1"],"keyAlgorithm":"ECDSA-P256","publicKeySha256":"00"},"issuer":{"kind":"Issuer","name":"ca","namespace":"shop"},"profile":{},"approvals":[{"class":"production","approvers":["carol"]}],"time":"2030-01-01T00:00:00Z"}"#;
    put("policy-input", "whole", whole);
    put("policy-input", "least", br#"{"request":"","object":null,"user":{"username":""},"time":""}"#);
    let leaf = certificate(&key(KeyAlgorithm::EcdsaP256), false);
    let request = csr::build(&subject(), &sans(), &key(KeyAlgorithm::Ed25519)).unwrap();
    for (which, name, given) in [
        (0, "certificates-pem", pem::write(Label::Certificate, &leaf).as_bytes().to_vec()),
        (0, "certificates-der", leaf),
        (1, "request-pem", pem::write(Label::CertificateRequest, &request).as_bytes().to_vec()),
        (1, "request-der", request),
        (2, "token", b"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ3ZWIiLCJuIjo3fQ.AQID".to_vec()),
        (3, "text", b"foo".to_vec()),
        (4, "cidr", b"10.1.0.0/16".to_vec()),
        (5, "cidrs", b"192.0.128.0/24\n192.0.129.0/24\n2001:db8::/32".to_vec()),
        (6, "address", b"::ffff:10.0.0.1".to_vec()),
        (7, "glob", b"{*,web}.[a-z]*.com".to_vec()),
        (8, "regex", b"^(a|b)+[a-z0-9]{1,3}$".to_vec()),
        (9, "semver", b"1.2.3-rc.1+b".to_vec()),
        (10, "time", b"2030-01-01T00:00:00.5+01:00".to_vec()),
        (11, "json", br#"{"a":[1,2.5e3,null,"\u00e9"]}"#.to_vec()),
    ] {
        put("policy-functions", name, &[&[which], given.as_slice()].concat());
    }
}

/// A string of RFC 4251.
fn string(octets: &[u8]) -> Vec<u8> {
    [&u32::try_from(octets.len()).unwrap().to_be_bytes(), octets].concat()
}

/// A key and a signature as `ssh-keygen -Y sign` writes them (PROTOCOL.sshsig of OpenSSH).
fn ssh() {
    let key = key(KeyAlgorithm::Ed25519);
    let spki = key.public_key().spki_der();
    let name = string(b"ssh-ed25519");
    let blob = [name.clone(), string(&spki[spki.len() - 32..])].concat();
    let hash = digest::digest(&digest::SHA256, b"a message");
    let under = [string(b"keywright.dev/approval"), string(b""), string(b"sha256")].concat();
    let signed = [b"SSHSIG".to_vec(), under.clone(), string(hash.as_ref())].concat();
    let signature = string(&[name, string(&key.sign(&signed).unwrap())].concat());
    let whole = [b"SSHSIG\0\0\0\x01".to_vec(), string(&blob), under, signature].concat();
    put("sshsig", "signature", &whole);
    put("sshsig", "armour", armored(&whole).as_bytes());
    put("sshsig", "key", &blob);
    put("sshsig", "line", format!("ssh-ed25519 {} alice\n", Base64::encode_string(&blob)).as_bytes());
    let p256 = [string(b"ecdsa-sha2-nistp256"), string(b"nistp256"), string(&point())].concat();
    put("sshsig", "key-p256", &p256);
    let sk =
        [string(b"sk-ssh-ed25519@openssh.com"), string(&spki[spki.len() - 32..]), string(b"ssh:")].concat();
    put("sshsig", "key-sk", &sk);
}

/// A point of P-256, uncompressed.
fn point() -> Vec<u8> {
    let key = key(KeyAlgorithm::EcdsaP256);
    let spki = key.public_key().spki_der();
    spki[spki.len() - 65..].to_vec()
}

fn main() {
    policies();
    ssh();
    x509();
    names();
    messages();
    log();
}
