//! etcd restored to an older snapshot: what was done since then has not happened, but for the signer, which remembers all.
//!
//! ```text
//! before   kept, edited and lost exist; snapshot
//! since    edited is edited, lost is deleted, later is made, leaders change
//! restored everything but the signer is as in the snapshot, and resource versions count from there again
//! after    edited is edited in another way, more is made
//! ```
//! The Lease counts from its older value too, so the signer refuses until somebody resets its fence, as its refusal says.

use super::cluster::{condition, path};
use super::faults::until_ready;
use super::judge::{self, Faults};
use super::rig::{PATIENCE, Rig};
use super::sampler::Sampler;
use super::scene::{authorities, certificate};
use super::view::{settle, until_started};
use crate::assets::run;
use crate::{Error, Process, wait_for};
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// The case, on a rig of its own.
pub(super) async fn play(rig: &mut Rig, namespace: &str) -> Result<Faults, Error> {
    let certificates = path(namespace, "certificates");
    let of = |name: &str| format!("{certificates}/{name}");
    rig.cluster.namespace(namespace).await?;
    authorities(&rig.cluster, namespace).await?;
    until_ready(rig, &format!("{}/services", path(namespace, "issuers"))).await?;
    for name in ["kept", "edited", "lost"] {
        create(rig, namespace, name).await?;
        until_ready(rig, &of(name)).await?;
    }
    settle(rig, namespace).await?;
    let data = rig.plane.site().etcd_data();
    let snapshot = data.with_extension("snapshot");
    swap(rig, &data, &snapshot).await?;

    until_ready(rig, &of("kept")).await?;
    let names = |name: &str| json!({ "spec": { "dnsNames": [name] } });
    rig.cluster.merge(&of("edited"), &names("since.example.test")).await?;
    for place in [of("lost"), format!("{}/lost", path(namespace, "secrets"))] {
        rig.cluster.delete(&place).await?;
    }
    create(rig, namespace, "later").await?;
    for name in ["edited", "later"] {
        until_ready(rig, &of(name)).await?;
    }
    for _ in 0..3 {
        let starts = rig.worker.operator.starts();
        rig.worker.operator.kill()?;
        until_started(rig, starts).await?;
        rig.cluster
            .merge(
                &of("edited"),
                &json!({ "metadata": { "annotations": { "keywright.dev/renew": starts.to_string() } } }),
            )
            .await?;
        let revision =
            rig.cluster.get(&of("edited")).await?.unwrap_or_default()["status"]["revision"].clone();
        wait_for("edited is renewed", PATIENCE, async || {
            let now = rig.cluster.get(&of("edited")).await?.unwrap_or_default();
            Ok((now["status"]["revision"].as_i64() > revision.as_i64()).then_some(()))
        })
        .await?;
    }

    swap(rig, &snapshot, &data).await?;
    rig.sampler = Sampler::start(rig.plane.client());
    rig.cluster.merge(&of("edited"), &names("after.example.test")).await?;
    create(rig, namespace, "more").await?;
    let mut faults = Faults::new();
    let told = wait_for("more says why the signer refuses", PATIENCE, async || {
        let more = rig.cluster.get(&of("more")).await?.unwrap_or_default();
        Ok(condition(&more, "Ready").filter(|(_, _, message)| message.contains("fencing reset")))
    });
    if let Err(Error::TooLate { .. }) = told.await {
        faults.push("nobody is told that the signer's fence has to be reset".into());
    }
    reset(rig)?;
    for name in ["kept", "edited", "lost", "more"] {
        until_ready(rig, &of(name)).await?;
    }
    settle(rig, namespace).await?;
    faults.extend(judge::judge(rig, namespace, None, None).await?);
    Ok(faults)
}

async fn create(rig: &Rig, namespace: &str, name: &str) -> Result<(), Error> {
    let object = certificate(namespace, name, "services", &json!({}));
    rig.cluster.create(&path(namespace, "certificates"), &object).await.map(|_| ())
}

/// With etcd and the API server down, `from` takes the place of `to`.
async fn swap(rig: &mut Rig, from: &Path, to: &Path) -> Result<(), Error> {
    for process in [Process::KubeControllerManager, Process::KubeApiserver, Process::Etcd] {
        rig.plane.kill(process)?;
    }
    if to.exists() {
        std::fs::remove_dir_all(to).map_err(Error::file("remove", to))?;
    }
    run(Command::new("cp").arg("-a").arg("--").args([from, to]))?;
    rig.plane.recover().await
}

/// What the signer's refusal tells people to do.
fn reset(rig: &Rig) -> Result<(), Error> {
    let site = rig.plane.site();
    rig.signer.down()?;
    let mut reset = Command::new(site.assets.product_binary(Process::Signer.name())?);
    reset.args(["fencing", "reset"]);
    reset.arg(format!("--state-dir={}", site.signer_state().display()));
    reset.arg(format!("--kek-file={}", site.kek().display()));
    run(&mut reset)?;
    rig.signer.up();
    Ok(())
}
