//! The command line: what can be asked of the binary, in words, and the few commands that need no running signer.

mod keys;
mod witness;

use crate::approval::pinned::{Pinned, PinnedError};
use crate::authority_key::KeyStore;
use crate::custody::{self, KeepError};
use crate::hardening::files::{self, Reach};
use crate::hardening::{self, HardeningError};
use crate::ids::Uid;
use crate::key_state::StateError;
use crate::ledger::{AuthorityRow, TABLES};
use crate::log::disk::DiskError;
use crate::log::fsck::fsck;
use crate::log::note::Verifier;
use crate::path::Turn;
use crate::policy::Policies;
use crate::rates::Rate;
use crate::run::{RunError, Settings, run};
use crate::store::{Store, StoreError, log_dir, read_verifier};
use clap::{Args, Parser, Subcommand};
use keys::KeyCommand;
use keywright_ambient::{Clock as _, SystemClock, SystemEntropy};
use keywright_custody::{CustodyError, KekSpec, KeyStoreSpec};
use keywright_secmem::Code;
use keywright_signer_cluster::Access;
use keywright_telemetry::{BadTarget, Traces};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub use witness::WitnessError;
use witness::{Cosign, WitnessCommand};

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
    Run(Box<Run>),
    /// The key-encryption key that seals all others at rest.
    #[command(subcommand)]
    Kek(KekCommand),
    /// The states of keys, changed by hand with the signer stopped.
    #[command(subcommand)]
    Key(KeyCommand),
    /// The log of everything this signer did.
    #[command(subcommand)]
    Log(LogCommand),
    /// A witness of logs, under other hands than the signer.
    #[command(subcommand)]
    Witness(WitnessCommand),
    /// The fencing token that keeps a deposed leader from signing.
    #[command(subcommand)]
    Fencing(FencingCommand),
}

#[derive(Debug, Args)]
struct Run {
    /// Folder of the ledger and the log, on a volume of its own. Made when missing; one signer at a time.
    #[arg(long, value_name = "DIR", env = "KEYWRIGHT_SIGNER_STATE_DIR")]
    state_dir: PathBuf,
    #[command(flatten)]
    kek: KekArgs,
    /// Where the key-encryption key was before; when the state is still sealed under it, it is re-wrapped first.
    #[arg(long, value_name = "WHERE", env = "KEYWRIGHT_SIGNER_KEK_OLD")]
    kek_old: Option<String>,
    /// Where keys of new authorities are made, and those in a token found: memory, or
    /// pkcs11:module=FILE;token=LABEL;pin-file=FILE[;sessions=N][;paths=DIR,...][;ports=N,...].
    #[arg(long, value_name = "WHERE", default_value = "memory", env = "KEYWRIGHT_SIGNER_KEY_STORE")]
    key_store: String,
    /// Folder with ca.crt, tls.crt, tls.key and peers.json; read again whenever they change.
    #[arg(long, value_name = "DIR", env = "KEYWRIGHT_SIGNER_TLS_DIR")]
    tls_dir: PathBuf,
    /// Approval classes whose approvers sign with keys of their own, and those keys; read once, at the start.
    #[arg(long, value_name = "FILE", env = "KEYWRIGHT_SIGNER_APPROVERS")]
    approvers: Option<PathBuf>,
    /// Folder of Policy objects in YAML that hold here whatever the API server says, and of ConfigMaps with their bundles;
    /// read once, at the start.
    #[arg(long, value_name = "DIR", env = "KEYWRIGHT_SIGNER_POLICIES")]
    policies: Option<PathBuf>,
    /// Kubeconfig with read-only credentials, to look up policies, and approvals without signatures; its server must be an
    /// IP address. Neither this nor --in-cluster: only classes pinned by --approvers and policies of --policies.
    #[arg(long, value_name = "FILE", env = "KEYWRIGHT_SIGNER_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// The same with the credentials of the pod that this process runs in.
    #[arg(long, conflicts_with = "kubeconfig")]
    in_cluster: bool,
    /// Keywright's own namespace, where the bundles lie that policies of the API server name.
    #[arg(long, default_value = "keywright-system", env = "KEYWRIGHT_NAMESPACE")]
    namespace: String,
    /// Address of the gRPC service.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Address of /healthz, /readyz and /metrics, plain HTTP.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    health_listen: SocketAddr,
    /// Address at which anyone may read the log over HTTPS; none: it is not served.
    #[arg(long, value_name = "ADDR")]
    log_listen: Option<SocketAddr>,
    /// Signatures that one caller may ask of one key per second; none: no limit.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// How many it may ask at once after a pause; twice the rate when absent.
    #[arg(long, value_name = "N", requires = "rate", value_parser = clap::value_parser!(u32).range(1..))]
    burst: Option<u32>,
    /// Write log lines as JSON.
    #[arg(long)]
    log_json: bool,
    #[command(flatten)]
    traces: Traces,
}

