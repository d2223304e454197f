//! Tables over what is due, and the messages as they go out.

use super::*;
use keywright_crds::{
    ApprovalClassSpec, ApprovalGroup, ApprovalRequest, ApprovalRequestSpec, NotifyTarget, SecretEntry,
    UserIdentity,
};
use serde_json::{Value, json};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn class(targets: &[&str]) -> ApprovalClassSpec {
    let target = |name: &&str| NotifyTarget {
        name: (*name).to_owned(),
        url_from: SecretEntry { name: "hooks".into(), key: "url".into() },
        ..NotifyTarget::default()
    };
    let group = ApprovalGroup { name: "security".into(), ..ApprovalGroup::default() };
    ApprovalClassSpec {
        groups: vec![group],
        notify: targets.iter().map(target).collect(),
        ..ApprovalClassSpec::default()
    }
}

/// Filed at midnight for a day; decided at one; `more` is merged into the status.
fn request(phase: &str, more: &Value) -> ApprovalRequest {
    let mut status = json!({
        "phase": phase, "expiresAt": "2030-01-02T00:00:00Z",
        "conditions": [{ "type": "Ready", "status": "?", "reason": "?", "message": "", "lastTransitionTime": "2030-01-01T01:00:00Z" }],
    });
    for (field, value) in more.as_object().unwrap() {
        status[field] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "keywright.dev/v1alpha1", "kind": "ApprovalRequest",
        "metadata": { "name": "web-0a1b2c", "namespace": "shop", "uid": "6f1e0c3a-0000-4000-8000-000000000001",
            "creationTimestamp": "2030-01-01T00:00:00Z" },
        "spec": {
            "targetRef": { "group": "keywright.dev", "kind": "Certificate", "namespace": "shop", "name": "web", "uid": "u" },
            "action": "IssueCertificate", "effectDigest": format!("sha256:{}", "5a".repeat(32)), "effect": "{}",
            "diff": "+ DNS name: web.example.com\n+ key: ECDSA P-256", "reason": "the shop opens <!channel> *today*",
            "requestedFor": "dora", "approvalClass": "production", "requester": { "username": "carol" },
        },
        "status": status,
    }))
    .unwrap()
}

/// Target and event of what is due, and the hour of the next look.
fn found(
    request: &ApprovalRequest,
    class: &ApprovalClassSpec,
    now: &str,
) -> (Vec<String>, Option<Timestamp>) {
    let Due { now, next } = due(request, class, at(now));
    (now.iter().map(Notice::mark).collect(), next)
}

