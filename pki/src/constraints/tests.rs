use super::*;

const NONE: [&str; 0] = [];

fn trees(dns: &[&str], ips: &[&str], emails: &[&str], uris: &[&str]) -> Subtrees {
    Subtrees::parse("nameConstraints.permitted", dns, ips, emails, uris).unwrap()
}

fn permitted(subtrees: Subtrees) -> NameConstraints {
    NameConstraints { permitted: subtrees, excluded: Subtrees::default() }
}

fn excluded(subtrees: Subtrees) -> NameConstraints {
    NameConstraints { permitted: Subtrees::default(), excluded: subtrees }
}

fn sans(dns: &[&str], ips: &[&str], emails: &[&str], uris: &[&str]) -> SubjectAltNames {
    SubjectAltNames::parse(dns, ips, emails, uris).unwrap()
}

fn common_name(text: &str) -> DistinguishedName {
    DistinguishedName::with_common_name(text).unwrap()
}

fn field(result: Result<(), Violation>) -> Option<&'static str> {
    result.err().map(|violation| violation.field)
}

#[test]
fn names_of_a_constrained_kind_must_lie_inside_and_other_kinds_are_free() {
    let constraints = permitted(trees(&["a.example"], &NONE, &NONE, &NONE));
    let check = |sans: &SubjectAltNames| field(constraints.check(&DistinguishedName::default(), sans));
    assert_eq!(
        check(&sans(&["x.a.example", "*.a.example"], &["10.0.0.1"], &["x@b.example"], &["urn:x"])),
        None
    );
    assert_eq!(check(&sans(&["x.a.example", "b.example"], &NONE, &NONE, &NONE)), Some("dnsNames"));
    assert_eq!(check(&sans(&["*.example"], &NONE, &NONE, &NONE)), Some("dnsNames"));
}

#[test]
fn excluded_is_stronger_than_permitted() {
    let constraints = NameConstraints {
        permitted: trees(&["a.example"], &["10.0.0.0/8"], &[".example"], &[".example"]),
        excluded: trees(&["b.a.example"], &["10.1.0.0/16"], &["root@mail.example"], &["web.example"]),
    };
    let check = |sans: &SubjectAltNames| field(constraints.check(&DistinguishedName::default(), sans));
    assert_eq!(
        check(&sans(&["c.a.example"], &["10.2.0.1"], &["x@mail.example"], &["https://api.example"])),
        None
    );
    assert_eq!(check(&sans(&["b.a.example"], &NONE, &NONE, &NONE)), Some("dnsNames"));
    assert_eq!(check(&sans(&["*.a.example"], &NONE, &NONE, &NONE)), Some("dnsNames"));
    assert_eq!(check(&sans(&NONE, &["10.1.2.3"], &NONE, &NONE)), Some("ipAddresses"));
    assert_eq!(check(&sans(&NONE, &["::a01:203"], &NONE, &NONE)), Some("ipAddresses"));
    assert_eq!(check(&sans(&NONE, &NONE, &["root@mail.example"], &NONE)), Some("emailAddresses"));
    assert_eq!(check(&sans(&NONE, &NONE, &NONE, &["https://WEB.example:8443/"])), Some("uris"));
}

#[test]
fn a_uri_without_a_host_name_breaks_any_uri_constraint() {
    for constraints in [
        permitted(trees(&NONE, &NONE, &NONE, &[".example"])),
        excluded(trees(&NONE, &NONE, &NONE, &[".example"])),
    ] {
        for uri in ["urn:uuid:1", "https://10.0.0.1/", "https://[::1]/"] {
            let names = sans(&NONE, &NONE, &NONE, &[uri]);
            assert_eq!(
                field(constraints.check(&DistinguishedName::default(), &names)),
                Some("uris"),
                "{uri}"
            );
        }
    }
    let spiffe = permitted(trees(&NONE, &NONE, &NONE, &["td.example"]));
    let names = sans(&NONE, &NONE, &NONE, &["spiffe://td.example/ns/a"]);
    assert!(spiffe.check(&DistinguishedName::default(), &names).is_ok());
}

#[test]
fn a_common_name_that_looks_like_a_host_or_an_address_is_held_to_the_rules() {
    let constraints = NameConstraints {
        permitted: trees(&["a.example"], &["10.0.0.0/8"], &NONE, &NONE),
        excluded: trees(&["b.a.example"], &NONE, &NONE, &NONE),
    };
    for (name, forbidden) in [
        ("Web server", false),
        ("web", false),
        ("Example Inc.", false),
        ("x.a.example", false),
        ("X.A.EXAMPLE", false),
        ("x.a.example.", false),
        ("*.b.example", true),
        ("b.a.example", true),
        ("b.a.example.", true),
        ("x.example", true),
        ("x_y.example", true),
        ("x_y.a.example", true),
        ("10.0.0.1", false),
        ("11.0.0.1", true),
        ("::ffff:11.0.0.1", true),
        ("::1", true),
        ("v1.2", true),
    ] {
        let result = constraints.check(&common_name(name), &SubjectAltNames::default());
        assert_eq!(field(result), forbidden.then_some("commonName"), "{name}");
    }
    assert!(
        NameConstraints::default().check(&common_name("x_y.example"), &SubjectAltNames::default()).is_ok()
    );
}

#[test]
fn permitting_one_address_family_forbids_the_other() {
    let constraints = permitted(trees(&NONE, &["0.0.0.0/0"], &NONE, &NONE));
    let names = sans(&NONE, &["2001:db8::1"], &NONE, &NONE);
    assert_eq!(field(constraints.check(&DistinguishedName::default(), &names)), Some("ipAddresses"));
}

