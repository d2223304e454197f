//! Renewal, and clocks that go wrong.

use crate::rig::Rig;
use jiff::SignedDuration;
use keywright_crds::{Certificate, Issuer};
use keywright_testkit::Kind;
use keywright_testkit::Verb;
use keywright_testkit::objects::{NAMESPACE, certificate, issuer};
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn a_certificate_is_renewed_by_itself_once_and_in_its_time() {
    let rig = Rig::with_certificate(|c| c.spec.duration = Some("24h".into())).await;
    let first = rig.leaf("web-tls").unwrap();
    rig.assert_quiet(HOUR * 14).await;
    tokio::time::sleep(HOUR * 2).await;
    rig.assert_good("web");
    assert_eq!(rig.issued("web"), 2, "due between 14.4 and 16 hours");
    assert_ne!(rig.leaf("web-tls").unwrap().public_key(), first.public_key());
    assert_eq!(rig.count(0, Kind::Secret, Verb::Apply), 2);
    rig.assert_quiet(HOUR * 12).await;
}

#[tokio::test(start_paused = true)]
async fn an_explicit_renew_before_is_kept() {
    let rig = Rig::with_certificate(|c| {
        c.spec.duration = Some("24h".into());
        c.spec.renew_before = Some("1h".into());
    })
    .await;
    rig.assert_quiet(HOUR * 22 + Duration::from_mins(50)).await;
    tokio::time::sleep(Duration::from_mins(15)).await;
    assert_eq!(rig.issued("web"), 2);
}

#[tokio::test(start_paused = true)]
async fn the_shortest_life_is_renewed_without_a_gap_and_without_haste() {
    let rig = Rig::with_certificate(|c| c.spec.duration = Some("5m".into())).await;
    let before = rig.issued("web");
    for _ in 0..120 {
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(rig.leaf("web-tls").unwrap().validity().contains(rig.now()));
    }
    let made = rig.issued("web") - before;
    assert!((17..=20).contains(&made), "every 190 to 200 seconds, not {made} times in an hour");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_goes_back_renews_nothing_and_one_that_jumps_ahead_renews_once() {
    let rig = Rig::with_certificate(|_| {}).await;
    rig.clock.shift(-SignedDuration::from_mins(30));
    rig.nudge("web");
    rig.settle().await;
    assert_eq!(rig.issued("web"), 1);
    rig.clock.shift(SignedDuration::from_hours(24 * 61));
    rig.nudge("web");
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.issued("web"), 2, "due");
    rig.clock.shift(-SignedDuration::from_hours(24 * 50));
    rig.nudge("web");
    rig.settle().await;
    rig.clock.shift(SignedDuration::from_hours(24 * 50));
    rig.nudge("web");
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.issued("web"), 2, "no longer due, due no more");
    rig.assert_quiet(HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn clocks_that_differ_by_seconds_delay_nothing_for_long() {
    let mut rig = Rig::empty();
    rig.cluster.create(&keywright_testkit::objects::cluster_issuer("root"));
    rig.cluster.create(&issuer("services"));
    rig.signer_ahead(SignedDuration::from_secs(20));
    rig.start().await;
    rig.cluster.create(&certificate("web"));
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(rig.ready("web"), "True Issued", "{}", rig.message("web"));
}

#[tokio::test(start_paused = true)]
async fn a_signer_whose_clock_is_far_off_is_not_asked_without_end_and_nothing_of_it_is_published() {
    for hours in [24 * 70, -24 * 70] {
        let rig = Rig::with_certificate(|_| {}).await;
        let before = rig.leaf("web-tls").unwrap().serial().to_string();
        rig.signer_ahead(SignedDuration::from_hours(hours));
        rig.cluster.edit(NAMESPACE, "web", |cert: &mut Certificate| {
            cert.spec.dns_names = vec!["other.example.com".into()];
        });
        tokio::time::sleep(Duration::from_mins(10)).await;
        assert!(rig.ready("web").ends_with("AnswerUnusable"), "{hours} h: {}", rig.ready("web"));
        assert!(rig.message("web").contains("compare the clocks"), "{}", rig.message("web"));
        assert_eq!(
            rig.leaf("web-tls").unwrap().serial().to_string(),
            before,
            "{hours} h: the good one stays"
        );
        let asked = rig.issued("web");
        assert!(asked <= 20, "{hours} h: asked {asked} times in ten minutes");
        rig.signer_ahead(SignedDuration::ZERO);
        rig.settle().await;
        rig.assert_good("web");
        rig.assert_quiet(HOUR).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_leaf_that_lives_as_long_as_its_authority_is_not_renewed_in_a_loop() {
    let rig = Rig::with_issuer().await;
    let mut short = issuer("short");
    short.spec.authority.as_mut().unwrap().duration = Some("48h".into());
    rig.cluster.create(&short);
    let mut web = certificate("web");
    web.spec.issuer_ref.name = "short".into();
    web.spec.duration = Some("2160h".into());
    web.spec.renew_before = Some("47h".into());
    rig.cluster.create(&web);
    rig.settle().await;
    rig.assert_good("web");
    let (reads, made) = (rig.cluster.reads(), rig.issued("web"));
    tokio::time::sleep(HOUR * 12).await;
    let services: Issuer = rig.cluster.get(NAMESPACE, "short").unwrap();
    let end = services.status.unwrap().authority.unwrap().not_after.unwrap().0;
    assert_eq!(rig.leaf("web-tls").unwrap().validity().not_after(), end);
    assert_eq!(rig.issued("web"), made, "nothing is gained before the authority is renewed");
    let reads = rig.cluster.reads() - reads;
    assert!(reads <= 12 * 130, "looked at every half minute at most, not {reads} times in 12 hours");
    // The authority is renewed at two thirds of its life; then the leaf can be.
    tokio::time::sleep(HOUR * 24).await;
    rig.assert_good("web");
    let made = rig.issued("web");
    assert!((2..=40).contains(&made), "renewed below the new authority, {made}");
}
