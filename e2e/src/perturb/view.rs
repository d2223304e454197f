//! What the operator sees is old, late or incomplete; who leads changes; the signer does not answer. Each of these
//! concerns everybody, so they run one after another.

use super::cluster::{is_ready, path, text};
use super::faults::until_ready;
use super::judge::{self, Faults};
use super::proxy::Verdict;
use super::rig::{LEASE, PATIENCE, Rig};
use super::scene::{authorities, by_name, certificate};
use super::signer_log::Account;
use crate::{Error, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Long enough for an operator to fill its caches and to look at everything.
pub(super) const LOOK: Duration = Duration::from_millis(1500);

/// Something that is disturbed for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// The watches tell nothing for a while.
    LateEvents,
    /// The watches break, and what happened meanwhile is in no event: the server says 410.
    MissedEvents,
    /// Of what happens while the watches are silent only the last of each object is ever told.
    CoalescedEvents,
    /// The operator starts against lists that are old.
    StaleLists,
    /// The operator works with a second API server that learns nothing more, and starts again against it.
    FrozenServer,
    /// All connections to the API server break, again and again.
    Resets,
    /// The signer hangs.
    SignerHangs,
    /// The signer is gone.
    SignerGone,
    /// What is sent to the signer arrives when nobody waits for it any more.
    SignerPartitioned,
    /// Every request to the API server takes five seconds, those for the lease too.
    SlowServer,
    /// The leader is stopped while it asks the signer, another takes over, then it goes on.
    LeaseLostAsking,
    /// The same while it writes the Secret.
    LeaseLostWriting,
    /// The same while it writes the status.
    LeaseLostTelling,
}

impl View {
    pub(super) const ALL: [Self; 13] = [
        Self::LateEvents,
        Self::MissedEvents,
        Self::CoalescedEvents,
        Self::StaleLists,
        Self::FrozenServer,
        Self::Resets,
        Self::SignerHangs,
        Self::SignerGone,
        Self::SignerPartitioned,
        Self::SlowServer,
        Self::LeaseLostAsking,
        Self::LeaseLostWriting,
        Self::LeaseLostTelling,
    ];

    /// Those that fit into the short run.
    pub(super) const SHORT: [Self; 6] = [
        Self::LateEvents,
        Self::MissedEvents,
        Self::CoalescedEvents,
        Self::Resets,
        Self::SignerHangs,
        Self::LeaseLostAsking,
    ];

    /// As in the name of its case.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LateEvents => "view/late-events",
            Self::MissedEvents => "view/missed-events",
            Self::CoalescedEvents => "view/coalesced-events",
            Self::StaleLists => "view/stale-lists",
            Self::FrozenServer => "view/frozen-server",
            Self::Resets => "view/resets",
            Self::SignerHangs => "signer/hangs",
            Self::SignerGone => "signer/gone",
            Self::SignerPartitioned => "signer/partitioned",
            Self::SlowServer => "slow/everything-5s",
            Self::LeaseLostAsking => "lease/lost-asking",
            Self::LeaseLostWriting => "lease/lost-writing",
            Self::LeaseLostTelling => "lease/lost-telling",
        }
    }
}

/// One case. `expire`: leases are left to expire instead of being taken away.
pub(super) async fn play(rig: &Rig, namespace: &str, view: View, expire: bool) -> Result<Faults, Error> {
    rig.cluster.namespace(namespace).await?;
    authorities(&rig.cluster, namespace).await?;
    until_ready(rig, &format!("{}/services", path(namespace, "issuers"))).await?;
    match view {
        View::LateEvents | View::MissedEvents | View::CoalescedEvents | View::StaleLists => {
            seen_late(rig, namespace, view).await
        }
        View::FrozenServer => super::frozen::play(rig, namespace).await,
        View::Resets => resets(rig, namespace).await,
        View::SignerHangs | View::SignerGone | View::SignerPartitioned => {
            without_signer(rig, namespace, view).await
        }
        View::SlowServer => slow_server(rig, namespace).await,
        View::LeaseLostAsking => lease_lost(rig, namespace, "issue", "signer", expire).await,
        View::LeaseLostWriting => lease_lost(rig, namespace, "patch", "secrets", expire).await,
        View::LeaseLostTelling => lease_lost(rig, namespace, "patch", "certificates/status", expire).await,
    }
}

