//! The signer's binary; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    match keywright_signer::cli::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keywright-signer: {error}");
            ExitCode::FAILURE
        }
    }
}
