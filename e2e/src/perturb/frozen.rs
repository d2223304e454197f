//! Two API servers on one etcd, of which one is frozen: it still answers from what it knew, and learns nothing more.
//!
//! The second API server reaches etcd through a link of ours. The operator works with it; then the link freezes and people
//! go on at the first one. The operator sees nothing of that, is killed and starts again against the frozen one. When
//! the link thaws, everything must become as it would have been.

use super::cluster::path;
use super::judge::{self, Faults};
use super::keeper::Keeper;
use super::link::Link;
use super::rig::{PATIENCE, Rig, set};
use super::view::{LOOK, People, settle, until_started};
use crate::keys::Keys;
use crate::ports::reserve;
use crate::programs::program;
use crate::{Error, Process, wait_for};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

/// The case.
pub(super) async fn play(rig: &Rig, namespace: &str) -> Result<Faults, Error> {
    let site = rig.plane.site();
    let link = Link::start(site.ports.etcd).await?;
    let (ports, _reservation) = reserve()?;
    let mut second = program(site, &Keys::in_folder(&site.keys())?, Process::KubeApiserver)?;
    set(&mut second.args, "--etcd-servers=", &format!("http://127.0.0.1:{}", link.port));
    set(&mut second.args, "--secure-port=", &ports.kube_apiserver.to_string());
    // What is asked of it is asked of the case; the log of the first one stays the account of who was at rest.
    set(&mut second.args, "--audit-log-path=", &site.root.join("audit-second.log").display().to_string());
    let logs = site.logs().join("second");
    let _second = Keeper::new(Process::KubeApiserver, second, logs, Arc::new(AtomicI32::new(0)));
    until_ready(rig, ports.kube_apiserver).await?;

    let people = People::arrive(rig, namespace).await?;
    let worker = &rig.worker;
    worker.api.redirect(ports.kube_apiserver);
    let starts = worker.operator.starts();
    worker.operator.kill()?;
    until_started(rig, starts).await?;
    tokio::time::sleep(2 * LOOK).await;

    link.freeze(true);
    people.act().await?;
    tokio::time::sleep(LOOK).await;
    let starts = worker.operator.starts();
    worker.operator.kill()?;
    until_started(rig, starts).await?;
    tokio::time::sleep(2 * LOOK).await;
    link.freeze(false);

    people.until_served().await?;
    settle(rig, namespace).await?;
    worker.api.redirect(site.ports.kube_apiserver);
    let starts = worker.operator.starts();
    worker.operator.kill()?;
    until_started(rig, starts).await?;
    rig.until_led_by("keywright-operator-0").await?;
    settle(rig, namespace).await?;
    let budget: BTreeMap<String, usize> = People::budget(2);
    judge::judge(rig, namespace, None, Some(&budget)).await
}

async fn until_ready(rig: &Rig, port: u16) -> Result<(), Error> {
    let site = rig.plane.site();
    let mut kubeconfig = Kubeconfig::read_from(site.kubeconfig())?;
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        cluster.server = Some(format!("https://127.0.0.1:{port}"));
    }
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let secrets = path("default", "secrets");
    wait_for("the second API server is ready", PATIENCE, async || {
        // A list needs more than /readyz: the definitions served and the rights known.
        let ask = http::Request::get(&secrets).body(Vec::new()).map_err(kube::Error::HttpError)?;
        Ok(client.request_text(ask).await.is_ok().then_some(()))
    })
    .await
}
