//! Authorities below one that asks people about each certificate of an authority.

use crate::approvals::{agree, approve, asked, asked_again, class, phase_of, requests, stamp, vote};
use crate::rig::Rig;
use keywright_controllers_core::conditions::find;
use keywright_crds::{
    AllowedLeaves, ApprovalPhase, ApprovalRequest, ApprovalVerdict, AuthorityApprovals, AuthoritySpec,
    Certificate, ClusterIssuer, Issuer, IssuerKind, IssuerStatus,
};
use keywright_testkit::Fault;
use keywright_testkit::objects::{NAMESPACE, certificate, cluster_issuer, issuer, reference};
use kube::ResourceExt;
use std::time::Duration;

/// ClusterIssuer `guarded` is ready; Issuer `child` below it was made a moment ago.
async fn rig() -> Rig {
    let rig = guarded().await;
    let mut child = issuer("child");
    let authority = child.spec.authority.as_mut().unwrap();
    authority.issuer_ref = Some(reference(IssuerKind::ClusterIssuer, "guarded"));
    authority.max_leaf_duration = Some("3h".into());
    rig.cluster.create(&child);
    rig
}

async fn guarded() -> Rig {
    let rig = Rig::with_issuer().await;
    class(&rig);
    let mut guarded = cluster_issuer("guarded");
    let authority = guarded.spec.issuer.authority.as_mut().unwrap();
    let production = Some("production".to_owned());
    authority.approvals =
        Some(AuthorityApprovals { ca_certificates: production, ..AuthorityApprovals::default() });
    authority.allowed = Some(AllowedLeaves { is_ca: true, ..AllowedLeaves::default() });
    rig.cluster.create(&guarded);
    rig.settle().await;
    rig
}

fn status(rig: &Rig) -> IssuerStatus {
    rig.cluster.get::<Issuer>(NAMESPACE, "child").unwrap().status.unwrap()
}

/// Ready, the other condition, and the reason.
fn says(rig: &Rig) -> String {
    let conditions = status(rig).conditions;
    let ready = find(&conditions, "Ready").unwrap();
    let other = ["Reconciling", "Stalled"].into_iter().find(|kind| find(&conditions, kind).is_some());
    format!("{} {} {}", ready.status, other.unwrap_or("-"), ready.reason)
}

fn uid(rig: &Rig) -> String {
    rig.cluster.get::<Issuer>(NAMESPACE, "child").unwrap().uid().unwrap()
}

fn edit(rig: &Rig, change: impl FnOnce(&mut AuthoritySpec)) {
    rig.cluster.edit::<Issuer>(NAMESPACE, "child", |issuer| change(issuer.spec.authority.as_mut().unwrap()));
}

fn phase(rig: &Rig, request: &ApprovalRequest) -> Option<ApprovalPhase> {
    phase_of(rig, NAMESPACE, &request.name_any())
}

