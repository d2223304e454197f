//! `keywright-perturb short` and `keywright-perturb all`, behind `make perturb-short` and `make perturb`.

use clap::{Parser, Subcommand};
use keywright_ambient::{Entropy, SystemEntropy};
use keywright_e2e::perturb::{Extent, Options, run};
use std::process::ExitCode;

/// Breaks the operator on purpose and judges what comes of it.
#[derive(Debug, Parser)]
#[command(name = "keywright-perturb")]
struct Arguments {
    #[command(subcommand)]
    extent: Command,
    /// Determines all that is chosen; a new one where it is not given.
    #[arg(long, global = true)]
    seed: Option<u64>,
    /// Only cases whose names begin so.
    #[arg(long, global = true)]
    case: Option<String>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// What fits into two minutes.
    Short,
    /// Everything.
    All,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut random = [0; 4];
    let drawn = SystemEntropy.fill(&mut random).map(|()| u64::from(u32::from_be_bytes(random)));
    let seed = arguments.seed.or(drawn.ok()).unwrap_or_default();
    let extent = match arguments.extent {
        Command::Short => Extent::Short,
        Command::All => Extent::All,
    };
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("a TLS provider was installed twice; this is a defect");
        return ExitCode::FAILURE;
    }
    match run(Options { extent, seed, case: arguments.case }).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
