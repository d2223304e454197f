//! Requests for approval that ended: told in the log once, with all votes, by what the signer reads itself.

use crate::support::{Bench, NOW};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use keywright_approvals::{
    Authors, Class, EffectDigest, Group, Identity, Phase, Proof, Recorded, Request, Signed, Verdict, Vote,
    vote_name,
};
use keywright_signer::approval::Gate;
use keywright_signer::approval::ended::{Outcome, Reported};
use keywright_signer::engine::Answer;
use keywright_signer::refusal::{Reason, Refusal};
use keywright_signer_cluster::{Found, ReadError, Records, Target, Wanted};
use keywright_signer_protocol::v1alpha1 as wire;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// UID of the ApprovalRequest.
const ASKED: &str = "7a8fad5b-d9cb-469f-a165-00000000000a";
/// UID of the Certificate.
const WEB: &str = "0f8fad5b-d9cb-469f-a165-00000000000b";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn who(username: &str) -> Identity {
    Identity {
        username: username.into(),
        groups: BTreeSet::from(["security".to_owned()]),
        ..Identity::default()
    }
}

fn vote(username: &str, verdict: Verdict, created: i64) -> Vote {
    Vote {
        name: vote_name(ASKED, username),
        request_uid: ASKED.into(),
        digest: EffectDigest::from_octets([7; 32]),
        verdict,
        approver: who(username),
        may_approve: true,
        created: at(created),
        signed: Signed::No,
    }
}

/// Filed ten minutes ago by the operator for erin's Certificate that frank changed; alice agreed, one of two.
fn found() -> Found {
    let class = Class {
        name: "production".into(),
        groups: vec![Group {
            name: "security".into(),
            members: BTreeSet::from(["security".to_owned()]),
            users: BTreeSet::new(),
            count: 2,
        }],
        request_ttl: SignedDuration::from_hours(1),
        grant_ttl: SignedDuration::from_hours(1),
        proof: Proof::None,
        service_accounts: BTreeSet::new(),
        principals: BTreeMap::new(),
    };
    let votes = vec![vote("alice", Verdict::Approve, NOW - 500)];
    let signatures = BTreeMap::from([(votes[0].name.clone(), "-----BEGIN SSH SIGNATURE-----".to_owned())]);
    Found {
        request: Request {
            uid: ASKED.into(),
            digest: EffectDigest::from_octets([7; 32]),
            created: at(NOW - 600),
            requester: who("system:serviceaccount:keywright-system:keywright-operator"),
            requested_for: None,
            authors: Authors { creator: Some(who("erin")), editors: vec![who("frank")] },
        },
        class_name: "production".into(),
        class: Some(class.clone()),
        filed_under: Some(class),
        votes,
        recorded: Some(Recorded { phase: Phase::Pending }),
        target: Target {
            kind: "Certificate".into(),
            namespace: "shop".into(),
            name: "web".into(),
            uid: WEB.into(),
        },
        target_is_gone: false,
        deleted: None,
        signatures,
        server_time: at(NOW),
    }
}

fn with(change: impl FnOnce(&mut Found)) -> Found {
    let mut found = found();
    change(&mut found);
    found
}

/// What the API server answers.
struct Cluster(Mutex<Result<Found, ReadError>>);

impl Records for Cluster {
    fn read<'a>(&'a self, _: &'a Wanted) -> BoxFuture<'a, Result<Found, ReadError>> {
        let answer = self.0.lock().unwrap().clone();
        async move { answer }.boxed()
    }
}

struct Scene {
    bench: Bench,
    cluster: Arc<Cluster>,
}

impl Scene {
    fn new(answer: Result<Found, ReadError>) -> Self {
        let cluster = Arc::new(Cluster(Mutex::new(answer)));
        let mut bench = Bench::new();
        bench.gate = Gate { records: Some(Arc::clone(&cluster) as Arc<dyn Records>), ..Gate::default() };
        bench.close();
        bench.open().unwrap();
        Self { bench, cluster }
    }

    fn so(&self, answer: Result<Found, ReadError>) {
        *self.cluster.0.lock().unwrap() = answer;
    }

    async fn report(&self) -> Result<Answer, Refusal> {
        report(&self.bench).await
    }
}

