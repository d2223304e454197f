//! Authorities whose constraints people may agree to loosen.

use crate::approvals::{agree, approve, asked, asked_again, class, phase_of, requests, stamp, vote};
use crate::rig::{HOME, Rig};
use keywright_controllers_core::conditions::{find, is_ready};
use keywright_crds::{
    ApprovalPhase, ApprovalRequest, ApprovalVerdict, AuthorityApprovals, ClusterIssuer, IssuerStatus,
};
use keywright_pki::{certificate::Certificate, pem};
use keywright_testkit::Fault;
use keywright_testkit::objects::cluster_issuer;
use kube::ResourceExt;
use std::time::Duration;

/// ClusterIssuer `guarded`, whose leaves live an hour at most; two of three people may agree to more.
async fn rig(loosening: Option<&str>) -> Rig {
    let rig = Rig::with_issuer().await;
    class(&rig);
    let mut guarded = cluster_issuer("guarded");
    let authority = guarded.spec.issuer.authority.as_mut().unwrap();
    authority.max_leaf_duration = Some("1h".into());
    authority.path_length = Some(0);
    authority.approvals = loosening
        .map(|class| AuthorityApprovals { loosening: Some(class.into()), ..AuthorityApprovals::default() });
    rig.cluster.create(&guarded);
    rig.settle().await;
    rig
}

fn edit(rig: &Rig, longest: &str) {
    rig.cluster.edit::<ClusterIssuer>("", "guarded", |issuer| {
        issuer.spec.issuer.authority.as_mut().unwrap().max_leaf_duration = Some(longest.into());
    });
}

fn status(rig: &Rig) -> IssuerStatus {
    rig.cluster.get::<ClusterIssuer>("", "guarded").unwrap().status.unwrap()
}

fn held(rig: &Rig) -> Option<u64> {
    rig.signer.longest(&rig.cluster.get::<ClusterIssuer>("", "guarded").unwrap().uid().unwrap())
}

/// Ready, the other condition, and the reason.
fn says(rig: &Rig) -> String {
    let conditions = status(rig).conditions;
    let ready = find(&conditions, "Ready").unwrap();
    let other = ["Reconciling", "Stalled"].into_iter().find(|kind| find(&conditions, kind).is_some());
    format!("{} {} {}", ready.status, other.unwrap_or("-"), ready.reason)
}

/// Path length of the certificate that the status shows, and its number.
fn certified(rig: &Rig) -> (Option<u32>, Option<i64>) {
    let shown = status(rig).authority.unwrap();
    let chain = pem::read_certificates(shown.certificate.unwrap().as_bytes()).unwrap();
    (Certificate::from_der(&chain[0]).unwrap().path_length(), shown.revision)
}

#[tokio::test(start_paused = true)]
async fn a_loosening_waits_for_people_while_the_authority_works_and_then_holds() {
    let rig = rig(Some("production")).await;
    assert_eq!(says(&rig), "True - AuthorityReady");
    edit(&rig, "2h");
    let request = asked(&rig).await;
    assert_eq!(request.namespace().as_deref(), Some(HOME));
    let diff = request.spec.diff.clone().unwrap();
    assert!(diff.contains("- maxLeafSeconds: 3600") && diff.contains("+ maxLeafSeconds: 7200"), "{diff}");
    assert_eq!(says(&rig), "True Reconciling AwaitingApproval");
    let told = find(&status(&rig).conditions, "Ready").unwrap().message.clone();
    for words in ["production", "2 of security", "kubectl keywright approve", "signs as before"] {
        assert!(told.contains(words), "{words} is missing in {told}");
    }
    assert!(is_ready(&status(&rig).conditions) && status(&rig).authority.is_some());
    rig.assert_quiet(Duration::from_hours(20)).await;
    assert_eq!(held(&rig), Some(3600), "nobody agreed yet");

    vote(&rig, &request, "alice", ApprovalVerdict::Approve);
    rig.settle().await;
    assert_eq!(held(&rig), Some(3600), "one is not two");
    vote(&rig, &request, "bob", ApprovalVerdict::Approve);
    rig.settle().await;
    assert_eq!((held(&rig), says(&rig).as_str()), (Some(7200), "True - AuthorityReady"));
    assert!(status(&rig).approval.unwrap().used_at.is_some());
    assert!(matches!(
        phase_of(&rig, HOME, &request.name_any()),
        Some(ApprovalPhase::Consumed | ApprovalPhase::Ended)
    ));
}

