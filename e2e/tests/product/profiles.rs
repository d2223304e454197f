//! Profiles of an issuer, from outside: what they narrow, who has to agree, and what becomes of a Certificate without one.

use crate::approvals::{self, plugin, two_of_security, until_phase, waits, with_class};
use crate::cluster::{certificate, condition, create, edit, entries, root, secrets, until, until_ready};
use crate::foreign::judge;
use keywright_e2e::{ControlPlane, Suite};
use kube::api::DynamicObject;
use serde_json::{Value, json};

/// The words of a Certificate that is refused for good.
async fn refused(plane: &ControlPlane, name: &str, more: Value) -> String {
    create(plane, &certificate(name, "profiled", more)).await.unwrap();
    told(plane, name, "OutsideConstraints").await
}

/// The words of a Certificate, once it says so of its newest spec.
async fn told(plane: &ControlPlane, name: &str, reason: &str) -> String {
    let says = |object: &DynamicObject| {
        object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation
            && condition(object, "Ready").is_some_and(|(_, said, _)| said == reason)
    };
    let object = until(plane, "Certificate", name, &format!("says {reason}"), says).await;
    condition(&object, "Ready").unwrap().2
}

/// How long what was issued lives.
fn life(object: &DynamicObject) -> jiff::SignedDuration {
    let at = |field: &str| object.data["status"][field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    at("notAfter").duration_since(at("notBefore"))
}

#[tokio::test]
async fn a_profile_narrows_the_default_one_is_for_who_names_none_and_else_nothing_is_signed() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    let web = json!({ "name": "web", "maxDuration": "1h", "nameConstraints": { "permitted": { "dnsDomains": ["shop.test"] } },
        "allowed": { "usages": ["digital signature", "server auth"] } });
    let open = json!({ "name": "open", "description": "all that the authority signs" });
    create(plane, &root("profiled", json!({ "profiles": [web, open], "allowed": { "isCA": true } })))
        .await
        .unwrap();
    until_ready(plane, "ClusterIssuer", "profiled").await;

    // None is called default: who names none gets nothing, nor does who names one that is not there.
    let words = refused(plane, "none", json!({})).await;
    assert!(
        words.contains("spec.profile: it is required") && words.contains("name one of web, open"),
        "{words}"
    );
    let words = refused(plane, "unknown", json!({ "profile": "other" })).await;
    assert!(words.contains("name one of web, open"), "{words}");

    // What is outside of the profile is told by field and profile, what is inside is issued within it.
    let shop = json!({ "dnsNames": ["www.shop.test"], "profile": "web", "usages": ["digital signature", "server auth"] });
    for (name, change, says) in [
        ("names", json!({ "dnsNames": ["www.other.test"] }), "name constraints of profile \"web\""),
        ("life", json!({ "duration": "2h" }), "maxDuration 1h of profile \"web\""),
        ("usages", json!({ "usages": ["client auth"] }), "allowed by profile \"web\""),
        (
            "authority",
            json!({ "isCA": true, "commonName": "Shop authority" }),
            "profile \"web\" of ClusterIssuer",
        ),
    ] {
        let mut more = shop.clone();
        more.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let words = refused(plane, name, more).await;
        assert!(words.contains(says), "{name}: {words}");
        assert!(secrets(plane).get_opt(name).await.unwrap().is_none(), "{name}");
    }
    create(plane, &certificate("shop", "profiled", shop)).await.unwrap();
    let issued = until_ready(plane, "Certificate", "shop").await;
    assert!(life(&issued) <= jiff::SignedDuration::from_hours(1), "{issued:?}");

    // Another profile is another certificate.
    edit(plane, "Certificate", "shop", json!({ "profile": "open" })).await.unwrap();
    let again = until(plane, "Certificate", "shop", "is issued anew", |object| {
        object.data["status"]["revision"] == 2
            && condition(object, "Ready").is_some_and(|(status, ..)| status == "True")
    })
    .await;
    assert!(life(&again) > jiff::SignedDuration::from_hours(2), "{again:?}");
    judge(&entries(plane, "shop").await);

    // A further profile would let more be signed, and this authority was made without people who could agree.
    let more = json!({ "authority": { "profiles": [{ "name": "web" }, { "name": "open" }, { "name": "default" }] } });
    let said = edit(plane, "ClusterIssuer", "profiled", more).await.unwrap_err().to_string();
    assert!(said.contains("authority.profiles may be set where there were none"), "{said}");
    let none = json!({ "authority": { "profiles": null } });
    let said = edit(plane, "ClusterIssuer", "profiled", none).await.unwrap_err().to_string();
    assert!(said.contains("authority.profiles may be set where there were none"), "{said}");
    // To narrow the name constraints is fine; to widen them only the signer can tell.
    let of = |domains: Value| {
        json!({ "authority": { "profiles": [{ "name": "web", "maxDuration": "1h",
            "allowed": { "usages": ["digital signature", "server auth"] },
            "nameConstraints": { "permitted": { "dnsDomains": domains } } }] } })
    };
    edit(plane, "ClusterIssuer", "profiled", of(json!(["a.shop.test"]))).await.unwrap();
    until_ready(plane, "ClusterIssuer", "profiled").await;
    told(plane, "shop", "OutsideConstraints").await;
    edit(plane, "ClusterIssuer", "profiled", of(json!(["test"]))).await.unwrap();
    until(plane, "ClusterIssuer", "profiled", "is refused by the signer", |object| {
        condition(object, "Ready").is_some_and(|(_, reason, words)| {
            reason == "LooseningRefused" && words.contains("profiles[web].nameConstraints")
        })
    })
    .await;
}

