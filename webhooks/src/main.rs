//! `keywright-webhook`: the admission webhook.
//!
//! This binary owns arguments, health and the wiring; what is decided and served stands in the library.

mod arguments;
mod health;
mod run;

use arguments::Arguments;
use clap::Parser;
use keywright_secmem::Code;
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
    // One thread answers hundreds of reviews a second; a second one would cost its memory at rest.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no threads to run on");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run::run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "ended");
            ExitCode::FAILURE
        }
    }
}
