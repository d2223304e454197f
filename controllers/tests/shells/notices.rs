//! Notices of requests for approval: at least once each, recorded once, and nothing waits for them.

use crate::approvals::{approve, asked, requests, stamp};
use crate::rig::Rig;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use keywright_controllers::notice::{Answer, Unanswered};
use keywright_crds::{
    ApprovalClass, ApprovalClassSpec, ApprovalGroup, ApprovalRequest, NoticeForm, NotifyTarget, SecretEntry,
};
use keywright_testkit::objects::{NAMESPACE, certificate};
use keywright_testkit::{Fault, Kind, Verb};
use kube::ResourceExt;
use kube::api::ObjectMeta;
use std::time::Duration;

const OPERATORS: &str = "keywright-system";

fn secret(entries: &[(&str, &str)]) -> Secret {
    let entry = |(key, value): &(&str, &str)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()));
    Secret {
        metadata: ObjectMeta {
            name: Some("hooks".into()),
            namespace: Some(OPERATORS.into()),
            ..ObjectMeta::default()
        },
        data: Some(entries.iter().map(entry).collect()),
        ..Secret::default()
    }
}

fn target(name: &str, form: NoticeForm) -> NotifyTarget {
    let entry = |key: &str| SecretEntry { name: "hooks".into(), key: key.into() };
    let hmac_key_from = (form == NoticeForm::Webhook).then(|| entry("key"));
    NotifyTarget { name: name.into(), form, url_from: entry(name), hmac_key_from }
}

fn class(targets: Vec<NotifyTarget>) -> ApprovalClass {
    let people = ["alice", "bob", "carol"].map(str::to_owned).to_vec();
    let group = ApprovalGroup { name: "security".into(), users: people, ..ApprovalGroup::default() };
    ApprovalClass::new(
        "production",
        ApprovalClassSpec { groups: vec![group], notify: targets, ..ApprovalClassSpec::default() },
    )
}

/// Two targets are to be told; Certificate `web` exists.
async fn rig() -> Rig {
    let rig = Rig::with_issuer().await;
    rig.cluster.create(&secret(&[
        ("chat", "https://hooks.example.com/T0KEN"),
        ("ops", "https://ops.example.com/"),
        ("key", "k"),
    ]));
    rig.cluster.create(&class(vec![target("chat", NoticeForm::Slack), target("ops", NoticeForm::Webhook)]));
    rig.signer.demand("production");
    let mut web = certificate("web");
    web.annotations_mut().insert("keywright.dev/requester-username".into(), "erin".into());
    rig.cluster.create(&web);
    rig
}

fn recorded(rig: &Rig) -> Vec<String> {
    requests(rig).pop().and_then(|request| request.status).map(|status| status.notified).unwrap_or_default()
}

fn says(status: u16, retry_after: Option<&str>) -> Answer {
    Answer { status, retry_after: retry_after.map(str::to_owned) }
}

