//! What can go wrong with single requests while the operator lives: storms of errors, lost answers, slowness. Each
//! touches one namespace only, so these run side by side.

use super::cluster::{is_ready, path};
use super::crash::Reference;
use super::judge::{self, Faults};
use super::label::Label;
use super::proxy::Verdict;
use super::random::Random;
use super::rig::Rig;
use super::scene::{Stage, authorities, certificate, play};
use crate::{Error, wait_for};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often one request may be spoiled: faults end, or nothing could be expected.
const MOST: usize = 2;

/// A storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storm {
    /// Conflicts.
    Conflicts,
    /// 429 with Retry-After.
    TooMany,
    /// 500, nothing carried out.
    Errors,
    /// 500 although it was carried out.
    Disowned,
    /// The connection breaks before.
    Resets,
    /// The connection breaks after.
    Lost,
    /// All of them.
    Mixed,
}

impl Storm {
    pub(super) const ALL: [Self; 7] =
        [Self::Conflicts, Self::TooMany, Self::Errors, Self::Disowned, Self::Resets, Self::Lost, Self::Mixed];

    /// As in the name of its case.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Conflicts => "409",
            Self::TooMany => "429",
            Self::Errors => "500",
            Self::Disowned => "500-carried-out",
            Self::Resets => "reset",
            Self::Lost => "reset-carried-out",
            Self::Mixed => "mixed",
        }
    }

    fn verdict(self, random: &mut Random) -> Verdict {
        match self {
            Self::Conflicts => Verdict::Refuse(409),
            Self::TooMany => Verdict::Refuse(429),
            Self::Errors => Verdict::Refuse(500),
            Self::Disowned => Verdict::Disown(500),
            Self::Resets => Verdict::Cut,
            Self::Lost => Verdict::Lose,
            Self::Mixed => {
                let storms =
                    [Self::Conflicts, Self::TooMany, Self::Errors, Self::Disowned, Self::Resets, Self::Lost];
                random.pick(&storms).map_or(Verdict::Pass, |storm| storm.verdict(random))
            }
        }
    }
}

/// The whole scenario in a storm. `calls`: on the signer's side instead of the API server's.
pub(super) async fn storm(
    rig: &Rig,
    namespace: &str,
    reference: &Reference,
    storm: Storm,
    calls: bool,
    random: Random,
) -> Result<Faults, Error> {
    rig.cluster.namespace(namespace).await?;
    let proxy = if calls { &rig.worker.wire } else { &rig.worker.api };
    proxy.judge(namespace, stormy(storm, random));
    let mut played = Ok(());
    for stage in Stage::ALL {
        played = play(rig, namespace, stage).await;
        if played.is_err() {
            break;
        }
    }
    proxy.acquit(namespace);
    played?;
    judge::judge(rig, namespace, Some(&reference.result), Some(&reference.steps)).await
}

fn stormy(storm: Storm, mut random: Random) -> impl FnMut(&Label) -> Verdict + Send {
    let mut spoiled: BTreeMap<String, usize> = BTreeMap::new();
    move |label| {
        let spoiled = spoiled.entry(label.name.clone()).or_default();
        if *spoiled >= MOST || !random.chance(60) {
            return Verdict::Pass;
        }
        *spoiled += 1;
        storm.verdict(&mut random)
    }
}

/// Everything that is written takes five seconds: still one request for one certificate (cert-manager#3551, #3565).
pub(super) async fn slow(rig: &Rig, namespace: &str, wait: Duration) -> Result<Faults, Error> {
    rig.cluster.namespace(namespace).await?;
    authorities(&rig.cluster, namespace).await?;
    let root = format!("{}/{namespace}.root", path("", "clusterissuers"));
    until_ready(rig, &root).await?;
    rig.worker.api.judge(namespace, move |_| Verdict::Delay(wait));
    let certificates = path(namespace, "certificates");
    rig.cluster.create(&certificates, &certificate(namespace, "web", "root", &json!({}))).await?;
    until_ready(rig, &format!("{certificates}/web")).await?;
    rig.worker.api.acquit(namespace);
    until_ready(rig, &format!("{}/services", path(namespace, "issuers"))).await?;
    let once = BTreeMap::from([("web".to_owned(), 1)]);
    judge::judge(rig, namespace, None, Some(&once)).await
}

/// Waits until an object is Ready for its newest spec.
pub(super) async fn until_ready(rig: &Rig, path: &str) -> Result<(), Error> {
    let mut last = String::new();
    let what = format!("{path} is Ready");
    let waiting = wait_for(&what, super::rig::PATIENCE, async || {
        let seen = rig.cluster.get(path).await?.unwrap_or_default();
        last = seen["status"]["conditions"].to_string();
        Ok(is_ready(&seen).then_some(()))
    });
    match waiting.await {
        Err(Error::TooLate { what, seconds }) => {
            Err(Error::TooLate { what: format!("{what}; it says {last}"), seconds })
        }
        other => other,
    }
}