#[tokio::test]
async fn the_example_of_the_documents_is_issued_under_its_profiles() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    let example = plane.site().assets.checkout.join("docs/examples/profiles.yaml").display().to_string();
    plane.kubectl(&["apply", "--server-side", "-f", &example]).unwrap();
    plane.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "-f", &example]).unwrap();
    let opinion = judge(&entries(plane, "shop-tls").await);
    assert!(opinion.text.contains("TLS Web Server Authentication"), "{}", opinion.text);
    let anything = until_ready(plane, "Certificate", "anything").await;
    assert!(life(&anything) <= jiff::SignedDuration::from_hours(24), "the default's: {anything:?}");
    plane.kubectl(&["diff", "--server-side", "-f", &example]).unwrap();
}

#[tokio::test]
async fn a_profile_demands_agreement_that_no_other_one_does() {
    let suite = with_class(&two_of_security()).await;
    let plane = &suite.plane;
    let guarded = json!({ "name": "guarded", "approvals": { "anyIssuance": "production" } });
    let authority = json!({ "profiles": [guarded, { "name": "default" }] });
    create(plane, &root("guarded", authority)).await.unwrap();
    until_ready(plane, "ClusterIssuer", "guarded").await;

    // Who names none comes under the default profile, and nobody is asked.
    approvals::certificate(plane, "free");
    until_ready(plane, "Certificate", "free").await;

    let carol = ["--as=carol", "--as-group=security"];
    approvals::apply(plane, &certificate("web", "guarded", json!({ "profile": "guarded" })), &carol);
    let (_, request) = waits(plane, "web").await;
    let effect =
        plane.kubectl(&["get", "approvalrequests", &request, "-o", "jsonpath={.spec.effect}"]).unwrap();
    assert!(effect.contains(r#""profile":"guarded""#), "{effect}");
    let (_, said) = plugin(plane, "alice", &["requests", &request]);
    assert!(said.contains("guarded"), "{said}");
    for who in ["alice", "bob"] {
        let (done, said) = plugin(plane, who, &["approve", &request]);
        assert!(done, "{said}");
    }
    until_ready(plane, "Certificate", "web").await;
    until_phase(plane, &request, "Consumed").await;
    let (_, said) = plugin(plane, "alice", &["status", "certificate", "web"]);
    assert!(said.contains("Profile") && said.contains("guarded"), "{said}");
}
