//! Certificates that people have to agree to. The tests stand in for admission: they stamp who asked and who votes.

use crate::rig::Rig;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use keywright_approvals::records::EDITOR_USERNAMES;
use keywright_approvals::vote_name;
use keywright_controllers_core::certificate::{approval::pending_name, mark};
use keywright_crds::{
    ApprovalClass, ApprovalClassSpec, ApprovalDecision, ApprovalDecisionSpec, ApprovalGroup, ApprovalPhase,
    ApprovalRequest, ApprovalVerdict, Certificate, RequestRef, UserIdentity,
};
use keywright_testkit::Fault;
use keywright_testkit::objects::{NAMESPACE, certificate};
use kube::ResourceExt;
use std::time::Duration;

const OPERATOR: &str = "system:serviceaccount:keywright-system:keywright-operator";

/// Class `production`: two of three have to agree.
pub(crate) fn class(rig: &Rig) {
    let people = ["alice", "bob", "carol"].map(str::to_owned).to_vec();
    let group = ApprovalGroup { name: "security".into(), users: people, ..ApprovalGroup::default() };
    let spec = ApprovalClassSpec { groups: vec![group], ..ApprovalClassSpec::default() };
    rig.cluster.create(&ApprovalClass::new("production", spec));
}

/// Each certificate needs agreement; Certificate `web` exists.
async fn rig() -> Rig {
    let rig = Rig::with_issuer().await;
    class(&rig);
    rig.signer.demand("production");
    rig.cluster.create(&certificate("web"));
    rig
}

pub(crate) fn requests(rig: &Rig) -> Vec<ApprovalRequest> {
    rig.cluster.all::<ApprovalRequest>()
}

/// What admission does to requests that lack it.
pub(crate) fn stamp(rig: &Rig) {
    for request in requests(rig).iter().filter(|request| request.spec.requester.is_none()) {
        let namespace = request.namespace().unwrap();
        rig.cluster.edit::<ApprovalRequest>(&namespace, &request.name_any(), |request| {
            request.spec.requester = Some(user(OPERATOR));
        });
    }
}

fn user(name: &str) -> UserIdentity {
    UserIdentity { username: name.into(), ..UserIdentity::default() }
}

pub(crate) fn vote(rig: &Rig, request: &ApprovalRequest, who: &str, verdict: ApprovalVerdict) {
    let uid = request.uid().unwrap();
    let mut decision = ApprovalDecision::new(
        &vote_name(&uid, who),
        ApprovalDecisionSpec {
            request_ref: RequestRef { name: request.name_any(), uid },
            effect_digest: request.spec.effect_digest.clone(),
            verdict,
            approver: Some(user(who)),
            ..ApprovalDecisionSpec::default()
        },
    );
    decision.metadata.namespace = request.namespace();
    decision.metadata.creation_timestamp = Some(Time(rig.now()));
    rig.cluster.create(&decision);
}

/// Alice and bob agree, unless they did.
pub(crate) fn approve(rig: &Rig, request: &ApprovalRequest) {
    if rig.cluster.all::<ApprovalDecision>().is_empty() {
        vote(rig, request, "alice", ApprovalVerdict::Approve);
        vote(rig, request, "bob", ApprovalVerdict::Approve);
    }
}

/// The first request, once it was filed and looked at.
pub(crate) async fn asked(rig: &Rig) -> ApprovalRequest {
    rig.until("a request is filed", |rig| !requests(rig).is_empty()).await;
    stamp(rig);
    rig.settle().await;
    requests(rig).pop().unwrap()
}

/// The request that came after `first`, once it was looked at.
pub(crate) async fn asked_again(rig: &Rig, first: &ApprovalRequest) -> ApprovalRequest {
    let other = |rig: &Rig| requests(rig).into_iter().find(|request| request.uid() != first.uid());
    rig.until("another request", |rig| other(rig).is_some()).await;
    stamp(rig);
    rig.settle().await;
    other(rig).unwrap()
}

/// Two of three agree.
pub(crate) async fn agree(rig: &Rig, request: &ApprovalRequest) {
    vote(rig, request, "alice", ApprovalVerdict::Approve);
    vote(rig, request, "bob", ApprovalVerdict::Approve);
    rig.settle().await;
}

fn phase(rig: &Rig, name: &str) -> Option<ApprovalPhase> {
    phase_of(rig, NAMESPACE, name)
}

pub(crate) fn phase_of(rig: &Rig, namespace: &str, name: &str) -> Option<ApprovalPhase> {
    rig.cluster.get::<ApprovalRequest>(namespace, name)?.status?.phase
}

