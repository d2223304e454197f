//! Policies of bundles in a confined process: no memory is ever made executable, and they are loaded and asked all the same.
//!
//! A test of its own process: what is given up does not come back.
#![cfg(feature = "wasm")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code outside #[test] functions")]

use keywright_policy::{BundleRef, Found, Input, Member, Outcome, PolicySet};
use keywright_signer::hardening::calls::{Outward, confine};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a test of `policy/` holds against OPA.
const BUNDLE: &[u8] = include_bytes!("../../policy/tests/data/table/failing.tar.gz");

fn digest() -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, BUNDLE);
    format!("sha256:{}", hex::encode(digest))
}

fn ask(set: &PolicySet, object: Value) -> Outcome {
    set.decide(&Input { object, ..Input::default() }).outcome
}

#[test]
fn a_bundle_is_loaded_and_asked_where_no_memory_may_become_executable() {
    confine(Outward::Never).unwrap();
    let config_map_ref = json!({ "name": "bundles", "key": "failing.tar.gz" });
    let spec = json!({ "bundle": { "configMapRef": config_map_ref, "digest": digest() } });
    assert!(BundleRef::of(&spec).is_some_and(|at| at.is_of(BUNDLE)));
    let member = Member::read("confined", &spec, Some(&Found::Bytes(BUNDLE.to_vec())));
    assert_eq!(member.problem(), None);
    let set = PolicySet::new(vec![Arc::new(member)]).unwrap();
    assert_eq!(ask(&set, json!({ "which": "divide", "x": 2 })), Outcome::Allow);
    for (which, x) in [
        ("divide", json!(0)),
        ("divide", json!(0.5)),
        ("time", json!("x")),
        ("deep", json!("[".repeat(99_999))),
    ] {
        assert!(matches!(ask(&set, json!({ "which": which, "x": x })), Outcome::Deny { .. }), "{which}");
    }
}
