//! Votes and phases: denial wins, seats are filled by different people, what is final stays.

use jiff::{SignedDuration, Timestamp};
use keywright_approvals::{
    Authors, Class, EffectDigest, Group, Identity, Ignored, Observed, Phase, Proof, Recorded, Request,
    Signed, Use, Verdict, Vote, phase, phase::Wanted, tally,
};
use std::collections::{BTreeMap, BTreeSet};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a second of this era")
}

fn who(username: &str, groups: &[&str]) -> Identity {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    Identity { username: username.to_owned(), groups, ..Identity::default() }
}

fn class(groups: &[(&str, u32)]) -> Class {
    Class {
        name: "production".to_owned(),
        groups: groups
            .iter()
            .map(|(name, count)| Group {
                name: (*name).to_owned(),
                members: BTreeSet::from([(*name).to_owned()]),
                users: BTreeSet::new(),
                count: *count,
            })
            .collect(),
        request_ttl: SignedDuration::from_secs(100),
        grant_ttl: SignedDuration::from_secs(50),
        proof: Proof::None,
        service_accounts: BTreeSet::new(),
        principals: BTreeMap::new(),
    }
}

fn request() -> Request {
    Request {
        uid: "r".to_owned(),
        digest: EffectDigest::from_octets([1; 32]),
        created: at(0),
        requester: who("bob", &["security"]),
        requested_for: Some("carol".to_owned()),
        authors: Authors {
            creator: Some(who("dave", &["security"])),
            editors: vec![who("erin", &[]), Identity { uid: "u-frank".to_owned(), ..who("frank", &[]) }],
        },
    }
}

fn vote(approver: Identity, verdict: Verdict, second: i64) -> Vote {
    Vote {
        name: format!("vote-{}", approver.username),
        request_uid: "r".to_owned(),
        digest: request().digest,
        verdict,
        approver,
        may_approve: true,
        created: at(second),
        signed: Signed::No,
    }
}

fn yes(username: &str, groups: &[&str], second: i64) -> Vote {
    vote(who(username, groups), Verdict::Approve, second)
}

fn seen<'a>(request: &'a Request, class: &'a Class, votes: &'a [Vote], now: i64) -> Observed<'a> {
    Observed {
        now: at(now),
        request,
        class: Some(class),
        filed_under: None,
        votes,
        recorded: None,
        used: None,
        withdrawn: false,
        wanted: Wanted::Unknown,
    }
}

#[test]
fn two_of_security_and_one_dba_are_three_people() {
    let class = class(&[("security", 2), ("dba", 1)]);
    let both = ["security", "dba"];
    let table: [(&[Vote], bool); 5] = [
        (&[yes("a", &["security"], 1), yes("b", &["security"], 2)], false),
        (&[yes("a", &both, 1), yes("b", &["security"], 2)], false),
        (&[yes("a", &both, 1), yes("b", &["security"], 2), yes("c", &["security"], 3)], true),
        (&[yes("a", &both, 1), yes("b", &both, 2), yes("c", &both, 3)], true),
        (&[yes("a", &["dba"], 1), yes("b", &["dba"], 2), yes("c", &["security"], 3)], false),
    ];
    for (votes, met) in table {
        assert_eq!(tally(&class, &request(), votes).met_at.is_some(), met, "{votes:?}");
    }
}

#[test]
fn nobody_approves_their_own() {
    let mut class = class(&[("security", 1)]);
    class.principals.insert("bob-admin".to_owned(), "bob".to_owned());
    class.principals.insert("bob".to_owned(), "bob".to_owned());
    for (name, why) in [
        ("bob", Ignored::OwnRequest),
        ("bob-admin", Ignored::OwnRequest),
        ("carol", Ignored::OwnBenefit),
        ("dave", Ignored::OwnTarget),
        ("erin", Ignored::OwnEdit),
        ("frank", Ignored::OwnEdit),
        ("system:serviceaccount:ci:robot", Ignored::Machine),
    ] {
        let votes = [yes(name, &["security"], 1)];
        let standing = phase(&seen(&request(), &class, &votes, 2));
        assert_eq!((standing.phase, standing.ignored[0].1), (Phase::Pending, why), "{name}");
    }
    let mut renamed = who("frank-again", &["security"]);
    renamed.uid = "u-frank".to_owned();
    let standing = phase(&seen(&request(), &class, &[vote(renamed, Verdict::Approve, 1)], 2));
    assert_eq!(standing.ignored[0].1, Ignored::OwnEdit, "the same person by UID");
}

