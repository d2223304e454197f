//! kubectl keywright: look into and steer Keywright from a terminal.
//!
//! Owns what people type and read. Never decides anything that a controller or the signer decides, never prints a
//! private key, and checks the signer's log with code of its own: it is the second implementation of that format.
//!
//! ```text
//! cli        arguments                      connect   the cluster of the kubeconfig
//! status     what is wanted and what is so  renew     asks for a new issuance
//! approvals  requests, votes, and what is waited for
//! inspect    certificates in plain words    verify    a certificate against the signer's log
//! check      whether the installation works     policy    what policies would say
//! facts      a certificate as data          page      text for people
//! completion what may be typed next
//! log        tiles, notes, proofs: pure, shares nothing with the signer
//! ```
//!
//! Conventions of plugins: kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins.

mod approvals;
mod check;
pub mod cli;
mod completion;
mod connect;
mod exit;
mod facts;
mod inspect;
pub mod log;
mod material;
mod output;
mod page;
mod policy;
mod renew;
mod second_opinion;
mod status;
mod verify;
mod words;

use clap::Parser;
use cli::{Cli, Command};
use exit::Failure;
use keywright_ambient::{Clock, Entropy, SystemClock, SystemEntropy};
use output::Terminal;
use std::process::ExitCode;

/// The machine, as far as commands may ask it.
struct Machine {
    clock: Box<dyn Clock>,
    entropy: Box<dyn Entropy>,
    terminal: Terminal,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let machine = Machine {
        clock: Box::new(SystemClock),
        entropy: Box::new(SystemEntropy),
        terminal: Terminal::of_this_process(),
    };
    match start(&cli, &machine) {
        Ok(code) => code,
        Err(failure) => {
            Terminal::complain(&failure.to_string());
            failure.code()
        }
    }
}

fn start(cli: &Cli, machine: &Machine) -> Result<ExitCode, Failure> {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Unreachable(format!("no thread to run on: {error}")))?;
    runtime.block_on(run(cli, machine))
}

async fn run(cli: &Cli, machine: &Machine) -> Result<ExitCode, Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Check(arguments) => check::run(global, arguments, machine).await,
        Command::Status(arguments) => status::run(global, arguments, machine).await,
        Command::Renew(arguments) => renew::run(global, arguments, machine).await,
        Command::Requests(arguments) => approvals::requests(global, arguments, machine).await,
        Command::Approve(arguments) => approvals::vote(global, arguments, true, machine).await,
        Command::Deny(arguments) => approvals::vote(global, arguments, false, machine).await,
        Command::Why { name } => approvals::why(global, name, machine).await,
        Command::Policy(arguments) => policy::run(global, arguments, machine).await,
        Command::Inspect(arguments) => inspect::run(global, arguments, machine).await,
        Command::Verify(arguments) => verify::run(global, arguments, machine).await,
        Command::Version => output::version(global.output, machine.terminal),
        Command::Completion { shell } => {
            completion::script(*shell);
            Ok(ExitCode::SUCCESS)
        }
        Command::Complete { words } => {
            completion::complete(words).await;
            Ok(ExitCode::SUCCESS)
        }
    }
}