async fn create(rig: &Rig, namespace: &str, name: &str) -> Result<Value, Error> {
    let object = certificate(namespace, name, "services", &json!({}));
    rig.cluster.create(&path(namespace, "certificates"), &object).await
}

async fn all_ready(rig: &Rig, namespace: &str, names: &[&str]) -> Result<(), Error> {
    for name in names {
        until_ready(rig, &format!("{}/{name}", path(namespace, "certificates"))).await?;
    }
    Ok(())
}

/// What people do while the operator is blind, or looks at an old picture.
pub(super) struct People<'a> {
    rig: &'a Rig,
    namespace: &'a str,
}

impl<'a> People<'a> {
    const AFTERWARDS: [&'static str; 5] = ["edited", "lost", "again", "back", "new"];

    /// Five certificates, all of them Ready.
    pub(super) async fn arrive(rig: &'a Rig, namespace: &'a str) -> Result<Self, Error> {
        for name in ["edited", "lost", "again", "back"] {
            create(rig, namespace, name).await?;
        }
        // Whoever does not know yet that it was deleted may make its Secret again, which then has to go too.
        let owned = certificate(namespace, "gone", "services", &json!({ "deletionPolicy": "Delete" }));
        rig.cluster.create(&path(namespace, "certificates"), &owned).await?;
        all_ready(rig, namespace, &["edited", "lost", "again", "gone", "back"]).await?;
        Ok(Self { rig, namespace })
    }

    /// Edits, deletions, and one certificate that is deleted and made again.
    pub(super) async fn act(&self) -> Result<(), Error> {
        let (rig, namespace) = (self.rig, self.namespace);
        let (certificates, secrets) = (path(namespace, "certificates"), path(namespace, "secrets"));
        let names = |names: &[&str]| json!({ "spec": { "dnsNames": names } });
        for wanted in ["a.example.test", "b.example.test", "c.example.test"] {
            rig.cluster.merge(&format!("{certificates}/edited"), &names(&[wanted])).await?;
        }
        rig.cluster.merge(&format!("{certificates}/back"), &names(&["a.example.test"])).await?;
        rig.cluster.merge(&format!("{certificates}/back"), &names(&["back.example.test"])).await?;
        rig.cluster.delete(&format!("{secrets}/lost")).await?;
        for name in ["again", "gone"] {
            rig.cluster.delete(&format!("{certificates}/{name}")).await?;
            rig.cluster.delete(&format!("{secrets}/{name}")).await?;
        }
        create(rig, namespace, "again").await?;
        create(rig, namespace, "new").await.map(|_| ())
    }

    /// Until all of it is as they want it.
    pub(super) async fn until_served(&self) -> Result<(), Error> {
        all_ready(self.rig, self.namespace, &Self::AFTERWARDS).await
    }

    /// At most so many certificates for each name.
    pub(super) fn budget(most: usize) -> BTreeMap<String, usize> {
        Self::AFTERWARDS.map(|name| (name.to_owned(), most)).into()
    }
}

async fn seen_late(rig: &Rig, namespace: &str, view: View) -> Result<Faults, Error> {
    let people = People::arrive(rig, namespace).await?;
    let worker = &rig.worker;
    match view {
        View::StaleLists => {
            // The lists of this start are the ones that are shown again below.
            let starts = worker.operator.starts();
            worker.operator.kill()?;
            until_started(rig, starts).await?;
            tokio::time::sleep(LOOK).await;
        }
        View::MissedEvents => {
            worker.api.judge_all(|label| match label.verb {
                "list" | "watch" => Verdict::Cut,
                _ => Verdict::Pass,
            });
            worker.api.cut();
        }
        _ => {
            worker.api.coalesce(view == View::CoalescedEvents);
            worker.api.gate(false);
        }
    }

    let before = serials(rig, namespace).await?;
    people.act().await?;
    match view {
        View::StaleLists => {
            worker.api.stale(true);
            let starts = worker.operator.starts();
            worker.operator.kill()?;
            until_started(rig, starts).await?;
            tokio::time::sleep(2 * LOOK).await;
            worker.api.stale(false);
            worker.api.cut();
        }
        View::MissedEvents => {
            tokio::time::sleep(LOOK).await;
            let mut told = BTreeSet::new();
            worker.api.judge_all(move |label| {
                let first = label.verb == "watch" && told.insert(label.resource.clone());
                if first { Verdict::Refuse(410) } else { Verdict::Pass }
            });
        }
        _ => {
            tokio::time::sleep(LOOK).await;
            worker.api.gate(true);
            worker.api.coalesce(false);
        }
    }
    people.until_served().await?;
    settle(rig, namespace).await?;
    worker.api.acquit_all();
    let after = serials(rig, namespace).await?;
    // A picture that was never shown costs nothing; an old one may cost what it would have cost then.
    let most = if view == View::StaleLists { 4 } else { 2 };
    let mut faults = judge::judge(rig, namespace, None, Some(&People::budget(most))).await?;
    if view != View::StaleLists && before.get("back") != after.get("back") {
        faults.push("back was issued again although it is what it was".into());
    }
    Ok(faults)
}

async fn serials(rig: &Rig, namespace: &str) -> Result<BTreeMap<String, String>, Error> {
    let all = by_name(rig.cluster.list(&path(namespace, "certificates")).await?);
    Ok(all.into_iter().map(|(name, object)| (name, text(&object["status"]["serialNumber"]))).collect())
}

pub(super) async fn until_started(rig: &Rig, before: u32) -> Result<(), Error> {
    wait_for("the operator is started again", PATIENCE, async || {
        Ok((rig.worker.operator.starts() > before).then_some(()))
    })
    .await
}

/// Until nothing of this namespace was under way for a while and each status is about the Secret that is there.
pub(super) async fn settle(rig: &Rig, namespace: &str) -> Result<(), Error> {
    let quiet = Duration::from_millis(700);
    wait_for(&format!("{namespace} is at rest"), PATIENCE, async || {
        let secrets = by_name(rig.cluster.list(&path(namespace, "secrets")).await?);
        let all = rig.cluster.list(&path(namespace, "certificates")).await?;
        let version =
            |name: &str| secrets.get(name).map(|secret| secret["metadata"]["resourceVersion"].clone());
        let right = all.iter().all(|c| {
            is_ready(c)
                && version(&text(&c["spec"]["secretName"])).as_ref()
                    == Some(&c["status"]["secretResourceVersion"])
        });
        let worker = &rig.worker;
        let still = worker.api.quiet_for(namespace) > quiet && worker.wire.quiet_for(namespace) > quiet;
        Ok((right && still).then_some(()))
    })
    .await
}

async fn resets(rig: &Rig, namespace: &str) -> Result<Faults, Error> {
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        create(rig, namespace, name).await?;
        rig.worker.api.cut();
        rig.worker.wire.cut();
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    all_ready(rig, namespace, &names).await?;
    settle(rig, namespace).await?;
    let once = names.map(|name| (name.to_owned(), 1)).into();
    judge::judge(rig, namespace, None, Some(&once)).await
}

async fn without_signer(rig: &Rig, namespace: &str, view: View) -> Result<Faults, Error> {
    match view {
        View::SignerHangs => rig.signer.signal(Signal::STOP)?,
        View::SignerPartitioned => {
            rig.worker.wire.release_held(false);
            rig.worker.wire.judge_all(|_| Verdict::Hold);
        }
        _ => rig.signer.down()?,
    }
    let names = ["a", "b", "c"];
    for name in names {
        create(rig, namespace, name).await?;
    }
    match view {
        View::SignerHangs => {
            tokio::time::sleep(2 * LOOK).await;
            rig.signer.signal(Signal::CONT)?;
        }
        View::SignerPartitioned => {
            // Longer than the operator waits for an answer: what arrives then is a repeat of what it will ask.
            tokio::time::sleep(Duration::from_secs(12)).await;
            rig.worker.wire.acquit_all();
            rig.worker.wire.release_held(true);
        }
        _ => {
            tokio::time::sleep(2 * LOOK).await;
            rig.signer.up();
        }
    }
    all_ready(rig, namespace, &names).await?;
    settle(rig, namespace).await?;
    let once = names.map(|name| (name.to_owned(), 1)).into();
    judge::judge(rig, namespace, None, Some(&once)).await
}

/// Every request takes five seconds, reads and the lease's too, from the start of the operator on: still one issuance.
async fn slow_server(rig: &Rig, namespace: &str) -> Result<Faults, Error> {
    rig.worker.api.judge_all(|_| Verdict::Delay(Duration::from_secs(5)));
    let starts = rig.worker.operator.starts();
    rig.worker.operator.kill()?;
    until_started(rig, starts).await?;
    let names = ["a", "b", "c"];
    for name in names {
        create(rig, namespace, name).await?;
    }
    let ready = all_ready(rig, namespace, &names).await;
    rig.worker.api.acquit_all();
    ready?;
    settle(rig, namespace).await?;
    let once = names.map(|name| (name.to_owned(), 1)).into();
    judge::judge(rig, namespace, None, Some(&once)).await
}

/// The leader is stopped with a request on its way; another finishes the work; then the request arrives after all.
async fn lease_lost(
    rig: &Rig,
    namespace: &str,
    verb: &'static str,
    resource: &'static str,
    expire: bool,
) -> Result<Faults, Error> {
    let worker = &rig.worker;
    let other = rig.second().await?;
    let proxy = if resource == "signer" { &worker.wire } else { &worker.api };
    let held = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&held);
    proxy.release_held(false);
    proxy.judge(namespace, move |label| {
        let first = label.verb == verb && label.resource == resource && !tell.swap(true, Ordering::AcqRel);
        if first { Verdict::Hold } else { Verdict::Pass }
    });
    create(rig, namespace, "web").await?;
    wait_for("the leader is at work", PATIENCE, async || Ok(held.load(Ordering::Acquire).then_some(())))
        .await?;
    worker.operator.signal(Signal::STOP)?;
    let refused = |account: &Account| account.refusals.values().sum::<usize>();
    let before = refused(&Account::read(&rig.plane.site().signer_state())?);
    if !expire {
        rig.cluster.merge(LEASE, &json!({ "spec": { "holderIdentity": "" } })).await?;
    }
    rig.until_led_by("keywright-operator-1").await?;
    all_ready(rig, namespace, &["web"]).await?;
    proxy.release_held(true);
    tokio::time::sleep(Duration::from_millis(300)).await;
    worker.operator.signal(Signal::CONT)?;
    tokio::time::sleep(LOOK).await;
    settle(rig, namespace).await?;
    proxy.acquit(namespace);
    // Once what counts is published again, a further issuance may have been needed for it.
    let budget = BTreeMap::from([("web".to_owned(), 2)]);
    let mut faults = judge::judge(rig, namespace, None, Some(&budget)).await?;
    let state = rig.plane.site().signer_state();
    if resource == "signer" && refused(&Account::read(&state)?) == before {
        faults.push("the signer did not refuse the leader of before".into());
    }
    other.operator.down()?;
    rig.cluster.merge(LEASE, &json!({ "spec": { "holderIdentity": "" } })).await?;
    rig.until_led_by("keywright-operator-0").await?;
    Ok(faults)
}