#[test]
fn whoever_changed_it_may_deny_it() {
    let class = class(&[("security", 1)]);
    let votes = [vote(who("erin", &["security"]), Verdict::Deny, 1)];
    assert_eq!(phase(&seen(&request(), &class, &votes, 2)).phase, Phase::Denied);
}

#[test]
fn a_vote_for_another_object_or_effect_does_not_count() {
    let (class, request) = (class(&[("security", 1)]), request());
    let good = yes("a", &["security"], 1);
    let old = Vote { request_uid: "r-before".to_owned(), ..good.clone() };
    let other = Vote { digest: EffectDigest::from_octets([2; 32]), ..good.clone() };
    let lost = Vote { may_approve: false, ..good.clone() };
    for vote in [old, other, lost] {
        assert_eq!(phase(&seen(&request, &class, &[vote], 2)).phase, Phase::Pending);
    }
    assert_eq!(phase(&seen(&request, &class, &[good], 2)).phase, Phase::Approved);
}

#[test]
fn a_denial_of_the_same_instant_wins_in_every_order() {
    let (class, request) = (class(&[("security", 2)]), request());
    let mut votes = vec![
        yes("a", &["security"], 5),
        yes("b", &["security"], 5),
        vote(who("c", &["security"]), Verdict::Deny, 5),
    ];
    for turn in 0..10_000 {
        votes.rotate_left(1);
        if turn % 2 == 0 {
            votes.swap(0, 1);
        }
        assert_eq!(phase(&seen(&request, &class, &votes, 5)).phase, Phase::Denied);
    }
}

#[test]
fn edits_of_a_class_only_tighten() {
    let request = request();
    let (strict, loose) = (class(&[("security", 2)]), class(&[("security", 1)]));
    let votes = [yes("a", &["security"], 1)];
    for (now, filed) in [(&loose, &strict), (&strict, &loose)] {
        let seen = Observed { filed_under: Some(filed), ..seen(&request, now, &votes, 2) };
        assert_eq!(phase(&seen).phase, Phase::Pending);
    }
    let gone = Observed { class: None, filed_under: Some(&loose), ..seen(&request, &loose, &votes, 2) };
    assert_eq!(phase(&gone).phase, Phase::Pending);
}

#[test]
fn both_limits_hold() {
    let (class, request) = (class(&[("security", 1)]), request());
    let votes = [yes("a", &["security"], 10)];
    let none: [Vote; 0] = [];
    let late = [yes("a", &["security"], 101)];
    for (votes, now, wanted) in [
        (&none[..], 100, Phase::Pending),
        (&none[..], 101, Phase::Expired),
        (&votes[..], 60, Phase::Approved),
        (&votes[..], 61, Phase::Expired),
        (&late[..], 101, Phase::Expired),
    ] {
        assert_eq!(phase(&seen(&request, &class, votes, now)).phase, wanted, "{now}");
    }
}

#[test]
fn every_step_from_every_phase_is_one_that_may_follow_and_terminal_phases_stay() {
    let (class, request) = (class(&[("security", 1)]), request());
    let denial = vote(who("c", &["security"]), Verdict::Deny, 1);
    let own = vote(who("bob", &["security"]), Verdict::Deny, 1);
    let tables: [&[Vote]; 4] = [&[], &[yes("a", &["security"], 1)], &[denial], &[own]];
    for before in Phase::ALL {
        for votes in tables {
            for (now, used, wanted) in [
                (2, None, Wanted::Unknown),
                (200, None, Wanted::Unknown),
                (2, None, Wanted::Nothing),
                (2, Some(Use { at: at(2) }), Wanted::Unknown),
                (200, Some(Use { at: at(2) }), Wanted::Nothing),
            ] {
                let recorded = Some(Recorded { phase: before });
                let next = phase(&Observed { recorded, used, wanted, ..seen(&request, &class, votes, now) });
                assert!(before.may_become(next.phase), "{before} -> {}", next.phase);
                if before.is_terminal() {
                    assert_eq!(next.phase, before);
                }
            }
        }
    }
}

#[test]
fn a_requester_withdraws_and_a_late_denial_revokes() {
    let (class, request) = (class(&[("security", 1)]), request());
    let own = [vote(who("bob", &["security"]), Verdict::Deny, 1)];
    assert_eq!(phase(&seen(&request, &class, &own, 2)).phase, Phase::Withdrawn);
    let denial = [yes("a", &["security"], 1), vote(who("c", &["security"]), Verdict::Deny, 4)];
    let used = Observed {
        recorded: Some(Recorded { phase: Phase::Consumed }),
        used: Some(Use { at: at(3) }),
        ..seen(&request, &class, &denial, 5)
    };
    assert_eq!(phase(&used).phase, Phase::Revoked);
}
