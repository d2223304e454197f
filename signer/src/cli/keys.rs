//! Commands on keys, with the signer stopped.

use super::{CliError, KekArgs, open_existing, seconds};
use crate::ids::Uid;
use crate::key_state::{change, name};
use crate::ledger::KeyState;
use clap::{Args, Subcommand};
use std::path::PathBuf;

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
    let now = seconds();
    let (store, rows) = open_existing(&one.place.state_dir, one.place.kek, now)?;
    change(store, rows, uid, to, now)?;
    println!("{uid} is {}", name(to));
    Ok(())
}

fn list(place: Place) -> Result<(), CliError> {
    let (_store, rows) = open_existing(&place.state_dir, place.kek, seconds())?;
    for (uid, row) in rows {
        let algorithm = crate::algorithm::from_wire(row.algorithm).map_or("unknown", |one| one.name());
        let state = KeyState::try_from(row.state).map_or("unknown", name);
        println!("{uid}  {algorithm:10}  {state}");
    }
    Ok(())
}
