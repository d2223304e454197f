//! What earlier runs on this machine measured, one JSON object a line, so that a regression shows.

use super::figures::Figures;
use crate::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// How many runs before this one are looked at.
const BEFORE: usize = 10;
/// How far above the median of those a figure may be before it is called a regression.
const NOISE: f64 = 1.2;

/// One run: when, of which commit, and the figures that are compared. Less is better in all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    began: String,
    commit: String,
    /// Only runs on as many cores of the same processor are compared.
    machine: String,
    figures: BTreeMap<String, f64>,
}

/// A figure that is worse than it was.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Regression {
    /// Which.
    pub(super) what: String,
    /// The median of the runs before.
    pub(super) was: f64,
    /// Now.
    pub(super) is: f64,
}

impl Run {
    /// What is kept of a run.
    pub(super) fn of(figures: &Figures) -> Self {
        let mut kept = BTreeMap::new();
        for (kind, all) in [("", &figures.issuance), ("fake ", &figures.fake)] {
            for issuance in all {
                let of = |what: &str| format!("{kind}{} {what}", issuance.certificates);
                kept.insert(of("wall seconds"), issuance.wall_seconds);
                kept.insert(of("operator CPU seconds per 1,000"), issuance.operator_cpu_per_1000());
                kept.insert(of("signer CPU seconds per 1,000"), issuance.signer_cpu_per_1000());
                kept.insert(of("operator peak MiB"), issuance.operator.peak_mib);
                kept.insert(of("p99 ms"), issuance.p99_ms);
                if let Some(writes) = &issuance.writes {
                    kept.insert(of("object writes each"), issuance.each(writes.objects));
                }
            }
        }
        if let Some(idle) = &figures.idle {
            kept.insert("idle MiB".into(), idle.total_mib);
        }
        if let Some(restart) = &figures.restart {
            kept.insert("restart, next certificate, seconds".into(), restart.next_seconds);
        }
        if let Some(foreign) = &figures.foreign {
            kept.insert("foreign Secrets, operator peak MiB".into(), foreign.operator.peak_mib);
        }
        if let Some(flood) = &figures.flood {
            kept.insert("flood, p99 ms of the other".into(), flood.p99_ms);
        }
        Self {
            began: figures.began.clone(),
            commit: figures.commit.clone(),
            machine: format!("{} x {}", figures.machine.cores, figures.machine.processor),
            figures: kept,
        }
    }

    /// What is worse than the median of the runs before on the same machine.
    pub(super) fn regressions(&self, before: &[Self]) -> Vec<Regression> {
        let same: Vec<&Self> =
            before.iter().rev().filter(|run| run.machine == self.machine).take(BEFORE).collect();
        let compare = |(what, is): (&String, &f64)| {
            let mut were: Vec<f64> = same.iter().filter_map(|run| run.figures.get(what).copied()).collect();
            were.sort_by(f64::total_cmp);
            let was = *were.get(were.len() / 2)?;
            (*is > was * NOISE).then(|| Regression { what: what.clone(), was, is: *is })
        };
        self.figures.iter().filter_map(compare).collect()
    }
}

/// The runs so far; none where the file is not there.
pub(super) fn read(path: &Path) -> Result<Vec<Run>, Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("read", path)(error)),
    };
    let garbled = |error: serde_json::Error| Error::Garbled { path: path.into(), problem: error.to_string() };
    text.lines().map(|line| serde_json::from_str(line).map_err(garbled)).collect()
}

/// Adds a run.
pub(super) fn add(path: &Path, run: &Run) -> Result<(), Error> {
    let line = serde_json::to_string(run).map_err(|error| Error::file("write", path)(error.into()))?;
    let mut file =
        OpenOptions::new().create(true).append(true).open(path).map_err(Error::file("write", path))?;
    writeln!(file, "{line}").map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(machine: &str, wall: f64) -> Run {
        let figures = BTreeMap::from([("1000 wall seconds".to_owned(), wall)]);
        Run { began: String::new(), commit: String::new(), machine: machine.into(), figures }
    }

    #[test]
    fn a_figure_far_above_the_median_of_earlier_runs_is_a_regression() {
        let before = [run("a", 10.0), run("a", 11.0), run("a", 30.0), run("b", 1.0)];
        assert_eq!(run("a", 12.0).regressions(&before), []);
        let found = run("a", 14.0).regressions(&before);
        assert_eq!(found, [Regression { what: "1000 wall seconds".into(), was: 11.0, is: 14.0 }]);
        assert_eq!(run("c", 99.0).regressions(&before), [], "another machine is another matter");
    }

    #[test]
    fn runs_are_read_back_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        assert_eq!(read(&path).unwrap(), []);
        for wall in [1.5, 2.5] {
            add(&path, &run("a", wall)).unwrap();
        }
        assert_eq!(read(&path).unwrap(), [run("a", 1.5), run("a", 2.5)]);
    }
}
