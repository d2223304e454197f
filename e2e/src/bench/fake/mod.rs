//! An API server in memory, over HTTP, for more certificates than the real one takes on a small machine.
//!
//! ```text
//! store   objects as their bytes, versions, a short history, watches    store
//! serve   from a request to what is asked, and back                     serve
//! ```
//! Serves what the product's release binaries ask for and no more: pages, label selectors by existence, metadata-only
//! answers, server-side apply as the only applier (what is applied replaces what was there; a status only the status),
//! replacement under a resource version. Checks nothing else: what it measures is the product, and what is right is
//! tested on the real one. Events are counted and forgotten.

mod serve;
mod store;

use super::figures::Issuance;
use super::fleet::{certificate, latencies, percentile, root};
use super::usage::Usage;
use super::writes::Writes;
use crate::assets::Assets;
use crate::guarded::Guarded;
use crate::keys::{Keys, write_private};
use crate::ports::reserve;
use crate::site::{Durability, Site};
use crate::{Error, Process, install, raise, wait_for};
use keywright_ambient::{Clock, SystemClock};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Server, is_ready};

const LIMIT: Duration = Duration::from_hours(1);

/// `count` certificates, applied in one instant, on a fake API server and a signer of their own.
pub(super) async fn measure(count: usize) -> Result<Issuance, Error> {
    let folder = tempfile::Builder::new().prefix("keywright-bench-").tempdir();
    let folder = folder.map_err(Error::file("make", &std::env::temp_dir()))?;
    let (ports, _reservation) = reserve()?;
    let site = Site {
        root: folder.path().to_path_buf(),
        ports,
        assets: Assets::of_this_checkout()?,
        durability: Durability::Hasty,
    };
    let server = Arc::new(Server::default());
    let port = serve::start(Arc::clone(&server)).await?;
    let keys = Keys::in_folder(&site.keys())?;
    for account in install::ACCOUNTS.iter().chain(&["admin"]) {
        write_private(&site.kubeconfig_of(account), kubeconfig(port, &keys.ca()).as_bytes())?;
    }
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(Kubeconfig::read_from(site.kubeconfig())?, &options).await?;
    install::trust(&site, &Client::try_from(config)?).await?;
    let mut processes = Guarded::new(site.logs());
    for process in [Process::Signer, Process::Operator] {
        raise::ensure(&site, &keys, &mut processes, process, &|_| ())?;
        raise::serving(&site, &mut processes, process).await?;
    }

    server.create("clusterissuers", root());
    wait_for("the root is Ready", LIMIT, async || {
        Ok(server.value("clusterissuers", "", "root").filter(is_ready).map(|_| ()))
    })
    .await?;
    let usage = |process| -> Result<Usage, Error> { Usage::of(processes.pid(process).unwrap_or_default()) };
    let (operator, signer) = (usage(Process::Operator)?, usage(Process::Signer)?);
    let before = server.writes();
    let begun = SystemClock.monotonic();
    let mut sent = HashMap::new();
    for number in 0..count {
        let name = format!("c{number}");
        sent.insert(name.clone(), SystemClock.monotonic());
        server.create("certificates", certificate("fleet", &name));
        if number % 1000 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let applied_seconds = begun.elapsed().as_secs_f64();
    wait_for(&format!("{count} certificates are Ready"), LIMIT, async || {
        Ok((server.ready_count() >= count).then_some(()))
    })
    .await?;
    let ready = server.ready();
    let last = ready.values().max().copied().unwrap_or(begun);
    let latencies = latencies(&sent, &ready);
    Ok(Issuance {
        certificates: count,
        wall_seconds: last.saturating_duration_since(begun).as_secs_f64(),
        applied_seconds,
        p50_ms: percentile(&latencies, 50),
        p99_ms: percentile(&latencies, 99),
        operator: usage(Process::Operator)?.since(operator),
        signer: usage(Process::Signer)?.since(signer),
        api_server: None,
        writes: Some(Writes::between(&before, &server.writes())),
        etcd_mib: None,
    })
}

/// The certificate is there because the signer never goes by those of the machine.
fn kubeconfig(port: u16, ca: &Path) -> String {
    let server = format!("http://127.0.0.1:{port}");
    serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "fake",
        "clusters": [{ "name": "fake", "cluster": { "server": server, "certificate-authority": ca } }],
        "users": [{ "name": "fake", "user": { "token": "fake" } }],
        "contexts": [{ "name": "fake", "context": { "cluster": "fake", "user": "fake" } }],
    })
    .to_string()
}
