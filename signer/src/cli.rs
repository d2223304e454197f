//! The command line: what can be asked of the binary, in words, and the few commands that need no running signer.

use crate::hardening::HardeningError;
use crate::hardening::files::{self, Reach};
use crate::log::fsck::fsck;
use crate::log::note::Verifier;
use crate::path::Turn;
use crate::run::{RunError, Settings, run};
use crate::seal::{Kek, KekError};
use crate::store::{Store, StoreError, log_dir, read_verifier};
use clap::{Args, Parser, Subcommand};
use keywright_ambient::{Clock as _, SystemClock, SystemEntropy};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// The process that holds the certificate authorities' keys, and the only one that uses them.
///
/// It answers a few pinned peers over mutual TLS 1.3, builds each certificate itself from what is asked for, and signs
/// nothing that is outside a key's constraints or not first written, durably, to a log that anyone can verify.
#[derive(Debug, Parser)]
#[command(name = "keywright-signer", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM; requests under way are finished first.
    Run(Run),
    /// The key-encryption key that seals all others at rest.
    #[command(subcommand)]
    Kek(KekCommand),
    /// The log of everything this signer did.
    #[command(subcommand)]
    Log(LogCommand),
    /// The fencing token that keeps a deposed leader from signing.
    #[command(subcommand)]
    Fencing(FencingCommand),
}

#[derive(Debug, Args)]
struct Run {
    /// Folder of the ledger and the log, on a volume of its own. Made when missing; one signer at a time.
    #[arg(long, value_name = "DIR", env = "KEYWRIGHT_SIGNER_STATE_DIR")]
    state_dir: PathBuf,
    /// File with the 32-byte key-encryption key, mode 0600. Never made here: see `kek create`.
    #[arg(long, value_name = "FILE", env = "KEYWRIGHT_SIGNER_KEK_FILE")]
    kek_file: PathBuf,
    /// Folder with ca.crt, tls.crt, tls.key and peers.json; read again whenever they change.
    #[arg(long, value_name = "DIR", env = "KEYWRIGHT_SIGNER_TLS_DIR")]
    tls_dir: PathBuf,
    /// Address of the gRPC service.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Address of /healthz and /readyz, plain HTTP.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    health_listen: SocketAddr,
    /// Write log lines as JSON.
    #[arg(long)]
    log_json: bool,
}

#[derive(Debug, Subcommand)]
enum KekCommand {
    /// Make a new key-encryption key: 32 random bytes, mode 0600. Never overwrites.
    ///
    /// Keep a copy apart from the state folder: without it the sealed keys cannot be opened, by anyone.
    Create {
        /// The file to make.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Recompute the whole log from its entries and compare every tile and the checkpoint; changes nothing.
    ///
    /// Exits 0 when the log is sound, 1 with the first fault otherwise. May run beside the signer.
    Fsck {
        /// Folder of the ledger and the log.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
        /// The log's verifier key, from a place you trust more than the folder; default: log.vkey in it.
        #[arg(long, value_name = "KEY")]
        verifier_key: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum FencingCommand {
    /// Forget the highest token seen, after the leader Lease was deleted and counts from zero again.
    ///
    /// The signer must be stopped. The reset is an entry in the log.
    Reset {
        /// Folder of the ledger and the log.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
        /// File with the key-encryption key.
        #[arg(long, value_name = "FILE")]
        kek_file: PathBuf,
    },
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// While serving.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The key-encryption key.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// The state folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A verifier key that does not parse.
    #[error("--verifier-key: must be NAME+ID+KEY of an Ed25519 key, as in log.vkey")]
    VerifierKey,
    /// The process could not be confined.
    #[error(transparent)]
    Hardening(#[from] HardeningError),
    /// The runtime did not start.
    #[error("system: {0}")]
    System(#[from] std::io::Error),
}

/// Does what the command line says.
pub fn main() -> Result<(), CliError> {
    match Cli::parse().command {
        Command::Run(options) => {
            log_to_stderr(options.log_json);
            let settings = Settings {
                state: options.state_dir,
                kek: options.kek_file,
                tls: options.tls_dir,
                listen: options.listen,
                health: options.health_listen,
            };
            let reach = Reach {
                write: vec![settings.state.clone()],
                read: vec![settings.kek.clone(), settings.tls.clone()],
                listen: vec![settings.listen.port(), settings.health.port()],
                connect: Vec::new(),
            };
            let landlock = files::confine(&reach)?.as_str();
            if let Some(memory) = keywright_secmem::usage() {
                tracing::info!(protection = %memory.protection, bytes = memory.size, "keys live in guarded memory");
            }
            tracing::info!(landlock, "files and ports are limited to what the command line names");
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            Ok(runtime.block_on(run(settings))?)
        }
        Command::Kek(KekCommand::Create { file }) => {
            Kek::create(&file, &SystemEntropy)?;
            println!("made {}; keep a copy apart from the state folder", file.display());
            Ok(())
        }
        Command::Log(LogCommand::Fsck { state_dir, verifier_key }) => {
            let verifier = match verifier_key {
                Some(text) => Verifier::parse(&text).ok_or(CliError::VerifierKey)?,
                None => read_verifier(&state_dir)?,
            };
            let sound = fsck(&log_dir(&state_dir), &verifier).map_err(StoreError::from)?;
            let checkpoint = sound.checkpoint;
            println!(
                "{}: {} entries, {} hash tiles, root {}: sound",
                checkpoint.origin,
                checkpoint.size,
                sound.tiles,
                hex::encode(checkpoint.root)
            );
            Ok(())
        }
        Command::Fencing(FencingCommand::Reset { state_dir, kek_file }) => {
            log_to_stderr(false);
            let kek = Arc::new(Kek::read(&kek_file)?);
            let now = u64::try_from(SystemClock.now().as_second()).unwrap_or(0);
            let (store, _) = Store::open(&state_dir, &kek, &SystemEntropy, now)?;
            let from = reset_fencing(store, now)?;
            println!("highest fencing token forgotten; it was {from}");
            Ok(())
        }
    }
}

fn reset_fencing(store: Store, now: u64) -> Result<u64, StoreError> {
    let Store { mut ledger, publisher, .. } = store;
    let from = ledger.head().fencing;
    let mut turn = Turn::new(&ledger, now);
    let entry = turn.entry(crate::log::entry::Kind::FencingReset).with("from", from);
    turn.enter(&entry)?;
    turn.fence(0);
    let committed = turn.commit(&mut ledger, publisher.progress().published())?;
    publisher.send(committed.entries);
    ledger.settle(publisher.finish())?;
    Ok(from)
}

fn log_to_stderr(json: bool) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("KEYWRIGHT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_ansi(false).init();
    }
}
