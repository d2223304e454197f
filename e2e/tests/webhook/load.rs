//! How long admissions take under a steady load and a policy of 80 lines, as the API server measures it.

use keywright_e2e::load::Load;
use keywright_e2e::{ControlPlane, Suite};
use serde_json::json;
use std::time::Duration;

/// How many calls of a webhook the API server has counted, and how many of them took at most `le` seconds.
fn calls(plane: &ControlPlane, webhook: &str, le: &str) -> (f64, f64) {
    let metrics = plane.kubectl(&["get", "--raw", "/metrics"]).unwrap();
    let sum = |series: &str, label: &str| -> f64 {
        let lines = metrics.lines().filter(|line| {
            line.starts_with(series) && line.contains(&format!("name=\"{webhook}\"")) && line.contains(label)
        });
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    };
    let name = "apiserver_admission_webhook_admission_duration_seconds";
    (sum(&format!("{name}_count"), ""), sum(&format!("{name}_bucket"), &format!("le=\"{le}\"")))
}

/// The policy that `policy/benches` measures, heard and not held: its answer is formed in the same way.
fn eighty_lines(plane: &ControlPlane) {
    let source = include_str!("../../../policy/benches/eighty_lines.rego");
    let policy = json!({
        "apiVersion": "keywright.dev/v1alpha1", "kind": "Policy", "metadata": { "name": "platform" },
        "spec": {
            "mode": "Audit",
            "data": {
                "teams": { "shop": { "domains": ["shop.internal.test"] } },
                "settings": { "internalDomain": "internal.test", "ranges": ["10.0.0.0/8", "2001:db8::/32"] },
            },
            "rego": { "source": source },
        },
    });
    let file = plane.site().root.join("policy.json");
    std::fs::write(&file, policy.to_string()).unwrap();
    plane.kubectl(&["apply", "--server-side", "-f", &file.display().to_string()]).unwrap();
    plane.kubectl(&["wait", "--for=condition=Ready", "policy/platform", "--timeout=60s"]).unwrap();
}

#[tokio::test]
async fn two_hundred_admissions_a_second_are_quick() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    eighty_lines(plane);
    let seconds = 20;
    let webhooks = ["mutate.keywright.dev", "validate.keywright.dev"];
    let before = webhooks.map(|webhook| (calls(plane, webhook, "0.005"), calls(plane, webhook, "0.5")));
    let load = Load::start(plane.client(), 200);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (sent, failed) = load.end().await.unwrap();
    assert!(failed.is_empty(), "{} of {sent}: {}", failed.len(), failed[0]);
    for (webhook, (fast, slower)) in webhooks.into_iter().zip(before) {
        let share = |le: &str, before: (f64, f64)| {
            let now = calls(plane, webhook, le);
            (now.1 - before.1) / (now.0 - before.0)
        };
        let (in_five, in_half_a_second) = (share("0.005", fast), share("0.5", slower));
        eprintln!("{webhook}: {sent} calls, {in_five:.4} within 5 ms, {in_half_a_second:.4} within 0.5 s");
        // The goal, 5 ms, is for release builds on a machine of their own; what is asserted holds on a busy one too.
        assert!(in_half_a_second >= 0.99, "{webhook}: only {in_half_a_second} within 0.5 s");
    }
}
