//! What the figures are held against.

use super::figures::{Figures, Issuance};
use serde::{Deserialize, Serialize};

/// Object writes for a certificate: its Secret and its status.
const WRITES: f64 = 2.0;
/// Events for a certificate.
const EVENTS: f64 = 1.0;
/// Of the time that the API server alone needs.
const OF_FLOOR: f64 = 1.5;
/// Processor seconds of the operator for a thousand certificates.
const CPU: f64 = 2.0;
/// How far the dearest size may be above the cheapest from a thousand on: "the same at every size".
const SPREAD: f64 = 1.3;
/// MiB of the operator with ten thousand certificates and thirty thousand foreign Secrets.
const OPERATOR: f64 = 80.0;
/// MiB of all processes at rest.
const IDLE: f64 = 45.0;
/// Seconds from a restart to the next certificate.
const NEXT: f64 = 3.0;
/// Wall time for each certificate of the largest fake size against the smallest from a thousand on: "linear".
const LINEAR: f64 = 1.3;

/// One goal and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Goal {
    /// What is asked for.
    pub(super) what: String,
    /// At most this.
    pub(super) most: f64,
    /// Measured.
    pub(super) got: f64,
    /// Whether it is reached.
    pub(super) met: bool,
}

fn goal(what: &str, most: f64, got: f64) -> Goal {
    // Counted per certificate, a single write more in ten thousand shows and is no rounding.
    Goal { what: what.to_owned(), most, got, met: got <= most }
}

/// All goals that this run measured.
pub(super) fn goals(figures: &Figures) -> Vec<Goal> {
    let mut goals = Vec::new();
    let largest = figures.issuance.last();
    if let Some(largest) = largest
        && let Some(writes) = &largest.writes
    {
        goals.push(goal("object writes for a certificate", WRITES, largest.each(writes.objects)));
        goals.push(goal("Events for a certificate", EVENTS, largest.each(writes.events)));
        goals.push(goal("conflicts on the good path", 0.0, largest.each(writes.conflicts)));
    }
    if let (Some(largest), Some(floor)) = (largest, &figures.floor) {
        let what = format!("seconds until {} are Ready: 1.5 of the API server's own", largest.certificates);
        goals.push(goal(&what, OF_FLOOR * floor.wall_seconds, largest.wall_seconds));
    }
    let dearest = |all: &[Issuance]| all.iter().map(Issuance::operator_cpu_per_1000).fold(0.0, f64::max);
    if !figures.issuance.is_empty() {
        let what = "operator CPU seconds for 1,000 certificates, at the dearest size";
        goals.push(goal(what, CPU, dearest(&figures.issuance)));
    }
    let many: Vec<Issuance> = figures.issuance.iter().filter(|i| i.certificates >= 1000).cloned().collect();
    if many.len() > 1 {
        let cheapest = many.iter().map(Issuance::operator_cpu_per_1000).fold(f64::INFINITY, f64::min);
        let what = "the same at every size from 1,000 on: dearest to cheapest";
        goals.push(goal(what, SPREAD, dearest(&many) / cheapest));
    }
    if let Some(foreign) = &figures.foreign {
        let what = format!(
            "operator MiB at {} certificates with {} foreign Secrets",
            foreign.certificates, foreign.foreign_secrets
        );
        goals.push(goal(&what, OPERATOR, foreign.operator.peak_mib));
    }
    if let Some(idle) = &figures.idle {
        goals.push(goal("MiB of the suite at rest", IDLE, idle.total_mib));
    }
    if let Some(restart) = &figures.restart {
        let what = format!("seconds to the next certificate, restarted with {}", restart.certificates);
        goals.push(goal(&what, NEXT, restart.next_seconds));
    }
    let mut fake = figures.fake.iter().filter(|i| i.certificates >= 1000);
    if let (Some(first), Some(last)) = (fake.next(), fake.next_back()) {
        let slower = (last.wall_seconds / first.wall_seconds)
            / super::figures::ratio(last.certificates, first.certificates);
        let what = format!("linear from {} to {}: time for each", first.certificates, last.certificates);
        goals.push(goal(&what, LINEAR, slower));
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Floor;

    fn issuance(certificates: usize, wall_seconds: f64) -> Issuance {
        Issuance { certificates, wall_seconds, ..Issuance::default() }
    }

    #[test]
    fn what_was_not_measured_is_no_goal_met() {
        assert!(goals(&Figures::default()).is_empty());
    }

    #[test]
    fn time_is_held_against_the_floor_of_the_same_run() {
        let figures = |wall| Figures {
            issuance: vec![issuance(1000, wall)],
            floor: Some(Floor { certificates: 1000, wall_seconds: 10.0 }),
            ..Figures::default()
        };
        let met = |wall| goals(&figures(wall)).iter().all(|goal| goal.met);
        assert!(met(15.0));
        assert!(!met(15.1));
    }

    #[test]
    fn a_size_that_takes_longer_for_each_is_not_linear() {
        let figures =
            |wall| Figures { fake: vec![issuance(1000, 1.0), issuance(100_000, wall)], ..Figures::default() };
        assert!(goals(&figures(120.0))[0].met);
        assert!(!goals(&figures(140.0))[0].met);
    }
}
