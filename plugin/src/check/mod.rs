//! `kubectl keywright check`: whether an installation works, from what the cluster says and, when asked, by issuing.
//!
//! ```text
//! observe (reads only) -> Observed -> judge (pure) -> findings        issue: a certificate for trying, made and removed
//! ```

mod issue;
mod judge;
mod observe;
mod webhook;

use crate::Machine;
use crate::cli::{Check, Global};
use crate::connect::connect;
use crate::exit::{Failure, NOT_AS_WANTED};
use crate::page::Tone;
use judge::{Finding, Verdict, judge};
use serde::Serialize;
use std::process::ExitCode;

/// The whole answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    healthy: bool,
    findings: Vec<Finding>,
}

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: &Check, machine: &Machine) -> Result<ExitCode, Failure> {
    let cluster = connect(global).await?;
    let observed = observe::observe(&cluster, &arguments.system_namespace, machine).await?;
    let mut findings = judge(&observed);
    if arguments.issue {
        machine.terminal.tell("issuing a certificate to try it");
        findings.push(issue::issue(&cluster, arguments.timeout, machine).await);
    }
    let healthy = findings.iter().all(|finding| finding.verdict != Verdict::Failed);
    let report = Report { healthy, findings };
    machine.terminal.show(global.output, &report, |page, _| {
        for finding in &report.findings {
            let (mark, tone) = match finding.verdict {
                Verdict::Passed => ("ok", Tone::Good),
                Verdict::Warning => ("warning", Tone::Warn),
                Verdict::Failed => ("FAILED", Tone::Bad),
            };
            page.row_toned(mark, &format!("{}: {}", finding.check, finding.found), tone);
            page.row_if("", finding.fix.as_deref());
        }
    })?;
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::from(NOT_AS_WANTED) })
}
