//! The table of objects in `admission/`, as far as it can be judged without a server.
//!
//! `good.yaml` holds objects that are accepted; `accepted-edit-*.yaml` an object and edits of it, accepted one after the
//! other; `refused-*.yaml` one object that is refused or, for edits, one that is accepted and an edit of it that is
//! refused, with a part of the message in the first line. Against a real kube-apiserver the end-to-end tests apply them.

use std::fs;
use std::path::{Path, PathBuf};

use keywright_crds::{
    ApprovalClass, ApprovalDecision, ApprovalRequest, Certificate, ClusterIssuer, Issuer, Policy, definitions,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Words that kube-apiserver itself finds for what a schema without CEL refuses.
const SERVER_WORDS: [&str; 8] = [
    "Required value",
    "Unsupported value",
    "Too long",
    "Too many",
    "should have at least",
    "should be at least",
    "should be greater than or equal to",
    "should be less than or equal to",
];

/// The files of the table: path, first line, documents.
fn table() -> Vec<(PathBuf, String, Vec<Value>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/admission");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder of the table")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a file of the table");
        let head = text.lines().next().unwrap_or_default().to_owned();
        let documents = serde_saphyr::from_multiple(&text).expect("YAML documents");
        (path, head, documents)
    };
    paths.into_iter().map(read).collect()
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("an ASCII name")
}

#[test]
fn every_refusal_expects_a_message_that_is_written_somewhere() {
    let stated = serde_json::to_string(&definitions()).expect("definitions are plain data");
    for (path, head, documents) in table() {
        let file = name(&path);
        let (kind, _) = file.split_once(['-', '.']).expect("a kind of case before the first hyphen");
        match kind {
            "refused" => {
                let expected =
                    head.strip_prefix("# expect: ").expect("the expected message in the first line");
                let known = stated.contains(expected)
                    || SERVER_WORDS.iter().any(|words| expected.contains(words))
                    || expected.contains("unknown field");
                assert!(known, "{file} expects what nothing says: {expected}");
                assert_eq!(documents.len(), if file.starts_with("refused-edit-") { 2 } else { 1 }, "{file}");
            }
            "accepted" => assert!(documents.len() > 1, "{file}"),
            "good" => assert!(documents.len() > 30, "{file}"),
            other => assert_eq!(other, "refused", "{file} is of no known kind"),
        }
    }
}

#[test]
fn every_message_of_a_rule_is_expected_by_some_refusal() {
    let table = table();
    for definition in definitions() {
        let text = serde_json::to_value(&definition).expect("definitions are plain data");
        let mut messages = Vec::new();
        collect_messages(&text, &mut messages);
        for message in messages {
            // A rule of `spec` that another one forestalls as long as there is a single member of the union.
            let forestalled = message.starts_with("spec.authority must not be removed");
            // Rules on a status, which the end-to-end tests write through its subresource.
            let of_status = message.starts_with("status.");
            let expected = table.iter().any(|(_, head, _)| {
                head.strip_prefix("# expect: ").is_some_and(|expected| message.contains(expected))
            });
            assert!(expected || forestalled || of_status, "no case for: {message}");
        }
    }
}

fn collect_messages(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten()
            {
                found.extend(rule.get("message").and_then(Value::as_str).map(str::to_owned));
            }
            fields.values().for_each(|field| collect_messages(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_messages(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn accepted_objects_keep_all_they_say_through_the_rust_types() {
    for (path, _, documents) in table() {
        if name(&path).starts_with("refused") {
            continue;
        }
        for document in documents {
            match document["kind"].as_str() {
                Some("Issuer") => round_trip::<Issuer>(&document),
                Some("ClusterIssuer") => round_trip::<ClusterIssuer>(&document),
                Some("Certificate") => round_trip::<Certificate>(&document),
                Some("Policy") => round_trip::<Policy>(&document),
                Some("ApprovalClass") => round_trip::<ApprovalClass>(&document),
                Some("ApprovalRequest") => round_trip::<ApprovalRequest>(&document),
                Some("ApprovalDecision") => round_trip::<ApprovalDecision>(&document),
                other => assert_eq!(other, Some("Certificate"), "a kind of this crate"),
            }
        }
    }
}

/// Reads an object, writes it, and finds every leaf of it again but those at their default.
fn round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(document: &Value) {
    let object: T = serde_json::from_value(document.clone()).expect("an object of its kind");
    let written = serde_json::to_value(&object).expect("an object of its kind");
    let again: T = serde_json::from_value(written.clone()).expect("an object of its kind");
    assert_eq!(object, again);
    kept(document, &written);
    no_zero_value(&written);
}

/// What a field at its default says.
fn is_default(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_default),
        Value::String(text) => {
            ["ECDSA", "PKCS8", "Always", "Retain", "Issuer", "None", "Enforce"].contains(&text.as_str())
        }
        Value::Null | Value::Number(_) => false,
    }
}

fn kept(read: &Value, written: &Value) {
    match (read, written) {
        (Value::Object(read), Value::Object(written)) => {
            for (name, value) in
                read.iter().filter(|(name, value)| written.contains_key(*name) || !is_default(value))
            {
                kept(value, &written[name]);
            }
        }
        (read, written) => assert_eq!(read, written),
    }
}

fn no_zero_value(written: &Value) {
    if let Value::Object(fields) = written {
        for (name, value) in fields {
            assert!(!matches!(value, Value::Bool(false) | Value::Null), "{name} is written at its default");
            assert!(
                value.as_array().is_none_or(|items| !items.is_empty()),
                "{name} is written at its default"
            );
            no_zero_value(value);
        }
    }
}
