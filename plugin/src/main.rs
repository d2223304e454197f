//! The program `kubectl-keywright`: everything is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubectl_keywright::main()
}
