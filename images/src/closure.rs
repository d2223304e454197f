//! Which crates are in a binary: what `cargo metadata` resolves for the target, without what only builds or tests it.

use crate::error::Error;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::Command;

/// One crate of a binary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) version: String,
    /// SPDX expression, where the crate says one.
    pub(crate) license: Option<String>,
    /// SHA-256 of the crate as it was fetched, hex; none for our own.
    pub(crate) sha256: Option<String>,
}

/// All crates of the workspace and what they need.
pub(crate) struct Closure {
    crates: BTreeMap<String, Crate>,
    needs: HashMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

/// None: an ordinary dependency; else `dev` or `build`.
#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

impl Closure {
    /// Asks cargo, and Cargo.lock for the checksums. Errors: cargo fails, or either does not read.
    /// `features`: with which the binaries were built, as cargo names them.
    pub(crate) fn of(checkout: &Path, target: &str, features: &str) -> Result<Self, Error> {
        let asked = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--format-version=1", "--locked", "--filter-platform", target])
            .args(["--features", features])
            .current_dir(checkout)
            .output()
            .map_err(|error| Error::Metadata(error.to_string()))?;
        if !asked.status.success() {
            return Err(Error::Metadata(String::from_utf8_lossy(&asked.stderr).into_owned()));
        }
        let path = checkout.join("Cargo.lock");
        let lock = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        Self::read(&asked.stdout, &lock)
    }

    fn read(metadata: &[u8], lock: &str) -> Result<Self, Error> {
        let metadata: Metadata = serde_json::from_slice(metadata)?;
        let lock: Lock = toml::from_str(lock)?;
        let checksums: HashMap<_, _> =
            lock.package.into_iter().map(|p| ((p.name, p.version), p.checksum)).collect();
        let ordinary = |d: &Dependency| d.dep_kinds.iter().any(|kind| kind.kind.is_none());
        let needs = metadata.resolve.nodes.into_iter().map(|node| {
            let needed = node.deps.into_iter().filter(ordinary).map(|d| d.pkg).collect();
            (node.id, needed)
        });
        let crates = metadata.packages.into_iter().map(|p| {
            let sha256 = checksums.get(&(p.name.clone(), p.version.clone())).cloned().flatten();
            (p.id, Crate { name: p.name, version: p.version, license: p.license, sha256 })
        });
        Ok(Self { crates: crates.collect(), needs: needs.collect() })
    }

    /// The crates below one of ours, it not among them, sorted. Errors: there is no such crate.
    pub(crate) fn crates_of(&self, name: &str) -> Result<Vec<Crate>, Error> {
        let own = |(_, found): &(&String, &Crate)| found.name == name && found.sha256.is_none();
        let (root, _) = self.crates.iter().find(own).ok_or_else(|| Error::NoCrate(name.to_owned()))?;
        let (mut found, mut next) = (BTreeSet::new(), vec![root]);
        while let Some(id) = next.pop() {
            for needed in self.needs.get(id).into_iter().flatten() {
                if let Some(crate_) = self.crates.get(needed)
                    && found.insert(crate_.clone())
                {
                    next.push(needed);
                }
            }
        }
        Ok(found.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_builds_or_tests_a_binary_is_not_in_it() {
        let package = |n: &str| format!(r#"{{"id":"{n}","name":"{n}","version":"1.0.0","license":"MIT"}}"#);
        let dep = |n: &str, kind: &str| format!(r#"{{"pkg":"{n}","dep_kinds":[{{"kind":{kind}}}]}}"#);
        let metadata = format!(
            r#"{{"packages":[{}],"resolve":{{"nodes":[
                {{"id":"own","deps":[{},{},{}]}},{{"id":"lib","deps":[{}]}},{{"id":"below","deps":[]}}]}}}}"#,
            ["own", "lib", "below", "builds", "tests"].map(package).join(","),
            dep("lib", "null"),
            dep("builds", "\"build\""),
            dep("tests", "\"dev\""),
            dep("below", "null"),
        );
        let lock = "[[package]]\nname = \"lib\"\nversion = \"1.0.0\"\nchecksum = \"ab\"\n";
        let closure = Closure::read(metadata.as_bytes(), lock).unwrap();
        let found = closure.crates_of("own").unwrap();
        let names: Vec<_> = found.iter().map(|c| (c.name.as_str(), c.sha256.as_deref())).collect();
        assert_eq!(names, [("below", None), ("lib", Some("ab"))]);
        assert!(closure.crates_of("lib").is_err(), "what was fetched is none of ours");
    }
}