fn kept(rig: &Rig) -> Option<Secret> {
    let name = pending_name(&rig.cert("web").uid().unwrap());
    rig.secret(&name).filter(|secret| secret.data.as_ref().is_some_and(|data| !data.is_empty()))
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_people_says_for_whom_and_writes_nothing_meanwhile() {
    let rig = rig().await;
    let request = asked(&rig).await;
    assert_eq!(rig.ready("web"), "Unknown AwaitingApproval");
    let told = rig.message("web");
    for words in ["production", "2 of security", "kubectl keywright approve", &request.name_any()] {
        assert!(told.contains(words), "{words} is missing in {told}");
    }
    assert!(request.spec.diff.as_ref().unwrap().contains("+ DNS name: web.example.com"));
    assert!(kept(&rig).is_some() && rig.secret("web-tls").is_none());
    let before = rig.signer.asked().len();
    rig.assert_quiet(Duration::from_hours(20)).await;
    assert_eq!(rig.signer.asked().len(), before, "the signer is not asked in vain");
}

#[tokio::test(start_paused = true)]
async fn when_all_agreed_it_is_issued_with_the_key_they_saw_and_the_kept_one_is_wiped() {
    let rig = rig().await;
    let request = asked(&rig).await;
    vote(&rig, &request, "alice", ApprovalVerdict::Approve);
    rig.settle().await;
    assert!(rig.message("web").contains("1 of security"), "{}", rig.message("web"));
    vote(&rig, &request, "bob", ApprovalVerdict::Approve);
    rig.settle().await;
    rig.assert_good("web");
    assert!(kept(&rig).is_none(), "the kept key is wiped");
    assert_eq!(rig.issued("web"), 1);
    let digest = rig.leaf("web-tls").unwrap().public_key().spki_sha256();
    assert!(
        request.spec.effect.contains(&hex::encode(digest)),
        "the certified key is the one that stands in the effect"
    );
    let used = rig.cert("web").status.unwrap().approval.unwrap();
    assert_eq!((used.request, used.log_index), (request.name_any(), Some(7)));
    assert!(matches!(phase(&rig, &request.name_any()), Some(ApprovalPhase::Consumed | ApprovalPhase::Ended)));
    let brought = rig.signer.asked().pop().unwrap().approvals;
    assert_eq!((brought.len(), brought[0].uid.clone()), (1, request.uid().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn neither_the_operator_nor_strangers_nor_one_person_twice_make_a_quorum() {
    let rig = rig().await;
    let request = asked(&rig).await;
    for who in ["alice", OPERATOR, "mallory"] {
        vote(&rig, &request, who, ApprovalVerdict::Approve);
    }
    rig.settle().await;
    assert_eq!(rig.ready("web"), "Unknown AwaitingApproval");
    let status = rig.cluster.get::<ApprovalRequest>(NAMESPACE, &request.name_any()).unwrap().status.unwrap();
    assert_eq!(status.votes.iter().filter(|vote| vote.ignored.is_some()).count(), 2);
    assert_eq!(rig.issued("web"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_denial_is_final_until_somebody_asks_again_and_then_it_is_another_effect() {
    let rig = rig().await;
    let request = asked(&rig).await;
    for (who, verdict) in [
        ("alice", ApprovalVerdict::Approve),
        ("carol", ApprovalVerdict::Deny),
        ("bob", ApprovalVerdict::Approve),
    ] {
        vote(&rig, &request, who, verdict);
    }
    rig.settle().await;
    assert_eq!((rig.ready("web").as_str(), rig.issued("web")), ("False ApprovalDenied", 0));
    let said = requests(&rig).into_iter().find_map(|request| request.status).unwrap().conditions;
    assert!(said.iter().any(|one| one.message == "carol denied it; that is final."), "{said:?}");
    rig.cluster.edit::<Certificate>(NAMESPACE, "web", |cert| {
        cert.annotations_mut().insert(mark::RENEW.into(), "again".into());
    });
    rig.until("another request", |rig| requests(rig).len() == 2).await;
    stamp(&rig);
    rig.settle().await;
    assert_eq!(rig.ready("web"), "Unknown AwaitingApproval");
    assert_eq!(phase(&rig, &request.name_any()), Some(ApprovalPhase::Denied));
    let other = requests(&rig).into_iter().find(|other| other.uid() != request.uid()).unwrap();
    assert_ne!(other.spec.effect_digest, request.spec.effect_digest);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_answers_expires() {
    let rig = rig().await;
    let request = asked(&rig).await;
    tokio::time::sleep(Duration::from_hours(24)).await;
    assert_eq!(phase(&rig, &request.name_any()), Some(ApprovalPhase::Expired));
    for who in ["alice", "bob"] {
        vote(&rig, &request, who, ApprovalVerdict::Approve);
    }
    rig.settle().await;
    assert_eq!((rig.ready("web").as_str(), rig.issued("web")), ("False ApprovalExpired", 0));
}

#[tokio::test(start_paused = true)]
async fn another_spec_is_another_effect_and_gives_the_earlier_one_up() {
    let rig = rig().await;
    let first = asked(&rig).await;
    vote(&rig, &first, "alice", ApprovalVerdict::Approve);
    rig.cluster
        .edit::<Certificate>(NAMESPACE, "web", |cert| cert.spec.dns_names.push("more.example.com".into()));
    rig.until("another request", |rig| requests(rig).len() == 2).await;
    stamp(&rig);
    vote(&rig, &first, "bob", ApprovalVerdict::Approve);
    rig.settle().await;
    assert_eq!(phase(&rig, &first.name_any()), Some(ApprovalPhase::Superseded));
    assert_eq!((rig.ready("web").as_str(), rig.issued("web")), ("Unknown AwaitingApproval", 0));
}

/// What admission does to an edit by somebody.
fn edit(rig: &Rig, who: &str, dns_name: &str) {
    rig.cluster.edit::<Certificate>(NAMESPACE, "web", |cert| {
        cert.spec.dns_names.push(dns_name.into());
        let editors = cert.annotations_mut().entry(EDITOR_USERNAMES.into()).or_default();
        *editors = if editors.is_empty() { who.to_owned() } else { format!("{editors}\n{who}") };
    });
}

#[tokio::test(start_paused = true)]
async fn whoever_changed_it_is_named_in_the_request_and_does_not_count_and_others_do() {
    let rig = Rig::with_issuer().await;
    class(&rig);
    rig.signer.demand("production");
    let mut web = certificate("web");
    web.annotations_mut().insert(EDITOR_USERNAMES.into(), "carol".into());
    rig.cluster.create(&web);
    let request = asked(&rig).await;
    let named = |request: &ApprovalRequest| -> Vec<String> {
        request.spec.target_editors.iter().map(|editor| editor.username.clone()).collect()
    };
    assert_eq!(named(&request), ["carol"]);
    vote(&rig, &request, "carol", ApprovalVerdict::Approve);
    vote(&rig, &request, "alice", ApprovalVerdict::Approve);
    rig.settle().await;
    let status = rig.cluster.get::<ApprovalRequest>(NAMESPACE, &request.name_any()).unwrap().status.unwrap();
    let ignored: Vec<_> = status.votes.iter().filter_map(|vote| vote.ignored.clone()).collect();
    assert_eq!(ignored, ["nobody approves what they changed"]);
    assert_eq!(rig.issued("web"), 0);
    vote(&rig, &request, "bob", ApprovalVerdict::Approve);
    rig.settle().await;
    rig.assert_good("web");
    let brought = rig.signer.asked().pop().unwrap().approvals;
    assert_eq!(brought[0].uid, request.uid().unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_edit_while_people_decide_asks_anew_and_names_its_editor_too() {
    let rig = rig().await;
    edit(&rig, "alice", "one.example.com");
    let first = asked(&rig).await;
    edit(&rig, "carol", "two.example.com");
    let second = asked_again(&rig, &first).await;
    let named: Vec<_> = second.spec.target_editors.iter().map(|editor| editor.username.as_str()).collect();
    assert_eq!(named, ["alice", "carol"]);
    assert_eq!(phase(&rig, &first.name_any()), Some(ApprovalPhase::Superseded));
    for who in ["alice", "carol", "bob"] {
        vote(&rig, &second, who, ApprovalVerdict::Approve);
    }
    rig.settle().await;
    assert_eq!(
        (rig.ready("web").as_str(), rig.issued("web")),
        ("Unknown AwaitingApproval", 0),
        "bob stands alone"
    );
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_write_it_still_asks_once_and_issues_once() {
    for halt in 0..12 {
        for fault in [Fault::Halt, Fault::HaltAfter] {
            let mut rig = rig().await;
            rig.cluster.fail_write(rig.cluster.writes().len() + halt, fault);
            let voted = |rig: &Rig| rig.cluster.all::<ApprovalDecision>().len() == 2;
            let mut halted = false;
            for _ in 0..4 {
                tokio::select! {
                    () = rig.cluster.halted(), if !halted => halted = true,
                    () = tokio::time::sleep(Duration::from_mins(1)) => {}
                }
                if halted {
                    rig.crash();
                    rig.start().await;
                    rig.settle().await;
                    break;
                }
                stamp(&rig);
                if let Some(request) = requests(&rig).pop().filter(|_| !voted(&rig)) {
                    vote(&rig, &request, "alice", ApprovalVerdict::Approve);
                    vote(&rig, &request, "bob", ApprovalVerdict::Approve);
                }
            }
            stamp(&rig);
            rig.settle().await;
            if let Some(request) = requests(&rig).pop().filter(|_| !voted(&rig)) {
                vote(&rig, &request, "alice", ApprovalVerdict::Approve);
                vote(&rig, &request, "bob", ApprovalVerdict::Approve);
            }
            rig.settle().await;
            rig.assert_good("web");
            assert_eq!((requests(&rig).len(), rig.issued("web")), (1, 1), "{halt} {fault:?}");
            assert!(kept(&rig).is_none(), "{halt} {fault:?}");
        }
    }
}
