//! Authorities that people agree to, from outside with kubectl: a loosening, and an intermediate below a guarded root.

use crate::approvals::{apply, plugin, two_of_security, until_phase, with_class};
use crate::cluster::{certificate, condition, create, edit, intermediate, root, secrets, until, until_ready};
use keywright_e2e::ControlPlane;
use kube::api::DynamicObject;
use serde_json::json;

/// Where requests about cluster issuers are.
const HOME: &str = "keywright-system";

/// The name of the request, once an issuer's Ready has this status and says that people are waited for.
async fn waits(plane: &ControlPlane, kind: &str, name: &str, ready: &str) -> String {
    let asked = |object: &DynamicObject| {
        object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation
            && condition(object, "Ready").is_some_and(|(status, reason, words)| {
                status == ready && reason == "AwaitingApproval" && words.contains("2 of security")
            })
    };
    let object = until(plane, kind, name, "waits for people", asked).await;
    object.data["status"]["approval"]["request"].as_str().unwrap().to_owned()
}

fn agree(plane: &ControlPlane, namespace: &str, request: &str) {
    for who in ["alice", "bob"] {
        let (done, said) = plugin(plane, who, &["approve", request, "--namespace", namespace]);
        assert!(done, "{said}");
    }
}

#[tokio::test]
async fn an_authority_becomes_looser_when_its_class_agreed_and_works_meanwhile() {
    let suite = with_class(&two_of_security()).await;
    let plane = &suite.plane;
    let authority = json!({ "maxLeafDuration": "1h", "nameConstraints": { "permitted": { "dnsDomains": ["a.test"] } },
        "approvals": { "loosening": "production" } });
    create(plane, &root("opens", authority)).await.unwrap();
    until_ready(plane, "ClusterIssuer", "opens").await;
    let looser = json!({ "authority": { "maxLeafDuration": "2h",
        "nameConstraints": { "permitted": { "dnsDomains": ["a.test", "b.test"] } } } });
    edit(plane, "ClusterIssuer", "opens", looser).await.unwrap();
    let request = waits(plane, "ClusterIssuer", "opens", "True").await;

    let leaf = |name: &str, dns: &str, life: &str| {
        let more = json!({ "dnsNames": [dns], "duration": life, "renewBefore": "20m" });
        certificate(name, "opens", more)
    };
    create(plane, &leaf("before", "x.a.test", "1h")).await.unwrap();
    until_ready(plane, "Certificate", "before").await;
    create(plane, &leaf("after", "x.b.test", "2h")).await.unwrap();
    until(plane, "Certificate", "after", "is refused as yet", |object| {
        condition(object, "Ready").is_some_and(|(status, ..)| status == "False")
    })
    .await;
    assert!(secrets(plane).get_opt("after").await.unwrap().is_none());

    agree(plane, HOME, &request);
    until(plane, "ClusterIssuer", "opens", "says in its certificate what holds", |object| {
        object.data["status"]["authority"]["revision"] == 2
            && condition(object, "Ready").is_some_and(|(_, reason, _)| reason == "AuthorityReady")
    })
    .await;
    until_ready(plane, "Certificate", "after").await;

    // The same from the other side: a denial leaves all as it is.
    let looser = json!({ "authority": { "maxLeafDuration": "9h" } });
    edit(plane, "ClusterIssuer", "opens", looser).await.unwrap();
    let request = waits(plane, "ClusterIssuer", "opens", "True").await;
    let (done, said) = plugin(plane, "bob", &["deny", &request, "--namespace", HOME]);
    assert!(done, "{said}");
    until(plane, "ClusterIssuer", "opens", "was denied", |object| {
        condition(object, "Ready")
            .is_some_and(|(status, reason, _)| status == "True" && reason == "ApprovalDenied")
            && condition(object, "Stalled").is_some()
    })
    .await;
}

#[tokio::test]
async fn without_a_class_an_edit_that_loosens_is_refused_and_none_can_be_named_later() {
    let suite = with_class(&two_of_security()).await;
    let plane = &suite.plane;
    create(plane, &root("fixed", json!({ "maxLeafDuration": "1h" }))).await.unwrap();
    until_ready(plane, "ClusterIssuer", "fixed").await;
    for (spec, words) in [
        (json!({ "authority": { "maxLeafDuration": "2h" } }), "maxLeafDuration"),
        (json!({ "authority": { "approvals": { "loosening": "production" } } }), "cannot be added later"),
    ] {
        let refused = edit(plane, "ClusterIssuer", "fixed", spec).await.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[tokio::test]
async fn an_intermediate_below_a_guarded_root_is_made_when_people_agreed_and_never_after_a_denial() {
    let suite = with_class(&two_of_security()).await;
    let plane = &suite.plane;
    create(plane, &root("guarded", json!({ "approvals": { "caCertificates": "production" } })))
        .await
        .unwrap();
    until_ready(plane, "ClusterIssuer", "guarded").await;
    for name in ["wanted", "unwanted"] {
        apply(plane, &intermediate(name, "guarded", json!({})), &[]);
    }
    let wanted = waits(plane, "Issuer", "wanted", "Unknown").await;
    let unwanted = waits(plane, "Issuer", "unwanted", "Unknown").await;
    agree(plane, "default", &wanted);
    until_ready(plane, "Issuer", "wanted").await;
    until_phase(plane, &wanted, "Consumed").await;
    let leaf = json!({ "issuerRef": { "kind": "Issuer", "name": "wanted" } });
    create(plane, &certificate("web", "wanted", leaf)).await.unwrap();
    until_ready(plane, "Certificate", "web").await;

    assert!(plugin(plane, "alice", &["approve", &unwanted]).0);
    assert!(plugin(plane, "bob", &["deny", &unwanted]).0);
    let denied = until(plane, "Issuer", "unwanted", "was denied", |object| {
        condition(object, "Ready")
            .is_some_and(|(status, reason, _)| status == "False" && reason == "ApprovalDenied")
    });
    assert!(denied.await.data["status"]["authority"].is_null());
}
