//! Issuers: the next step, what they say of themselves, and what others may rely on.

use crate::scene::{OTHER, SERVICES, authority, day, hours, until};
use jiff::Timestamp;
use keywright_controllers_core::approval::consent::{Refused as Unagreed, Waiting as Awaited};
use keywright_controllers_core::certificate::decide::Waiting;
use keywright_controllers_core::conditions::State;
use keywright_controllers_core::issuer::decide::{Plan, World, at_revision, decide, max_leaf};
use keywright_controllers_core::issuer::ready::{Outcome, published, status};
use keywright_controllers_core::issuer::standing::{read, standing};
use keywright_controllers_core::issuer::valid::ValidAuthority;
use keywright_controllers_core::issuer::{Limits, Standing};
use keywright_crds::{ApprovalPhase, AuthorityStatus, Issuer, IssuerKind, IssuerStatus, ObjectApproval};
use keywright_pki::pem::{self, Label};
use keywright_signer_protocol::v1alpha1 as wire;
use keywright_testkit::objects::{issuer, reference};
use std::sync::Arc;

const UID: &str = "f2b3a7df-0000-4000-8000-a7dfd7ec4837";

/// What the signer answers for `services`, and how its object shows it.
fn shown() -> AuthorityStatus {
    let [own, parents @ ..] = &SERVICES.chain[..] else { panic!("a chain") };
    let answer = wire::Authority {
        uid: UID.into(),
        certificate: own.der().to_vec(),
        parents: parents.iter().map(|p| p.der().to_vec()).collect(),
        step: 1,
        log_index: 3,
        created: true,
    };
    published(&answer, UID, Some(hours(50))).unwrap()
}

fn world(now: Timestamp, parent: Option<Standing>, published: Option<AuthorityStatus>) -> World {
    World { now, parent, published, asked: None, loosened: None }
}

fn ready(change: impl FnOnce(&mut Issuer)) -> Issuer {
    let mut services = issuer("services");
    let outcome = Outcome::Current { authority: Box::new(shown()), created: true, used: None };
    services.status = Some(status(&IssuerStatus::default(), &outcome, 1, day("2030-01-01")));
    change(&mut services);
    services
}

#[test]
fn the_signer_is_asked_to_hold_the_profiles_and_none_where_there_are_none() {
    let held = |profiles: serde_json::Value| {
        let issuer = ready(|i| {
            let authority = i.spec.authority.as_mut().unwrap();
            (authority.issuer_ref, authority.profiles) = (None, serde_json::from_value(profiles).unwrap());
        });
        let world = world(day("2030-01-02"), None, None);
        let Plan::Ensure { request } = decide(&ValidAuthority::parse(&issuer).unwrap(), &world) else {
            panic!("it has no parent to wait for")
        };
        request.constraints.unwrap().profiles
    };
    assert_eq!(held(serde_json::json!([])), []);
    let asked = held(serde_json::json!([
        { "name": "web", "description": "for people", "maxDuration": "24h",
          "nameConstraints": { "permitted": { "dnsDomains": ["example.com"] }, "excluded": { "ipRanges": ["10.0.0.0/8"] } },
          "allowed": { "usages": ["server auth", "signing"], "privateKeyAlgorithms": ["Ed25519", "ECDSA"], "isCA": true },
          "approvals": { "anyIssuance": "a", "firstIssuanceOfName": "b", "caCertificates": "c" } },
        { "name": "default" },
    ]));
    let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
    let web = wire::Profile {
        name: "web".into(),
        permitted: Some(wire::Subtrees { dns_domains: list(&["example.com"]), ..Default::default() }),
        excluded: Some(wire::Subtrees { ip_ranges: list(&["10.0.0.0/8"]), ..Default::default() }),
        max_leaf_seconds: Some(86_400),
        allowed_usages: list(&["digital signature", "server auth"]),
        allowed_key_algorithms: vec![4, 1, 2, 3],
        allow_ca: true,
        approvals: Some(wire::ApprovalDemands {
            any_issuance: "a".into(),
            first_issuance_of_name: "b".into(),
            ca_certificates: "c".into(),
            loosening: String::new(),
        }),
    };
    assert_eq!(asked, [web, wire::Profile { name: "default".into(), ..Default::default() }]);
}

