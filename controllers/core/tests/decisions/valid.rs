//! Each way in which a spec makes no sense: the field that is named, and the words.

use jiff::SignedDuration;
use keywright_controllers_core::certificate::valid::ValidCertificate;
use keywright_controllers_core::issuer::valid::ValidAuthority;
use keywright_controllers_core::renewal::RenewWhen;
use keywright_crds::{
    Algorithm, AllowedLeaves, AuthorityPrivateKey, AuthoritySpec, CertificatePrivateKey, CertificateProfile,
    CertificateSpec, KeyEncoding, KeyUsage, NameConstraints, NameSubtrees, Subject,
};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_testkit::objects::{certificate, issuer};

fn key(spec: &mut CertificateSpec, algorithm: Algorithm, size: Option<i32>) {
    spec.private_key = Some(CertificatePrivateKey { algorithm, size, ..CertificatePrivateKey::default() });
}

fn older(spec: &mut CertificateSpec, algorithm: Algorithm) {
    let encoding = KeyEncoding::Pkcs1;
    spec.private_key =
        Some(CertificatePrivateKey { algorithm, encoding, ..CertificatePrivateKey::default() });
}

#[test]
fn a_spec_that_makes_no_sense_is_refused_by_field_and_rule() {
    let table: &[(fn(&mut CertificateSpec), &str, &str)] = &[
        (|s| s.dns_names = vec![], "dnsNames", "nothing is named"),
        (|s| s.dns_names = vec!["ok.example.com".into(), "not a name".into()], "dnsNames[1]", "not a name"),
        (|s| s.dns_names = vec![String::new()], "dnsNames[0]", "empty"),
        (|s| s.dns_names = vec!["a.*.example.com".into()], "dnsNames[0]", "a.*.example.com"),
        (|s| s.dns_names = vec!["bücher.example".into()], "dnsNames[0]", "bücher"),
        (|s| s.dns_names = vec![format!("{}.example.com", "a".repeat(64))], "dnsNames[0]", "63"),
        (|s| s.ip_addresses = vec!["10.0.0.256".into()], "ipAddresses[0]", "10.0.0.256"),
        (|s| s.ip_addresses = vec!["10.0.0.0/8".into()], "ipAddresses[0]", "10.0.0.0/8"),
        (|s| s.uris = vec!["no scheme".into()], "uris[0]", "no scheme"),
        (|s| s.email_addresses = vec!["nobody".into()], "emailAddresses[0]", "nobody"),
        (|s| s.common_name = Some("a".repeat(65)), "commonName", "64"),
        (
            |s| s.subject = Some(Subject { countries: vec!["Germany".into()], ..Subject::default() }),
            "subject.countries[0]",
            "Germany",
        ),
        (|s| s.duration = Some("1d".into()), "duration", "2160h"),
        (|s| s.duration = Some(String::new()), "duration", "2160h"),
        (|s| s.duration = Some("4m59s".into()), "duration", "5m"),
        (|s| s.duration = Some("0s".into()), "duration", "5m"),
        (|s| s.renew_before = Some("soon".into()), "renewBefore", "2160h"),
        (|s| s.renew_before = Some("0s".into()), "renewBefore", "over zero"),
        (|s| s.renew_before = Some("2160h".into()), "renewBefore", "under the life of 2160h"),
        (
            |s| (s.duration, s.renew_before) = (Some("1h".into()), Some("2h".into())),
            "renewBefore",
            "under the life of 1h",
        ),
        (
            |s| (s.renew_before, s.renew_before_percentage) = (Some("1h".into()), Some(10)),
            "renewBeforePercentage",
            "keep one",
        ),
        (|s| s.renew_before_percentage = Some(0), "renewBeforePercentage", "1 to 99"),
        (|s| s.renew_before_percentage = Some(100), "renewBeforePercentage", "1 to 99"),
        (|s| s.renew_before_percentage = Some(-1), "renewBeforePercentage", "1 to 99"),
        (|s| s.usages = vec![KeyUsage::CertSign], "usages", "isCA: true"),
        (|s| s.usages = vec![KeyUsage::ServerAuth, KeyUsage::CrlSign], "usages", "crl sign"),
        (|s| s.issuer_ref.group = Some("cert-manager.io".into()), "issuerRef.group", "keywright.dev"),
        (|s| key(s, Algorithm::Rsa, Some(1024)), "privateKey.size", "1024"),
        (|s| key(s, Algorithm::Ecdsa, Some(255)), "privateKey.size", "255"),
        (|s| key(s, Algorithm::Ed25519, Some(256)), "privateKey.size", "256"),
        (|s| key(s, Algorithm::MlDsa, Some(-65)), "privateKey.size", "ML-DSA"),
        (|s| older(s, Algorithm::Ed25519), "privateKey.encoding", "PKCS8"),
        (|s| older(s, Algorithm::MlDsa), "privateKey.encoding", "PKCS8"),
    ];
    for (change, field, words) in table {
        let mut cert = certificate("web");
        change(&mut cert.spec);
        let problem = ValidCertificate::parse(&cert).expect_err(field);
        assert_eq!(problem.field, *field, "{problem}");
        assert!(problem.to_string().contains(words), "{problem} says nothing of {words:?}");
    }
}

