//! What users of other operators reported: each a named test. More of them are cases of `keywright-perturb` (slow API
//! server, crashes, watches) and tests of the controllers (answers that do not fit, expired answers).
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]
#![expect(clippy::needless_pass_by_value, reason = "json! reads best where it is handed over")]
#![allow(dead_code, reason = "helpers are shared with the product's tests")]

#[path = "../product/cluster.rs"]
mod cluster;

use cluster::{
    certificate, condition, create, edit, intermediate, is_ready, root, secrets, until, until_ready,
};
use keywright_e2e::Suite;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::time::Duration;

async fn suite() -> Suite {
    let suite = Suite::start().await.unwrap();
    create(&suite.plane, &root("root", json!({}))).await.unwrap();
    create(&suite.plane, &intermediate("services", "root", json!({}))).await.unwrap();
    // What is counted later is not to meet the writes of what was still being made.
    until_ready(&suite.plane, "Issuer", "services").await;
    suite
}

/// cert-manager#6714, #7828: an issuer changed under a valid Secret asked for tens of thousands of certificates.
#[tokio::test]
async fn endless_requests_after_a_change_of_issuer_algorithm_or_usages() {
    let suite = suite().await;
    let plane = &suite.plane;
    create(plane, &certificate("web", "root", json!({}))).await.unwrap();
    until_ready(plane, "Certificate", "web").await;
    let changes = [
        json!({ "issuerRef": { "kind": "Issuer", "name": "services" } }),
        json!({ "privateKey": { "algorithm": "Ed25519" } }),
        json!({ "usages": ["digital signature", "client auth"] }),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        edit(plane, "Certificate", "web", change.clone()).await.unwrap();
        until_ready(plane, "Certificate", "web").await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let web = until_ready(plane, "Certificate", "web").await;
        let revision = web.data["status"]["revision"].as_u64();
        assert_eq!(revision, Some(number as u64 + 2), "{change} asks for one certificate");
    }
}

/// cert-manager/website#2128: a second writer of the same Secret led to a tight loop.
#[tokio::test]
async fn a_foreign_writer_of_the_secret_is_told_of_and_not_fought() {
    let suite = suite().await;
    let plane = &suite.plane;
    create(plane, &certificate("web", "root", json!({}))).await.unwrap();
    until_ready(plane, "Certificate", "web").await;
    let theirs = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "web" }, "stringData": {},
        "data": { "tls.crt": "eA==" },
    });
    let foreign = PatchParams::apply("another-operator").force();
    secrets(plane).patch("web", &foreign, &Patch::Apply(theirs)).await.unwrap();
    let stalled = |object: &_| condition(object, "Stalled").is_some_and(|(status, ..)| status == "True");
    let web = until(plane, "Certificate", "web", "is Stalled", stalled).await;
    let (_, _, message) = condition(&web, "Ready").unwrap();
    assert!(message.contains("another-operator"), "{message}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mark = plane.audit().mark().unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let writes = plane
        .audit()
        .since(mark)
        .unwrap()
        .into_iter()
        .filter(keywright_e2e::audit::Event::is_write_of_ours)
        .count();
    assert_eq!(writes, 0, "two writers of one Secret fight");
}

/// cert-manager#7741: a leaf that was to outlive its authority was cut short, stored, and asked for again at once.
#[tokio::test]
async fn a_leaf_never_outlives_its_authority_and_is_not_asked_for_again_and_again() {
    let suite = suite().await;
    let plane = &suite.plane;
    create(plane, &root("short", json!({ "duration": "24h" }))).await.unwrap();
    create(plane, &certificate("web", "short", json!({ "duration": "2160h" }))).await.unwrap();
    let said = until(plane, "Certificate", "web", "says where it stands", |object| {
        condition(object, "Ready")
            .is_some_and(|(_, reason, _)| reason != "IssuerNotReady" && reason != "IssuerNotFound")
            && object.data["status"]["observedGeneration"] == 1
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    if is_ready(&said) {
        let later = until_ready(plane, "Certificate", "web").await;
        assert_eq!(later.data["status"]["revision"], 1, "one certificate is enough");
        let issuer = until_ready(plane, "ClusterIssuer", "short").await;
        let ends = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let of_leaf = ends(&later.data["status"]["notAfter"]);
        assert!(of_leaf <= ends(&issuer.data["status"]["authority"]["notAfter"]), "{of_leaf}");
    }
}

/// cert-manager/website#2128: two Certificates with one secretName wrote the same Secret in a tight loop.
#[tokio::test]
async fn two_certificates_with_one_secret_name_do_not_take_turns() {
    let suite = suite().await;
    let plane = &suite.plane;
    create(plane, &certificate("web", "root", json!({}))).await.unwrap();
    let web = until_ready(plane, "Certificate", "web").await;
    create(plane, &certificate("late", "root", json!({ "secretName": "web" }))).await.unwrap();
    let stalled = |object: &_| condition(object, "Stalled").is_some_and(|(status, ..)| status == "True");
    let late = until(plane, "Certificate", "late", "is Stalled", stalled).await;
    let (_, _, message) = condition(&late, "Ready").unwrap();
    assert!(message.contains("web"), "{message}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mark = plane.audit().mark().unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let ours = keywright_e2e::audit::Event::is_write_of_ours;
    assert_eq!(plane.audit().since(mark).unwrap().iter().filter(|event| ours(event)).count(), 0);
    let still = until_ready(plane, "Certificate", "web").await;
    assert_eq!(still.data["status"]["serialNumber"], web.data["status"]["serialNumber"]);
}

/// step-issuer#60, google-cas-issuer#65, #129: memory grew with other people's objects until the kernel took the process.
#[tokio::test]
async fn other_peoples_secrets_are_neither_read_nor_watched() {
    let suite = suite().await;
    let plane = &suite.plane;
    create(plane, &certificate("web", "root", json!({}))).await.unwrap();
    until_ready(plane, "Certificate", "web").await;
    let mark = plane.audit().mark().unwrap();
    for number in 0..20 {
        let theirs = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": format!("theirs-{number}") },
            "stringData": { "value": "x" },
        });
        let params = PatchParams::apply("somebody");
        secrets(plane).patch(&format!("theirs-{number}"), &params, &Patch::Apply(theirs)).await.unwrap();
    }
    let mut suite = suite;
    suite.restart(keywright_e2e::Process::Operator).await.unwrap();
    let plane = &suite.plane;
    create(plane, &certificate("next", "root", json!({}))).await.unwrap();
    until_ready(plane, "Certificate", "next").await;
    let asked = plane.audit().since(mark).unwrap().into_iter().filter(|event| {
        event.user_agent.starts_with("keywright-operator") && event.object_ref.resource == "secrets"
    });
    for event in asked {
        let unselected =
            matches!(event.verb.as_str(), "list" | "watch") && !event.request_uri.contains("labelSelector=");
        assert!(!unselected && !event.object_ref.name.starts_with("theirs-"), "{event:?}");
    }
}