#[test]
fn what_has_happened_is_told_once_in_its_order() {
    let class = class(&["ops"]);
    let used = json!({ "usedAt": "2030-01-01T01:00:05Z" });
    let sent = |marks: &[&str]| json!({ "notified": marks });
    let nothing = json!({});
    let last_call = Some(at("2030-01-01T20:00:00Z"));
    for (phase, more, now, wanted, next) in [
        ("Pending", &nothing, "2030-01-01T00:00:01Z", vec!["ops/Filed"], last_call),
        ("Pending", &sent(&["ops/Filed"]), "2030-01-01T00:00:01Z", vec![], last_call),
        ("Pending", &sent(&["other/Filed"]), "2030-01-01T00:00:01Z", vec!["ops/Filed"], last_call),
        ("Pending", &sent(&["ops/Filed"]), "2030-01-01T20:00:00Z", vec!["ops/ExpiringSoon"], None),
        ("Pending", &sent(&["ops/Filed", "ops/ExpiringSoon"]), "2030-01-01T23:00:00Z", vec![], None),
        // Wanted still, however long nobody could be told.
        (
            "Pending",
            &json!({ "expiresAt": "2030-01-09T00:00:00Z" }),
            "2030-01-05T00:00:00Z",
            vec!["ops/Filed"],
            Some(at("2030-01-08T20:00:00Z")),
        ),
        (
            "Pending",
            &json!({ "expiresAt": "2030-01-01T00:04:00Z" }),
            "2030-01-01T00:03:00Z",
            vec!["ops/Filed", "ops/ExpiringSoon"],
            None,
        ),
        ("Pending", &json!({ "expiresAt": null }), "2030-01-05T00:00:00Z", vec!["ops/Filed"], None),
        ("Approved", &nothing, "2030-01-01T01:00:01Z", vec!["ops/Filed", "ops/Granted"], None),
        ("Approved", &sent(&["ops/Filed"]), "2030-01-01T21:00:00Z", vec!["ops/Granted"], None),
        ("Consumed", &used, "2030-01-01T01:00:06Z", vec!["ops/Filed", "ops/Granted", "ops/Used"], None),
        ("Ended", &used, "2030-01-02T00:30:00Z", vec!["ops/Granted", "ops/Used"], None),
        ("Ended", &used, "2030-01-02T01:00:00Z", vec!["ops/Used"], None),
        ("Ended", &used, "2030-02-02T01:00:00Z", vec![], None),
        ("Denied", &nothing, "2030-01-01T01:00:01Z", vec!["ops/Filed", "ops/Denied"], None),
        ("Denied", &nothing, "2030-01-02T01:00:00Z", vec![], None),
        (
            "Revoked",
            &json!({ "usedAt": "2030-01-01T00:59:00Z" }),
            "2030-01-01T01:00:01Z",
            vec!["ops/Filed", "ops/Granted", "ops/Used", "ops/Denied"],
            None,
        ),
        ("Expired", &nothing, "2030-01-01T01:00:01Z", vec!["ops/Filed", "ops/Closed"], None),
        ("Withdrawn", &nothing, "2030-01-01T01:00:01Z", vec!["ops/Filed", "ops/Closed"], None),
        ("Superseded", &nothing, "2030-01-01T01:00:01Z", vec!["ops/Filed", "ops/Closed"], None),
        // The clock was set back.
        ("Denied", &nothing, "2029-12-01T00:00:00Z", vec!["ops/Filed", "ops/Denied"], None),
    ] {
        let (marks, again) = found(&request(phase, more), &class, now);
        assert_eq!(
            (marks.iter().map(String::as_str).collect::<Vec<_>>(), again),
            (wanted, next),
            "{phase} {more} {now}"
        );
    }
}

#[test]
fn every_target_is_told_and_one_that_has_it_does_not_keep_the_others_waiting() {
    let both = class(&["chat", "ops"]);
    let half = request("Pending", &json!({ "notified": ["ops/Filed", "ops/ExpiringSoon"] }));
    let (marks, next) = found(&half, &both, "2030-01-01T00:00:01Z");
    assert_eq!((marks, next), (vec!["chat/Filed".to_owned()], Some(at("2030-01-01T20:00:00Z"))));
    assert_eq!(found(&half, &class(&[]), "2030-01-01T00:00:01Z"), (vec![], None));
}

#[test]
fn nothing_is_told_of_a_request_that_nobody_stamped_or_looked_at() {
    let class = class(&["ops"]);
    let mut unstamped = request("Pending", &json!({}));
    unstamped.spec.requester = None;
    let mut unseen = request("Pending", &json!({}));
    unseen.status = None;
    let no_phase = request("Pending", &json!({ "phase": null }));
    for request in [unstamped, unseen, no_phase] {
        assert_eq!(found(&request, &class, "2030-01-01T21:00:00Z"), (vec![], None));
    }
}

#[test]
fn the_record_holds_each_notice_once_and_none_of_targets_that_are_gone() {
    let marks = |all: &[&str]| all.iter().map(|mark| (*mark).to_owned()).collect::<Vec<_>>();
    let old = marks(&["ops/Filed", "gone/Filed"]);
    let new = recorded(&old, &marks(&["chat/Filed", "ops/Filed"]), &class(&["chat", "ops"]));
    assert_eq!(new, marks(&["chat/Filed", "ops/Filed"]));
    assert_eq!(recorded(&new, &[], &class(&["chat", "ops"])), new);
}

fn sent(phase: &str, more: &Value, event: Event, form: NoticeForm) -> Value {
    let class = class(&["ops"]);
    let notice = Notice { target: &class.notify[0], event, at: at("2030-01-01T00:00:00.5Z") };
    let document = Document::new(&notice, &request(phase, more), Some("erin"));
    serde_json::from_slice(&body(&document, form).unwrap()).unwrap()
}