#[test]
fn the_signers_answer_is_shown_in_full() {
    let shown = shown();
    let chain = shown.certificate.clone().unwrap();
    assert_eq!(pem::read_certificates(chain.as_bytes()).unwrap().len(), 2);
    assert!(chain.starts_with(&*pem::write(Label::Certificate, SERVICES.chain[0].der())));
    assert_eq!(shown.not_after.unwrap().0, day("2035-01-01"));
    let renewal = shown.renewal_time.unwrap().0;
    assert!(day("2032-09-01") < renewal && renewal <= day("2033-01-02"), "{renewal}");
    assert_eq!((shown.revision, shown.log_index), (Some(1), Some(3)));
    let garbage = wire::Authority { certificate: vec![1, 2, 3], ..wire::Authority::default() };
    assert!(published(&garbage, UID, None).is_err());
}

#[test]
fn the_shortest_of_the_longest_lives_from_here_to_the_root_is_shown_and_read_again() {
    let parent = |limit: Option<i64>| {
        let limits = Limits { max_leaf: limit.map(hours), ..Limits::default() };
        Some(Standing::Ready(Arc::new(authority(&OTHER, "parent", limits))))
    };
    let table = [
        (None, None, None),
        (Some("100h"), None, Some(hours(100))),
        (None, parent(Some(90)), Some(hours(90))),
        (Some("100h"), parent(Some(90)), Some(hours(90))),
        (Some("80h"), parent(Some(90)), Some(hours(80))),
        (Some("80h"), parent(None), Some(hours(80))),
    ];
    for (own, parent, expected) in table {
        let services = ready(|issuer| {
            issuer.spec.authority.as_mut().unwrap().max_leaf_duration = own.map(str::to_owned);
        });
        let valid = ValidAuthority::parse(&services).unwrap();
        let world = world(day("2030-01-01"), parent, None);
        assert_eq!(max_leaf(&valid, &world), expected);
    }
    let read_back = |own: Option<&str>| {
        let issuer = ready(|i| i.spec.authority.as_mut().unwrap().max_leaf_duration = own.map(str::to_owned));
        read(&issuer).unwrap().limits.max_leaf
    };
    assert_eq!(read_back(None), Some(hours(50)), "what the status shows of those above counts");
    assert_eq!(read_back(Some("40h")), Some(hours(40)));
    assert_eq!(read_back(Some("60h")), Some(hours(50)));
}

#[test]
fn the_step_goes_up_only_when_the_certificate_is_due_and_can_be_extended() {
    let parent = |to: Timestamp| {
        let mut parent = authority(&OTHER, "parent", Limits::default());
        parent.chain[0] = until(&OTHER, to);
        Some(Standing::Ready(Arc::new(parent)))
    };
    let late = || day("2033-06-01");
    let table = [
        ("never made", day("2030-01-01"), None, None, 1),
        ("made and fresh", day("2030-01-01"), Some(shown()), None, 1),
        ("due", late(), Some(shown()), None, 2),
        ("due, the parent ends with it", late(), Some(shown()), parent(day("2035-01-01")), 1),
        ("due, the parent lives longer", late(), Some(shown()), parent(day("2035-01-02")), 2),
        ("the clock went back", day("2000-01-01"), Some(shown()), None, 1),
        ("a revision that is none", late(), Some(AuthorityStatus { revision: Some(-4), ..shown() }), None, 1),
    ];
    for (what, now, published, parent, step) in table {
        let expected = published.as_ref().map(|p| hex::decode(p.subject_key_id.clone().unwrap()).unwrap());
        let valid = ValidAuthority::parse(&issuer("services")).unwrap();
        let plan = decide(&valid, &world(now, parent, published));
        let Plan::Ensure { request } = plan else { panic!("{what}: {plan:?}") };
        assert_eq!(request.request_key.unwrap().step, step, "{what}");
        assert_eq!(request.expected_key_id, expected.unwrap_or_default(), "{what}: the key that was seen");
    }
}

