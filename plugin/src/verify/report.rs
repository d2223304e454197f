//! What `verify` shows.

use super::check::{Facts, Subject};
use crate::page::{Page, Tone};
use serde::Serialize;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Ended {
    /// It holds.
    Ok,
    /// It does not.
    Failed,
    /// It says something and decides nothing.
    Note,
}

/// One step of the check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    /// What was checked, in one word.
    #[serde(rename = "step")]
    pub(crate) name: &'static str,
    /// How it ended.
    pub(crate) ended: Ended,
    /// In words.
    pub(crate) detail: String,
}

impl Step {
    /// One that holds or does not.
    pub(crate) fn of(good: bool, name: &'static str, detail: &str) -> Self {
        Self { name, ended: if good { Ended::Ok } else { Ended::Failed }, detail: detail.to_owned() }
    }

    /// One that decides nothing.
    pub(crate) fn skipped(name: &'static str, detail: &str) -> Self {
        Self { name, ended: Ended::Note, detail: detail.to_owned() }
    }
}

/// The whole result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Whether every step holds, the inclusion among them.
    pub(crate) verified: bool,
    name: String,
    serial_number: String,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<LogFacts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_at: Option<String>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogFacts {
    origin: String,
    size: u64,
    root: String,
}

impl Report {
    /// From the steps that were taken.
    pub(crate) fn new(subject: &Subject, index: Option<u64>, facts: Facts, steps: Vec<Step>) -> Self {
        let included = steps.iter().any(|step| step.name == "inclusion" && step.ended == Ended::Ok);
        let failed = steps.iter().any(|step| step.ended == Ended::Failed);
        Self {
            verified: included && !failed,
            name: subject.name.clone(),
            serial_number: subject.serial.clone(),
            sha256: hex::encode(subject.sha256),
            log: facts.checkpoint.map(|checkpoint| LogFacts {
                origin: checkpoint.origin,
                size: checkpoint.size,
                root: hex::encode(checkpoint.root),
            }),
            log_index: index,
            signed_at: facts.signed_at.map(|at| at.to_string()),
            steps,
        }
    }

    /// Writes it for people.
    pub(crate) fn write(&self, page: &mut Page) {
        page.heading(&format!("Certificate {}", self.name));
        page.row("Serial", &self.serial_number);
        page.row("SHA-256", &self.sha256);
        page.heading("Checks");
        for step in &self.steps {
            let (mark, tone) = match step.ended {
                Ended::Ok => ("ok", Tone::Good),
                Ended::Failed => ("FAILED", Tone::Bad),
                Ended::Note => ("note", Tone::Warn),
            };
            page.row_toned(step.name, &format!("{mark:8}{}", step.detail), tone);
        }
        let (words, tone) = if self.verified {
            ("Verified: this certificate stands in the log.", Tone::Good)
        } else {
            ("NOT verified.", Tone::Bad)
        };
        page.line("", Tone::Plain);
        page.line(words, tone);
    }
}