async fn report(bench: &Bench) -> Result<Answer, Refusal> {
    let message =
        wire::LogEndedApprovalRequest { namespace: "shop".into(), name: "web-1".into(), uid: ASKED.into() };
    bench.engine().log_ended(Reported::parse(&message)?, "keywright-operator".into()).await
}

/// What is so beside what [`found`] says.
type Changes = Vec<Box<dyn FnOnce(&mut Found)>>;

fn missing() -> ReadError {
    ReadError::Missing { namespace: "shop".into(), name: "web-1".into(), uid: ASKED.into() }
}

#[test]
fn what_it_came_to_is_found_by_votes_clock_and_ledger() {
    let denied = |found: &mut Found| found.votes.push(vote("bob", Verdict::Deny, NOW - 400));
    let agreed = |found: &mut Found| found.votes.push(vote("bob", Verdict::Approve, NOW - 400));
    let told = |phase| move |found: &mut Found| found.recorded = Some(Recorded { phase });
    let deleted = |at_second| move |found: &mut Found| found.deleted = Some(at(at_second));
    let table: Vec<(&str, Changes, bool, i64, Option<Outcome>)> = vec![
        ("it waits", vec![], false, NOW, None),
        ("all agreed", vec![Box::new(agreed)], false, NOW, None),
        ("denied", vec![Box::new(denied)], false, NOW, Some(Outcome::Denied)),
        ("denied, says nobody", vec![Box::new(told(Phase::Denied))], false, NOW, None),
        ("expired", vec![], false, NOW + 3001, Some(Outcome::Expired)),
        ("expired, says the operator only", vec![Box::new(told(Phase::Expired))], false, NOW, None),
        ("not used in time", vec![Box::new(agreed)], false, NOW + 3201, Some(Outcome::Expired)),
        ("given up", vec![Box::new(told(Phase::Superseded))], false, NOW, Some(Outcome::Superseded)),
        (
            "the target is gone",
            vec![Box::new(|f: &mut Found| f.target_is_gone = true)],
            false,
            NOW,
            Some(Outcome::Superseded),
        ),
        (
            "given up and denied",
            vec![Box::new(told(Phase::Superseded)), Box::new(denied)],
            false,
            NOW,
            Some(Outcome::Denied),
        ),
        (
            "taken back",
            vec![Box::new(|f: &mut Found| {
                f.votes = vec![vote(&f.request.requester.username.clone(), Verdict::Deny, NOW - 1)];
            })],
            false,
            NOW,
            Some(Outcome::Withdrawn),
        ),
        (
            "deleted while it waited",
            vec![Box::new(deleted(NOW - 5))],
            false,
            NOW + 9000,
            Some(Outcome::Withdrawn),
        ),
        (
            "deleted after its time",
            vec![Box::new(deleted(NOW + 8000))],
            false,
            NOW + 9000,
            Some(Outcome::Expired),
        ),
        ("deleted in the future", vec![Box::new(deleted(NOW + 8000))], false, NOW, Some(Outcome::Withdrawn)),
        ("used", vec![Box::new(agreed), Box::new(told(Phase::Ended))], true, NOW + 9000, None),
        ("used and deleted", vec![Box::new(agreed), Box::new(deleted(NOW))], true, NOW, Some(Outcome::Used)),
        (
            "used and denied",
            vec![
                Box::new(agreed),
                Box::new(|f: &mut Found| {
                    f.votes.push(vote("carol", Verdict::Deny, NOW));
                }),
            ],
            true,
            NOW,
            Some(Outcome::Revoked),
        ),
        (
            "no class any more",
            vec![Box::new(|f: &mut Found| (f.class, f.filed_under) = (None, None)), Box::new(deleted(NOW))],
            false,
            NOW,
            Some(Outcome::Withdrawn),
        ),
    ];
    for (so, changes, is_used, now, wanted) in table {
        let mut found = found();
        for change in changes {
            change(&mut found);
        }
        assert_eq!(Outcome::of(&found, is_used, at(now)), wanted, "{so}");
    }
}

