//! `keywright-dev up | demo | down | admissions`: what the Makefile and the cluster's tests call. It has no part in the
//! product.

use clap::{Parser, Subcommand};
use keywright_e2e::dev::{Progress, demo, down, up};
use keywright_e2e::load::Load;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

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
    /// Dry-run admissions at a steady rate in the cluster of KUBECONFIG until SIGTERM; fails if one of them did
    Admissions {
        #[arg(long, default_value_t = 200)]
        per_second: u32,
    },
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
        What::Admissions { per_second } => return admissions(per_second).await,
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

async fn admissions(per_second: u32) -> ExitCode {
    let client = match kube::Client::try_default().await {
        Ok(client) => client,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            eprintln!("error: signals cannot be received: {error}");
            return ExitCode::FAILURE;
        }
    };
    let load = Load::start(client, per_second);
    terminate.recv().await;
    match load.end().await {
        Ok((sent, failed)) => {
            println!("{sent} admissions, {} of them failed", failed.len());
            failed.iter().take(5).for_each(|said| println!("{said}"));
            if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