#[test]
fn too_many_comparisons_are_refused_rather_than_made() {
    let many: Vec<String> = (0..2000).map(|number| format!("d{number}.example")).collect();
    let constraints = permitted(Subtrees::parse("x", &many, &[], &[], &[]).unwrap());
    let names = SubjectAltNames::parse(&many, &[], &[], &[]).unwrap();
    assert_eq!(field(constraints.check(&DistinguishedName::default(), &names)), Some("subjectAltNames"));
}

#[test]
fn newer_constraints_may_only_be_tighter() {
    let old = NameConstraints {
        permitted: trees(&["a.example", "b.example"], &["10.0.0.0/8"], &[".example"], &NONE),
        excluded: trees(&["x.a.example"], &["10.1.0.0/16"], &NONE, &["web.example"]),
    };
    let with = |edit: fn(&mut NameConstraints)| {
        let mut new = old.clone();
        edit(&mut new);
        new.is_no_looser_than(&old).map_err(|loosening| loosening.field)
    };
    assert_eq!(with(|_| {}), Ok(()));
    assert_eq!(
        with(|new| new.permitted.dns_domains = trees(&["y.a.example"], &NONE, &NONE, &NONE).dns_domains),
        Ok(())
    );
    assert_eq!(
        with(|new| new.permitted.uri_domains = trees(&NONE, &NONE, &NONE, &["z"]).uri_domains),
        Ok(())
    );
    assert_eq!(
        with(|new| new.excluded.dns_domains = trees(&["a.example"], &NONE, &NONE, &NONE).dns_domains),
        Ok(())
    );
    assert_eq!(
        with(|new| new.excluded.ip_ranges = trees(&NONE, &["10.0.0.0/8"], &NONE, &NONE).ip_ranges),
        Ok(())
    );
    let permitted_dns = Err("nameConstraints.permitted.dnsDomains".to_owned());
    assert_eq!(with(|new| new.permitted.dns_domains.clear()), permitted_dns);
    assert_eq!(
        with(|new| new.permitted.dns_domains.extend(trees(&["c.example"], &NONE, &NONE, &NONE).dns_domains)),
        permitted_dns
    );
    assert_eq!(
        with(|new| new.permitted.ip_ranges = trees(&NONE, &["0.0.0.0/0"], &NONE, &NONE).ip_ranges),
        Err("nameConstraints.permitted.ipRanges".to_owned())
    );
    assert_eq!(
        with(|new| new.excluded.uri_domains.clear()),
        Err("nameConstraints.excluded.uriDomains".to_owned())
    );
    assert_eq!(
        with(|new| new.excluded.ip_ranges = trees(&NONE, &["10.1.0.0/17"], &NONE, &NONE).ip_ranges),
        Err("nameConstraints.excluded.ipRanges".to_owned())
    );
}

#[test]
fn the_extension_reads_back_and_what_we_cannot_apply_is_refused() {
    let constraints = NameConstraints {
        permitted: trees(
            &["a.example", ".b.example"],
            &["10.0.0.0/8", "2001:db8::/32"],
            &["x@a.example", ".b"],
            &["w"],
        ),
        excluded: trees(&NONE, &["0.0.0.0/0"], &NONE, &NONE),
    };
    assert_eq!(NameConstraints::from_der(&constraints.to_der().unwrap()).unwrap(), constraints);
    for der in [
        &b""[..],
        b"\x30\x00\x00",
        // a directoryName
        b"\x30\x08\xa0\x06\x30\x04\xa4\x02\x30\x00",
        // an address range whose mask has a hole
        b"\x30\x0e\xa0\x0c\x30\x0a\x87\x08\x0a\x00\x00\x00\xff\x00\xff\x00",
        // minimum 1
        b"\x30\x0a\xa0\x08\x30\x06\x82\x01a\x80\x01\x01",
    ] {
        assert!(NameConstraints::from_der(der).is_err(), "{der:02x?}");
    }
}

#[test]
fn errors_name_the_field_with_its_prefix() {
    let error =
        Subtrees::parse("nameConstraints.excluded", &NONE, &["10.1.0.0/8"], &NONE, &NONE).unwrap_err();
    assert_eq!(error.field, "nameConstraints.excluded.ipRanges[0]");
    for text in ["", ".", "*.example", "a_b", "example.", "10.0.0.1"] {
        let error = Subtrees::parse("p", &[text], &NONE, &NONE, &NONE).unwrap_err();
        assert_eq!(error.field, "p.dnsDomains[0]");
    }
}

#[test]
fn a_common_name_is_judged_as_it_compares_and_not_by_spaces_or_unseen_characters_around_it() {
    let constraints = NameConstraints {
        permitted: trees(&["a.example"], &["10.0.0.0/8"], &NONE, &NONE),
        excluded: Subtrees::default(),
    };
    let check = |text: &str| field(constraints.check(&common_name(text), &SubjectAltNames::default()));
    for name in [
        "b.example ",
        " b.example",
        "b.example\u{a0}",
        "\u{feff}b.example",
        "b\u{200b}.example",
        "b.ex\u{ad}ample",
        "b\u{3002}example",
        "b\u{ff0e}example",
        "\u{202a}b.example\u{202c}",
        " 11.0.0.1 ",
    ] {
        assert_eq!(check(name), Some("commonName"), "{name:?}");
    }
    for name in ["x.a.example ", "Payments, Inc.", "M\u{fc}ller\u{3002}", "10.1.1.1 ", "b.example and others"]
    {
        assert_eq!(check(name), None, "{name:?}");
    }
}
