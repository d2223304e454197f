//! Actions of Argo CD on a request for approval: what they make is created as Argo CD's own account creates it.

use crate::approvals::{apply, certificate, guarded, two_of_security, until_phase, waits};
use crate::approvals_worst::request;
use crate::cluster::{condition, until, until_ready};
use crate::lua;
use keywright_e2e::{ControlPlane, Error};
use serde_json::{Value, json};

/// The account that runs actions where Argo CD is installed as it ships; the scripts name it.
const VOTER: &str = "system:serviceaccount:argocd:argocd-server";

/// What docs/gitops.md grants it: to make votes, and to approve under the class.
fn rights(plane: &ControlPlane) {
    let bound = |role: &str| {
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": format!("argocd-{role}") },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "kind": "ServiceAccount", "namespace": "argocd", "name": "argocd-server" }] })
    };
    let items = [bound("votes"), bound("keywright-approver")];
    apply(plane, &json!({ "apiVersion": "v1", "kind": "List", "items": items }), &[]);
}

/// A class under which Argo CD's vote is enough, if `named`.
fn class(named: &[&str]) -> Value {
    json!({ "groups": [{ "name": "security", "users": [VOTER], "count": 1 }], "serviceAccounts": named })
}

/// Runs an action on the request as it is now, and creates what it says: once without effect, as Argo CD does first.
fn press(plane: &ControlPlane, name: &str, action: &str) -> Result<String, Error> {
    let folder = lua::kinds().join("ApprovalRequest/actions");
    let live = request(plane, name);
    let offered = lua::run(&folder.join("discovery.lua"), &live);
    assert_eq!(offered[action]["disabled"], false, "{offered}");
    let made = lua::run(&folder.join(action).join("action.lua"), &live);
    assert_eq!((made[0]["operation"].as_str(), &made[1]), (Some("create"), &Value::Null));
    let file = plane.site().root.join("action.json");
    std::fs::write(&file, made[0]["resource"].to_string()).unwrap();
    let (file, who) = (file.display().to_string(), format!("--as={VOTER}"));
    let groups = ["--as-group=system:serviceaccounts", "--as-group=system:serviceaccounts:argocd"];
    let create = [&["create", "-f", &file, &who], &groups[..]].concat();
    plane.kubectl(&[&create[..], &["--dry-run=server"]].concat())?;
    plane.kubectl(&create)
}

#[tokio::test]
async fn argo_cd_approves_and_denies_where_the_class_names_its_account() {
    let suite = guarded(&class(&[VOTER])).await;
    let plane = &suite.plane;
    certificate(plane, "web");
    let (_, name) = waits(plane, "web").await;
    let refused = press(plane, &name, "approve").unwrap_err().to_string();
    assert!(refused.contains("cannot create resource"), "without rights: {refused}");
    rights(plane);

    press(plane, &name, "approve").unwrap();
    until_ready(plane, "Certificate", "web").await;
    until_phase(plane, &name, "Consumed").await;
    let done = lua::run(&lua::kinds().join("ApprovalRequest/actions/discovery.lua"), &request(plane, &name));
    assert!(done["approve"]["disabled"] == true && done["deny"]["disabled"] == true, "{done}");

    certificate(plane, "other");
    let (_, name) = waits(plane, "other").await;
    press(plane, &name, "deny").unwrap();
    until_phase(plane, &name, "Denied").await;
    until(plane, "Certificate", "other", "was denied", |object| {
        condition(object, "Ready").is_some_and(|(_, reason, _)| reason == "ApprovalDenied")
    })
    .await;
}

#[tokio::test]
async fn the_vote_of_argo_cd_is_refused_where_the_class_does_not_name_its_account() {
    let suite = guarded(&class(&[])).await;
    let plane = &suite.plane;
    rights(plane);
    certificate(plane, "web");
    let (_, name) = waits(plane, "web").await;
    for action in ["approve", "deny"] {
        let refused = press(plane, &name, action).unwrap_err().to_string();
        assert!(refused.contains("machine accounts vote only where the class names them"), "{refused}");
    }
    // Named, and in no group: it is nobody whom the class asks.
    let mut elsewhere = two_of_security();
    elsewhere["serviceAccounts"] = json!([VOTER]);
    let class = json!({ "apiVersion": "keywright.dev/v1alpha1", "kind": "ApprovalClass",
        "metadata": { "name": "production" }, "spec": elsewhere });
    apply(plane, &class, &["--force-conflicts"]);
    let refused = press(plane, &name, "approve").unwrap_err().to_string();
    assert!(refused.contains("the voter is in none of the groups"), "{refused}");
    until_phase(plane, &name, "Pending").await;
}
