//! Crashes after every write and every call of the signer: which there are is learned from an undisturbed run.

use super::judge::{self, Faults};
use super::label::Label;
use super::proxy::Verdict;
use super::rig::Rig;
use super::scene::{Stage, play};
use crate::Error;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One request of the scenario, found again in every run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// In this stage
    pub(super) stage: Stage,
    /// the request about this
    pub(super) label: String,
    /// for so many times before.
    pub(super) before: usize,
    /// Whether it is a call of the signer.
    pub(super) of_signer: bool,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = format!("{:?}", self.stage).to_lowercase();
        write!(f, "{stage}-{}", self.label)?;
        if self.before > 0 { write!(f, "-{}", self.before + 1) } else { Ok(()) }
    }
}

/// What the undisturbed run showed.
pub(super) struct Reference {
    /// Every write and every call of the signer, in order.
    pub(super) positions: Vec<Position>,
    /// The result, made from scratch.
    pub(super) result: Value,
    /// How many certificates each name needed.
    pub(super) steps: BTreeMap<String, usize>,
}

/// Strikes when a wanted position comes by.
#[derive(Default)]
struct Trap {
    stage: Option<Stage>,
    counts: BTreeMap<String, usize>,
    seen: Vec<Position>,
    wanted: Vec<Position>,
    verdict: Option<Verdict>,
    struck: usize,
}

impl Trap {
    fn judge(&mut self, label: &Label) -> Verdict {
        let Some(stage) = self.stage else { return Verdict::Pass };
        let text = label.to_string();
        let count = self.counts.entry(text.clone()).or_default();
        let position = Position { stage, label: text, before: *count, of_signer: label.resource == "signer" };
        *count += 1;
        let verdict = if self.wanted.contains(&position) {
            self.struck += 1;
            self.verdict.clone().unwrap_or(Verdict::Pass)
        } else {
            Verdict::Pass
        };
        self.seen.push(position);
        verdict
    }
}

fn lock(trap: &Mutex<Trap>) -> MutexGuard<'_, Trap> {
    trap.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Plays the scenario in a new namespace; whatever the trap wants to strike is struck.
async fn played(rig: &Rig, namespace: &str, trap: &Arc<Mutex<Trap>>) -> Result<(), Error> {
    rig.cluster.namespace(namespace).await?;
    for proxy in [&rig.worker.api, &rig.worker.wire] {
        let trap = Arc::clone(trap);
        proxy.judge(namespace, move |label| lock(&trap).judge(label));
    }
    let mut played = Ok(());
    for stage in Stage::ALL {
        {
            let mut trap = lock(trap);
            trap.stage = Some(stage);
            trap.counts.clear();
        }
        played = play(rig, namespace, stage).await;
        if played.is_err() {
            break;
        }
    }
    for proxy in [&rig.worker.api, &rig.worker.wire] {
        proxy.acquit(namespace);
    }
    played
}

/// The undisturbed run, and the same result from scratch.
pub(super) async fn learn(rig: &Rig, namespace: &str, scratch: &str) -> Result<(Reference, Faults), Error> {
    let trap = Arc::new(Mutex::new(Trap::default()));
    played(rig, namespace, &trap).await?;
    super::scene::from_scratch(rig, namespace, scratch).await?;
    let result = judge::normalised(rig, scratch).await?;
    let steps = judge::steps(rig, namespace).await?;
    let mut faults = judge::judge(rig, namespace, Some(&result), None).await?;
    faults.extend(judge::judge(rig, scratch, None, None).await?);
    let positions = lock(&trap).seen.clone();
    Ok((Reference { positions, result, steps }, faults))
}

/// One run with these positions struck. Answers how many of them came by, and what was wrong.
pub(super) async fn strike(
    rig: &Rig,
    namespace: &str,
    reference: &Reference,
    positions: Vec<Position>,
    verdict: Verdict,
) -> Result<(usize, Faults), Error> {
    let trap = Arc::new(Mutex::new(Trap { wanted: positions, verdict: Some(verdict), ..Trap::default() }));
    played(rig, namespace, &trap).await?;
    let faults = judge::judge(rig, namespace, Some(&reference.result), Some(&reference.steps)).await?;
    let struck = lock(&trap).struck;
    Ok((struck, faults))
}

/// Groups positions so that each group has at most one of each stage: between stages the world settles, so one run can
/// strike all of a group.
pub(super) fn grouped(positions: &[Position]) -> Vec<Vec<Position>> {
    let mut groups: Vec<Vec<Position>> = Vec::new();
    for position in positions {
        let free = groups.iter_mut().find(|group| group.iter().all(|other| other.stage != position.stage));
        match free {
            Some(group) => group.push(position.clone()),
            None => groups.push(vec![position.clone()]),
        }
    }
    groups
}
