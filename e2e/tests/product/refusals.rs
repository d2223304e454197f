//! Bad input: each is refused with a reason and the fix, at admission where that can be seen, and leaves nothing behind.

use crate::cluster::{certificate, condition, create, edit, root, secrets, until, until_ready};
use k8s_openapi::api::core::v1::Secret;
use keywright_e2e::Suite;
use keywright_e2e::audit::Event;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};
use std::time::Duration;

/// What kube-apiserver refuses, and words of its answer: the field and the fix.
fn refused_at_admission() -> Vec<(&'static str, Value, [&'static str; 2])> {
    let cert = |more: Value| certificate("bad", "root", more);
    vec![
        ("no subject and no name", cert(json!({ "dnsNames": null })), ["spec", "dnsNames"]),
        (
            "a DNS name with a blank",
            cert(json!({ "dnsNames": ["not a name"] })),
            ["dnsNames", "*.example.com"],
        ),
        ("an address as DNS name", cert(json!({ "dnsNames": ["10.0.0.1"] })), ["dnsNames", "ipAddresses"]),
        ("half an IP address", cert(json!({ "ipAddresses": ["10.0.0"] })), ["ipAddresses", "10.0.0.7"]),
        (
            "ECDSA with 2048 bits",
            cert(json!({ "privateKey": { "algorithm": "ECDSA", "size": 2048 } })),
            ["privateKey.size", "256/384/521"],
        ),
        (
            "an algorithm nobody knows",
            cert(json!({ "privateKey": { "algorithm": "DSA" } })),
            ["algorithm", "ECDSA"],
        ),
        (
            "a renewal before the start",
            cert(json!({ "duration": "24h", "renewBefore": "24h" })),
            ["renewBefore", "duration"],
        ),
        ("a duration in days", cert(json!({ "duration": "90d" })), ["duration", "2160h"]),
        ("no Secret", cert(json!({ "secretName": null })), ["secretName", "Required"]),
        (
            "an authority without a name",
            root("bad", json!({ "commonName": null })),
            ["authority", "commonName"],
        ),
        (
            "an RSA authority of 1024 bits",
            root("bad", json!({ "privateKey": { "algorithm": "RSA", "size": 1024 } })),
            ["privateKey.size", "2048"],
        ),
    ]
}

/// What only the controller can see: the reason, whether it is final, and words of the message.
fn refused_by_condition() -> Vec<(Value, &'static str, bool, [&'static str; 2])> {
    let elsewhere = |name: &str| json!({ "issuerRef": { "kind": "ClusterIssuer", "name": name } });
    vec![
        (
            certificate("no-issuer", "root", elsewhere("nobody")),
            "IssuerNotFound",
            false,
            ["spec.issuerRef", "create it"],
        ),
        (
            certificate("not-ready", "root", elsewhere("orphan")),
            "IssuerNotReady",
            false,
            ["spec.issuerRef", "orphan"],
        ),
        (
            certificate("outside", "narrow", json!({ "dnsNames": ["www.example.org"] })),
            "OutsideConstraints",
            true,
            ["dnsNames", "example.test"],
        ),
        (
            certificate("too-long", "narrow", json!({ "duration": "1000h" })),
            "OutsideConstraints",
            true,
            ["duration", "48h"],
        ),
        (
            certificate(
                "a-ca",
                "narrow",
                json!({ "isCA": true, "commonName": "x", "usages": ["cert sign"] }),
            ),
            "OutsideConstraints",
            true,
            ["isCA", "allowed"],
        ),
        (
            certificate("wrong-key", "narrow", json!({ "privateKey": { "algorithm": "RSA", "size": 2048 } })),
            "OutsideConstraints",
            true,
            ["privateKey", "ECDSA"],
        ),
        (
            certificate("taken", "root", json!({ "secretName": "opaque" })),
            "SecretOfAnotherType",
            true,
            ["spec.secretName", "Opaque"],
        ),
    ]
}

