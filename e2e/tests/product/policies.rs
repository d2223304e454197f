//! Policies on a real API server: judged when they are written, heard at admission, and held by the signer.

use crate::approvals;
use crate::cluster::{PATIENCE, certificate, condition, create, root, until, until_ready};
use keywright_e2e::{ControlPlane, Suite, wait_for};
use serde_json::{Value, json};
use std::cell::Cell;

fn policy(source: &str, mode: &str) -> Value {
    json!({ "apiVersion": "keywright.dev/v1alpha1", "kind": "Policy", "metadata": { "name": "names" },
        "spec": { "mode": mode, "appliesTo": { "kinds": ["Certificate"] }, "rego": { "source": source } } })
}

/// What kubectl says; errors are its words.
fn apply(plane: &ControlPlane, object: &Value, more: &[&str]) -> Result<String, String> {
    let file = plane.site().root.join("policy.json");
    std::fs::write(&file, object.to_string()).unwrap();
    let file = file.display().to_string();
    plane
        .kubectl(&[&["apply", "--server-side", "-f", &file], more].concat())
        .map_err(|error| error.to_string())
}

/// The words of a dry run that is refused, once it is.
async fn refused(plane: &ControlPlane, name: &str) -> String {
    let object = certificate(name, "root", json!({}));
    let said =
        wait_for("a refusal", PATIENCE, async || Ok(apply(plane, &object, &["--dry-run=server"]).err()));
    said.await.unwrap()
}

#[tokio::test]
async fn a_policy_is_judged_when_written_and_heard_at_admission() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    create(plane, &root("root", json!({}))).await.unwrap();
    until_ready(plane, "ClusterIssuer", "root").await;

    let broken = apply(plane, &policy("package keywright\n\ndeny contains {", "Enforce"), &[]).unwrap_err();
    assert!(broken.contains("line 3"), "{broken}");

    let names = "package keywright\ndeny contains \"only names of the shop\" if input.request == \"CREATE\"";
    apply(plane, &policy(names, "Enforce"), &[]).unwrap();
    plane.kubectl(&["wait", "--for=condition=Ready", "policy/names", "--timeout=60s"]).unwrap();
    let said = refused(plane, "web").await;
    assert!(said.contains("only names of the shop") && said.contains("names"), "{said}");

    // Audit tells and changes nothing.
    apply(plane, &policy(names, "Audit"), &[]).unwrap();
    let told = wait_for("let through", PATIENCE, async || {
        Ok(apply(plane, &certificate("web", "root", json!({})), &["--dry-run=server"]).ok())
    });
    told.await.unwrap();

    // One that would never end denies.
    let endless = "package keywright\nxs := [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]\n\
        deny contains \"never\" if {\n some a in xs\n some b in xs\n some c in xs\n some d in xs\n a + b + c + d > 1000\n}";
    apply(plane, &policy(endless, "Enforce"), &[]).unwrap();
    let said = refused(plane, "web").await;
    assert!(said.contains("names") && !said.contains("never"), "{said}");
}

/// Whether bundles run depends on how the programs were built; that the webhook finds them, and which, does not.
#[tokio::test]
async fn a_policy_of_a_bundle_is_refused_until_its_very_bytes_are_there() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    let of = |digest: &str| {
        json!({ "apiVersion": "keywright.dev/v1alpha1", "kind": "Policy", "metadata": { "name": "names" },
            "spec": { "bundle": { "configMapRef": { "name": "bundles", "key": "shop.tar.gz" }, "digest": digest } } })
    };
    let refused = |digest: &str| apply(plane, &of(digest), &[]).unwrap_err();
    let zeros = format!("sha256:{}", "0".repeat(64));
    let said = refused(&zeros);
    assert!(said.contains("ConfigMap keywright-system/bundles does not exist"), "{said}");

    let config_map = json!({ "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "bundles", "namespace": "keywright-system" },
        "binaryData": { "shop.tar.gz": "bm9uc2Vuc2U=" } });
    apply(plane, &config_map, &[]).unwrap();
    let said = refused(&zeros);
    let found = said.split("has digest ").nth(1).and_then(|rest| rest.split(',').next());
    let said = refused(found.unwrap_or_else(|| panic!("{said}")));
    assert!(said.contains("does not load: it is neither a bundle"), "{said}");
}

#[tokio::test]
async fn the_signer_holds_a_policy_and_lets_go_when_it_is_gone() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    create(plane, &root("root", json!({}))).await.unwrap();
    until_ready(plane, "ClusterIssuer", "root").await;
    let source = "package keywright\ndeny contains \"not now\" if input.request == \"IssueCertificate\"";
    apply(plane, &policy(source, "Enforce"), &[]).unwrap();

    // The signer's list may be two seconds old: one of these is the first that is denied.
    let count = Cell::new(0);
    let denied = wait_for("a certificate that is denied", PATIENCE, async || {
        let name = format!("web-{}", count.replace(count.get() + 1));
        create(plane, &certificate(&name, "root", json!({}))).await?;
        let told = |object: &_| condition(object, "Ready").is_some_and(|(status, ..)| status != "Unknown");
        let object = until(plane, "Certificate", &name, "is told", told).await;
        let (_, reason, message) = condition(&object, "Ready").unwrap();
        Ok((reason == "PolicyDenied").then_some((name, message)))
    });
    let (name, message) = denied.await.unwrap();
    assert!(message.contains("not now") && message.contains("decision"), "{message}");

    plane.kubectl(&["delete", "policy", "names"]).unwrap();
    // Without the policy's end being noticed it would be tried again after ten minutes.
    until_ready(plane, "Certificate", &name).await;
}

#[tokio::test]
async fn a_policy_is_shown_who_agreed_and_may_say_no_to_them() {
    let suite = approvals::with_class(&approvals::two_of_security()).await;
    let plane = &suite.plane;
    create(plane, &root("guarded", json!({}))).await.unwrap();
    until_ready(plane, "ClusterIssuer", "guarded").await;
    let rules = "package keywright\n\
        require_approval contains \"production\" if input.request == \"IssueCertificate\"\n\
        deny contains \"dave may not agree\" if { some one in input.approvals; \"dave\" in one.approvers }";
    apply(plane, &policy(rules, "Enforce"), &[]).unwrap();
    plane.kubectl(&["wait", "--for=condition=Ready", "policy/names", "--timeout=60s"]).unwrap();

    for (name, people, reason) in
        [("web", ["alice", "dave"], "PolicyDenied"), ("shop", ["alice", "bob"], "Issued")]
    {
        approvals::certificate(plane, name);
        let (_, request) = approvals::waits(plane, name).await;
        for person in people {
            let (content, said) =
                approvals::plugin(plane, person, &["approve", &request, "--reason", "seen"]);
            assert!(content, "{said}");
        }
        let told = |object: &_| condition(object, "Ready").is_some_and(|(_, said, _)| said == reason);
        let object = until(plane, "Certificate", name, "is decided", told).await;
        let (.., message) = condition(&object, "Ready").unwrap();
        assert_eq!(message.contains("dave may not agree"), reason == "PolicyDenied", "{message}");
    }
}