#[test]
fn every_algorithm_in_every_size_is_read_and_has_a_default() {
    for algorithm in Algorithm::ALL {
        for size in algorithm.sizes().iter().copied().map(Some).chain([None]) {
            let mut cert = certificate("web");
            key(&mut cert.spec, algorithm, size);
            let valid = ValidCertificate::parse(&cert).unwrap();
            assert_eq!(valid.algorithm.spec().0, algorithm.name());
        }
    }
    assert_eq!(ValidCertificate::parse(&certificate("web")).unwrap().algorithm, KeyAlgorithm::EcdsaP256);
}

#[test]
fn what_is_left_out_has_its_meaning() {
    let mut cert = certificate("web");
    cert.spec.issuer_ref.group = Some(String::new());
    cert.spec.common_name = Some(String::new());
    let valid = ValidCertificate::parse(&cert).unwrap();
    assert_eq!((valid.duration, valid.renew, valid.history), (None, RenewWhen::TwoThirds, 3));
    assert_eq!(valid.usages.names(), ["digital signature"], "an ECDSA key enciphers nothing");
    assert_eq!(valid.issuer.group, None);
    assert!(valid.subject.is_empty());
    key(&mut cert.spec, Algorithm::Rsa, None);
    let valid = ValidCertificate::parse(&cert).unwrap();
    assert_eq!(valid.usages.names(), ["digital signature", "key encipherment"]);
    cert.spec.is_ca = true;
    let valid = ValidCertificate::parse(&cert).unwrap();
    assert_eq!(valid.usages.names(), ["digital signature", "key encipherment", "cert sign", "crl sign"]);
}

#[test]
fn the_bounds_of_a_renewal_are_kept_to_the_second() {
    for (duration, before, fine) in
        [("5m", "4m59s", true), ("5m", "5m", false), ("1h", "1s", true), ("1h", "3601s", false)]
    {
        let mut cert = certificate("web");
        cert.spec.duration = Some(duration.into());
        cert.spec.renew_before = Some(before.into());
        assert_eq!(ValidCertificate::parse(&cert).is_ok(), fine, "{duration} {before}");
    }
    let mut cert = certificate("web");
    cert.spec.renew_before_percentage = Some(99);
    assert_eq!(ValidCertificate::parse(&cert).unwrap().renew, RenewWhen::LeftPercent(99));
}

fn profile(change: impl FnOnce(&mut CertificateProfile)) -> CertificateProfile {
    let mut web = CertificateProfile { name: "web".into(), ..CertificateProfile::default() };
    change(&mut web);
    web
}

