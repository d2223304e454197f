//! What becomes of certificates when their authority is renewed, replaced, or changes.

use crate::rig::Rig;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use keywright_crds::{ClusterIssuer, Issuer, IssuerStatus};
use keywright_pki::pem;
use keywright_testkit::objects::{NAMESPACE, issuer};
use keywright_testkit::{Kind, Verb};
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);

/// As if two thirds of its life were over.
fn due(status: Option<&mut IssuerStatus>) {
    status.unwrap().authority.as_mut().unwrap().renewal_time = keywright_testkit::cluster::time(0);
}

#[tokio::test(start_paused = true)]
async fn an_authority_renewed_with_its_key_publishes_its_new_chain_and_signs_nothing() {
    let rig = Rig::with_certificate(|c| c.spec.duration = Some("87000h".into())).await;
    let before = rig.leaf("web-tls").unwrap();
    let serial = |rig: &Rig| {
        let issuer: Issuer = rig.cluster.get(NAMESPACE, "services").unwrap();
        issuer.status.unwrap().authority.unwrap().serial_number
    };
    let old = serial(&rig);
    // The root first: a child is not renewed to end with its parent once more.
    rig.cluster.edit::<ClusterIssuer>("", "root", |i| due(i.status.as_mut()));
    rig.settle().await;
    assert_eq!(serial(&rig), old);
    rig.assert_good("web");
    rig.cluster.edit::<Issuer>(NAMESPACE, "services", |i| due(i.status.as_mut()));
    rig.settle().await;
    assert_ne!(serial(&rig), old, "renewed");
    rig.assert_good("web");
    assert_eq!(rig.leaf("web-tls").unwrap(), before);
    assert_eq!(rig.issued("web"), 1);
    assert_eq!(rig.count(0, Kind::Secret, Verb::Apply), 3, "issued, another root, another intermediate");
    let chain = pem::read_certificates(&rig.entry("web-tls", "tls.crt").unwrap()).unwrap();
    let intermediate = keywright_pki::certificate::Certificate::from_der(&chain[1]).unwrap();
    assert_eq!(Some(intermediate.serial().to_string()), serial(&rig));
    rig.assert_quiet(HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_made_again_under_its_name_has_another_key_and_signs_once_anew() {
    let rig = Rig::with_certificate(|_| {}).await;
    rig.cluster.delete::<Issuer>(NAMESPACE, "services");
    rig.settle().await;
    rig.assert_good("web");
    let mut again = issuer("services");
    again.metadata.uid = Some("22222222-0000-4000-8000-000000000001".into());
    rig.cluster.create(&again);
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.issued("web"), 2);
    assert_eq!(rig.cert("web").status.unwrap().issuer_uid, again.metadata.uid);
    rig.assert_quiet(HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn without_its_issuer_a_good_certificate_stays_and_a_lost_one_waits() {
    let rig = Rig::with_certificate(|_| {}).await;
    rig.cluster.delete::<Issuer>(NAMESPACE, "services");
    rig.nudge("web");
    rig.assert_quiet(HOUR).await;
    rig.assert_good("web");
    rig.cluster.delete::<Secret>(NAMESPACE, "web-tls");
    rig.settle().await;
    assert_eq!(rig.ready("web"), "Unknown IssuerNotFound");
    rig.cluster.create(&issuer("services"));
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.issued("web"), 2);
}

#[tokio::test(start_paused = true)]
async fn authorities_and_leaves_are_renewed_in_their_time_for_twenty_years() {
    let rig = Rig::with_certificate(|c| c.spec.duration = Some("8760h".into())).await;
    for month in 0..20 * 12 {
        rig.clock.shift(SignedDuration::from_hours(24 * 30));
        // Somebody looks at each, as a daily look would.
        let at = month.to_string();
        rig.cluster.edit::<ClusterIssuer>("", "root", |i| {
            i.metadata.annotations.get_or_insert_default().insert("month".into(), at.clone());
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        rig.cluster.edit::<Issuer>(NAMESPACE, "services", |i| {
            i.metadata.annotations.get_or_insert_default().insert("month".into(), at.clone());
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        rig.nudge("web");
        rig.settle().await;
        rig.assert_good("web");
        assert!(rig.leaf("web-tls").unwrap().validity().contains(rig.now()), "expired in month {month}");
    }
    let made = rig.issued("web");
    assert!((24..=40).contains(&made), "about every eight months, not {made} times");
}

#[tokio::test(start_paused = true)]
async fn an_issuers_status_that_somebody_edited_is_put_right() {
    let edits: [(&str, fn(&mut IssuerStatus)); 3] = [
        ("conditions", |s| s.conditions[0].status = "False".into()),
        ("certificate", |s| s.authority.as_mut().unwrap().certificate = Some("garbage".into())),
        ("everything", |s| *s = IssuerStatus::default()),
    ];
    for (what, edit) in edits {
        let rig = Rig::with_certificate(|_| {}).await;
        let issuer: Issuer = rig.cluster.get(NAMESPACE, "services").unwrap();
        let good = issuer.status.unwrap().authority;
        rig.cluster.write_as::<Issuer>("somebody", "Update", NAMESPACE, "services", |i| {
            edit(i.status.as_mut().unwrap());
        });
        rig.settle().await;
        assert_eq!(rig.issuer_ready::<Issuer>(NAMESPACE, "services"), "True AuthorityReady", "{what}");
        let issuer: Issuer = rig.cluster.get(NAMESPACE, "services").unwrap();
        assert_eq!(issuer.status.unwrap().authority, good, "{what}");
        rig.assert_good("web");
        assert_eq!(rig.issued("web"), 1, "{what}");
        rig.assert_quiet(HOUR).await;
    }
}
