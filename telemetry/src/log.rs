//! The arguments about logging, and the logger.

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// What is logged, and how.
#[derive(Debug, Args)]
pub struct Log {
    /// What to log, as in info or keywright=debug,info. The webhook's decision log has target keywright::decision.
    #[arg(long, global = true, default_value = "info", env = "KEYWRIGHT_LOG")]
    log: String,
    /// How to write it.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, env = "KEYWRIGHT_LOG_FORMAT")]
    log_format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Log {
    /// Starts logging to standard error.
    pub fn init(&self) {
        let filter = EnvFilter::try_new(&self.log).unwrap_or_else(|_| EnvFilter::new("info"));
        let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            Format::Text => logger.with_ansi(false).init(),
            Format::Json => logger.json().init(),
        }
    }
}