#[test]
fn messages_say_what_who_why_until_when_and_the_command() {
    let missing = json!({ "missing": [{ "group": "security", "count": 2 }] });
    insta::assert_json_snapshot!(
        "filed-webhook",
        sent("Pending", &missing, Event::Filed, NoticeForm::Webhook)
    );
    insta::assert_json_snapshot!("filed-slack", sent("Pending", &missing, Event::Filed, NoticeForm::Slack));
    insta::assert_json_snapshot!(
        "filed-teams",
        sent("Pending", &missing, Event::Filed, NoticeForm::MicrosoftTeams)
    );
    let voted = json!({
        "useBy": "2030-01-01T02:00:00Z",
        "votes": [{ "name": "v1", "approver": "alice", "verdict": "Approve" },
            { "name": "v2", "approver": "mallory", "verdict": "Approve", "ignored": "not in a group" }],
    });
    insta::assert_json_snapshot!(
        "granted-slack",
        sent("Approved", &voted, Event::Granted, NoticeForm::Slack)
    );
    insta::assert_json_snapshot!(
        "denied-teams",
        sent("Denied", &voted, Event::Denied, NoticeForm::MicrosoftTeams)
    );
    insta::assert_json_snapshot!(
        "closed-webhook",
        sent("Expired", &voted, Event::Closed, NoticeForm::Webhook)
    );
}

#[test]
fn text_of_strangers_stays_text_and_within_the_receivers_bounds() {
    let class = class(&["ops"]);
    let mut request = request("Pending", &json!({}));
    request.spec = ApprovalRequestSpec {
        diff: Some("x".repeat(16_384)),
        reason: Some("<!channel> \u{202e}txt.exe\u{7}[a](https://a.example)\n**b**".to_owned()),
        requester: Some(UserIdentity { username: "<@U1>".into(), ..UserIdentity::default() }),
        ..request.spec
    };
    request.spec.target_ref.name = "w<!here>".repeat(30);
    let notice = Notice { target: &class.notify[0], event: Event::Filed, at: at("2030-01-01T00:00:00Z") };
    let document = Document::new(&notice, &request, None);
    let slack: Value = serde_json::from_slice(&body(&document, NoticeForm::Slack).unwrap()).unwrap();
    assert!(!slack["text"].as_str().unwrap().contains('<'), "mentions are escaped");
    for block in slack["blocks"].as_array().unwrap() {
        let text = &block["text"];
        let words = text["text"].as_str().unwrap();
        assert!(text["type"] == "plain_text" || !words.contains('<'), "{block}");
        let bound = if block["type"] == "header" { 150 } else { 3000 };
        assert!(words.chars().count() <= bound && !words.contains(['\u{202e}', '\u{7}']), "{block}");
    }
    let teams = body(&document, NoticeForm::MicrosoftTeams).unwrap();
    assert!(teams.len() < 28_000, "Teams takes no more: {}", teams.len());
    let teams: Value = serde_json::from_slice(&teams).unwrap();
    for block in teams["attachments"][0]["content"]["body"].as_array().unwrap() {
        assert_eq!(block["type"], "RichTextBlock", "its runs have no markup");
        assert!(block["inlines"].as_array().unwrap().iter().all(|run| run["type"] == "TextRun"));
    }
}

#[test]
fn each_notice_has_an_id_of_its_own_that_a_repeat_has_too() {
    let ids = |targets: &[&str], event| -> Vec<String> {
        let class = class(targets);
        let id = |target| {
            Document::new(
                &Notice { target, event, at: at("2030-01-01T00:00:00Z") },
                &request("Pending", &json!({})),
                None,
            )
            .id
        };
        class.notify.iter().map(id).collect()
    };
    let [one, two] = ids(&["chat", "ops"], Event::Filed).try_into().unwrap();
    assert_ne!(one, two);
    assert_eq!(ids(&["ops"], Event::Filed), std::slice::from_ref(&two));
    assert_ne!(ids(&["ops"], Event::Granted), [two]);
}

/// RFC 4231 section 4.3 has the key and the words; ours are under a time as well, so the value was computed with
/// `openssl dgst -sha256 -hmac Jefe` over `1893456000.what do ya want for nothing?`.
#[test]
fn the_signature_is_one_that_others_compute_too() {
    let signed = signature(b"Jefe", at("2030-01-01T00:00:00Z"), b"what do ya want for nothing?");
    assert_eq!(signed, format!("t=1893456000,v1={EXPECTED}"));
}

const EXPECTED: &str = "02ba50d2a809b59b0cc42c985019845ff9dc049da8c58a2921e1598935c5d2cd";
