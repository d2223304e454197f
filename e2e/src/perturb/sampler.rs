//! Remembers what was ever published: the watch shows every version of every Secret of ours.

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What one version of a Secret held.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sample {
    pub(super) namespace: String,
    pub(super) name: String,
    /// `tls.crt`.
    pub(super) certificate: Vec<u8>,
    /// `tls.key`.
    pub(super) key: Vec<u8>,
    /// `ca.crt`.
    pub(super) root: Vec<u8>,
}

/// Watches for as long as it lives.
pub(super) struct Sampler {
    seen: Arc<Mutex<BTreeSet<Sample>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Sampler {
    /// Watches all Secrets that carry our label.
    pub(super) fn start(client: Client) -> Self {
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let into = Arc::clone(&seen);
        let config = watcher::Config::default().labels("keywright.dev/certificate-uid");
        let task = tokio::spawn(async move {
            let mut events = Box::pin(watcher(Api::<Secret>::all(client), config));
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(secret) | Event::InitApply(secret)) = event {
                    into.lock().unwrap_or_else(PoisonError::into_inner).insert(sample(secret));
                }
            }
        });
        Self { seen, task }
    }

    /// All that was seen in one namespace.
    pub(super) fn of(&self, namespace: &str) -> Vec<Sample> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|sample| sample.namespace == namespace).cloned().collect()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn sample(secret: Secret) -> Sample {
    let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
    let mut data = secret.data.unwrap_or_default();
    let mut entry = |name: &str| data.remove(name).unwrap_or_default().0;
    Sample { namespace, name, certificate: entry("tls.crt"), key: entry("tls.key"), root: entry("ca.crt") }
}
