//! `keywright-dev up | demo | down`: what the Makefile calls. It has no part in the product.

use clap::{Parser, Subcommand};
use keywright_e2e::dev::{Progress, demo, down, up};
use std::path::PathBuf;
use std::process::ExitCode;

/// Keywright on this machine: a real etcd and kube-apiserver, the signer and the operator, as processes.
#[derive(Debug, Parser)]
#[command(name = "keywright-dev", version)]
struct Arguments {
    /// The checkout whose `.keywright` folder is used.
    #[arg(long, default_value = ".")]
    checkout: PathBuf,
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum What {
    /// Start whatever does not run
    Up,
    /// The same, then apply the quickstart and show the certificate it makes
    Demo,
    /// Stop everything; data stays
    Down,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let progress = Progress::new();
    let done = match arguments.command {
        What::Up => up(&arguments.checkout, &progress).await.map(|site| {
            progress.step(&format!("all is running: source {}", site.env().display()));
        }),
        What::Demo => demo(&arguments.checkout, &progress).await,
        What::Down => down(&arguments.checkout, &progress),
    };
    progress.end();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
