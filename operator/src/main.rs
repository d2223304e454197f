//! The operator: watches what people want, decides, asks the signer, publishes.
//!
//! This binary owns arguments, leadership, health and the wiring; what is decided and done stands in the controllers.

mod arguments;
mod bootstrap;
mod health;
mod lease;
mod run;

use arguments::{Arguments, Command};
use clap::Parser;
use keywright_secmem::Code;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.log.init();
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::error!("a TLS provider was installed twice; this is a defect");
        return ExitCode::FAILURE;
    }
    if let Err(error) = Code::of_this_process().and_then(Code::give_back_at_rest) {
        tracing::warn!(%error, "the program's code stays in memory at rest");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no threads to run on");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        match arguments.command {
            Command::Run(options) => run::run(options).await.map_err(Failure::from),
            Command::Bootstrap(options) => {
                bootstrap::run(options).await.map_err(|e| Failure::End(e.to_string()))
            }
        }
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::End(error)) => {
            tracing::error!(error, "ended");
            ExitCode::FAILURE
        }
        Err(Failure::StartOver(error)) => {
            tracing::error!(error, "starting over as a new process");
            start_over()
        }
    }
}

/// What an error asks for.
enum Failure {
    /// Somebody has to look.
    End(String),
    /// Leadership is gone: whatever is under way must stop at this instant, and then it is waited for again.
    StartOver(String),
}

impl From<run::Ended> for Failure {
    fn from(ended: run::Ended) -> Self {
        match ended {
            run::Ended::Lost(lost) => Self::StartOver(lost.to_string()),
            other => Self::End(other.to_string()),
        }
    }
}

/// Replaces this process by a new one with the same arguments: nothing in memory survives, no thread goes on, and
/// nobody outside is needed to start it again.
fn start_over() -> ExitCode {
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(error) => {
            tracing::error!(%error, "the own program cannot be found; ending instead");
            return ExitCode::FAILURE;
        }
    };
    let error = std::process::Command::new(own).args(std::env::args_os().skip(1)).exec();
    tracing::error!(%error, "the own program cannot be started; ending instead");
    ExitCode::FAILURE
}