#[tokio::test(start_paused = true)]
async fn a_denied_loosening_leaves_all_as_it_was_until_the_spec_says_something_else() {
    let rig = rig(Some("production")).await;
    edit(&rig, "2h");
    let request = asked(&rig).await;
    vote(&rig, &request, "carol", ApprovalVerdict::Deny);
    rig.settle().await;
    assert_eq!((held(&rig), says(&rig).as_str()), (Some(3600), "True Stalled ApprovalDenied"));
    rig.assert_quiet(Duration::from_hours(20)).await;
    edit(&rig, "1h");
    rig.settle().await;
    assert_eq!((held(&rig), says(&rig).as_str()), (Some(3600), "True - AuthorityReady"));
    assert_eq!(status(&rig).approval, None);
}

#[tokio::test(start_paused = true)]
async fn another_edit_while_people_decide_is_another_effect() {
    let rig = rig(Some("production")).await;
    edit(&rig, "2h");
    let first = asked(&rig).await;
    vote(&rig, &first, "alice", ApprovalVerdict::Approve);
    edit(&rig, "9h");
    let second = asked_again(&rig, &first).await;
    vote(&rig, &first, "bob", ApprovalVerdict::Approve);
    rig.settle().await;
    assert_eq!(phase_of(&rig, HOME, &first.name_any()), Some(ApprovalPhase::Superseded));
    assert_eq!((held(&rig), says(&rig).as_str()), (Some(3600), "True Reconciling AwaitingApproval"));
    agree(&rig, &second).await;
    assert_eq!((held(&rig), says(&rig).as_str()), (Some(9 * 3600), "True - AuthorityReady"));
}

#[tokio::test(start_paused = true)]
async fn without_a_class_it_stays_refused() {
    let rig = rig(None).await;
    edit(&rig, "2h");
    rig.settle().await;
    assert_eq!((held(&rig), says(&rig).as_str()), (Some(3600), "False Stalled LooseningRefused"));
    assert!(requests(&rig).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_the_certificate_is_certified_anew_once_it_was_loosened() {
    let rig = rig(Some("production")).await;
    assert_eq!(certified(&rig), (Some(0), Some(1)));
    rig.cluster.edit::<ClusterIssuer>("", "guarded", |issuer| {
        issuer.spec.issuer.authority.as_mut().unwrap().path_length = Some(2);
    });
    let request = asked(&rig).await;
    assert_eq!(certified(&rig), (Some(0), Some(1)));
    agree(&rig, &request).await;
    assert_eq!((certified(&rig), says(&rig).as_str()), ((Some(2), Some(2)), "True - AuthorityReady"));
    // Until the grant's hour is over, in which a denial would still be heard.
    tokio::time::sleep(Duration::from_hours(2)).await;
    rig.assert_quiet(Duration::from_hours(20)).await;
    assert_eq!(requests(&rig).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_made_again_under_its_name_counts_no_vote_for_the_earlier_one() {
    let rig = rig(Some("production")).await;
    edit(&rig, "2h");
    let first = asked(&rig).await;
    vote(&rig, &first, "alice", ApprovalVerdict::Approve);
    rig.settle().await;
    rig.cluster.delete::<ApprovalRequest>(HOME, &first.name_any());
    let second = asked_again(&rig, &first).await;
    assert_eq!(second.name_any(), first.name_any(), "the same effect has the same name");
    // Late, for the earlier one: as somebody would who still has its page open.
    vote(&rig, &first, "bob", ApprovalVerdict::Approve);
    rig.settle().await;
    assert_eq!((held(&rig), says(&rig).as_str()), (Some(3600), "True Reconciling AwaitingApproval"));
    agree(&rig, &second).await;
    assert_eq!(held(&rig), Some(7200));
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_write_it_still_asks_once_and_loosens_once() {
    for halt in 0..8 {
        for fault in [Fault::Halt, Fault::HaltAfter] {
            let mut rig = rig(Some("production")).await;
            rig.cluster.fail_write(rig.cluster.writes().len() + halt, fault);
            edit(&rig, "2h");
            rig.through_a_halt(6, |rig| {
                stamp(rig);
                if let Some(request) = requests(rig).pop() {
                    approve(rig, &request);
                }
            })
            .await;
            assert_eq!(
                (held(&rig), says(&rig).as_str()),
                (Some(7200), "True - AuthorityReady"),
                "{halt} {fault:?}"
            );
            assert_eq!(requests(&rig).len(), 1, "{halt} {fault:?}");
            assert!(status(&rig).approval.unwrap().used_at.is_some(), "{halt} {fault:?}");
        }
    }
}
