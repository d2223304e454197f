//! The report for people, in Markdown.

use super::figures::{Figures, Issuance, Restart};
use super::goals::Goal;
use super::history::Regression;
use std::fmt::Write;

/// All of it. `plot`: the file name of the picture, beside the report.
pub(super) fn markdown(figures: &Figures, goals: &[Goal], regressions: &[Regression], plot: &str) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, figures, goals, regressions, plot);
    text
}

fn write(
    text: &mut String,
    figures: &Figures,
    goals: &[Goal],
    regressions: &[Regression],
    plot: &str,
) -> std::fmt::Result {
    let machine = &figures.machine;
    writeln!(text, "# Issuance, measured\n")?;
    writeln!(
        text,
        "{}, commit {}, on {} x {}, Linux {}, load average before the run {:.2}. Release binaries; etcd without fsync, \
         the signer with it; certificates and authority ECDSA P-256.\n",
        figures.began, figures.commit, machine.cores, machine.processor, machine.kernel, machine.load_before
    )?;
    writeln!(text, "![the figures as curves]({plot})\n\n## Goals\n")?;
    writeln!(text, "| Goal | At most | Measured | |\n|---|---|---|---|")?;
    for goal in goals {
        let met = if goal.met { "reached" } else { "**missed**" };
        writeln!(text, "| {} | {:.2} | {:.2} | {met} |", goal.what, goal.most, goal.got)?;
    }
    issued(text, "From applied to Ready", &figures.issuance)?;
    if let Some(floor) = &figures.floor {
        writeln!(
            text,
            "\nThe API server alone needs {:.1} s for the writes of {}.",
            floor.wall_seconds, floor.certificates
        )?;
    }
    if let Some(renewal) = &figures.renewal {
        issued(text, "All issued again at once", std::slice::from_ref(renewal))?;
    }
    issued(text, "Against an API server in memory", &figures.fake)?;
    let restarts: Vec<&Restart> = figures.restart.iter().chain(&figures.foreign).collect();
    if !restarts.is_empty() {
        writeln!(text, "\n## Restarted\n")?;
        writeln!(
            text,
            "| Certificates | Foreign Secrets | Next certificate s | CPU s | Peak MiB | Object writes |\n|---|---|---|---|---|---|"
        )?;
        for restart in restarts {
            writeln!(
                text,
                "| {} | {} | {:.2} | {:.2} | {:.1} | {} |",
                restart.certificates,
                restart.foreign_secrets,
                restart.next_seconds,
                restart.operator.cpu_seconds,
                restart.operator.peak_mib,
                restart.writes.objects
            )?;
        }
    }
    if let Some(flood) = &figures.flood {
        writeln!(
            text,
            "\n## A flood in another namespace\n\n{} certificates at once took {:.1} s. Meanwhile {} of another namespace \
             took {:.0} ms (half) and {:.0} ms (99 of a hundred) each; before the flood {:.0} ms (half).",
            flood.certificates,
            flood.wall_seconds,
            flood.measured,
            flood.p50_ms,
            flood.p99_ms,
            flood.calm_p50_ms
        )?;
    }
    if let Some(idle) = &figures.idle {
        let each: Vec<String> =
            idle.resident_mib.iter().map(|(name, mib)| format!("{name} {mib:.1}")).collect();
        writeln!(text, "\n## At rest\n\n{:.1} MiB resident: {}.", idle.total_mib, each.join(", "))?;
    }
    if !regressions.is_empty() {
        writeln!(text, "\n## Worse than before\n\n| Figure | Median of earlier runs | Now |\n|---|---|---|")?;
        for regression in regressions {
            writeln!(text, "| {} | {:.2} | {:.2} |", regression.what, regression.was, regression.is)?;
        }
    }
    Ok(())
}

fn issued(text: &mut String, title: &str, all: &[Issuance]) -> std::fmt::Result {
    if all.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n## {title}\n")?;
    writeln!(
        text,
        "| Certificates | All Ready s | Applied s | p50 ms | p99 ms | Operator CPU s / 1,000 | Operator peak MiB | Signer \
         CPU s / 1,000 | Signer peak MiB | Object writes each | Events each | Conflicts | API server CPU s / 1,000 | etcd MiB |"
    )?;
    writeln!(text, "|{}", "---|".repeat(14))?;
    for one in all {
        let or_none =
            |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        let writes = one.writes.as_ref();
        let api_server =
            one.api_server.map(|cost| cost.cpu_seconds * 1000.0 / super::figures::ratio(one.certificates, 1));
        writeln!(
            text,
            "| {} | {:.2} | {:.2} | {:.0} | {:.0} | {:.2} | {:.1} | {:.2} | {:.1} | {} | {} | {} | {} | {} |",
            one.certificates,
            one.wall_seconds,
            one.applied_seconds,
            one.p50_ms,
            one.p99_ms,
            one.operator_cpu_per_1000(),
            one.operator.peak_mib,
            one.signer_cpu_per_1000(),
            one.signer.peak_mib,
            or_none(writes.map(|writes| one.each(writes.objects))),
            or_none(writes.map(|writes| one.each(writes.events))),
            writes.map_or_else(|| "-".to_owned(), |writes| writes.conflicts.to_string()),
            or_none(api_server),
            or_none(one.etcd_mib),
        )?;
    }
    for one in all {
        if let Some(writes) = &one.writes {
            let each: Vec<String> = writes.by.iter().map(|(what, count)| format!("{count} {what}")).collect();
            writeln!(text, "\nWrites of {}: {}.", one.certificates, each.join(", "))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_was_not_measured_is_not_in_the_report() {
        let text = markdown(&Figures::default(), &[], &[], "issuance.svg");
        for part in ["From applied", "Restarted", "flood", "At rest", "Worse"] {
            assert!(!text.contains(part), "{part}");
        }
    }

    #[test]
    fn a_goal_that_is_missed_says_so() {
        let goal = Goal { what: "speed".into(), most: 1.0, got: 2.0, met: false };
        let text = markdown(&Figures::default(), &[goal], &[], "issuance.svg");
        assert!(text.contains("| speed | 1.00 | 2.00 | **missed** |"), "{text}");
    }
}
