//! Watches that lag, break, or start over.

use crate::rig::Rig;
use crate::signer::Mood;
use k8s_openapi::api::core::v1::Secret;
use keywright_crds::Certificate;
use keywright_testkit::Kind;
use keywright_testkit::objects::{NAMESPACE, certificate};
use std::time::Duration;

/// Certificate `web` was seen and is being signed; what is written to it from now on comes back to nobody.
async fn seen_and_then_withheld(rig: &Rig) {
    rig.signer.moods([Mood::Slow(Duration::from_secs(5))]);
    rig.cluster.create(&certificate("web"));
    rig.until("seen", |rig| !rig.signer.asked().is_empty()).await;
    assert!(rig.secret("web-tls").is_none(), "not written yet");
    rig.cluster.withhold(Kind::Certificate, true);
}

#[tokio::test(start_paused = true)]
async fn a_stale_object_is_not_signed_for_twice() {
    let rig = Rig::with_issuer().await;
    seen_and_then_withheld(&rig).await;
    rig.until("written", |rig| rig.ready("web") == "True Issued").await;
    rig.assert_quiet(Duration::from_hours(1)).await;
    rig.cluster.withhold(Kind::Certificate, false);
    rig.assert_quiet(Duration::from_hours(1)).await;
    rig.assert_good("web");
    assert_eq!(rig.signer.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_secret_lost_while_the_cache_lags_is_not_made_before_the_own_write_was_seen() {
    let rig = Rig::with_issuer().await;
    seen_and_then_withheld(&rig).await;
    rig.until("written", |rig| rig.ready("web") == "True Issued").await;
    rig.cluster.delete::<Secret>(NAMESPACE, "web-tls");
    tokio::time::sleep(Duration::from_mins(10)).await;
    rig.cluster.withhold(Kind::Certificate, false);
    rig.settle().await;
    rig.assert_good("web");
    let steps: Vec<u64> = rig.signer.ledger().iter().map(|entry| entry.step).collect();
    assert_eq!(steps, [1, 2], "a step of its own, as the first one is known to be used");
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_secrets_that_lags_costs_no_signature() {
    let rig = Rig::with_issuer().await;
    rig.cluster.withhold(Kind::Secret, true);
    rig.cluster.create(&certificate("web"));
    rig.settle().await;
    rig.assert_good("web");
    rig.cluster
        .edit::<Certificate>(NAMESPACE, "web", |web| web.spec.dns_names = vec!["b.example.com".into()]);
    rig.settle().await;
    rig.assert_good("web");
    rig.cluster.withhold(Kind::Secret, false);
    rig.assert_quiet(Duration::from_hours(1)).await;
    assert_eq!(rig.issued("web"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_secret_deleted_while_the_watch_was_broken_is_made_anew() {
    let rig = Rig::with_certificate(|_| {}).await;
    rig.cluster.withhold(Kind::Secret, true);
    rig.cluster.delete::<Secret>(NAMESPACE, "web-tls");
    rig.cluster.expire_watches(Kind::Secret);
    rig.cluster.withhold(Kind::Secret, false);
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.issued("web"), 2);
}

#[tokio::test(start_paused = true)]
async fn watches_that_start_over_write_nothing() {
    let rig = Rig::with_certificate(|_| {}).await;
    for kind in [Kind::Certificate, Kind::Issuer, Kind::ClusterIssuer, Kind::Secret] {
        rig.cluster.expire_watches(kind);
        rig.assert_quiet(Duration::from_mins(10)).await;
    }
    assert_eq!(rig.issued("web"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_deleted_and_made_again_under_its_name_takes_its_secret_over() {
    let rig = Rig::with_certificate(|_| {}).await;
    rig.cluster.delete::<Certificate>(NAMESPACE, "web");
    rig.settle().await;
    assert!(rig.secret("web-tls").is_some(), "retained");
    let mut again = certificate("web");
    again.metadata.uid = Some("11111111-0000-4000-8000-000000000001".into());
    rig.cluster.create(&again);
    rig.settle().await;
    assert_eq!(rig.ready("web"), "True Issued");
    assert!(rig.issued("web") <= 1, "at most one for the new object");
    rig.assert_quiet(Duration::from_hours(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_was_set_back_asks_with_the_number_that_the_signer_remembers() {
    let rig = Rig::with_certificate(|_| {}).await;
    for name in ["a.example.com", "b.example.com"] {
        rig.cluster.edit::<Certificate>(NAMESPACE, "web", |cert| cert.spec.dns_names = vec![name.into()]);
        rig.settle().await;
    }
    assert_eq!(rig.issued("web"), 3);
    // As a snapshot taken before anything was issued has it.
    rig.cluster.delete::<Secret>(NAMESPACE, "web-tls");
    rig.cluster.edit::<Certificate>(NAMESPACE, "web", |cert| cert.status = None);
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.cert("web").status.unwrap().revision, Some(4));
    rig.assert_quiet(Duration::from_hours(1)).await;
}
