//! Approvals by people whose keys are pinned in the signer, against whoever rules the API server.

use crate::approvals::{certificate, guarded, plugin, plugin_command, until_phase, waits};
use crate::approvals_worst::{request, stays_unissued};
use crate::cluster::{PATIENCE, condition, create, edit, root, until, until_ready};
use keywright_e2e::{ControlPlane, Process, Suite, wait_for};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An SSH key of one's own, made by ssh-keygen; the line of its public half.
fn ssh_key(folder: &Path, who: &str) -> (PathBuf, String) {
    let path = folder.join(format!("{who}.key"));
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-t", "ed25519", "-N", "", "-C", who, "-f"]).arg(&path);
    assert!(make.status().unwrap().success());
    (path.clone(), std::fs::read_to_string(path.with_extension("key.pub")).unwrap().trim().to_owned())
}

/// The armoured signature over a statement.
fn signed(key: &Path, statement: &str) -> String {
    let file = key.with_extension("statement");
    std::fs::write(&file, statement).unwrap();
    let mut sign = Command::new("ssh-keygen");
    sign.args(["-q", "-Y", "sign", "-n", "keywright.dev/approval", "-f"]).arg(key).arg(&file);
    assert!(sign.status().unwrap().success());
    let armoured = file.with_extension("statement.sig");
    let text = std::fs::read_to_string(&armoured).unwrap();
    std::fs::remove_file(armoured).unwrap();
    text
}

/// Class `production` asks for signatures; the keys of alice, bob and dave are pinned in the signer.
async fn pinned() -> (Suite, Vec<PathBuf>) {
    let class = json!({ "groups": [{ "name": "security", "members": ["security"] }], "proof": "Signature" });
    let mut suite = guarded(&class).await;
    let folder = suite.plane.site().root.clone();
    let people = ["alice", "bob", "dave"];
    let keys: Vec<_> = people.iter().map(|who| ssh_key(&folder, who)).collect();
    let approver = |(who, (_, key)): (&&str, &(PathBuf, String))| json!({ "name": who, "usernames": [who], "keys": [key] });
    let pins = json!({
        "classes": [{ "name": "production", "groups": [{ "name": "security", "approvers": people, "count": 2 }] }],
        "approvers": people.iter().zip(&keys).map(approver).collect::<Vec<_>>(),
    });
    std::fs::write(suite.plane.site().approvers(), pins.to_string()).unwrap();
    suite.restart(Process::Signer).await.unwrap();
    (suite, keys.into_iter().map(|(path, _)| path).collect())
}

#[tokio::test]
async fn whoever_rules_the_api_server_cannot_vote_for_those_whose_keys_are_pinned() {
    let (suite, keys) = pinned().await;
    let plane = &suite.plane;
    certificate(plane, "good");
    let (_, name) = waits(plane, "good").await;
    for (who, key) in ["alice", "bob"].into_iter().zip(&keys) {
        vote_signed(plane, "default", &name, (who, key));
    }
    until_ready(plane, "Certificate", "good").await;

    certificate(plane, "evil");
    let (_, name) = waits(plane, "evil").await;
    let (stranger, _) = ssh_key(&plane.site().root, "mallory");
    let output = plugin_command(plane, ("alice", "security"), &["approve", &name, "--statement"]).output();
    let signature = signed(&stranger, &String::from_utf8(output.unwrap().stdout).unwrap());
    for kind in ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] {
        plane.kubectl(&["delete", kind, "keywright-webhook"]).unwrap();
    }
    let about = request(plane, &name);
    for who in ["alice", "bob"] {
        forge(plane, &about, who, &signature).await;
    }
    // The records look as if all agreed, and the operator believes them.
    until_phase(plane, &name, "Approved").await;
    let refused = until(plane, "Certificate", "evil", "was refused by the signer", |object| {
        condition(object, "Ready").is_some_and(|(_, reason, _)| reason == "ApprovalNotTaken")
    });
    let (_, _, words) = condition(&refused.await, "Ready").unwrap();
    assert!(words.contains("not enough people agree"), "{words}");
    stays_unissued(plane, "evil").await;
}

/// A vote with a signature by this key over what the plugin says.
fn vote_signed(plane: &ControlPlane, namespace: &str, request: &str, (who, key): (&str, &Path)) {
    let within = ["--namespace", namespace];
    let words = [&["approve", request, "--statement"], &within[..]].concat();
    let statement = plugin_command(plane, (who, "security"), &words).output().unwrap();
    let signature = signed(key, &String::from_utf8(statement.stdout).unwrap());
    let file = key.with_extension("vote").display().to_string();
    std::fs::write(&file, signature).unwrap();
    let (done, said) =
        plugin(plane, who, &[&["approve", request, "--signature", &file], &within[..]].concat());
    assert!(done, "{said}");
}

#[tokio::test]
async fn people_whose_keys_are_pinned_loosen_an_authority_by_what_they_signed() {
    let (suite, keys) = pinned().await;
    let plane = &suite.plane;
    let authority = json!({ "maxLeafDuration": "1h", "approvals": { "loosening": "production" } });
    create(plane, &root("opens", authority)).await.unwrap();
    until_ready(plane, "ClusterIssuer", "opens").await;
    edit(plane, "ClusterIssuer", "opens", json!({ "authority": { "maxLeafDuration": "2h" } })).await.unwrap();
    let waiting = until(plane, "ClusterIssuer", "opens", "waits for people", |object| {
        condition(object, "Ready")
            .is_some_and(|(_, reason, words)| reason == "AwaitingApproval" && words.contains("2 of security"))
    });
    let name = waiting.await.data["status"]["approval"]["request"].as_str().unwrap().to_owned();
    for (who, key) in ["alice", "dave"].into_iter().zip([&keys[0], &keys[2]]) {
        vote_signed(plane, "keywright-system", &name, (who, key));
    }
    until(plane, "ClusterIssuer", "opens", "is looser", |object| {
        object.data["status"]["approval"]["usedAt"].is_string()
            && condition(object, "Ready").is_some_and(|(_, reason, _)| reason == "AuthorityReady")
    })
    .await;
}

/// A vote of somebody, made by who may impersonate them, with admission out of the way.
async fn forge(plane: &ControlPlane, request: &Value, who: &str, signature: &str) {
    let uid = request["metadata"]["uid"].as_str().unwrap();
    let digest =
        Command::new("sh").args(["-c", r#"printf '%s\n%s' "$0" "$1" | sha256sum"#, uid, who]).output();
    let digest = String::from_utf8(digest.unwrap().stdout).unwrap();
    let vote = json!({ "apiVersion": "keywright.dev/v1alpha1", "kind": "ApprovalDecision",
        "metadata": { "name": format!("vote-{}", &digest[..32]), "namespace": "default",
            "finalizers": ["keywright.dev/kept-until-logged"] },
        "spec": { "requestRef": { "name": request["metadata"]["name"], "uid": uid },
            "effectDigest": request["spec"]["effectDigest"], "verdict": "Approve", "signature": signature,
            "approver": { "username": who, "groups": ["security", "system:authenticated"] } } });
    let file = plane.site().root.join("forged.json");
    std::fs::write(&file, vote.to_string()).unwrap();
    let file = file.display().to_string();
    // The API server goes on asking a deleted configuration for a moment.
    wait_for("the forged vote is stored", PATIENCE, async || {
        let words = ["create", "-f", &file, "--as", who, "--as-group=security"];
        Ok(plane.kubectl(&words).is_ok().then_some(()))
    })
    .await
    .unwrap();
}
