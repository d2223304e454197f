//! Alerts and dashboard name only what the processes tell, and lead to pages that are there. Whether the expressions are
//! PromQL and alert when they should is promtool's to say (`hack/test.sh`).
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)).unwrap()
}

/// Every string of a key, anywhere in a document.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let (true, Value::String(text)) = (name == key, value) {
                    found.push(text);
                }
                all(value, key, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| all(item, key, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Names of metrics in an expression: they begin with what the processes' metrics begin with.
fn names(expression: &str) -> BTreeSet<&str> {
    let families = ["keywright_", "controller_runtime_", "workqueue_", "rest_client_", "leader_election_"];
    expression
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| families.iter().any(|family| word.starts_with(family)))
        .collect()
}

#[test]
fn nothing_is_asked_for_that_nobody_tells() {
    let tellers = [
        "connection/src/lib.rs",
        "controllers/src/metrics.rs",
        "signer/src/metrics.rs",
        "telemetry/src/span.rs",
        "webhooks/src/metrics.rs",
    ];
    let told = tellers.map(read).concat();
    let rules: Value = serde_saphyr::from_str(&read("charts/keywright/files/monitoring/rules.yaml")).unwrap();
    let dashboard: Value =
        serde_json::from_str(&read("charts/keywright/files/monitoring/dashboard.json")).unwrap();
    let documented = read("docs/alerts.md");
    let mut expressions = Vec::new();
    all(&rules, "expr", &mut expressions);
    all(&dashboard, "expr", &mut expressions);
    assert!(expressions.len() > 20, "{}", expressions.len());
    for expression in expressions {
        let names = names(expression);
        assert!(!names.is_empty(), "{expression} names no metric of ours");
        for name in names {
            let family =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(told.contains(&format!("\"{family}\"")), "{expression}: nobody tells {family}");
            assert!(documented.contains(family), "docs/alerts.md does not say what {family} is");
        }
    }
}

#[test]
fn each_alert_leads_to_its_own_page() {
    let rules: Value = serde_saphyr::from_str(&read("charts/keywright/files/monitoring/rules.yaml")).unwrap();
    let page = read("docs/alerts.md");
    let mut alerts = Vec::new();
    all(&rules, "alert", &mut alerts);
    let mut links = Vec::new();
    all(&rules, "runbook_url", &mut links);
    assert_eq!(alerts.len(), links.len());
    for (alert, link) in alerts.iter().zip(links) {
        assert_eq!(link, format!("https://keywright.dev/docs/alerts.md#{}", alert.to_lowercase()));
        assert!(page.contains(&format!("\n## {alert}\n")), "docs/alerts.md has no part {alert}");
    }
}
