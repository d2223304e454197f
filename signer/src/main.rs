//! The signer's binary; everything it does is in the library.

use keywright_signer::{cli, hardening};
use std::process::ExitCode;

#[global_allocator]
static HEAP: keywright_secmem::GuardedHeap = keywright_secmem::GuardedHeap;

fn main() -> ExitCode {
    // Before anything is read, arguments too: nothing of this process is ever dumped.
    let ended = hardening::forbid_dumps().map_err(cli::CliError::from).and_then(|_| cli::main());
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keywright-signer: {error}");
            ExitCode::FAILURE
        }
    }
}
