use super::*;
use crate::constraints::KeyConstraints;
use crate::limits::{Wanted, Whose};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_pki::usage::Usages;

fn web() -> wire::Profile {
    wire::Profile {
        name: "web".into(),
        permitted: Some(wire::Subtrees { dns_domains: vec!["example.com".into()], ..Default::default() }),
        excluded: Some(wire::Subtrees {
            dns_domains: vec!["secret.example.com".into()],
            ..Default::default()
        }),
        max_leaf_seconds: Some(3600),
        allowed_usages: vec!["server auth".into(), "client auth".into()],
        allowed_key_algorithms: vec![1, 4],
        allow_ca: false,
        approvals: Some(wire::ApprovalDemands { any_issuance: "production".into(), ..Default::default() }),
    }
}

fn any(name: &str) -> wire::Profile {
    wire::Profile { name: name.into(), ..Default::default() }
}

fn change(edit: impl FnOnce(&mut wire::Profile)) -> wire::Profile {
    let mut wire = web();
    edit(&mut wire);
    wire
}

fn key(profiles: Vec<wire::Profile>) -> KeyConstraints {
    KeyConstraints::parse(wire::Constraints { profiles, ..Default::default() }).unwrap()
}

fn refused(profiles: Vec<wire::Profile>) -> (Reason, String) {
    let refusal = KeyConstraints::parse(wire::Constraints { profiles, ..Default::default() }).unwrap_err();
    (refusal.reason, refusal.field)
}

#[test]
fn a_name_is_a_dns_label() {
    for good in ["a", "web", "web-2", "0", &"a".repeat(63)] {
        assert!(good.parse::<ProfileName>().is_ok(), "{good}");
    }
    for bad in ["", "-a", "a-", "Web", "a.b", "a b", "ä", &"a".repeat(64)] {
        assert_eq!(bad.parse::<ProfileName>(), Err(BadName), "{bad}");
    }
}

#[test]
fn what_cannot_be_a_profile_is_refused_by_its_field() {
    let malformed = |field: &str| (Reason::Malformed, field.to_owned());
    assert_eq!(refused(vec![any("Web")]), malformed("profiles"));
    assert_eq!(refused(vec![any("web"), web()]), malformed("profiles"));
    assert_eq!(refused((0..17).map(|n| any(&format!("p{n}"))).collect()), malformed("profiles"));
    for (wrong, field) in [
        (change(|p| p.max_leaf_seconds = Some(0)), "profiles[web].maxDuration"),
        (change(|p| p.allowed_usages = vec!["nonsense".into()]), "profiles[web].allowed.usages"),
        (change(|p| p.allowed_key_algorithms = vec![99]), "profiles[web].allowed.privateKeyAlgorithms"),
        (
            change(|p| p.permitted.as_mut().unwrap().ip_ranges = vec!["10.0.0.1/8".into()]),
            "profiles[web].nameConstraints.permitted.ipRanges[0]",
        ),
        (
            change(|p| p.approvals.as_mut().unwrap().any_issuance = "No".into()),
            "profiles[web].approvals.anyIssuance",
        ),
        (
            change(|p| p.approvals.as_mut().unwrap().loosening = "security".into()),
            "profiles[web].approvals.loosening",
        ),
    ] {
        assert_eq!(refused(vec![wrong]), malformed(field));
    }
}

#[test]
fn a_request_comes_under_the_profile_that_it_names_else_under_default_else_it_is_refused() {
    let chosen = |profiles: Vec<wire::Profile>, named: Option<&str>| {
        let named: Option<ProfileName> = named.map(|name| name.parse().unwrap());
        let key = key(profiles);
        let chosen = key.profiles.choose(named.as_ref());
        chosen.map(|one| one.map(|one| one.name.to_string())).map_err(|refusal| {
            assert_eq!((refusal.reason, refusal.field.as_str()), (Reason::Constraint, "profile"));
            refusal.rule
        })
    };
    let some = |name: &str| Ok(Some(name.to_owned()));
    assert_eq!(chosen(vec![], None), Ok(None));
    assert!(chosen(vec![], Some("web")).unwrap_err().contains("has no profiles"));
    assert_eq!(chosen(vec![web()], Some("web")), some("web"));
    assert_eq!(chosen(vec![web(), any("default")], None), some("default"));
    assert_eq!(chosen(vec![web(), any("default")], Some("web")), some("web"));
    assert!(chosen(vec![web(), any("a")], Some("b")).unwrap_err().contains("which are a, web"));
    assert!(chosen(vec![web()], None).unwrap_err().contains("(web), and none of them is called default"));
}

