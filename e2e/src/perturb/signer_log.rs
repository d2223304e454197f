//! The signer's own account of what it did: its log, read from the files that anyone may read.
//!
//! Format: C2SP tlog-tiles entry bundles, each entry a 16-bit length and a JSON object.

use crate::Error;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Entries of a full bundle.
const FULL: usize = 256;

#[derive(Debug, Deserialize)]
struct Entry {
    kind: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    step: u64,
    #[serde(default)]
    serial: String,
    #[serde(default)]
    intent: u64,
    #[serde(default)]
    reason: String,
}

/// One certificate that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issuance {
    /// UID of the object.
    pub(super) uid: String,
    /// Number of the issuance for this object.
    pub(super) step: u64,
    /// Lower-case hexadecimal.
    pub(super) serial: String,
    /// Whether another one took its place.
    pub(super) superseded: bool,
}

/// What the log says.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// All signatures, in order.
    pub(super) issued: Vec<Issuance>,
    /// Serials whose intent has come to nothing yet, neither signed nor abandoned.
    pub(super) open: BTreeSet<String>,
    /// How often each reason was given for a refusal.
    pub(super) refusals: BTreeMap<String, usize>,
}

impl Account {
    /// Reads the log in the signer's state folder.
    pub(super) fn read(state: &Path) -> Result<Self, Error> {
        let mut account = Self::default();
        let mut intents: BTreeMap<u64, (String, u64)> = BTreeMap::new();
        let mut superseded = BTreeSet::new();
        for (index, entry) in entries(&state.join("log/tile/entries"))?.into_iter().enumerate() {
            match entry.kind.as_str() {
                "intent" => {
                    account.open.insert(entry.serial.clone());
                    intents.insert(index as u64, (entry.uid, entry.step));
                }
                "signature" => {
                    account.open.remove(&entry.serial);
                    let (uid, step) = intents.get(&entry.intent).cloned().unwrap_or_default();
                    account.issued.push(Issuance { uid, step, serial: entry.serial, superseded: false });
                }
                "abandoned" => {
                    account.open.remove(&entry.serial);
                }
                "superseded" => {
                    superseded.insert(entry.serial);
                }
                "refusal" => *account.refusals.entry(entry.reason).or_default() += 1,
                _ => {}
            }
        }
        for issuance in &mut account.issued {
            issuance.superseded = superseded.contains(&issuance.serial);
        }
        Ok(account)
    }

    /// Certificates of this object that count, newest last.
    pub(super) fn live(&self, uid: &str) -> Vec<&Issuance> {
        self.issued.iter().filter(|issuance| issuance.uid == uid && !issuance.superseded).collect()
    }

    /// Requests with more than one certificate that counts.
    pub(super) fn doubles(&self) -> Vec<(String, u64)> {
        let mut counts: BTreeMap<(&str, u64), usize> = BTreeMap::new();
        for issuance in self.issued.iter().filter(|issuance| !issuance.superseded) {
            *counts.entry((&issuance.uid, issuance.step)).or_default() += 1;
        }
        counts
            .into_iter()
            .filter(|(_, count)| *count > 1)
            .map(|((uid, step), _)| (uid.to_owned(), step))
            .collect()
    }
}

fn entries(folder: &Path) -> Result<Vec<Entry>, Error> {
    let mut all = Vec::new();
    for number in 0.. {
        let Some(path) = bundle(folder, number) else { break };
        let bytes = fs::read(&path).map_err(Error::file("read", &path))?;
        let garbled = |problem: &str| Error::Garbled { path: path.clone(), problem: problem.to_owned() };
        let mut rest = bytes.as_slice();
        let before = all.len();
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let (entry, next) = after
                .split_at_checked(usize::from(u16::from_be_bytes(*length)))
                .ok_or_else(|| garbled("an entry ends early"))?;
            all.push(serde_json::from_slice(entry).map_err(|error| garbled(&error.to_string()))?);
            rest = next;
        }
        if all.len() - before < FULL {
            break;
        }
    }
    Ok(all)
}

/// The full bundle of this number, or else the widest partial one.
fn bundle(folder: &Path, number: u64) -> Option<PathBuf> {
    let mut name = format!("{:03}", number % 1000);
    let mut rest = number / 1000;
    while rest > 0 {
        name = format!("x{:03}/{name}", rest % 1000);
        rest /= 1000;
    }
    let full = folder.join(&name);
    if full.is_file() {
        return Some(full);
    }
    let partial = folder.join(format!("{name}.p"));
    let widths = fs::read_dir(&partial)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u16>().ok());
    widths.max().map(|width| partial.join(width.to_string()))
}
