//! Commands on keys, with the signer stopped.

use super::{CliError, KekArgs, seconds};
use crate::custody;
use crate::ids::Uid;
use crate::key_state::{change, name};
use crate::ledger::KeyState;
use crate::store::Store;
use clap::{Args, Subcommand};
use keywright_ambient::SystemEntropy;
use std::path::PathBuf;
use std::sync::Arc;

/// What is done with keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// List all authorities' keys: name, algorithm, state.
    List(Place),
    /// From now on this key certifies no new authorities; leaves still.
    Retire(One),
    /// From now on this key signs nothing, until it is enabled.
    Disable(One),
    /// A retiring or disabled key does again everything it was made for.
    Enable(One),
    /// Destroy a disabled key for ever; its name is never used again.
    ///
    /// The sealed bytes are removed from the ledger. Copies in backups stay sealed: re-wrap to a new key-encryption key
    /// and destroy the old one to make them worthless. A key that lives in a token has to be deleted there.
    Destroy(One),
}

/// Where the keys are.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Folder of the ledger and the log; the signer must be stopped.
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,
    #[command(flatten)]
    kek: KekArgs,
}

/// Which key.
#[derive(Debug, Args)]
pub(super) struct One {
    #[command(flatten)]
    place: Place,
    /// UID of the authority, as `key list` and the object's metadata say.
    uid: String,
}

/// Does what the command line says.
pub(super) fn keys(command: KeyCommand) -> Result<(), CliError> {
    let (one, to) = match command {
        KeyCommand::List(place) => return list(place),
        KeyCommand::Retire(one) => (one, KeyState::Retiring),
        KeyCommand::Disable(one) => (one, KeyState::Disabled),
        KeyCommand::Enable(one) => (one, KeyState::Active),
        KeyCommand::Destroy(one) => (one, KeyState::Destroyed),
    };
    let uid: Uid = one.uid.parse().map_err(|_| CliError::Uid(one.uid.clone()))?;
    let kek = Arc::new(custody::open(&one.place.kek.spec()?, &one.place.state_dir, &SystemEntropy)?);
    let now = seconds();
    let (store, rows) = Store::open(&one.place.state_dir, &kek, &SystemEntropy, now)?;
    change(store, rows, uid, to, now)?;
    println!("{uid} is {}", name(to));
    Ok(())
}

fn list(place: Place) -> Result<(), CliError> {
    let kek = Arc::new(custody::open(&place.kek.spec()?, &place.state_dir, &SystemEntropy)?);
    let (_store, rows) = Store::open(&place.state_dir, &kek, &SystemEntropy, seconds())?;
    for (uid, row) in rows {
        let algorithm = crate::algorithm::from_wire(row.algorithm).map_or("unknown", |one| one.name());
        let state = KeyState::try_from(row.state).map_or("unknown", name);
        println!("{uid}  {algorithm:10}  {state}");
    }
    Ok(())
}
