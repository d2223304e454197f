//! A settled case is written to no more, whatever happens to others: counted in the API server's audit log.

use crate::Error;
use crate::audit::Event;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// From when on a namespace must be at rest.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    /// The case that settled.
    pub(super) case: String,
    /// Its namespace.
    pub(super) namespace: String,
    /// Length of the audit log then.
    pub(super) from: u64,
}

impl Rest {
    /// From now on.
    pub(super) fn from_now(case: &str, namespace: &str, log: &Path) -> Result<Self, Error> {
        let from = std::fs::metadata(log).map_err(Error::file("read", log))?.len();
        Ok(Self { case: case.to_owned(), namespace: namespace.to_owned(), from })
    }
}

/// Which cases were written to after they had settled, and with what.
pub(super) fn broken(rests: &[Rest], log: &Path) -> Result<Vec<(String, String)>, Error> {
    let Some(first) = rests.iter().map(|rest| rest.from).min() else { return Ok(Vec::new()) };
    let mut text = String::new();
    let mut read = || -> std::io::Result<usize> {
        let mut file = std::fs::File::open(log)?;
        file.seek(SeekFrom::Start(first))?;
        file.read_to_string(&mut text)
    };
    read().map_err(Error::file("read", log))?;
    let mut at = first;
    let mut broken = Vec::new();
    for line in text.split_inclusive('\n') {
        let begins = at;
        at += line.len() as u64;
        if !line.contains("\"userAgent\":\"keywright-operator") || line.contains("\"resource\":\"leases\"") {
            continue;
        }
        let Ok(event) = serde_json::from_str::<Event>(line) else { continue };
        if !event.is_write_of_ours() {
            continue;
        }
        let object = &event.object_ref;
        let of = |rest: &&Rest| {
            object.namespace == rest.namespace
                || object
                    .name
                    .split_once('.')
                    .is_some_and(|(of, _)| object.resource == "clusterissuers" && of == rest.namespace)
        };
        if let Some(rest) = rests.iter().find(of).filter(|rest| begins >= rest.from) {
            let words = format!(
                "{} {}/{} {} answered {}",
                event.verb, object.resource, object.subresource, object.name, event.response_status.code
            );
            broken.push((rest.case.clone(), words));
        }
    }
    Ok(broken)
}
