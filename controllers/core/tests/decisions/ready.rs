//! What a Certificate says of itself: state, reason, and words that name what to do.

use crate::scene::Scene;
use keywright_controllers_core::certificate::decide::{Blocked, LeafFacts, Plan, Waiting};
use keywright_controllers_core::certificate::held::Obstacle;
use keywright_controllers_core::certificate::ready::{Outcome, at_rest, invalid};
use keywright_controllers_core::certificate::valid::SpecProblem;
use keywright_controllers_core::conditions::State;
use keywright_testkit::objects::{certificate, reference};

fn leaf() -> LeafFacts {
    let Plan::Rest { leaf } = Scene::published(|_| {}).decide() else { panic!("not at rest") };
    leaf
}

fn blocked(because: Blocked) -> Outcome {
    Outcome::Blocked { because, secret: "web-tls".into() }
}

#[test]
fn every_outcome_has_one_state_one_reason_and_helpful_words() {
    let issuer = || reference(keywright_crds::IssuerKind::Issuer, "services");
    let words = || "because of this".to_owned();
    let why = || "Refused: no".to_owned();
    let table = [
        (Outcome::Current { leaf: leaf(), renewed: false }, State::Current, "Issued", "2030-04-01T00:00:00Z"),
        (
            Outcome::Waiting { on: Waiting::IssuerMissing, issuer: issuer(), leaf: None },
            State::InProgress,
            "IssuerNotFound",
            "create it",
        ),
        (
            Outcome::Waiting {
                on: Waiting::IssuerNotReady { why: why() },
                issuer: issuer(),
                leaf: Some(leaf()),
            },
            State::InProgress,
            "IssuerNotReady",
            "Meanwhile the Secret holds a certificate valid until 2030-04-01T00:00:00Z",
        ),
        (
            Outcome::SignerUnavailable { words: words(), leaf: None },
            State::InProgress,
            "SignerUnavailable",
            "because of this",
        ),
        (
            Outcome::PoliciesChange { words: words(), leaf: Some(leaf()) },
            State::InProgress,
            "PoliciesChange",
            "Meanwhile the Secret holds a certificate",
        ),
        (
            Outcome::AnswerUnusable { words: words(), leaf: None },
            State::InProgress,
            "AnswerUnusable",
            "because of this",
        ),
        (
            Outcome::SecretNotWritten { words: words(), leaf: Some(leaf()) },
            State::InProgress,
            "SecretNotWritten",
            "because of this",
        ),
        (
            invalid(SpecProblem::new("dnsNames", "no"), "web-tls"),
            State::Failed,
            "InvalidSpec",
            "spec.dnsNames: no",
        ),
        (
            blocked(Blocked::Limits(SpecProblem::new("duration", "no"))),
            State::Failed,
            "OutsideConstraints",
            "spec.duration: no",
        ),
        (blocked(Blocked::Refused { words: words() }), State::Failed, "Refused", "because of this"),
        (
            blocked(Blocked::Rival { name: "b".into() }),
            State::Failed,
            "DuplicateSecretName",
            "name another Secret",
        ),
        (
            blocked(Blocked::Secret(Obstacle::AnotherType { type_: "Opaque".into() })),
            State::Failed,
            "SecretOfAnotherType",
            "\"Opaque\"",
        ),
        (blocked(Blocked::Secret(Obstacle::NotOurs)), State::Failed, "SecretNotOurs", "name another Secret"),
        (
            blocked(Blocked::Secret(Obstacle::ForeignWriter { manager: "flux".into() })),
            State::Failed,
            "ForeignWriter",
            "\"flux\"",
        ),
    ];
    for (outcome, state, reason, words) in table {
        let facts = outcome.facts();
        assert_eq!((facts.state, facts.reason), (state, reason));
        assert!(facts.message.contains(words), "{}", facts.message);
    }
}

#[test]
fn plans_that_act_have_no_outcome_before_they_are_carried_out() {
    let valid = crate::scene::valid(&certificate("web"));
    let mut scene = Scene::published(|_| {});
    assert_eq!(at_rest(&scene.decide(), &valid).unwrap().facts().reason, "Issued");
    scene.put("ca.crt", b"x");
    assert!(at_rest(&scene.decide(), &valid).is_none(), "Republish");
    scene.secret = None;
    assert!(at_rest(&scene.decide(), &valid).is_none(), "Sign");
    scene.issuer = keywright_controllers_core::issuer::Standing::Missing;
    assert_eq!(at_rest(&scene.decide(), &valid).unwrap().facts().reason, "IssuerNotFound");
}