#[test]
fn each_field_of_a_profile_narrows() {
    struct Case {
        name: &'static str,
        duration: u64,
        usages: &'static [&'static str],
        algorithm: KeyAlgorithm,
        is_ca: bool,
    }
    let good = || Case {
        name: "a.example.com",
        duration: 3600,
        usages: &["server auth"],
        algorithm: KeyAlgorithm::EcdsaP256,
        is_ca: false,
    };
    let judged = |profile: &Profile, case: &Case| {
        let none: &[&str] = &[];
        let wanted = Wanted {
            subject: &DistinguishedName::default(),
            sans: &SubjectAltNames::parse(&[case.name], none, none, none).unwrap(),
            duration: case.duration,
            usages: &Usages::parse(case.usages).unwrap(),
            algorithm: case.algorithm,
            is_ca: case.is_ca,
        };
        let judged = profile.limits.allow(wanted, Whose { who: "profile web", other: "choose another" });
        judged.map_err(|refusal| {
            assert_eq!(refusal.reason, Reason::Constraint);
            assert!(refusal.rule.starts_with("profile web"), "{refusal}");
            refusal.field
        })
    };
    let narrow = Profile::parse(web()).unwrap();
    let wide = Profile::parse(any("any")).unwrap();
    for (case, field) in [
        (good(), None),
        (Case { name: "a.example.org", ..good() }, Some("names")),
        (Case { name: "x.secret.example.com", ..good() }, Some("names")),
        (Case { duration: 3601, ..good() }, Some("duration")),
        (Case { usages: &["code signing"], ..good() }, Some("usages")),
        (Case { algorithm: KeyAlgorithm::Rsa2048, ..good() }, Some("privateKey.algorithm")),
        (Case { is_ca: true, ..good() }, Some("isCA")),
    ] {
        assert_eq!(judged(&narrow, &case).err().as_deref(), field);
        let only_ca = field.filter(|field| *field == "isCA");
        assert_eq!(judged(&wide, &case).err().as_deref(), only_ca, "one that says nothing refuses only isCA");
    }
}

#[test]
fn profiles_become_tighter_and_what_becomes_looser_is_named() {
    let tighter = [
        (vec![], vec![any("any")]),
        (vec![], vec![any("any"), web()]),
        (vec![web(), any("any")], vec![web()]),
        (vec![web(), any("any")], vec![any("any")]),
        (vec![any("web")], vec![web()]),
        (vec![web()], vec![change(|p| p.max_leaf_seconds = Some(60))]),
        (vec![web()], vec![change(|p| p.allowed_usages = vec!["server auth".into()])]),
        (vec![web()], vec![change(|p| p.allowed_key_algorithms = vec![1])]),
        (
            vec![web()],
            vec![change(|p| p.permitted.as_mut().unwrap().dns_domains = vec!["a.example.com".into()])],
        ),
        (vec![web()], vec![change(|p| p.approvals.as_mut().unwrap().ca_certificates = "ca".into())]),
    ];
    for (old, new) in tighter {
        assert_eq!(key(old).tighten(key(new.clone())), Ok(Some(key(new))));
    }
    let looser = [
        (vec![web()], vec![], "profiles"),
        (vec![web()], vec![web(), any("more")], "profiles[more]"),
        (vec![web()], vec![any("renamed")], "profiles[renamed]"),
        (vec![web()], vec![change(|p| p.max_leaf_seconds = Some(3601))], "profiles[web].maxDuration"),
        (vec![web()], vec![change(|p| p.max_leaf_seconds = None)], "profiles[web].maxDuration"),
        (vec![web()], vec![change(|p| p.allowed_usages.clear())], "profiles[web].allowed.usages"),
        (
            vec![web()],
            vec![change(|p| p.allowed_key_algorithms.push(5))],
            "profiles[web].allowed.privateKeyAlgorithms",
        ),
        (vec![web()], vec![change(|p| p.permitted = None)], "profiles[web].nameConstraints"),
        (vec![web()], vec![change(|p| p.excluded = None)], "profiles[web].nameConstraints"),
        (vec![web()], vec![change(|p| p.allow_ca = true)], "profiles[web].allowed.isCA"),
        (vec![web()], vec![change(|p| p.approvals = None)], "profiles[web].approvals.anyIssuance"),
        (vec![any("a"), web()], vec![change(|p| p.max_leaf_seconds = None)], "profiles[web].maxDuration"),
    ];
    for (old, new, field) in looser {
        let refusal = key(old).tighten(key(new)).unwrap_err();
        assert_eq!((refusal.reason, refusal.field.as_str()), (Reason::Loosening, field));
    }
    let twice = key(vec![any("b"), change(|p| p.allowed_usages.reverse())]);
    assert_eq!(key(vec![web(), any("b")]).tighten(twice), Ok(None), "order means nothing");
}