#[tokio::test(start_paused = true)]
async fn an_intermediate_is_made_when_people_agreed_and_not_before() {
    let rig = rig().await;
    let request = asked(&rig).await;
    assert_eq!(
        (request.namespace().as_deref(), says(&rig).as_str()),
        (Some(NAMESPACE), "Unknown Reconciling AwaitingApproval")
    );
    let diff = request.spec.diff.clone().unwrap();
    assert!(
        diff.contains("Certify the authority of Issuer \"child\"")
            && diff.contains("+ maxLeafSeconds: 10800"),
        "{diff}"
    );
    assert!(!rig.signer.holds(&uid(&rig)));
    rig.assert_quiet(Duration::from_hours(20)).await;

    vote(&rig, &request, "alice", ApprovalVerdict::Approve);
    rig.settle().await;
    assert!(!rig.signer.holds(&uid(&rig)), "one is not two");
    vote(&rig, &request, "bob", ApprovalVerdict::Approve);
    rig.settle().await;
    assert_eq!(says(&rig), "True - AuthorityReady");
    let used = status(&rig).approval.unwrap();
    assert!(used.used_at.is_some() && used.request == request.name_any());
    assert!(matches!(phase(&rig, &request), Some(ApprovalPhase::Consumed | ApprovalPhase::Ended)));
    // Until the grant's hour is over, in which a denial would still be heard.
    tokio::time::sleep(Duration::from_hours(2)).await;
    rig.assert_quiet(Duration::from_hours(20)).await;
    assert_eq!(requests(&rig).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_denied_intermediate_is_not_made_until_another_one_is_wanted_and_agreed_to() {
    let rig = rig().await;
    let first = asked(&rig).await;
    vote(&rig, &first, "carol", ApprovalVerdict::Deny);
    for who in ["alice", "bob"] {
        vote(&rig, &first, who, ApprovalVerdict::Approve);
    }
    rig.settle().await;
    assert_eq!(says(&rig), "False Stalled ApprovalDenied");
    rig.assert_quiet(Duration::from_hours(20)).await;
    assert!(!rig.signer.holds(&uid(&rig)));

    edit(&rig, |authority| authority.max_leaf_duration = Some("2h".into()));
    let second = asked_again(&rig, &first).await;
    assert_eq!(
        (says(&rig).as_str(), phase(&rig, &first)),
        ("Unknown Reconciling AwaitingApproval", Some(ApprovalPhase::Denied))
    );
    agree(&rig, &second).await;
    assert_eq!((says(&rig).as_str(), rig.signer.longest(&uid(&rig))), ("True - AuthorityReady", Some(7200)));
}

#[tokio::test(start_paused = true)]
async fn an_edit_a_changed_parent_and_another_policy_make_another_effect_that_is_asked_about_anew() {
    let changes: [(&str, fn(&Rig)); 3] = [
        ("edit", |rig| edit(rig, |authority| authority.max_leaf_duration = Some("2h".into()))),
        ("parent", |rig| {
            rig.cluster.edit::<ClusterIssuer>("", "guarded", |parent| {
                parent.spec.issuer.authority.as_mut().unwrap().max_leaf_duration = Some("5h".into());
            });
        }),
        ("policy", |rig| rig.signer.policies(&format!("sha256:{}", "1".repeat(64)))),
    ];
    for (what, change) in changes {
        let rig = rig().await;
        let first = asked(&rig).await;
        vote(&rig, &first, "alice", ApprovalVerdict::Approve);
        change(&rig);
        vote(&rig, &first, "bob", ApprovalVerdict::Approve);
        let second = asked_again(&rig, &first).await;
        assert_eq!(phase(&rig, &first), Some(ApprovalPhase::Superseded), "{what}");
        assert_eq!(says(&rig), "Unknown Reconciling AwaitingApproval", "{what}");
        assert!(!rig.signer.holds(&uid(&rig)), "{what}");
        agree(&rig, &second).await;
        assert_eq!(says(&rig), "True - AuthorityReady", "{what}");
        assert_eq!(requests(&rig).len(), 2, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn while_people_decide_about_its_renewal_an_authority_works_and_becomes_tighter() {
    let rig = rig().await;
    let first = asked(&rig).await;
    agree(&rig, &first).await;
    let serial = |rig: &Rig| status(rig).authority.unwrap().serial_number;
    let before = serial(&rig);
    // Its parent first: a child is not renewed to end with its parent once more.
    let due = keywright_testkit::cluster::time(0);
    rig.cluster.edit::<ClusterIssuer>("", "guarded", |parent| {
        parent.status.as_mut().unwrap().authority.as_mut().unwrap().renewal_time = due.clone();
    });
    rig.settle().await;
    rig.cluster.edit::<Issuer>(NAMESPACE, "child", |issuer| {
        issuer.status.as_mut().unwrap().authority.as_mut().unwrap().renewal_time = due.clone();
    });
    let second = asked_again(&rig, &first).await;
    assert_eq!((says(&rig).as_str(), serial(&rig) == before), ("True Reconciling AwaitingApproval", true));

    edit(&rig, |authority| authority.max_leaf_duration = Some("1h".into()));
    rig.settle().await;
    assert_eq!(
        rig.signer.longest(&uid(&rig)),
        Some(3600),
        "tighter at once, whatever people think of the renewal"
    );
    assert_eq!(phase(&rig, &second), Some(ApprovalPhase::Superseded));
    let third =
        requests(&rig).into_iter().find(|one| ![first.uid(), second.uid()].contains(&one.uid())).unwrap();
    stamp(&rig);
    rig.settle().await;
    assert_eq!(says(&rig), "True Reconciling AwaitingApproval");
    agree(&rig, &third).await;
    assert_eq!((says(&rig).as_str(), serial(&rig) == before), ("True - AuthorityReady", false));
}

#[tokio::test(start_paused = true)]
async fn an_authority_whose_key_is_elsewhere_needs_agreement_and_a_server_does_not() {
    let rig = guarded().await;
    let from_guarded = |name: &str| {
        let mut made = certificate(name);
        made.spec.issuer_ref = reference(IssuerKind::ClusterIssuer, "guarded");
        made
    };
    rig.cluster.create(&from_guarded("web"));
    rig.settle().await;
    rig.assert_good("web");
    let mut edge = from_guarded("edge");
    edge.spec.is_ca = true;
    edge.spec.common_name = Some("edge".into());
    rig.cluster.create(&edge);
    let first = asked(&rig).await;
    assert_eq!((rig.ready("edge").as_str(), rig.issued("edge")), ("Unknown AwaitingApproval", 0));
    assert!(first.spec.diff.as_ref().unwrap().contains("it is an authority"));
    vote(&rig, &first, "alice", ApprovalVerdict::Deny);
    rig.settle().await;
    assert_eq!((rig.ready("edge").as_str(), rig.issued("edge")), ("False ApprovalDenied", 0));
    rig.cluster
        .edit::<Certificate>(NAMESPACE, "edge", |cert| cert.spec.dns_names = vec!["e.example.com".into()]);
    let second = asked_again(&rig, &first).await;
    agree(&rig, &second).await;
    rig.assert_good("edge");
    assert_eq!(rig.issued("edge"), 1);
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_write_an_intermediate_is_asked_about_once_and_made_once() {
    for halt in 0..8 {
        for fault in [Fault::Halt, Fault::HaltAfter] {
            let mut rig = guarded().await;
            rig.cluster.fail_write(rig.cluster.writes().len() + halt, fault);
            let mut child = issuer("child");
            child.spec.authority.as_mut().unwrap().issuer_ref =
                Some(reference(IssuerKind::ClusterIssuer, "guarded"));
            rig.cluster.create(&child);
            rig.through_a_halt(6, |rig| {
                stamp(rig);
                if let Some(request) = requests(rig).pop() {
                    approve(rig, &request);
                }
            })
            .await;
            assert_eq!(says(&rig), "True - AuthorityReady", "{halt} {fault:?}");
            assert_eq!(requests(&rig).len(), 1, "{halt} {fault:?}");
            assert_eq!(status(&rig).authority.unwrap().revision, Some(1), "{halt} {fault:?}");
        }
    }
}
