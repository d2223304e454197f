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
