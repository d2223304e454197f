//! Admissions at a steady rate, each looked at. Dry runs: nothing is stored.

use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::{JoinError, JoinHandle, JoinSet};

/// Dry-run creations of Certificates at a rate, until told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    running: JoinHandle<Result<Vec<String>, JoinError>>,
}

impl Load {
    /// Begins, in namespace `default`. Must be called within a tokio runtime.
    pub fn start(client: Client, per_second: u32) -> Self {
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
                    failed.extend(done?);
                }
            }
            while let Some(done) = under_way.join_next().await {
                failed.extend(done?);
            }
            Ok(failed)
        });
        Self { stop, sent, running }
    }

    /// Ends; answers how many were sent and what was said to those that were not admitted. Errors: a task panicked.
    pub async fn end(self) -> Result<(usize, Vec<String>), JoinError> {
        self.stop.store(true, Ordering::Relaxed);
        let failed = self.running.await??;
        Ok((self.sent.load(Ordering::Relaxed), failed))
    }
}

async fn admit(client: Client, number: usize) -> Option<String> {
    let kind = GroupVersionKind::gvk("keywright.dev", "v1alpha1", "Certificate");
    let resource = ApiResource::from_gvk_with_plural(&kind, "certificates");
    let name = format!("load-{number}");
    let object = DynamicObject::new(&name, &resource).data(json!({ "spec": {
        "secretName": name, "dnsNames": [format!("{name}.example.test")],
        "issuerRef": { "kind": "ClusterIssuer", "name": "root" },
    }}));
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let certificates: Api<DynamicObject> = Api::namespaced_with(client, "default", &resource);
    certificates.create(&params, &object).await.err().map(|error| error.to_string())
}
