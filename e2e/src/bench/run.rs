//! Which measurements there are, in which order, and where their results go.

use super::figures::{Figures, Machine};
use super::goals::goals;
use super::history::{self, Run};
use super::issuance::Stand;
use super::{fake, floor, plot, report};
use crate::Error;
use crate::assets::{Assets, run as command};
use futures::future::LocalBoxFuture;
use keywright_ambient::{Clock, SystemClock};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Numbers of certificates on the real control plane; the last one is restarted, renewed and so on.
    pub sizes: Vec<usize>,
    /// Numbers of certificates against the API server in memory.
    pub fake: Vec<usize>,
    /// Secrets of others.
    pub foreign: usize,
    /// Certificates of the flood.
    pub flood: usize,
    /// The folder of the reports.
    pub out: PathBuf,
}

/// Measures, writes `issuance.json`, `issuance.md` and `issuance.svg`, and adds a line to `history.jsonl`. Answers how
/// many figures are worse than in earlier runs on this machine.
///
/// Errors: something could not be brought up or written.
pub fn run(options: Options) -> LocalBoxFuture<'static, Result<usize, Error>> {
    Box::pin(async move {
        std::fs::create_dir_all(&options.out).map_err(Error::file("make", &options.out))?;
        let mut figures = Figures {
            began: SystemClock.now().to_string(),
            commit: commit()?,
            machine: machine()?,
            ..Figures::default()
        };
        measure(&options, &mut figures).await?;
        for &size in &options.fake {
            println!("{size} certificates against an API server in memory");
            let measured = fake::measure(size).await?;
            println!(
                "  {:.1} s, operator {:.2} CPU s per 1,000",
                measured.wall_seconds,
                measured.operator_cpu_per_1000()
            );
            figures.fake.push(measured);
        }
        write(&options.out, &figures)
    })
}

async fn measure(options: &Options, figures: &mut Figures) -> Result<(), Error> {
    let last = options.sizes.last().copied();
    for &size in &options.sizes {
        println!("{size} certificates");
        let mut stand = Stand::start().await?;
        if figures.idle.is_none() {
            figures.idle = Some(stand.idle().await?);
        }
        let measured = stand.issue(size).await?;
        println!(
            "  {:.1} s, operator {:.2} CPU s per 1,000",
            measured.wall_seconds,
            measured.operator_cpu_per_1000()
        );
        figures.issuance.push(measured);
        if Some(size) != last {
            continue;
        }
        println!("restarted with {size}");
        figures.restart = Some(stand.restart("restart", 0).await?);
        println!("all of {size} issued again");
        figures.renewal = Some(stand.renew().await?);
        println!("{} certificates flood one namespace", options.flood);
        figures.flood = Some(stand.flood(options.flood).await?);
        println!("{} Secrets of others, and restarted again", options.foreign);
        stand.strangers(options.foreign).await?;
        figures.foreign = Some(stand.restart("foreign", options.foreign).await?);
        drop(stand);
        println!("what the API server alone needs for {size}");
        figures.floor = Some(floor::measure(size).await?);
    }
    Ok(())
}

fn write(out: &Path, figures: &Figures) -> Result<usize, Error> {
    let history = out.join("history.jsonl");
    let this = Run::of(figures);
    let regressions = this.regressions(&history::read(&history)?);
    let goals = goals(figures);
    let text = report::markdown(figures, &goals, &regressions, "issuance.svg");
    let json = serde_json::json!({ "figures": figures, "goals": goals });
    let drawn =
        plot::plot(figures).map_err(|problem| Error::Garbled { path: out.join("issuance.svg"), problem })?;
    for (name, content) in
        [("issuance.json", format!("{json:#}\n")), ("issuance.md", text.clone()), ("issuance.svg", drawn)]
    {
        let path = out.join(name);
        std::fs::write(&path, content).map_err(Error::file("write", &path))?;
    }
    history::add(&history, &this)?;
    println!("\n{text}");
    println!("written to {}", out.display());
    Ok(regressions.len())
}

/// The commit of this checkout, with "+" where files differ from it.
fn commit() -> Result<String, Error> {
    let checkout = Assets::of_this_checkout()?.checkout;
    let git = |args: &[&str]| command(Command::new("git").current_dir(&checkout).args(args));
    let Ok(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return Ok("unknown".into()) };
    let changed = git(&["status", "--porcelain"]).is_ok_and(|text| !text.trim().is_empty());
    Ok(format!("{}{}", commit.trim(), if changed { "+" } else { "" }))
}

fn machine() -> Result<Machine, Error> {
    let read = |path: &str| std::fs::read_to_string(path).map_err(Error::file("read", Path::new(path)));
    let processors = read("/proc/cpuinfo")?;
    let processor = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Ok(Machine {
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        processor: processor.map_or_else(|| "unknown".into(), |(_, name)| name.to_owned()),
        kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        load_before: read("/proc/loadavg")?
            .split(' ')
            .next()
            .and_then(|load| load.parse().ok())
            .unwrap_or(0.0),
    })
}