#[tokio::test]
async fn every_bad_input_is_refused_with_field_rule_and_fix_and_leaves_nothing() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    let narrow = json!({
        "nameConstraints": { "permitted": { "dnsDomains": ["example.test"] } },
        "maxLeafDuration": "48h",
        "allowed": { "privateKeyAlgorithms": ["ECDSA"] },
    });
    create(plane, &root("root", json!({}))).await.unwrap();
    create(plane, &root("narrow", narrow)).await.unwrap();
    create(plane, &root("orphan", json!({ "issuerRef": { "kind": "ClusterIssuer", "name": "nobody" } })))
        .await
        .unwrap();
    until_ready(plane, "ClusterIssuer", "root").await;
    until_ready(plane, "ClusterIssuer", "narrow").await;
    let mut opaque = Secret { type_: Some("Opaque".into()), ..Secret::default() };
    opaque.metadata.name = Some("opaque".into());
    secrets(plane).create(&PostParams::default(), &opaque).await.unwrap();

    let mut wrong = Vec::new();
    for (what, object, words) in refused_at_admission() {
        let answer = match create(plane, &object).await {
            Err(kube::Error::Api(status)) => status.message,
            other => format!("{other:?}"),
        };
        let missing = words.into_iter().filter(|word| !answer.contains(word));
        wrong.extend(missing.map(|word| format!("{what}: {word:?} is missing in: {answer}")));
    }

    let cases = refused_by_condition();
    for (object, ..) in &cases {
        create(plane, object).await.unwrap();
    }
    for (object, reason, is_final, words) in &cases {
        let name = object["metadata"]["name"].as_str().unwrap();
        let seen = |object: &_| condition(object, "Ready").is_some_and(|(_, seen, _)| seen == *reason);
        let object = until(plane, "Certificate", name, &format!("says {reason}"), seen).await;
        let (status, _, message) = condition(&object, "Ready").unwrap();
        assert_eq!(status, if *is_final { "False" } else { "Unknown" }, "{name}");
        let stalled = condition(&object, "Stalled").is_some_and(|(status, ..)| status == "True");
        assert_eq!(stalled, *is_final, "{name}");
        let missing = words.iter().filter(|word| !message.contains(**word));
        wrong.extend(missing.map(|word| format!("{name}: {word:?} is missing in: {message}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    tokio::time::sleep(Duration::from_secs(2)).await;
    let mark = plane.audit().mark().unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let requests = plane.audit().since(mark).unwrap();
    let ours = requests.into_iter().filter(Event::is_write_of_ours).count();
    assert_eq!(ours, 0, "refused input keeps the operator writing");
    let left = secrets(plane).list(&ListParams::default()).await.unwrap();
    let names: Vec<_> = left.items.into_iter().filter_map(|secret| secret.metadata.name).collect();
    assert_eq!(names, ["opaque"]);
}

#[tokio::test]
async fn constraints_of_an_authority_may_only_be_tightened() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    create(plane, &root("root", json!({ "pathLength": 1, "maxLeafDuration": "100h" }))).await.unwrap();
    until_ready(plane, "ClusterIssuer", "root").await;
    for (field, value) in [
        ("commonName", json!("Someone else")),
        ("privateKey", json!({ "algorithm": "ECDSA", "size": 521 })),
        ("pathLength", json!(2)),
        ("maxLeafDuration", json!("200h")),
        ("maxLeafDuration", Value::Null),
    ] {
        let answer = edit(plane, "ClusterIssuer", "root", json!({ "authority": { field: value } })).await;
        let answer = answer.map(|_| ()).unwrap_err().to_string();
        assert!(
            answer.contains(&format!("authority.{field}")) && answer.contains("new issuer"),
            "{field}: {answer}"
        );
    }

    edit(plane, "ClusterIssuer", "root", json!({ "authority": { "maxLeafDuration": "50h" } })).await.unwrap();
    until_ready(plane, "ClusterIssuer", "root").await;
    create(plane, &certificate("long", "root", json!({ "duration": "60h" }))).await.unwrap();
    let outside =
        |object: &_| condition(object, "Ready").is_some_and(|(_, reason, _)| reason == "OutsideConstraints");
    until(plane, "Certificate", "long", "is outside the new limit", outside).await;
    edit(plane, "Certificate", "long", json!({ "duration": "40h" })).await.unwrap();
    until_ready(plane, "Certificate", "long").await;
}
