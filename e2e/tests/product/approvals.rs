//! Certificates that people have to agree to, on a real API server: each person is an impersonated user, each vote goes
//! through the plugin and admission, and the signer reads the records itself.

use crate::cluster::{PATIENCE, condition, create, entries, root, secrets, until, until_ready};
use crate::foreign::judge;
use keywright_e2e::{ControlPlane, Suite, wait_for};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use std::process::{Command, Output};

/// Class `production` with this spec; everybody in group security or dba may vote and make certificates.
fn rules(class: &Value) -> Value {
    let bound = |role: &str, name: &str| {
        let group =
            |name: &str| json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name });
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [group("security"), group("dba")] })
    };
    json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "keywright.dev/v1alpha1", "kind": "ApprovalClass", "metadata": { "name": "production" },
          "spec": class },
        { "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "votes" },
          "rules": [
            { "apiGroups": ["keywright.dev"], "resources": ["approvalclasses"], "resourceNames": ["production"],
              "verbs": ["approve"] },
            { "apiGroups": ["keywright.dev"], "resources": ["certificates"], "verbs": ["create", "get", "patch"] },
          ] },
        bound("votes", "votes"),
        bound("keywright-approver", "approvers"),
    ] })
}

/// Class `production`: two of group security.
pub(crate) fn two_of_security() -> Value {
    json!({ "groups": [{ "name": "security", "members": ["security"] }] })
}

/// Class `production` with this spec, and ClusterIssuer `guarded`, whose every certificate needs it.
pub(crate) async fn guarded(class: &Value) -> Suite {
    let suite = with_class(class).await;
    let authority = json!({ "approvals": { "anyIssuance": "production" } });
    create(&suite.plane, &root("guarded", authority)).await.unwrap();
    until_ready(&suite.plane, "ClusterIssuer", "guarded").await;
    suite
}

/// Class `production` with this spec.
pub(crate) async fn with_class(class: &Value) -> Suite {
    let suite = Suite::start().await.unwrap();
    apply(&suite.plane, &rules(class), &[]);
    suite
}

pub(crate) fn apply(plane: &ControlPlane, object: &Value, who: &[&str]) {
    let file = plane.site().root.join("approvals.json");
    std::fs::write(&file, object.to_string()).unwrap();
    let file = file.display().to_string();
    plane.kubectl(&[&["apply", "--server-side", "-f", &file], who].concat()).unwrap();
}

/// A Certificate that carol made.
pub(crate) fn certificate(plane: &ControlPlane, name: &str) {
    apply(
        plane,
        &crate::cluster::certificate(name, "guarded", json!({})),
        &["--as=carol", "--as-group=security"],
    );
}

/// The plugin as somebody of a group, in namespace `default`.
pub(crate) fn plugin_command(plane: &ControlPlane, (who, group): (&str, &str), words: &[&str]) -> Command {
    let mut command = Command::new(plane.site().assets.product.join("kubectl-keywright"));
    command.args(words).args(["--as", who, "--as-group", group]).env("KUBECONFIG", plane.site().kubeconfig());
    if !words.contains(&"--namespace") {
        command.arg("--namespace=default");
    }
    command
}

/// The plugin as one of group security; what it said, and whether it was content.
pub(crate) fn plugin(plane: &ControlPlane, who: &str, words: &[&str]) -> (bool, String) {
    plugin_as(plane, (who, "security"), words)
}

/// The plugin as somebody of a group; what it said, and whether it was content.
pub(crate) fn plugin_as(plane: &ControlPlane, who: (&str, &str), words: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = plugin_command(plane, who, words).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    (status.success(), said)
}

/// The Certificate and the name of its request, once it waits for people.
pub(crate) async fn waits(plane: &ControlPlane, name: &str) -> (DynamicObject, String) {
    let object = until(plane, "Certificate", name, "waits for people", |object| {
        condition(object, "Ready")
            .is_some_and(|(_, reason, words)| reason == "AwaitingApproval" && words.contains("of security"))
    })
    .await;
    let request = object.data["status"]["approval"]["request"].as_str().unwrap().to_owned();
    (object, request)
}

pub(crate) async fn until_phase(plane: &ControlPlane, request: &str, wanted: &str) {
    let what = format!("ApprovalRequest {request} is {wanted}");
    let seen = wait_for(&what, PATIENCE, async || {
        let path = "jsonpath={.status.phase}";
        let phase = plane.kubectl(&["get", "approvalrequests", request, "-o", path]).unwrap_or_default();
        Ok((phase == wanted).then_some(()))
    });
    seen.await.unwrap();
}

#[tokio::test]
async fn two_of_a_group_agree_and_nobody_to_their_own_and_no_machine_and_nobody_twice() {
    let suite = guarded(&two_of_security()).await;
    let plane = &suite.plane;
    certificate(plane, "web");
    let (object, request) = waits(plane, "web").await;
    let (status, _, words) = condition(&object, "Ready").unwrap();
    assert_eq!(status, "Unknown");
    assert!(words.contains(&format!("kubectl keywright approve {request} --namespace default")), "{words}");
    assert!(secrets(plane).get_opt("web").await.unwrap().is_none());

    let (ready, why) = plugin(plane, "alice", &["why", "web"]);
    assert!(!ready && why.contains("web.example.test") && why.contains("production"), "{why}");
    let refused = [("carol", "created"), ("system:serviceaccount:default:robot", "machine")];
    for (who, because) in refused {
        let (done, said) = plugin(plane, who, &["approve", &request]);
        assert!(!done && said.contains(because), "{who}: {said}");
    }
    let (done, said) = plugin(plane, "alice", &["approve", &request, "--reason", "seen"]);
    assert!(done && said.contains("web.example.test"), "{said}");
    let (again, said) = plugin(plane, "alice", &["approve", &request]);
    assert!(!again && said.contains("you voted on request"), "{said}");
    assert!(secrets(plane).get_opt("web").await.unwrap().is_none(), "one is not two");

    let (done, said) = plugin(plane, "bob", &["approve", &request]);
    assert!(done, "{said}");
    let object = until_ready(plane, "Certificate", "web").await;
    judge(&entries(plane, "web").await);
    until_phase(plane, &request, "Consumed").await;
    let uid = object.metadata.uid.unwrap();
    let kept = secrets(plane).get(&format!("pending-key-{uid}")).await.unwrap();
    assert!(kept.data.unwrap_or_default().is_empty(), "the key that was kept is wiped");

    // Used once: another issuance is another effect, with a request of its own.
    plane.kubectl(&["annotate", "certificate", "web", "keywright.dev/renew=now"]).unwrap();
    let (_, second) = waits(plane, "web").await;
    assert_ne!(second, request);
}

#[tokio::test]
async fn one_denial_stops_it_for_good() {
    let suite = guarded(&two_of_security()).await;
    let plane = &suite.plane;
    certificate(plane, "web");
    let (_, request) = waits(plane, "web").await;
    assert!(plugin(plane, "alice", &["approve", &request]).0);
    let (done, said) = plugin(plane, "bob", &["deny", &request, "--reason", "not today"]);
    assert!(done, "{said}");
    until(plane, "Certificate", "web", "was denied", |object| {
        condition(object, "Ready").is_some_and(|(_, reason, _)| reason == "ApprovalDenied")
    })
    .await;
    until_phase(plane, &request, "Denied").await;
    let (done, said) = plugin(plane, "dave", &["approve", &request]);
    assert!(!done, "{said}");
    assert!(secrets(plane).get_opt("web").await.unwrap().is_none());
}
