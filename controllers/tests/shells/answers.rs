//! What the signer may answer, and how often it is asked.

use crate::rig::Rig;
use crate::signer::Mood;
use keywright_crds::{Certificate, ClusterIssuer, Issuer};
use keywright_testkit::objects::{NAMESPACE, certificate};
use keywright_testkit::{Fault, Kind, Verb};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_signer_that_is_down_and_comes_back_needs_nobody() {
    let rig = Rig::with_issuer().await;
    rig.signer.down(true);
    rig.cluster.create(&certificate("web"));
    rig.until("told", |rig| rig.ready("web") == "Unknown SignerUnavailable").await;
    let told = rig.cluster.writes().len();
    tokio::time::sleep(Duration::from_mins(3)).await;
    assert_eq!(rig.cluster.writes().len(), told, "told once, not at each try");
    let asked = rig.signer.asked().len();
    assert!((6..=10).contains(&asked), "asked ever later, not {asked} times in three minutes");
    rig.signer.down(false);
    rig.until("resumed", |rig| rig.ready("web") == "True Issued").await;
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.issued("web"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_signer_that_is_down_for_an_hour_takes_nothing_from_a_good_certificate() {
    let rig = Rig::with_certificate(|_| {}).await;
    let before = rig.cluster.writes().len();
    rig.signer.down(true);
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(rig.issuer_ready::<ClusterIssuer>("", "root"), "Unknown SignerUnavailable");
    assert_eq!(rig.issuer_ready::<Issuer>(NAMESPACE, "services"), "Unknown ParentNotReady");
    rig.assert_good("web");
    assert_eq!(rig.count(before, Kind::Certificate, Verb::ApplyStatus), 0);
    rig.signer.down(false);
    rig.settle().await;
    assert_eq!(rig.issuer_ready::<Issuer>(NAMESPACE, "services"), "True AuthorityReady");
    rig.assert_good("web");
    assert_eq!(rig.issued("web"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_asked_once_and_again_only_after_a_change() {
    let rig = Rig::with_issuer().await;
    rig.signer.moods([Mood::Refuse, Mood::Refuse]);
    rig.cluster.create(&certificate("web"));
    rig.settle().await;
    assert_eq!(rig.ready("web"), "False Refused");
    assert!(rig.message("web").contains("dnsNames"), "{}", rig.message("web"));
    rig.nudge("web");
    rig.assert_quiet(Duration::from_hours(30)).await;
    assert_eq!(rig.signer.asked().len(), 1, "the same is not asked twice");
    rig.cluster
        .edit::<Certificate>(NAMESPACE, "web", |web| web.spec.dns_names = vec!["b.example.com".into()]);
    rig.settle().await;
    assert_eq!(rig.ready("web"), "False Refused");
    assert_eq!(rig.signer.asked().len(), 2);
    rig.cluster
        .edit::<Certificate>(NAMESPACE, "web", |web| web.spec.dns_names = vec!["c.example.com".into()]);
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!((rig.signer.asked().len(), rig.issued("web")), (3, 1));
    rig.assert_quiet(Duration::from_hours(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_what_was_asked_is_never_stored_and_asked_again_ever_later() {
    for mood in [Mood::WrongKey, Mood::Expired, Mood::OtherNames] {
        let rig = Rig::with_issuer().await;
        rig.signer.moods(std::iter::repeat_n(mood.clone(), 1000));
        rig.cluster.create(&certificate("web"));
        tokio::time::sleep(Duration::from_mins(10)).await;
        assert_eq!(rig.ready("web"), "Unknown AnswerUnusable", "{mood:?}");
        assert!(rig.secret("web-tls").is_none(), "{mood:?}: nothing was stored");
        let asked = rig.signer.asked().len();
        assert!((10..=17).contains(&asked), "{mood:?}: asked {asked} times in ten minutes");
        rig.signer.calm();
        rig.settle().await;
        rig.assert_good("web");
        rig.assert_quiet(Duration::from_hours(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_lost_on_the_way_is_asked_for_again() {
    let rig = Rig::with_issuer().await;
    rig.signer.moods([Mood::Unavailable, Mood::Unavailable]);
    rig.cluster.create(&certificate("web"));
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!((rig.signer.asked().len(), rig.issued("web")), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_waited_for_and_asked_for_once() {
    let rig = Rig::with_issuer().await;
    rig.signer.moods([Mood::Slow(Duration::from_secs(50))]);
    rig.cluster.create(&certificate("web"));
    tokio::time::sleep(Duration::from_secs(20)).await;
    rig.nudge("web");
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.issued("web"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_a_quota_refuses_keeps_the_certificate_that_was_made_for_it() {
    let rig = Rig::with_issuer().await;
    rig.cluster.fail_next(Kind::Secret, Verb::Apply, 5, Fault::Refuse(403));
    rig.cluster.create(&certificate("web"));
    rig.until("told", |rig| rig.ready("web") == "Unknown SecretNotWritten").await;
    assert!(rig.message("web").contains("exceeded quota"), "{}", rig.message("web"));
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.signer.asked().len(), 1, "one signature for all tries");
    assert_eq!(rig.count(0, Kind::Secret, Verb::Apply), 6);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_waits_for_a_quota_is_not_published_for_a_spec_that_has_changed() {
    let rig = Rig::with_issuer().await;
    rig.cluster.fail_next(Kind::Secret, Verb::Apply, 3, Fault::Refuse(403));
    rig.cluster.create(&certificate("web"));
    rig.until("told", |rig| rig.ready("web") == "Unknown SecretNotWritten").await;
    rig.cluster
        .edit::<Certificate>(NAMESPACE, "web", |web| web.spec.dns_names = vec!["b.example.com".into()]);
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.leaf("web-tls").unwrap().sans().dns[0].as_str(), "b.example.com");
    assert_eq!(rig.issued("web"), 2);
}
