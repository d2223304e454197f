//! Requests for approval that are deleted: they and their votes go only after the signer has told what they came to.

use crate::approvals::{asked, class, requests, vote};
use crate::rig::Rig;
use keywright_controllers_core::approval::KEPT;
use keywright_crds::{ApprovalDecision, ApprovalPhase, ApprovalRequest, ApprovalVerdict};
use keywright_testkit::Fault;
use keywright_testkit::objects::{NAMESPACE, certificate};
use kube::ResourceExt;
use std::time::Duration;

/// A request that bob denied after alice agreed, kept as admission keeps records.
async fn denied() -> (Rig, ApprovalRequest) {
    let rig = Rig::with_issuer().await;
    class(&rig);
    rig.signer.demand("production");
    rig.cluster.create(&certificate("web"));
    let request = asked(&rig).await;
    vote(&rig, &request, "alice", ApprovalVerdict::Approve);
    vote(&rig, &request, "bob", ApprovalVerdict::Deny);
    keep::<ApprovalRequest>(&rig, &request.name_any());
    for one in rig.cluster.all::<ApprovalDecision>() {
        keep::<ApprovalDecision>(&rig, &one.name_any());
    }
    rig.settle().await;
    let request = rig.cluster.get::<ApprovalRequest>(NAMESPACE, &request.name_any()).unwrap();
    assert_eq!(request.status.as_ref().and_then(|status| status.phase), Some(ApprovalPhase::Denied));
    (rig, request)
}

fn keep<K>(rig: &Rig, name: &str)
where
    K: kube::Resource<DynamicType = ()> + serde::Serialize + serde::de::DeserializeOwned,
{
    rig.cluster.edit::<K>(NAMESPACE, name, |object| {
        object.meta_mut().finalizers = Some(vec![KEPT.to_owned()]);
    });
}

/// Somebody deletes the namespace, which deletes the request and its votes.
fn delete_all(rig: &Rig, request: &ApprovalRequest) {
    rig.cluster.ask_to_delete::<ApprovalRequest>(NAMESPACE, &request.name_any(), rig.now());
    for one in votes(rig) {
        rig.cluster.ask_to_delete::<ApprovalDecision>(NAMESPACE, &one, rig.now());
    }
}

fn votes(rig: &Rig) -> Vec<String> {
    rig.cluster.all::<ApprovalDecision>().iter().map(ResourceExt::name_any).collect()
}

fn is_there(rig: &Rig, request: &ApprovalRequest) -> bool {
    requests(rig).iter().any(|one| one.uid() == request.uid())
}

#[tokio::test(start_paused = true)]
async fn what_ended_goes_with_its_votes_once_the_signer_has_told_it() {
    let (rig, request) = denied().await;
    let uid = request.uid().unwrap();
    rig.assert_quiet(Duration::from_hours(2)).await;
    assert_eq!(rig.signer.ended(&uid), None, "nobody deletes it");
    let voted = votes(&rig);
    assert_eq!(voted.len(), 2);
    delete_all(&rig, &request);
    rig.settle().await;
    assert!(!is_there(&rig, &request) && votes(&rig).is_empty());
    assert_eq!(rig.signer.ended(&uid), Some(voted), "all votes were there to be told");
}

#[tokio::test(start_paused = true)]
async fn while_the_signer_is_away_nothing_is_let_go_and_an_event_says_so() {
    let (rig, request) = denied().await;
    rig.signer.down(true);
    delete_all(&rig, &request);
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert!(is_there(&rig, &request));
    assert_eq!(votes(&rig).len(), 2);
    let events = rig.cluster.all::<k8s_openapi::api::events::v1::Event>();
    let told = events.iter().filter(|event| event.reason.as_deref() == Some("NotLogged")).count();
    assert_eq!(told, 1, "once, however often it is tried");
    rig.signer.down(false);
    rig.settle().await;
    assert!(!is_there(&rig, &request) && votes(&rig).is_empty());
    assert!(rig.signer.ended(&request.uid().unwrap()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_signer_that_reads_no_records_holds_up_nothing() {
    let (rig, request) = denied().await;
    rig.signer.reads_no_records();
    delete_all(&rig, &request);
    rig.settle().await;
    assert!(!is_there(&rig, &request) && votes(&rig).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_while_it_waits_is_withdrawn_first_and_told_then() {
    let rig = Rig::with_issuer().await;
    class(&rig);
    rig.signer.demand("production");
    rig.cluster.create(&certificate("web"));
    let request = asked(&rig).await;
    vote(&rig, &request, "alice", ApprovalVerdict::Approve);
    keep::<ApprovalRequest>(&rig, &request.name_any());
    keep::<ApprovalDecision>(&rig, &votes(&rig)[0]);
    rig.settle().await;
    delete_all(&rig, &request);
    rig.until("it is let go", |rig| !is_there(rig, &request)).await;
    assert_eq!(rig.signer.ended(&request.uid().unwrap()).map(|votes| votes.len()), Some(1));
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_write_of_a_release_all_votes_are_told_before_one_goes() {
    for halt in 0..4 {
        for fault in [Fault::Halt, Fault::HaltAfter] {
            let (mut rig, request) = denied().await;
            let voted = votes(&rig);
            rig.cluster.fail_write(rig.cluster.writes().len() + halt, fault);
            delete_all(&rig, &request);
            rig.through_a_halt(4, |rig| {
                let told = rig.signer.ended(&request.uid().unwrap());
                let whole = is_there(rig, &request) && votes(rig).len() == 2;
                assert!(whole || told.is_some(), "{halt} {fault:?}: let go before it was told");
            })
            .await;
            assert!(!is_there(&rig, &request) && votes(&rig).is_empty(), "{halt} {fault:?}");
            assert_eq!(rig.signer.ended(&request.uid().unwrap()), Some(voted), "{halt} {fault:?}");
        }
    }
}