#[tokio::test]
async fn all_votes_are_told_once_and_no_name_is_in_the_log() {
    let denied = with(|found| {
        found.votes.push(vote("bob", Verdict::Deny, NOW - 400));
        found.votes.push(vote("frank", Verdict::Approve, NOW - 300));
        found.recorded = Some(Recorded { phase: Phase::Denied });
    });
    let mut scene = Scene::new(Ok(denied));
    let first = scene.report().await.unwrap();
    assert!(!first.repeated);
    let again = scene.report().await.unwrap();
    assert!(again.repeated && again.log_index == first.log_index);
    // The objects are let go; the process ends. Whoever reports once more hears the same.
    scene.so(Err(missing()));
    scene.bench.close();
    scene.bench.open().unwrap();
    let late = scene.report().await.unwrap();
    assert!(late.repeated && late.log_index == first.log_index);

    let entries = scene.bench.published(1).await;
    let entry = &entries[usize::try_from(first.log_index).unwrap()];
    assert_eq!(Bench::kinds(&entries), ["approval-ended"], "one entry");
    for (field, wanted) in [
        ("request", ASKED),
        ("uid", WEB),
        ("target", "Certificate"),
        ("class", "production"),
        ("outcome", "denied"),
        ("told", "Denied"),
        ("caller", "keywright-operator"),
        ("effect", &EffectDigest::from_octets([7; 32]).to_string()),
    ] {
        assert_eq!(entry[field], wanted, "{field}");
    }
    assert_eq!((entry["approvals"].as_u64(), entry["denials"].as_u64()), (Some(2), Some(1)));
    assert_eq!(entry["signatures"].as_array().unwrap().len(), 1);
    assert_eq!(entry["votes"].as_str().unwrap().len(), 64);
    let text = entries[0].to_string();
    for name in ["alice", "bob", "erin", "frank", "shop", "web-1", "SSH SIGNATURE"] {
        assert!(!text.contains(name), "{name} is in the log: {text}");
    }
}

#[tokio::test]
async fn two_reports_at_once_make_one_entry() {
    let scene = Scene::new(Ok(with(|found| found.deleted = Some(at(NOW)))));
    let (one, other) = tokio::join!(scene.report(), scene.report());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.log_index, other.log_index);
    assert_ne!(one.repeated, other.repeated);
    assert_eq!(scene.bench.published(1).await.len(), 1);
}

#[tokio::test]
async fn what_has_not_ended_is_not_there_or_cannot_be_read_is_refused_and_told_later() {
    let scene = Scene::new(Ok(found()));
    let reason = |answer: Result<Answer, Refusal>| answer.err().map(|refusal| refusal.reason);
    assert_eq!(reason(scene.report().await), Some(Reason::NotEnded));
    scene.so(Err(missing()));
    assert_eq!(reason(scene.report().await), Some(Reason::UnknownRequest));
    scene.so(Err(ReadError::Unavailable("connection refused".into())));
    assert_eq!(reason(scene.report().await), Some(Reason::Unavailable));
    scene.so(Ok(with(|found| {
        found.deleted = Some(at(NOW));
        found.server_time = at(NOW + 31);
    })));
    assert_eq!(reason(scene.report().await), Some(Reason::Unavailable), "nobody knows what time it is");
    scene.so(Ok(with(|found| found.deleted = Some(at(NOW)))));
    assert!(!scene.report().await.unwrap().repeated);
    let entries = scene.bench.published(5).await;
    assert_eq!(Bench::kinds(&entries)[..4], ["refusal"; 4]);
    let refusal = &entries[0];
    assert_eq!(
        (refusal["operation"].as_str(), refusal["uid"].as_str()),
        (Some("LogEndedApproval"), Some(ASKED))
    );
}

#[tokio::test]
async fn a_signer_without_access_says_that_it_reads_no_records() {
    let bench = Bench::new();
    let refusal = report(&bench).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::NoRecords, "{refusal}");
    assert!(refusal.fix.contains("--kubeconfig"), "{refusal}");
}

#[test]
fn a_report_names_a_request_or_is_malformed() {
    let good =
        wire::LogEndedApprovalRequest { namespace: "shop".into(), name: "web-1".into(), uid: ASKED.into() };
    Reported::parse(&good).unwrap();
    for (field, bad) in [
        ("namespace", wire::LogEndedApprovalRequest { namespace: String::new(), ..good.clone() }),
        ("name", wire::LogEndedApprovalRequest { name: "../x".into(), ..good.clone() }),
        ("uid", wire::LogEndedApprovalRequest { uid: "7".into(), ..good }),
    ] {
        let refusal = Reported::parse(&bad).unwrap_err();
        assert_eq!((refusal.reason, refusal.field.as_str()), (Reason::Malformed, field));
    }
}
