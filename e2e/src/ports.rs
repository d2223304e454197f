//! Free loopback ports that two harnesses starting at the same instant never both pick.
//!
//! Ports come from below the range that Linux gives to outgoing connections, so that no client takes one between the
//! choice and the bind. Among ourselves a lock file per port decides.

use crate::Error;
use keywright_ambient::{Entropy, SystemEntropy};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;

/// The ports of one site, all on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// etcd, for clients.
    pub etcd: u16,
    /// etcd, for its peers; there are none, but it listens.
    pub etcd_peer: u16,
    /// kube-apiserver, HTTPS.
    pub kube_apiserver: u16,
    /// The signer's gRPC.
    pub signer: u16,
    /// The signer's health, HTTP.
    pub signer_health: u16,
    /// The webhook's reviews, HTTPS.
    pub webhook: u16,
    /// The webhook's health, HTTP.
    pub webhook_health: u16,
    /// The operator's health and metrics, HTTP.
    pub operator_health: u16,
}

impl Ports {
    fn all(self) -> [u16; 8] {
        [
            self.etcd,
            self.etcd_peer,
            self.kube_apiserver,
            self.signer,
            self.signer_health,
            self.webhook,
            self.webhook_health,
            self.operator_health,
        ]
    }

    /// Whether nobody listens on any of them now.
    pub fn are_free(self) -> bool {
        self.all().into_iter().all(is_free)
    }
}

/// Holds ports for us among harnesses: keep it until the processes listen, or as long as they may be restarted.
#[derive(Debug)]
pub struct Reservation(#[expect(dead_code, reason = "its locks are what counts")] Vec<File>);

/// Picks eight free ports. Errors: `NoPort` when thousands in a row are taken, `File` when the lock folder cannot be used.
pub fn reserve() -> Result<(Ports, Reservation), Error> {
    let mut locks = Vec::new();
    let mut candidates = candidates()?;
    let mut next = || -> Result<u16, Error> {
        for port in candidates.by_ref() {
            if let Some(lock) = lock(port)?
                && is_free(port)
            {
                locks.push(lock);
                return Ok(port);
            }
        }
        Err(Error::NoPort { first: FIRST, last: LAST })
    };
    let ports = Ports {
        etcd: next()?,
        etcd_peer: next()?,
        kube_apiserver: next()?,
        signer: next()?,
        signer_health: next()?,
        webhook: next()?,
        webhook_health: next()?,
        operator_health: next()?,
    };
    Ok((ports, Reservation(locks)))
}

/// All ports of the range once, from a random one on.
fn candidates() -> Result<impl Iterator<Item = u16>, Error> {
    let mut random = [0; 2];
    SystemEntropy.fill(&mut random)?;
    let start = FIRST + u16::from_be_bytes(random) % (LAST - FIRST + 1);
    Ok((start..=LAST).chain(FIRST..start))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The lock of a port, or `None` where another harness holds it.
fn lock(port: u16) -> Result<Option<File>, Error> {
    let folder = std::env::temp_dir().join(format!("keywright-ports-{}", rustix::process::getuid().as_raw()));
    std::fs::create_dir_all(&folder).map_err(Error::file("make", &folder))?;
    let path: PathBuf = folder.join(port.to_string());
    let file = File::create(&path).map_err(Error::file("make", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(Error::File { doing: "lock", path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn two_reservations_share_no_port() {
        let (one, _kept) = reserve().unwrap();
        let (other, _kept_too) = reserve().unwrap();
        let distinct: BTreeSet<u16> = one.all().into_iter().chain(other.all()).collect();
        assert_eq!(distinct.len(), 16);
    }

    #[test]
    fn a_port_that_someone_listens_on_is_not_free() {
        let (ports, _kept) = reserve().unwrap();
        assert!(ports.are_free());
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.signer)).unwrap();
        assert!(!ports.are_free());
    }
}
