//! The status: formed anew, the same for the same, and never longer than it may be.

use crate::scene::{Scene, day};
use keywright_controllers_core::certificate::decide::{Blocked, LeafFacts, Plan, Waiting};
use keywright_controllers_core::certificate::ready::Outcome;
use keywright_controllers_core::certificate::status::status;
use keywright_crds::CertificateStatus;

fn leaf(revision: u64) -> LeafFacts {
    let Plan::Rest { leaf } = Scene::published(|_| {}).decide() else { panic!("not at rest") };
    LeafFacts { revision, serial: format!("{revision:02x}"), ..leaf }
}

fn current(revision: u64) -> Outcome {
    Outcome::Current { leaf: leaf(revision), renewed: true }
}

#[test]
fn the_same_outcome_gives_the_same_status() {
    let refused = Outcome::Blocked { because: Blocked::Refused { words: "no".into() }, secret: "s".into() };
    let waiting = Outcome::Waiting {
        on: Waiting::IssuerMissing,
        issuer: Scene::published(|_| {}).cert.spec.issuer_ref,
        leaf: None,
    };
    for outcome in [current(1), refused, waiting] {
        let first = status(&CertificateStatus::default(), &outcome, 1, 3, day("2030-01-01"));
        assert_eq!(status(&first, &outcome, 1, 3, day("2030-06-01")), first, "{outcome:?}");
    }
}

#[test]
fn the_history_is_newest_first_and_as_long_as_asked_for() {
    let mut told = CertificateStatus::default();
    for revision in 1..=6 {
        told = status(&told, &current(revision), 1, 4, day("2030-01-01"));
    }
    let listed = |told: &CertificateStatus| told.revisions.iter().map(|r| r.revision).collect::<Vec<_>>();
    assert_eq!(listed(&told), [6, 5, 4, 3]);
    assert_eq!((told.revision, told.serial_number.as_deref()), (Some(6), Some("06")));
    let again = status(&told, &current(6), 1, 4, day("2030-01-02"));
    assert_eq!(listed(&again), [6, 5, 4, 3], "one entry for one certificate");
    let shorter = status(&told, &current(6), 1, 1, day("2030-01-02"));
    assert_eq!(listed(&shorter), [6]);
}

#[test]
fn a_blocked_certificate_keeps_what_is_known_of_its_last_one() {
    let told = status(&CertificateStatus::default(), &current(3), 1, 3, day("2030-01-01"));
    let blocked = Outcome::Blocked { because: Blocked::Rival { name: "b".into() }, secret: "s".into() };
    let then = status(&told, &blocked, 2, 3, day("2030-01-02"));
    assert_eq!((then.revision, then.not_after.clone()), (Some(3), told.not_after));
    assert_eq!(then.observed_generation, Some(2));
    assert_eq!(then.conditions.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>(), ["Ready", "Stalled"]);
    let back = status(&then, &current(3), 2, 3, day("2030-01-03"));
    assert_eq!(back.conditions.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>(), ["Ready"]);
}

#[test]
fn numbers_beyond_what_a_status_holds_are_cut_and_not_lost() {
    let huge = LeafFacts { revision: u64::MAX, log_index: Some(u64::MAX), ..leaf(1) };
    let told = status(
        &CertificateStatus::default(),
        &Outcome::Current { leaf: huge, renewed: true },
        1,
        3,
        day("2030-01-01"),
    );
    assert_eq!((told.revision, told.log_index), (Some(i64::MAX), None));
}