/// Where the key-encryption key is. Secrets to get at it are named by file or environment variable, never given here.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct KekArgs {
    /// file:FILE, pkcs11:module=FILE;token=LABEL;key=LABEL;pin-file=FILE, vault:URL;key=NAME;token-file=FILE,
    /// passphrase-file:FILE or passphrase-env:NAME (for development only). See docs/custody.md.
    #[arg(long, value_name = "WHERE", env = "KEYWRIGHT_SIGNER_KEK")]
    kek: Option<String>,
    /// Short for --kek file:FILE: 32 bytes, mode 0600. Never made here: see `kek create`.
    #[arg(long, value_name = "FILE", env = "KEYWRIGHT_SIGNER_KEK_FILE")]
    kek_file: Option<PathBuf>,
}

impl KekArgs {
    fn spec(self) -> Result<KekSpec, CustodyError> {
        match self.kek_file {
            Some(path) => Ok(KekSpec::File(path)),
            // The group makes one of the two required; an empty argument is refused with its rule.
            None => self.kek.unwrap_or_default().parse(),
        }
    }
}

#[derive(Debug, Subcommand)]
enum KekCommand {
    /// Make a new key-encryption key: a file of 32 random bytes, a key in a token, or a transit key. Never overwrites.
    ///
    /// Keep a copy of a file apart from the state folder: without it the sealed keys cannot be opened, by anyone.
    Create {
        /// The file to make, or a place as in --kek.
        place: String,
    },
    /// Seal everything under another key-encryption key; the signer must be stopped.
    ///
    /// One commit changes all of it, with an entry in the log. After a crash do the same again. With the same place twice,
    /// the root key below a token's key, a transit key or a passphrase is replaced.
    Rewrap {
        /// Folder of the ledger and the log.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
        /// Where the key-encryption key is now, as in --kek.
        #[arg(long, value_name = "WHERE")]
        from: String,
        /// Where it is to be.
        #[arg(long, value_name = "WHERE")]
        to: String,
    },
    /// Tell which key-encryption key a state folder is sealed under, and who keeps it; the signer must be stopped.
    Status {
        /// Folder of the ledger and the log.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
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
        /// A checkpoint of the log that was kept or cosigned before: it must be a beginning of the log. May be repeated;
        /// log/checkpoint.cosigned is one always, where it is there.
        #[arg(long, value_name = "FILE")]
        earlier: Vec<PathBuf>,
    },
    /// Ask witnesses to cosign the log's checkpoint; writes it with their signatures as log/checkpoint.cosigned.
    ///
    /// May run beside the signer, from a timer. Succeeds when at least one witness cosigned.
    Cosign(Cosign),
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
        #[command(flatten)]
        kek: KekArgs,
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
    Keep(#[from] KeepError),
    /// An argument that names a custodian, or a token.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The file of approvers.
    #[error(transparent)]
    Approvers(#[from] PinnedError),
    /// The state folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A verifier key that does not parse.
    #[error("--verifier-key: must be NAME+ID+KEY of an Ed25519 key, as in log.vkey")]
    VerifierKey,
    /// A checkpoint that was kept.
    #[error("--earlier {path}: {source}; name the file of a checkpoint of this log that was kept")]
    Earlier {
        /// Which file.
        path: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// A folder in which no signer has run; it would be made, and seem to hold a signer without keys.
    #[error(
        "--state-dir {0}: holds no ledger; name the folder that the signer runs with (trying again without a change will not help)"
    )]
    NoLedger(PathBuf),
    /// A key's state.
    #[error(transparent)]
    KeyState(#[from] StateError),
    /// A name that is none.
    #[error("{0:?}: must be a UUID in its RFC 4122 text form, as `key list` shows")]
    Uid(String),
    /// A witness's command.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// Where spans should go.
    #[error(transparent)]
    Traces(#[from] BadTarget),
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
            let (spec, old) = (options.kek.spec()?, options.kek_old);
            let old: Option<KekSpec> = old.map(|old| old.parse()).transpose()?;
            let key_store: KeyStoreSpec = options.key_store.parse()?;
            for what in hardening::open_to_everybody(&options.state_dir, &options.tls_dir) {
                tracing::warn!("{what}");
            }
            // Before the process is confined: afterwards it reaches no custodian any more.
            let state = &options.state_dir;
            let kek = custody::open_or_rewrap(&spec, old.as_ref(), state, seconds(), &SystemEntropy)?;
            let pinned = match &options.approvers {
                None => Pinned::default(),
                Some(path) => Pinned::read(path)?,
            };
            let cluster = match &options.kubeconfig {
                Some(path) => Some(Access::read(path)),
                None => options.in_cluster.then(Access::in_pod),
            };
            let cluster = cluster.transpose().map_err(RunError::from)?;
            let policies = Policies::read(options.policies.as_deref(), cluster.is_some());
            let policies = policies.map_err(RunError::from)?;
            let api_server = cluster.as_ref().map(Access::address);
            let token = cluster.as_ref().and_then(Access::token_folder);
            let settings = Settings {
                state: options.state_dir,
                kek: Arc::new(kek),
                keys: KeyStore::open(&key_store)?,
                pinned,
                policies,
                cluster,
                namespace: options.namespace,
                tls: options.tls_dir,
                listen: options.listen,
                health: options.health_listen,
                log: options.log_listen,
                traces: options.traces.target_by_address()?,
                rate: options.rate.map(|per_second| Rate {
                    per_second,
                    burst: options.burst.unwrap_or(per_second.saturating_mul(2)),
                }),
            };
            let reach = Reach {
                write: [settings.state.clone()].into_iter().chain(key_store.folders()).collect(),
                read: [settings.tls.clone()].into_iter().chain(key_store.files()).chain(token).collect(),
                listen: [settings.listen.port(), settings.health.port()]
                    .into_iter()
                    .chain(settings.log.map(|address| address.port()))
                    .collect(),
                connect: key_store
                    .ports()
                    .into_iter()
                    .chain(api_server.map(|at| at.port()))
                    .chain(settings.traces.as_ref().map(|target| target.endpoint.port))
                    .collect(),
            };
            let code = Code::of_this_process();
            let landlock = files::confine(&reach)?.as_str();
            if let Err(error) = code.and_then(Code::give_back_at_rest) {
                tracing::warn!(%error, "the program's code stays in memory at rest");
            }
            if let Some(memory) = keywright_secmem::usage() {
                tracing::info!(protection = %memory.protection, bytes = memory.size, "keys live in guarded memory");
            }
            tracing::info!(landlock, "files and ports are limited to what the command line names");
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            Ok(runtime.block_on(run(settings))?)
        }
        Command::Kek(command) => {
            log_to_stderr(false);
            keep(command)
        }
        Command::Log(LogCommand::Fsck { state_dir, verifier_key, earlier }) => {
            let verifier = match verifier_key {
                Some(text) => Verifier::parse(&text).ok_or(CliError::VerifierKey)?,
                None => read_verifier(&state_dir)?,
            };
            let dir = log_dir(&state_dir);
            let cosigned = dir.root().join("checkpoint.cosigned");
            let kept = earlier.into_iter().chain(cosigned.exists().then_some(cosigned));
            let open = |path: PathBuf| -> Result<_, CliError> {
                let note = std::fs::read(&path).map_err(|source| CliError::Earlier { path, source })?;
                Ok(verifier.open(&note).map_err(DiskError::from).map_err(StoreError::from)?)
            };
            let earlier = kept.map(open).collect::<Result<Vec<_>, _>>()?;
            let sound = fsck(&dir, &verifier, &earlier).map_err(StoreError::from)?;
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
        Command::Log(LogCommand::Cosign(options)) => Ok(witness::cosign(&options)?),
        Command::Key(command) => {
            log_to_stderr(false);
            keys::keys(command)
        }
        Command::Witness(command) => {
            log_to_stderr(false);
            Ok(witness::witness(command)?)
        }
        Command::Fencing(FencingCommand::Reset { state_dir, kek }) => {
            log_to_stderr(false);
            let now = seconds();
            let (store, _) = open_existing(&state_dir, kek, now)?;
            let from = reset_fencing(store, now)?;
            println!("highest fencing token forgotten; it was {from}");
            Ok(())
        }
    }
}

/// The state folder of a signer that has run before, for a command by hand. Errors: there is none yet, or it does not open.
fn open_existing(
    state: &Path,
    kek: KekArgs,
    now: u64,
) -> Result<(Store, Vec<(Uid, AuthorityRow)>), CliError> {
    if !state.join(TABLES).exists() {
        return Err(CliError::NoLedger(state.to_owned()));
    }
    let kek = Arc::new(custody::open(&kek.spec()?, state, &SystemEntropy)?);
    Ok(Store::open(state, &kek, &SystemEntropy, now)?)
}

/// Seconds since the Unix epoch.
fn seconds() -> u64 {
    u64::try_from(SystemClock.now().as_second()).unwrap_or(0)
}

fn keep(command: KekCommand) -> Result<(), CliError> {
    match command {
        KekCommand::Create { place } => {
            let spec = KekSpec::or_path(&place)?;
            custody::create(&spec, &SystemEntropy)?;
            match spec {
                KekSpec::File(path) => {
                    println!("made {}; keep a copy apart from the state folder", path.display());
                }
                KekSpec::Token(..) | KekSpec::Transit(_) | KekSpec::Passphrase(_) => println!("made {spec}"),
            }
        }
        KekCommand::Rewrap { state_dir, from, to } => {
            let (from, to) = (from.parse()?, to.parse()?);
            let done = custody::rewrap(&from, &to, &state_dir, seconds(), &SystemEntropy)?;
            match done.keys {
                0 => println!("sealed under key {} already; nothing was left to do", done.to),
                keys => println!("{keys} sealed keys re-wrapped from key {} to key {}", done.from, done.to),
            }
        }
        KekCommand::Status { state_dir } => {
            let status = custody::status(&state_dir)?;
            match &status.under {
                None => println!("new: nothing is sealed here yet"),
                Some(under) => println!("sealed under key {under}"),
            }
            for (root, custodian) in &status.envelopes {
                let is_in_force = status.under.as_ref() == Some(root);
                let state =
                    if is_in_force { "in force" } else { "not in force: of a re-wrap that was cut off" };
                println!("key {root}: wrapped by {custodian}, {state}");
            }
            if status.envelopes.is_empty() && status.under.is_some() {
                println!("no envelope: the key is in a file");
            }
        }
    }
    Ok(())
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
