//! `keywright-bench`, behind `make bench`.

use clap::Parser;
use keywright_e2e::bench::{Options, run};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures what issuance costs, with the release binaries on a control plane of its own.
#[derive(Debug, Parser)]
#[command(name = "keywright-bench")]
struct Arguments {
    /// Numbers of certificates, from the fewest to the most; the most are also restarted, renewed and so on.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    sizes: Vec<usize>,
    /// Numbers of certificates against an API server in memory; none with an empty list.
    #[arg(long, value_delimiter = ',', num_args = 0.., default_value = "1000,10000,100000")]
    fake: Vec<usize>,
    /// How many Secrets of others there are.
    #[arg(long, default_value_t = 30_000)]
    foreign: usize,
    /// How many certificates flood a namespace.
    #[arg(long, default_value_t = 2_000)]
    flood: usize,
    /// Folder of the reports and of the history that they are compared with.
    #[arg(long, default_value = ".keywright/bench")]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { sizes, fake, foreign, flood, out } = Arguments::parse();
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("a TLS provider was installed twice; this is a defect");
        return ExitCode::FAILURE;
    }
    match run(Options { sizes, fake, foreign, flood, out }).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(worse) => {
            eprintln!("{worse} figures are worse than in earlier runs on this machine");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