#[tokio::test(start_paused = true)]
async fn every_target_is_told_of_everything_once_and_then_it_is_quiet() {
    let rig = rig().await;
    let request = asked(&rig).await;
    assert_eq!(recorded(&rig), ["chat/Filed", "ops/Filed"]);
    assert_eq!(rig.receiver.heard("ops"), ["Filed"]);
    rig.assert_quiet(Duration::from_hours(18)).await;
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(rig.receiver.heard("ops"), ["Filed", "ExpiringSoon"], "four hours before its end");
    approve(&rig, &request);
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.receiver.heard("ops"), ["Filed", "ExpiringSoon", "Granted", "Used"]);
    assert_eq!(rig.receiver.got("chat").len(), 4);
    assert_eq!(recorded(&rig).len(), 8);
    for sent in rig.receiver.got("ops") {
        let document: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(document["targetCreator"], "erin", "who made the Certificate, not who asks for it");
        let signed = sent.headers.iter().find(|(name, _)| name == "keywright-signature").unwrap();
        let seconds: i64 = signed.1.split(['=', ',']).nth(1).unwrap().parse().unwrap();
        let at = jiff::Timestamp::from_second(seconds).unwrap();
        assert_eq!(signed.1, keywright_controllers_core::notice::signature(b"k", at, &sent.body));
    }
    assert!(rig.receiver.got("chat").iter().all(|sent| sent.headers.is_empty()));
    // What was used ends with the time in which it could be revoked.
    tokio::time::sleep(Duration::from_hours(2)).await;
    rig.assert_quiet(Duration::from_hours(20)).await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_broken_is_tried_again_keeps_nobody_waiting_and_is_told_in_order() {
    let rig = rig().await;
    for answer in [
        Err(Unanswered::TooSlow),
        Ok(says(500, None)),
        Ok(says(429, Some("600"))),
        Err(Unanswered::NoConnection(std::io::ErrorKind::ConnectionRefused)),
    ] {
        rig.receiver.answer("ops", answer);
    }
    let begun = rig.now();
    let request = asked(&rig).await;
    approve(&rig, &request);
    rig.until("issued", |rig| rig.ready("web") == "True Issued").await;
    assert_eq!(recorded(&rig).iter().filter(|mark| mark.starts_with("ops/")).count(), 0, "still left alone");
    rig.until("told", |rig| rig.receiver.heard("ops").len() == 7).await;
    assert_eq!(rig.receiver.heard("ops")[4..], ["Filed", "Granted", "Used"], "in order");
    assert!(rig.now().duration_since(begun).as_secs() >= 600, "as long as it asked");
    rig.settle().await;
    assert_eq!(recorded(&rig).len(), 6);
    assert_eq!(rig.receiver.heard("chat").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_a_person_has_to_mend_is_told_once_and_tried_again_when_it_is_mended() {
    let rig = rig().await;
    rig.receiver.always("chat", Ok(says(404, None)));
    asked(&rig).await;
    let told = |rig: &Rig| -> Vec<String> {
        let of_notices = |event: &Event| event.reason.as_deref() == Some("NoticeRefused");
        rig.cluster.all::<Event>().into_iter().filter(of_notices).filter_map(|event| event.note).collect()
    };
    let [note] = told(&rig).try_into().unwrap();
    assert!(note.contains("\"chat\"") && note.contains("404") && note.contains("\"hooks\""), "{note}");
    assert!(!note.contains("T0KEN") && !note.contains("hooks.example.com"), "{note}");
    let tries = rig.receiver.got("chat").len();
    rig.assert_quiet(Duration::from_hours(2)).await;
    assert_eq!(rig.receiver.got("chat").len(), tries, "nothing has changed");
    rig.receiver.always("chat", Ok(says(200, None)));
    rig.cluster.edit::<Secret>(OPERATORS, "hooks", |secret| {
        let url = ByteString(b"https://hooks.example.com/other".to_vec());
        secret.data.as_mut().unwrap().insert("chat".into(), url);
    });
    rig.settle().await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(recorded(&rig), ["chat/Filed", "ops/Filed"]);
}

#[tokio::test(start_paused = true)]
async fn without_its_secret_or_its_key_nothing_is_sent_and_that_is_told() {
    let rig = rig().await;
    rig.cluster.edit::<Secret>(OPERATORS, "hooks", |secret| {
        secret.data.as_mut().unwrap().remove("key");
    });
    asked(&rig).await;
    assert_eq!((recorded(&rig), rig.receiver.got("ops").len()), (vec!["chat/Filed".to_owned()], 0));
    let notes: Vec<String> = rig.cluster.all::<Event>().into_iter().filter_map(|event| event.note).collect();
    assert!(notes.iter().any(|note| note.contains("has no entry \"key\"")), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_written_is_written_later_and_nothing_is_sent_for_it_again() {
    let rig = rig().await;
    rig.until("a request is filed", |rig| !requests(rig).is_empty()).await;
    // The first write is the approval controller's.
    rig.until("it is looked at", |rig| requests(rig)[0].status.is_some()).await;
    rig.cluster.fail_next(Kind::ApprovalRequest, Verb::ApplyStatus, 3, Fault::Refuse(500));
    stamp(&rig);
    rig.settle().await;
    assert_eq!(recorded(&rig), ["chat/Filed", "ops/Filed"]);
    assert_eq!((rig.receiver.got("chat").len(), rig.receiver.got("ops").len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_decides_and_whoever_tells_leave_the_fields_of_the_other_alone() {
    let rig = rig().await;
    let request = asked(&rig).await;
    let before = rig.cluster.writes().len();
    rig.cluster.edit::<ApprovalRequest>(NAMESPACE, &request.name_any(), |request| {
        request.annotations_mut().insert("example.com/nudged".into(), "1".into());
    });
    rig.settle().await;
    assert_eq!(rig.cluster.writes().len(), before, "looked at again, nothing to write");
    approve(&rig, &request);
    rig.settle().await;
    let status = requests(&rig).pop().unwrap().status.unwrap();
    assert!(status.phase.is_some() && status.expires_at.is_some() && status.filed_under.is_some());
    assert_eq!(status.notified.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_write_each_notice_is_delivered_and_recorded_once() {
    // A reference run tells how many writes there are.
    let whole = rig().await;
    let from = whole.cluster.writes().len();
    let request = asked(&whole).await;
    approve(&whole, &request);
    whole.settle().await;
    let writes = whole.cluster.writes().len() - from;
    assert!(writes > 8, "{writes}");
    for halt in 0..writes {
        for fault in [Fault::Halt, Fault::HaltAfter] {
            let mut rig = rig().await;
            rig.cluster.fail_write(rig.cluster.writes().len() + halt, fault);
            rig.through_a_halt(8, |rig| {
                stamp(rig);
                if let Some(request) = requests(rig).pop() {
                    approve(rig, &request);
                }
            })
            .await;
            rig.assert_good("web");
            let wanted = ["chat/Filed", "chat/Granted", "chat/Used", "ops/Filed", "ops/Granted", "ops/Used"];
            assert_eq!(recorded(&rig), wanted, "{halt} {fault:?}");
            let mut heard = rig.receiver.heard("ops");
            heard.dedup();
            assert!(
                ["Filed", "Granted", "Used"].iter().all(|event| heard.contains(&(*event).to_owned())),
                "{heard:?}"
            );
            assert!(
                rig.receiver.heard("ops").len() <= 6,
                "{halt} {fault:?}: a crash repeats one look at most"
            );
            rig.assert_quiet(Duration::from_mins(20)).await;
        }
    }
}
