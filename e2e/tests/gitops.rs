//! The Lua that Argo CD runs for our kinds, run over its own test files as Argo CD does: `health_test.yaml` and
//! `action_test.yaml` in the layout of its `resource_customizations`. And the cluster that kind makes has the pool that the
//! chart asks for.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

#[path = "support/lua.rs"]
mod lua;

use lua::{run, run_text, text};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn kinds() -> Vec<PathBuf> {
    let mut kinds: Vec<PathBuf> =
        fs::read_dir(lua::kinds()).unwrap().map(|entry| entry.unwrap().path()).collect();
    kinds.sort();
    kinds
}

fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn list<'a>(tests: &'a Value, name: &str) -> &'a Vec<Value> {
    tests[name].as_array().unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn every_kind_has_its_health() {
    let folder = checkout().join("charts/keywright/files/crds");
    for file in fs::read_dir(folder).unwrap() {
        let kind = yaml(&file.unwrap().path())["spec"]["names"]["kind"].as_str().unwrap().to_owned();
        assert!(kinds().iter().any(|known| known.ends_with(&kind)), "{kind} has no health.lua");
    }
    for kind in kinds() {
        let tests = yaml(&kind.join("health_test.yaml"));
        for test in list(&tests, "tests") {
            let input = kind.join(test["inputPath"].as_str().unwrap());
            let object = yaml(&input);
            assert!(kind.ends_with(object["kind"].as_str().unwrap()), "{}", input.display());
            let wanted = &test["healthStatus"];
            assert_eq!(&run(&kind.join("health.lua"), &object), wanted, "{}", input.display());
        }
    }
}

#[test]
fn the_kinds_with_a_status_share_one_text() {
    let texts: Vec<String> = ["Certificate", "Issuer", "ClusterIssuer", "Policy", "ApprovalRequest"]
        .iter()
        .map(|kind| text(&lua::kinds().join(kind).join("health.lua")))
        .collect();
    assert!(texts.windows(2).all(|two| two[0] == two[1]));
}

#[test]
fn actions_are_offered_and_do_what_they_say() {
    let folders: Vec<PathBuf> =
        kinds().into_iter().map(|kind| kind.join("actions")).filter(|f| f.exists()).collect();
    assert_eq!(folders.len(), 2, "of Certificates and of ApprovalRequests");
    for folder in folders {
        let tests = yaml(&folder.join("action_test.yaml"));
        for test in list(&tests, "discoveryTests") {
            let input = folder.join(test["inputPath"].as_str().unwrap());
            let found = run(&folder.join("discovery.lua"), &yaml(&input));
            let wanted = list(test, "result");
            assert_eq!(found.as_object().unwrap().len(), wanted.len(), "{}", input.display());
            for action in wanted {
                let name = action["name"].as_str().unwrap();
                for field in ["disabled", "displayName", "iconClass"] {
                    assert_eq!(found[name][field], action[field], "{}: {name}", input.display());
                }
                assert!(folder.join(name).join("action.lua").exists(), "{name}");
            }
        }
        for test in list(&tests, "actionTests") {
            let script = folder.join(test["action"].as_str().unwrap()).join("action.lua");
            let before = yaml(&folder.join(test["inputPath"].as_str().unwrap()));
            let made = run(&script, &before);
            let wanted = yaml(&folder.join(test["expectedOutputPath"].as_str().unwrap()));
            match made.as_array() {
                // The newer form of an answer: what is to be done with which objects.
                Some(impacted) => {
                    assert_eq!(impacted, &[json!({ "operation": "create", "resource": wanted })]);
                }
                None => is_asked_to_renew(&before, made, wanted),
            }
        }
    }
}

