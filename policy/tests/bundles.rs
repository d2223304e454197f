//! What becomes of bundles that are none, and of rules in WebAssembly that do what policies may not.

use keywright_policy::{BundleRef, ConfigMapKey, Found, Policy, Problem, Rules, Source};
use serde_json::json;

fn bundle(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/table/{name}.tar.gz", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a bundle of the table")
}

fn digest(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    format!("sha256:{}", hex::encode(digest))
}

fn source(digest: String) -> Source {
    let config_map_ref = ConfigMapKey { name: "bundles".to_owned(), key: "shop.tar.gz".to_owned() };
    Source {
        name: "p".to_owned(),
        applies_to: keywright_policy::AppliesTo::default(),
        mode: keywright_policy::Mode::Enforce,
        data: [].into(),
        rules: Rules::Bundle(BundleRef { config_map_ref, digest }),
    }
}

fn problem(bytes: &[u8]) -> Problem {
    Policy::compile(source(digest(bytes)), Some(&Found::Bytes(bytes.to_vec()))).expect_err("refused")
}

#[test]
fn a_bundle_is_missing_another_one_or_none_at_all() {
    let good = bundle("names");
    let compile =
        |digest: String, found: Option<&Found>| Policy::compile(source(digest), found).expect_err("refused");
    let there = Found::Bytes(good.clone());
    let differs = compile(digest(b"other"), Some(&there));
    assert!(differs.to_string().contains(&digest(&good)), "{differs}");
    assert!(matches!(&differs, Problem::BundleDiffers { place, .. } if place.contains("shop.tar.gz")));
    assert!(differs.may_pass());
    let gone = Found::Nothing("ConfigMap a/b does not exist".to_owned());
    let missing = compile(digest(&good), Some(&gone));
    assert_eq!(missing, Problem::BundleMissing("ConfigMap a/b does not exist".to_owned()));
    assert_eq!(compile(digest(&good), None).reason(), "BundleMissing");
    assert!(matches!(problem(b"nonsense"), Problem::BundleDoesNotLoad(_)));
}

#[test]
fn config_maps_of_files_hold_bundles_as_kubectl_writes_them() {
    let at = BundleRef {
        config_map_ref: ConfigMapKey { name: "bundles".to_owned(), key: "a".to_owned() },
        digest: digest(b"abc"),
    };
    let config_map = |name: &str, data: &str| json!({ "kind": "ConfigMap", "metadata": { "name": name }, "binaryData": { "a": data } });
    let found = |objects: &[serde_json::Value]| Found::among(objects, &at);
    assert_eq!(
        found(&[config_map("x", ""), config_map("bundles", "YW\n Jj\n")]),
        Found::Bytes(b"abc".to_vec())
    );
    for objects in [vec![], vec![config_map("x", "YWJj")], vec![config_map("bundles", "?")]] {
        assert!(matches!(found(&objects), Found::Nothing(_)), "{objects:?}");
    }
}

#[cfg(not(feature = "wasm"))]
#[test]
fn a_program_without_the_engine_says_so_and_denies() {
    use keywright_policy::{Fault, Input, Member, Outcome, PolicySet};
    use std::sync::Arc;
    let good = bundle("names");
    assert_eq!(problem(&good), Problem::NoEngine);
    assert!(problem(&good).to_string().contains("without the feature `wasm`"));
    let member = Member::of(source(digest(&good)), Some(&Found::Bytes(good)));
    let set = PolicySet::new(vec![Arc::new(member)]).expect("one policy");
    let Outcome::Deny { denials } = set.decide(&Input::default()).outcome else { unreachable!("denied") };
    assert_eq!(denials[0].fault, Some(Fault::BundleUnusable));
    assert!(denials[0].message.contains("without the feature `wasm`"), "{}", denials[0].message);
}

#[cfg(feature = "wasm")]
mod with_the_engine {
    use super::*;
    use keywright_policy::{Decision, Denial, Fault, Input, Member, Outcome, PolicySet};
    use keywright_policy_wasm::Bundle;
    use std::sync::Arc;

    fn compile(bytes: &[u8]) -> Policy {
        Policy::compile(source(digest(bytes)), Some(&Found::Bytes(bytes.to_vec()))).expect("loads")
    }

    fn ask(set: &PolicySet, object: serde_json::Value) -> Decision {
        set.decide(&Input { object, ..Input::default() })
    }

    fn faults(decision: Decision) -> Vec<(String, Option<Fault>)> {
        let Outcome::Deny { denials } = decision.outcome else { unreachable!("denied: {decision:?}") };
        denials.into_iter().map(|Denial { rule, fault, .. }| (rule, fault)).collect()
    }

    #[test]
    fn what_goes_over_a_budget_denies_and_the_next_question_is_answered() {
        let bytes = bundle("failing");
        let member = Member::of(source(digest(&bytes)), Some(&Found::Bytes(bytes)));
        let set = PolicySet::new(vec![Arc::new(member)]).expect("one policy");
        let twenty: Vec<u32> = (1..=20).collect();
        for (which, x, fault) in [
            ("loop", json!(twenty), Fault::TooManyInstructions),
            ("memory", json!("0123456789abcdef".repeat(16)), Fault::TooManyInstructions),
            ("deep", json!("[".repeat(100_000)), Fault::EvaluationFailed),
            ("divide", json!(0), Fault::FunctionFailed),
        ] {
            let said = faults(ask(&set, json!({ "which": which, "x": x })));
            let rule = if which == "divide" { "deny" } else { "warn" };
            assert_eq!(said, [(rule.to_owned(), Some(fault))], "{which}");
            assert_eq!(ask(&set, json!({ "which": "none", "x": 1 })).outcome, Outcome::Allow);
        }
        let said = faults(ask(&set, json!({ "which": "conflict", "x": 1 })));
        assert_eq!(said, [("allow".to_owned(), Some(Fault::EvaluationFailed))]);
    }

    #[test]
    fn a_module_alone_is_asked_as_well_and_its_documents_are_the_policys() {
        let module = Bundle::read(&bundle("names")).expect("reads").module;
        assert_eq!(compile(&module).source().name, "p");
        let with =
            |name: &str| Source { data: [(name.to_owned(), json!({}))].into(), ..source(digest(&module)) };
        let found = Found::Bytes(module.clone());
        assert!(Policy::compile(with("domains"), Some(&found)).is_ok());
        assert_eq!(
            Policy::compile(with("keywright"), Some(&found)).expect_err("refused").reason(),
            "DoesNotCompile"
        );
    }

    #[test]
    fn garbage_in_a_module_is_refused_with_a_reason_or_does_no_harm() {
        let good = Bundle::read(&bundle("names")).expect("reads").module;
        let mut refused = 0;
        for at in (8..good.len()).step_by(good.len() / 40) {
            let mut broken = good.clone();
            broken[at..].fill(0xa5);
            let found = Found::Bytes(broken.clone());
            match Policy::compile(source(digest(&broken)), Some(&found)) {
                Err(Problem::BundleDoesNotLoad(_)) => refused += 1,
                // The last of a module is names of things that have no effect.
                Ok(_) => assert!(at > good.len() / 2),
                other => unreachable!("{other:?}"),
            }
        }
        assert!(refused > 20, "{refused}");
    }
}
