//! Commands of witnesses and of those who ask them.

use crate::log::note::Verifier;
use crate::seal::{Kek, KekError};
use crate::store::{StoreError, log_dir, read_verifier};
use crate::witness::feed::{FeedError, Place, feed};
use crate::witness::serve::{Witness, routes};
use crate::witness::{WitnessKey, WitnessVerifier, is_witness_name};
use clap::{Args, Subcommand};
use keywright_ambient::{SystemClock, SystemEntropy};
use keywright_secmem::GuardedBytes;
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

/// What a witness does.
#[derive(Debug, Subcommand)]
pub(super) enum WitnessCommand {
    /// Make a witness's key: 32 random bytes, mode 0600; prints its verifier key. Never overwrites.
    Key(Identity),
    /// Cosign the checkpoints of logs that only ever grow, on POST /add-checkpoint (c2sp.org/tlog-witness).
    Serve(Serve),
}

/// Who the witness is.
#[derive(Debug, Args)]
pub(super) struct Identity {
    /// The witness's name, such as `witness.example.org/w1`: no spaces, no plus.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// File of its key.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

/// How the witness serves.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    identity: Identity,
    /// Folder in which it remembers how far it saw each log; losing it means cosigning a fork.
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,
    /// Verifier key of a log it cosigns, NAME+ID+KEY as in the signer's log.vkey; may be repeated.
    #[arg(long, value_name = "KEY", required = true)]
    log_key: Vec<String>,
    /// Address of the service, plain HTTP.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8444")]
    listen: SocketAddr,
}

/// Whom to ask for cosignatures.
#[derive(Debug, Args)]
pub(super) struct Cosign {
    /// The signer's state folder; only its log is read, and `log/checkpoint.cosigned` written.
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,
    /// A witness as HOST:PORT=KEY, its verifier key as NAME+ID+KEY; may be repeated.
    #[arg(long, value_name = "WITNESS", required = true)]
    witness: Vec<String>,
}

/// Why a witness's command failed.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The key's file could not be made.
    #[error(transparent)]
    Key(#[from] KekError),
    /// The key's file is not one.
    #[error(
        "witness key {0}: must be 32 bytes that nobody else can read; make one with `witness key`, or run chmod 0600"
    )]
    KeyFile(PathBuf),
    /// The name.
    #[error("--name {0:?}: must not be empty and have neither spaces nor a plus; choose another")]
    Name(String),
    /// A log's key.
    #[error("--log-key {0:?}: must be NAME+ID+KEY of an Ed25519 log key, as in log.vkey")]
    LogKey(String),
    /// A witness to ask.
    #[error("--witness {0:?}: must be HOST:PORT=NAME+ID+KEY")]
    Place(String),
    /// The log.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Asking failed.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// No witness cosigned.
    #[error("no witness cosigned; see above")]
    None,
    /// The key's file cannot be read.
    #[error("--key-file {path}: {source}; make a key with `keywright-signer witness key`, or name its file")]
    Unread {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder of its memory.
    #[error(
        "--state-dir {path}: {source}; see that it is writable, and that no other witness runs on it: two on one folder would cosign a fork"
    )]
    Memory {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The address is not to be had.
    #[error("--listen {address}: {source}; choose another address")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The system refuses something ordinary.
    #[error("system: {0}")]
    System(#[from] std::io::Error),
}

fn key(identity: &Identity) -> Result<WitnessKey, WitnessError> {
    let unusable = || WitnessError::KeyFile(identity.key_file.clone());
    let unread = |source| WitnessError::Unread { path: identity.key_file.clone(), source };
    let mut file = File::open(&identity.key_file).map_err(unread)?;
    let about = file.metadata().map_err(unread)?;
    if about.mode() & 0o077 != 0 || about.len() != 32 {
        return Err(unusable());
    }
    let mut seed = GuardedBytes::zeroed(32).map_err(|_| unusable())?;
    file.read_exact(&mut seed).map_err(unread)?;
    let seed: &[u8; 32] = <&[u8; 32]>::try_from(&seed[..]).map_err(|_| unusable())?;
    WitnessKey::from_seed(&identity.name, seed).ok_or_else(|| WitnessError::Name(identity.name.clone()))
}

/// Does what the command line says.
pub(super) fn witness(command: WitnessCommand) -> Result<(), WitnessError> {
    match command {
        WitnessCommand::Key(identity) => {
            // Before there is a file: it would be in the way of the next try.
            if !is_witness_name(&identity.name) {
                return Err(WitnessError::Name(identity.name));
            }
            Kek::create(&identity.key_file, &SystemEntropy)?;
            println!("{}", key(&identity)?.text());
            Ok(())
        }
        WitnessCommand::Serve(serve) => {
            let logs = serve
                .log_key
                .iter()
                .map(|text| Verifier::parse(text).ok_or_else(|| WitnessError::LogKey(text.clone())));
            let logs = logs.collect::<Result<Vec<_>, _>>()?;
            let key = key(&serve.identity)?;
            let memory = |source| WitnessError::Memory { path: serve.state_dir.clone(), source };
            let witness = Witness::new(serve.state_dir.clone(), key, logs, Arc::new(SystemClock));
            let witness = witness.map_err(memory)?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind(serve.listen).await;
                let address = serve.listen;
                let listener = listener.map_err(|source| WitnessError::Listen { address, source })?;
                tracing::info!(listen = %serve.listen, "witness is ready");
                Ok(axum::serve(listener, routes(Arc::new(witness))).await?)
            })
        }
    }
}

fn place(text: &str) -> Result<Place, WitnessError> {
    let malformed = || WitnessError::Place(text.to_owned());
    let (address, key) = text.split_once('=').ok_or_else(malformed)?;
    let key = WitnessVerifier::parse(key).ok_or_else(malformed)?;
    Ok(Place { address: address.to_owned(), key })
}

/// Asks all witnesses once; succeeds when at least one cosigned.
pub(super) fn cosign(options: &Cosign) -> Result<(), WitnessError> {
    let places = options.witness.iter().map(|text| place(text)).collect::<Result<Vec<_>, _>>()?;
    let verifier = read_verifier(&options.state_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let results = runtime.block_on(feed(&log_dir(&options.state_dir), &verifier, &places))?;
    let mut any = false;
    for (place, result) in places.iter().zip(results) {
        match result {
            Ok(time) => {
                any = true;
                println!("{}: cosigned at {time}", place.address);
            }
            Err(error) => eprintln!("{error}"),
        }
    }
    if any { Ok(()) } else { Err(WitnessError::None) }
}