/// The older form: the object as it is to be.
fn is_asked_to_renew(before: &Value, mut made: Value, mut wanted: Value) {
    let asked = [&mut made, &mut wanted].map(|object| {
        let annotations = object["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.remove("keywright.dev/renew").unwrap()
    });
    // When it was asked differs at each run; it is a time, so that no value comes twice.
    let at: Result<jiff::Timestamp, _> = asked[0].as_str().unwrap().parse();
    assert!(at.is_ok(), "{}", asked[0]);
    assert_eq!(made, wanted);
    assert!(before["metadata"]["annotations"].is_null(), "it also works where there is no annotation yet");
}

fn vote_script(action: &str) -> String {
    text(&lua::kinds().join("ApprovalRequest/actions").join(action).join("action.lua"))
}

/// The text with another value in its line `local NAME = "..."`.
fn with(script: &str, name: &str, value: &str) -> String {
    let begin = format!("local {name} = ");
    let changed = |line: &str| {
        if line.starts_with(&begin) { format!("{begin}\"{value}\"") } else { line.to_owned() }
    };
    script.lines().map(changed).collect::<Vec<_>>().join("\n")
}

#[test]
fn approve_and_deny_are_one_text_but_for_the_verdict() {
    let [approve, deny] = ["approve", "deny"].map(vote_script);
    assert_eq!(with(&approve, "verdict", "Deny"), deny.trim_end());
    assert_ne!(approve, deny);
}

#[test]
fn the_name_of_a_vote_is_the_hash_of_request_and_voter_whatever_their_length() {
    let request = |uid: &str| {
        json!({ "metadata": { "name": "web", "namespace": "shop", "uid": uid },
            "spec": { "effectDigest": "sha256:00" } })
    };
    let name = |uid: &str, voter: &str| {
        let made = run_text(&with(&vote_script("approve"), "voter", voter), &request(uid))?;
        Ok::<_, mlua::Error>(made[0]["resource"]["metadata"]["name"].as_str().unwrap().to_owned())
    };
    let hashed = |uid: &str, voter: &str| {
        let sum =
            Command::new("sh").args(["-c", r#"printf '%s\n%s' "$0" "$1" | sha256sum"#, uid, voter]).output();
        format!("vote-{}", &String::from_utf8(sum.unwrap().stdout).unwrap()[..32])
    };
    // From one block to three, over each length at which the padding takes another block.
    for length in [0, 1, 17, 18, 19, 20, 25, 26, 27, 28, 82, 83, 91, 92, 130] {
        let uid = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let voter = "z9.-:a".chars().cycle().take(length).collect::<String>();
        assert_eq!(name(uid, &voter).unwrap(), hashed(uid, &voter), "{length}");
    }
    for voter in ["alice@example.com", "system:serviceaccount:Argo:x", "zz~", "\u{e9}"] {
        let error = name("0f8fad5b-d9cb-469f-a165-70867728950e", voter).unwrap_err().to_string();
        assert!(error.contains("must be a ServiceAccount"), "{voter}: {error}");
    }
}

#[test]
fn the_patch_for_argo_cd_has_every_script_and_the_voter_that_is_named() {
    let patch = |arguments: &[&str]| {
        Command::new(checkout().join("gitops/argo-cd/configmap.sh")).args(arguments).output().unwrap()
    };
    let voters = |arguments: &[&str]| {
        let patch: Value = serde_json::from_slice(&patch(arguments).stdout).unwrap();
        for kind in kinds() {
            let name = kind.file_name().unwrap().to_str().unwrap();
            let health = &patch["data"][format!("resource.customizations.health.keywright.dev_{name}")];
            assert_eq!(health, &text(&kind.join("health.lua")));
        }
        let actions = &patch["data"]["resource.customizations.actions.keywright.dev_ApprovalRequest"];
        let actions: Value = serde_saphyr::from_str(actions.as_str().unwrap()).unwrap();
        let scripts: Vec<_> = list(&actions, "definitions")
            .iter()
            .map(|one| (one["name"].clone(), one["action.lua"].as_str().unwrap().to_owned()))
            .collect();
        scripts
    };
    let own = voters(&[]);
    assert_eq!(own, [("approve".into(), vote_script("approve")), ("deny".into(), vote_script("deny"))]);
    let other = "system:serviceaccount:gitops:server";
    for (action, script) in voters(&[other]) {
        let changed = with(&vote_script(action.as_str().unwrap()), "voter", other);
        assert_eq!(script.trim_end(), changed);
    }
    let refused = patch(&["alice"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("must be system:serviceaccount:"));
}

#[test]
fn one_node_of_the_kind_cluster_is_the_signers_pool() {
    let pool = &yaml(&checkout().join("charts/keywright/values.yaml"))["signer"]["pool"];
    let (label, value) = (pool["label"].as_str().unwrap(), &pool["value"]);
    let cluster = yaml(&checkout().join("kind/cluster.yaml"));
    let workers: Vec<&Value> =
        list(&cluster, "nodes").iter().filter(|node| node["role"] == "worker").collect();
    let (signers, others): (Vec<&Value>, Vec<&Value>) =
        workers.into_iter().partition(|node| node["labels"][label] == *value);
    assert_eq!((signers.len(), others.len()), (1, 1));
    let patch: Value =
        serde_saphyr::from_str(signers[0]["kubeadmConfigPatches"][0].as_str().unwrap()).unwrap();
    let taints = list(&patch["nodeRegistration"], "taints");
    let effects: Vec<&str> = taints.iter().map(|taint| taint["effect"].as_str().unwrap()).collect();
    assert_eq!(effects, ["NoSchedule", "NoExecute"]);
    assert!(taints.iter().all(|taint| taint["key"] == label && taint["value"] == *value));
}