#[test]
fn what_people_were_asked_about_is_wanted_until_they_decided_and_what_they_loosened_is_certified_once() {
    let (now, say) = (day("2030-01-01"), |text: &str| serde_json::from_str(text).ok());
    let table = [
        ("nobody was asked", None, None, 1),
        ("about the next one", Some(2), None, 2),
        ("about the present one, as for a loosening", Some(1), None, 1),
        ("about one that is long past", Some(7), None, 1),
        ("loosened, and the certificate says so", None, say(r#"{"maxLeafSeconds": 9}"#), 1),
        ("a path that it does not say", None, say(r#"{"pathLength": 3}"#), 2),
        ("names that it does not say", None, say(r#"{"permitted": {"dnsDomains": ["example.com"]}}"#), 2),
        ("names that it does not exclude", None, say(r#"{"excluded": {"uriDomains": ["example.com"]}}"#), 2),
    ];
    for (what, asked, loosened, step) in table {
        let valid = ValidAuthority::parse(&issuer("services")).unwrap();
        let world = World { asked, loosened, ..world(now, None, Some(shown())) };
        let Plan::Ensure { request } = decide(&valid, &world) else { panic!("{what}") };
        assert_eq!(request.request_key.clone().unwrap().step, step, "{what}");
        assert_eq!(at_revision(*request, &world).request_key.unwrap().step, 1, "{what}");
    }
}

#[test]
fn an_approval_that_was_used_is_shown_with_the_certificate_it_led_to() {
    let waiting = Outcome::AwaitingApproval { on: on(), approval: approval(2), authority: None };
    let asked = status(&IssuerStatus::default(), &waiting, 1, day("2030-01-01"));
    assert_eq!(waiting.facts(false).state, State::InProgress, "without an authority nothing goes on");
    assert_eq!(asked.approval, Some(approval(2)));
    let used =
        Outcome::Current { authority: Box::new(shown()), created: false, used: asked.approval.clone() };
    let told = status(&asked, &used, 1, day("2030-01-02"));
    let approval = told.approval.clone().unwrap();
    assert_eq!((approval.revision, approval.log_index), (1, Some(3)));
    assert_eq!(approval.used_at.unwrap().0, day("2030-01-02"));
    // Later looks keep what was used, and drop what was only asked for and is not needed any more.
    let quiet = Outcome::Current { authority: Box::new(shown()), created: false, used: None };
    assert_eq!(status(&told, &quiet, 1, day("2030-01-03")), told);
    assert_eq!(status(&asked, &quiet, 1, day("2030-01-03")).approval, None);
}

fn on() -> Awaited {
    Awaited {
        namespace: "keywright-system".into(),
        request: "ca-1".into(),
        class: "production".into(),
        missing: Vec::new(),
        expires: None,
        beside: Vec::new(),
    }
}

fn refused() -> Unagreed {
    Unagreed { namespace: "keywright-system".into(), request: "ca-1".into(), phase: ApprovalPhase::Denied }
}

fn approval(revision: i64) -> ObjectApproval {
    ObjectApproval {
        request: "ca-1".into(),
        class: "production".into(),
        effect_digest: format!("sha256:{}", "0".repeat(64)),
        revision,
        log_index: None,
        used_at: None,
    }
}

#[test]
fn a_child_waits_for_its_parent() {
    let valid = ValidAuthority::parse(&issuer("services")).unwrap();
    let on = |parent| match decide(&valid, &world(day("2030-01-01"), Some(parent), None)) {
        Plan::Wait { on } => on,
        Plan::Ensure { .. } => panic!("does not wait"),
    };
    assert_eq!(on(Standing::Missing), Waiting::IssuerMissing);
    let why = "no".to_owned();
    assert_eq!(on(Standing::NotReady { why: why.clone() }), Waiting::IssuerNotReady { why });
}

#[test]
fn every_outcome_has_one_state_one_reason_and_helpful_words() {
    let parent = || reference(IssuerKind::ClusterIssuer, "root");
    let words = || "so it is.".to_owned();
    let problem = ValidAuthority::parse(&ready(|i| i.spec.authority = None)).unwrap_err();
    let not_ready = Waiting::IssuerNotReady { why: "no".into() };
    let table = [
        (
            Outcome::Current { authority: Box::new(shown()), created: true, used: None },
            State::Current,
            "AuthorityReady",
            "2035-01-01",
        ),
        (
            Outcome::Waiting { on: Waiting::IssuerMissing, parent: parent() },
            State::InProgress,
            "ParentNotFound",
            "ClusterIssuer \"root\"",
        ),
        (Outcome::Waiting { on: not_ready, parent: parent() }, State::InProgress, "ParentNotReady", "no"),
        (Outcome::SignerUnavailable { words: words() }, State::InProgress, "SignerUnavailable", "so it is."),
        (Outcome::PoliciesChange { words: words() }, State::InProgress, "PoliciesChange", "so it is."),
        (Outcome::KeyLost { words: words() }, State::Failed, "KeyLost", "Bring the signer's volume back"),
        (Outcome::Invalid { problem }, State::Failed, "InvalidSpec", "exactly one of"),
        (Outcome::Refused { words: words() }, State::Failed, "Refused", "so it is."),
        (
            Outcome::LooseningRefused { words: words() },
            State::Failed,
            "LooseningRefused",
            "only become tighter",
        ),
        (
            Outcome::AwaitingApproval { on: on(), approval: approval(2), authority: None },
            State::Changing,
            "AwaitingApproval",
            "The authority signs as before. Class \"production\" has to agree",
        ),
        (
            Outcome::ApprovalRefused { because: refused(), authority: None },
            State::Kept,
            "ApprovalDenied",
            "delete that request to ask again. Meanwhile",
        ),
        (Outcome::ApprovalNotTaken { words: words() }, State::Changing, "ApprovalNotTaken", "so it is."),
    ];
    for (outcome, state, reason, words) in table {
        let facts = outcome.facts(true);
        assert_eq!((facts.state, facts.reason), (state, reason));
        assert!(facts.message.contains(words), "{}", facts.message);
        // Only a present answer replaces what is known; the same outcome says the same again.
        let old = ready(|_| {}).status.unwrap();
        let first = status(&old, &outcome, 2, day("2030-01-02"));
        assert_eq!(first.authority, old.authority, "{reason}");
        assert_eq!(status(&first, &outcome, 2, day("2031-01-01")), first, "{reason}");
    }
}

#[test]
fn others_rely_on_an_issuer_only_while_it_says_that_it_can_sign() {
    let table: &[(&str, fn(&mut Issuer), &str)] = &[
        ("ready", |_| {}, ""),
        ("not looked at", |i| i.status = None, "not been looked at"),
        (
            "the schema's default",
            |i| {
                i.status = Some(IssuerStatus { observed_generation: Some(-1), ..IssuerStatus::default() });
            },
            "not been looked at",
        ),
        ("not ready", |i| i.status.as_mut().unwrap().conditions[0].status = "False".into(), "AuthorityReady"),
        (
            "being deleted",
            |i| {
                i.metadata.deletion_timestamp = i.metadata.creation_timestamp.clone();
            },
            "being deleted",
        ),
        ("no certificate", |i| i.status.as_mut().unwrap().authority = None, "no certificate that reads"),
        (
            "garbage",
            |i| {
                let shown = i.status.as_mut().unwrap().authority.as_mut().unwrap();
                shown.certificate = Some("garbage".into());
            },
            "no certificate that reads",
        ),
        ("a spec that makes no sense", |i| i.spec.authority = None, "spec.authority"),
    ];
    for (what, change, why) in table {
        match read(&ready(change)) {
            Ok(authority) => {
                assert_eq!(*why, "", "{what}");
                assert_eq!(authority.own().der(), SERVICES.chain[0].der());
                assert!(authority.root().is_self_signed());
            }
            Err(said) => assert!(!why.is_empty() && said.contains(why), "{what}: {said}"),
        }
    }
}

#[test]
fn an_authority_stands_while_its_whole_chain_is_valid_give_or_take_a_clock() {
    let known = Ok(Arc::new(read(&ready(|_| {})).unwrap()));
    let table = [
        ("long before", day("2028-12-31"), false),
        ("a clock that is minutes behind", "2028-12-31T23:56:00Z".parse().unwrap(), true),
        ("the first second", day("2029-01-01"), true),
        ("in between", day("2030-01-01"), true),
        ("the last second", day("2035-01-01"), true),
        ("a second later", "2035-01-01T00:00:01Z".parse().unwrap(), false),
    ];
    for (what, now, stands) in table {
        assert_eq!(matches!(standing(Some(&known), now), Standing::Ready(_)), stands, "{what}");
    }
    assert!(matches!(standing(None, day("2030-01-01")), Standing::Missing));
    let broken = Err("why".to_owned());
    assert!(matches!(standing(Some(&broken), day("2030-01-01")), Standing::NotReady { why } if why == "why"));
}
