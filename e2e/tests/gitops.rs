//! The Lua that Argo CD runs for our kinds, run over its own test files as Argo CD does: `health_test.yaml` and
//! `action_test.yaml` in the layout of its `resource_customizations`. And the cluster that kind makes has the pool that the
//! chart asks for.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use mlua::{Lua, LuaSerdeExt};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn kinds() -> Vec<PathBuf> {
    let mut kinds: Vec<PathBuf> = fs::read_dir(checkout().join("gitops/argo-cd/keywright.dev"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    kinds.sort();
    kinds
}

fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the script makes of the object.
fn run(script: &Path, object: &Value) -> Value {
    let lua = Lua::new();
    lua.globals().set("obj", lua.to_value(object).unwrap()).unwrap();
    let text = fs::read_to_string(script).unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    let made: mlua::Value =
        lua.load(text).eval().unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    lua.from_value(made).unwrap()
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
        .map(|kind| checkout().join("gitops/argo-cd/keywright.dev").join(kind).join("health.lua"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    assert!(texts.windows(2).all(|two| two[0] == two[1]));
}

#[test]
fn actions_are_offered_and_do_what_they_say() {
    let folders: Vec<PathBuf> =
        kinds().into_iter().map(|kind| kind.join("actions")).filter(|f| f.exists()).collect();
    assert!(!folders.is_empty());
    for folder in folders {
        let tests = yaml(&folder.join("action_test.yaml"));
        for test in list(&tests, "discoveryTests") {
            let input = folder.join(test["inputPath"].as_str().unwrap());
            let found = run(&folder.join("discovery.lua"), &yaml(&input));
            let wanted = list(test, "result");
            assert_eq!(found.as_object().unwrap().len(), wanted.len(), "{}", input.display());
            for action in wanted {
                let found = &found[action["name"].as_str().unwrap()];
                for field in ["disabled", "displayName"] {
                    assert_eq!(found[field], action[field], "{}", input.display());
                }
            }
        }
        for test in list(&tests, "actionTests") {
            let script = folder.join(test["action"].as_str().unwrap()).join("action.lua");
            let before = yaml(&folder.join(test["inputPath"].as_str().unwrap()));
            let mut made = run(&script, &before);
            let mut wanted = yaml(&folder.join(test["expectedOutputPath"].as_str().unwrap()));
            let asked = [&mut made, &mut wanted].map(|object| {
                object["metadata"]["annotations"]
                    .as_object_mut()
                    .unwrap()
                    .remove("keywright.dev/renew")
                    .unwrap()
            });
            // When it was asked differs at each run; it is a time, so that no value comes twice.
            let at: Result<jiff::Timestamp, _> = asked[0].as_str().unwrap().parse();
            assert!(at.is_ok(), "{}", asked[0]);
            assert_eq!(made, wanted);
            assert!(
                before["metadata"]["annotations"].is_null(),
                "it also works where there is no annotation yet"
            );
        }
    }
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
