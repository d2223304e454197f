//! Admissions at a steady rate, each looked at; and how long they take, as the API server measures it.

use crate::cluster::{certificate, certificates};
use keywright_e2e::{ControlPlane, Suite};
use kube::Client;
use kube::api::{DynamicObject, PostParams};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};

/// Dry-run creations at a rate, until told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    running: JoinHandle<Vec<String>>,
}

impl Load {
    /// Begins.
    pub(crate) fn start(client: Client, per_second: u32) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let running = tokio::spawn(async move {
            let mut every = tokio::time::interval(Duration::from_secs(1) / per_second);
            let mut under_way = JoinSet::new();
            let mut failed = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                every.tick().await;
                let number = count.fetch_add(1, Ordering::Relaxed);
                under_way.spawn(admit(client.clone(), number));
                while let Some(done) = under_way.try_join_next() {
                    failed.extend(done.unwrap());
                }
            }
            failed.extend(under_way.join_all().await.into_iter().flatten());
            failed
        });
        Self { stop, sent, running }
    }

    /// Ends; answers how many were sent and what was said to those that were not admitted.
    pub(crate) async fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let failed = self.running.await.unwrap();
        (self.sent.load(Ordering::Relaxed), failed)
    }
}

async fn admit(client: Client, number: usize) -> Option<String> {
    let object: DynamicObject = serde_json::from_value(certificate(&format!("load-{number}"))).unwrap();
    let params = PostParams { dry_run: true, ..PostParams::default() };
    certificates(client).create(&params, &object).await.err().map(|error| error.to_string())
}

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

#[tokio::test]
async fn two_hundred_admissions_a_second_are_quick() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    let seconds = 20;
    let webhooks = ["mutate.keywright.dev", "validate.keywright.dev"];
    let before = webhooks.map(|webhook| (calls(plane, webhook, "0.005"), calls(plane, webhook, "0.5")));
    let load = Load::start(plane.client(), 200);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (sent, failed) = load.end().await;
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
