//! Whoever changed what others made agrees to nothing that follows from it.

use crate::approvals::{apply, guarded, plugin, two_of_security, until_phase, waits};
use crate::cluster::{certificate, until_ready};
use keywright_e2e::ControlPlane;
use serde_json::json;

const SECURITY: &str = "--as-group=security";

/// Changes the names of Certificate `web` as somebody of group security.
fn edit(plane: &ControlPlane, who: &str, name: &str) {
    let patch = json!({ "spec": { "dnsNames": ["web.example.test", name] } }).to_string();
    let who = format!("--as={who}");
    plane.kubectl(&["patch", "certificate", "web", "--type=merge", "-p", &patch, &who, SECURITY]).unwrap();
}

/// Who stands in the request as having changed its target, and in the target itself.
fn editors(plane: &ControlPlane, request: &str) -> (String, String) {
    let named = "jsonpath={.spec.targetEditors[*].username}";
    let stamped = r"jsonpath={.metadata.annotations.keywright\.dev/editor-usernames}";
    (
        plane.kubectl(&["get", "approvalrequests", request, "-o", named]).unwrap(),
        plane.kubectl(&["get", "certificate", "web", "-o", stamped]).unwrap(),
    )
}

#[tokio::test]
async fn whoever_changed_a_certificate_does_not_vote_on_it_and_two_others_do() {
    let suite = guarded(&two_of_security()).await;
    let plane = &suite.plane;
    apply(plane, &certificate("web", "guarded", json!({})), &["--as=erin", SECURITY]);
    let (_, first) = waits(plane, "web").await;
    assert_eq!(editors(plane, &first), (String::new(), String::new()), "nobody has changed it");

    edit(plane, "carol", "carol.example.test");
    until_phase(plane, &first, "Superseded").await;
    let (_, second) = waits(plane, "web").await;
    assert_ne!(second, first);
    assert_eq!(editors(plane, &second), ("carol".to_owned(), "carol".to_owned()));
    for (who, rule) in [("carol", "vote-own-edit"), ("erin", "vote-own-target")] {
        let (done, said) = plugin(plane, who, &["approve", &second]);
        assert!(!done && said.contains(rule), "{who}: {said}");
    }

    // Another edit hides nobody while people decide.
    edit(plane, "dave", "dave.example.test");
    until_phase(plane, &second, "Superseded").await;
    let (_, third) = waits(plane, "web").await;
    assert_eq!(editors(plane, &third), ("carol dave".to_owned(), "carol\ndave".to_owned()));
    for who in ["carol", "dave"] {
        let (done, said) = plugin(plane, who, &["approve", &third]);
        assert!(!done && said.contains("vote-own-edit"), "{who}: {said}");
    }
    for who in ["alice", "bob"] {
        let (done, said) = plugin(plane, who, &["approve", &third]);
        assert!(done, "{who}: {said}");
    }
    until_ready(plane, "Certificate", "web").await;
    until_phase(plane, &third, "Consumed").await;

    // All that they wanted has come about: the next editor stands alone.
    edit(plane, "alice", "alice.example.test");
    let (_, fourth) = waits(plane, "web").await;
    assert_eq!(editors(plane, &fourth), ("alice".to_owned(), "alice".to_owned()));
}