#[test]
fn a_child_has_its_own_profiles_whatever_its_parent_has() {
    let of = |profiles| wire::Constraints { profiles, ..Default::default() };
    for (parent, child) in [
        (vec![web()], vec![]),
        (vec![web()], vec![any("any")]),
        (vec![], vec![web()]),
        (vec![any("web")], vec![web()]),
    ] {
        let inherited = KeyConstraints::inherit(of(child.clone()), &key(parent)).unwrap();
        assert_eq!(inherited.profiles, key(child).profiles);
    }
}

#[test]
fn an_authority_under_a_profile_is_constrained_by_both() {
    let names = |permitted: &[&str], excluded: &[&str]| {
        let none: &[&str] = &[];
        let parse = |list| keywright_pki::constraints::Subtrees::parse("", list, none, none, none).unwrap();
        NameConstraints { permitted: parse(permitted), excluded: parse(excluded) }
    };
    let profile = Profile::parse(web()).unwrap();
    let below = |key| profile.names_below(&key);
    let own = names(&["example.com"], &["secret.example.com"]);
    assert_eq!(below(names(&[], &[])), Ok(own.clone()));
    assert_eq!(below(names(&["example.com", "example.org"], &[])), Ok(own));
    let both = names(&["example.com"], &["secret.example.com", "dark.example.com"]);
    assert_eq!(below(names(&[], &["dark.example.com"])), Ok(both));
    let refusal = below(names(&["a.example.com"], &[])).unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.field.as_str()),
        (Reason::Constraint, "profiles[web].nameConstraints")
    );
    let silent = Profile::parse(any("any")).unwrap();
    let key = names(&["a.example.com"], &["b.a.example.com"]);
    assert_eq!(silent.names_below(&key), Ok(key));
}

/// All sets of profiles of a small world: what one step of `tighten` accepts allows nothing that was not allowed.
#[test]
fn whatever_is_accepted_without_people_signs_nothing_more() {
    let variants = |name: &'static str| {
        let mut all = vec![None];
        for max in [None, Some(60), Some(3600)] {
            for usages in [vec![], vec!["server auth".to_owned()]] {
                for allow_ca in [false, true] {
                    for class in ["", "production"] {
                        let approvals =
                            wire::ApprovalDemands { any_issuance: class.into(), ..Default::default() };
                        all.push(Some(wire::Profile {
                            name: name.into(),
                            max_leaf_seconds: max,
                            allowed_usages: usages.clone(),
                            allow_ca,
                            approvals: Some(approvals),
                            ..Default::default()
                        }));
                    }
                }
            }
        }
        all
    };
    let mut keys = Vec::new();
    for default in variants("default") {
        for web in variants("web").into_iter().step_by(5) {
            let profiles = default.iter().cloned().chain(web).collect();
            let wire = wire::Constraints { profiles, allow_ca: true, ..Default::default() };
            keys.push(KeyConstraints::parse(wire).unwrap());
        }
    }
    // Which of some requests are signed, and for which nobody has to agree.
    let web: ProfileName = "web".parse().unwrap();
    let signed = |key: &KeyConstraints| {
        let mut found = Vec::new();
        let none: &[&str] = &[];
        let sans = SubjectAltNames::parse(&["a.example.com"], none, none, none).unwrap();
        for named in [None, Some(&web)] {
            for duration in [60, 3600, 7200] {
                for usages in [&["server auth"][..], &["code signing"]] {
                    for is_ca in [false, true] {
                        let wanted = Wanted {
                            subject: &DistinguishedName::default(),
                            sans: &sans,
                            duration,
                            usages: &Usages::parse(usages).unwrap(),
                            algorithm: KeyAlgorithm::EcdsaP256,
                            is_ca,
                        };
                        let whose = Whose { who: "it", other: "" };
                        let (signs, asks) = match key.profiles.choose(named) {
                            Err(_) => (false, true),
                            Ok(None) => (true, false),
                            Ok(Some(profile)) => (
                                profile.limits.allow(wanted, whose).is_ok(),
                                profile.demands.any_issuance.is_some(),
                            ),
                        };
                        found.push((signs, signs && !asks));
                    }
                }
            }
        }
        found
    };
    let all: Vec<_> = keys.iter().map(|key| (key, signed(key))).collect();
    let mut accepted = 0;
    for (old, before) in &all {
        for (new, after) in &all {
            if old.tighten((*new).clone()).is_err() {
                continue;
            }
            accepted += 1;
            // Without profiles none can be named: then a named one narrows what was signed without a name.
            let unnamed = if old.profiles == Profiles::default() { before.len() / 2 } else { before.len() };
            for (n, (is_signed, is_free)) in after.iter().enumerate() {
                let (was_signed, was_free) = before[n % unnamed];
                assert!(!is_signed || was_signed, "{old:?} -> {new:?} signs more");
                assert!(!is_free || was_free, "{old:?} -> {new:?} asks nobody any more");
            }
        }
    }
    assert!(accepted > all.len() * 3, "{accepted} of {} steps say little", all.len() * all.len());
}
