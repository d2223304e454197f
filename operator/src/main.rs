//! The operator: watches what people want, decides, asks the signer, publishes.
//!
//! This binary owns arguments, leadership, health and the wiring; what is decided and done stands in the controllers.

mod arguments;
mod bootstrap;
mod client;
mod health;
mod lease;
mod run;

use arguments::{Arguments, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.log.init();
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::error!("a TLS provider was installed twice; this is a defect");
        return ExitCode::FAILURE;
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
            Command::Run(options) => run::run(options).await.map_err(|e| e.to_string()),
            Command::Bootstrap(options) => bootstrap::run(options).await.map_err(|e| e.to_string()),
        }
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "ended");
            ExitCode::FAILURE
        }
    }
}