#[test]
fn an_authority_that_makes_no_sense_is_refused_by_field_and_rule() {
    fn permit(spec: &mut AuthoritySpec, subtrees: NameSubtrees) {
        spec.name_constraints = Some(NameConstraints { permitted: Some(subtrees), excluded: None });
    }
    let table: &[(fn(&mut AuthoritySpec), &str, &str)] = &[
        (|s| s.common_name = None, "authority.commonName", "needs a name"),
        (|s| s.common_name = Some("a".repeat(65)), "authority.commonName", "64"),
        (
            |s| s.private_key = Some(AuthorityPrivateKey { algorithm: Algorithm::Rsa, size: Some(512) }),
            "authority.privateKey.size",
            "512",
        ),
        (|s| s.duration = Some("ten years".into()), "authority.duration", "2160h"),
        (|s| s.duration = Some("0h".into()), "authority.duration", "zero"),
        (|s| s.path_length = Some(-1), "authority.pathLength", "negative"),
        (|s| s.max_leaf_duration = Some("0h".into()), "authority.maxLeafDuration", "zero"),
        (
            |s| {
                let dns_domains = vec!["not a domain".into()];
                permit(s, NameSubtrees { dns_domains, ..NameSubtrees::default() });
            },
            "authority.nameConstraints.permitted.dnsDomains[0]",
            "not a domain",
        ),
        (
            |s| {
                let ip_ranges = vec!["10.0.0.1/8".into()];
                permit(s, NameSubtrees { ip_ranges, ..NameSubtrees::default() });
            },
            "authority.nameConstraints.permitted.ipRanges[0]",
            "10.0.0.1/8",
        ),
        (
            |s| s.profiles = vec![profile(|p| p.max_duration = Some("0h".into()))],
            "authority.profiles[web].maxDuration",
            "zero",
        ),
        (|s| s.profiles = vec![profile(|_| {}), profile(|_| {})], "authority.profiles[web].name", "another"),
        (
            |s| {
                let dns_domains = vec!["not a domain".into()];
                let permitted = Some(NameSubtrees { dns_domains, ..NameSubtrees::default() });
                let names = Some(NameConstraints { permitted, excluded: None });
                s.profiles = vec![profile(|p| p.name_constraints = names)];
            },
            "authority.profiles[web].nameConstraints.permitted.dnsDomains[0]",
            "not a domain",
        ),
    ];
    for (change, field, words) in table {
        let mut services = issuer("services");
        change(services.spec.authority.as_mut().unwrap());
        let problem = ValidAuthority::parse(&services).expect_err(field);
        assert_eq!(problem.field, *field, "{problem}");
        assert!(problem.to_string().contains(words), "{problem} says nothing of {words:?}");
    }
    let mut none = issuer("services");
    none.spec.authority = None;
    assert_eq!(ValidAuthority::parse(&none).unwrap_err().field, "authority");
}

#[test]
fn an_authority_is_read_with_what_it_signs() {
    let mut services = issuer("services");
    let spec = services.spec.authority.as_mut().unwrap();
    spec.path_length = Some(0);
    spec.max_leaf_duration = Some("24h".into());
    spec.allowed = Some(AllowedLeaves {
        usages: vec![KeyUsage::ServerAuth, KeyUsage::DigitalSignature],
        private_key_algorithms: vec![Algorithm::Ecdsa],
        is_ca: true,
    });
    let valid = ValidAuthority::parse(&services).unwrap();
    assert_eq!(valid.duration, SignedDuration::from_hours(87_600));
    assert_eq!(valid.limits.path_length, Some(0));
    assert_eq!(valid.limits.max_leaf, Some(SignedDuration::from_hours(24)));
    assert_eq!(valid.limits.usages.unwrap().names(), ["digital signature", "server auth"]);
    let algorithms = [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384, KeyAlgorithm::EcdsaP521];
    assert_eq!(valid.limits.algorithms, algorithms, "every size of the family");
    assert!(valid.limits.allow_ca);
}
