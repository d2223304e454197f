//! Keywright on this machine for a person to look at: what `make up`, `make demo` and `make down` do.
//!
//! All state is in `.keywright` of the checkout. `up` looks at what runs and starts only what does not, so it may be
//! called at any time and from several terminals at once; they take turns.

mod demo;
mod progress;

pub use demo::demo;
pub use progress::Progress;

use crate::assets::Assets;
use crate::detached::{Detached, until_reaped};
use crate::keys::{make_private_folder, write_private};
use crate::ports::{Ports, Reservation, reserve};
use crate::site::{Durability, Site};
use crate::{Error, Process, raise};
use futures::future::LocalBoxFuture;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Brings everything up that does not run, and returns where it is.
pub fn up<'a>(checkout: &'a Path, progress: &'a Progress) -> LocalBoxFuture<'a, Result<Site, Error>> {
    Box::pin(async move {
        let assets = Assets::find(checkout)?;
        let root = assets.checkout.join(".keywright");
        let _turn = take_turn(&root)?;
        let mut processes = at(&root);
        let (ports, _reservation) = ports(&root, &processes)?;
        // Measured on two cores: 2,000 objects created over 8 connections in 3.8 s, without waiting for the disk in 2.4 s.
        // Not worth a demo that forgets after a power cut, for its signer remembers.
        let site = Site { root, ports, assets, durability: Durability::Synced };
        let tell = |step: &str| progress.step(step);
        let (client, fresh) = raise::control_plane(&site, &mut processes, &tell).await?;
        write_env(&site)?;
        raise::product(&site, &mut processes, &client, fresh, &tell).await?;
        Ok(site)
    })
}

/// Stops all processes, the last started first. Data stays, for the next `up`.
pub fn down(checkout: &Path, progress: &Progress) -> Result<(), Error> {
    let root = checkout.canonicalize().map_err(Error::file("find", checkout))?.join(".keywright");
    if !root.exists() {
        return Ok(());
    }
    let _turn = take_turn(&root)?;
    let processes = at(&root);
    let mut stopped = Vec::new();
    for process in Process::ALL.into_iter().rev() {
        if let Some(identity) = processes.stop(process)? {
            progress.step(&format!("stopped {}", process.name()));
            stopped.push(identity);
        }
    }
    until_reaped(&stopped);
    Ok(())
}

fn at(root: &Path) -> Detached {
    Detached::new(root.join("run"), root.join("logs"))
}

/// Waits until no other command works on this folder. Its turn ends when the file is dropped.
fn take_turn(root: &Path) -> Result<File, Error> {
    make_private_folder(root)?;
    let path = root.join("lock");
    let file = File::create(&path).map_err(Error::file("make", &path))?;
    file.lock().map_err(Error::file("lock", &path))?;
    Ok(file)
}

/// The ports of the last time, so that kubeconfigs and watches stay good; others, when nothing of ours runs and
/// somebody else has taken one.
fn ports(root: &Path, processes: &Detached) -> Result<(Ports, Option<Reservation>), Error> {
    let path = root.join("ports.json");
    if path.exists() {
        let text = fs::read(&path).map_err(Error::file("read", &path))?;
        let any_runs = Process::ALL.into_iter().any(|process| processes.running(process).is_some());
        match serde_json::from_slice::<Ports>(&text) {
            Ok(ports) if any_runs || ports.are_free() => return Ok((ports, None)),
            // Of an earlier version, which had fewer processes.
            Err(error) if any_runs => {
                let problem = format!("{error}; run make down first");
                return Err(Error::Garbled { path, problem });
            }
            Ok(_) | Err(_) => {}
        }
    }
    let (ports, reservation) = reserve()?;
    let text = serde_json::to_vec(&ports).map_err(|error| Error::file("write", &path)(error.into()))?;
    write_private(&path, &text)?;
    Ok((ports, Some(reservation)))
}

fn write_env(site: &Site) -> Result<(), Error> {
    let folders = [&site.assets.kubernetes, &site.assets.product].map(|folder| quoted(folder)).join(":");
    let text = format!("export KUBECONFIG={}\nexport PATH={folders}:\"$PATH\"\n", quoted(&site.kubeconfig()));
    write_private(&site.env(), text.as_bytes())
}

/// For a POSIX shell, whatever the path contains.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Where the demo keeps the certificate that it shows.
fn shown(site: &Site) -> PathBuf {
    site.root.join("demo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_quotes_and_spaces_survives_the_shell() {
        let path = Path::new("/tmp/it's here");
        let said =
            std::process::Command::new("sh").args(["-c", &format!("printf %s {}", quoted(path))]).output();
        assert_eq!(said.unwrap().stdout, b"/tmp/it's here");
    }
}
