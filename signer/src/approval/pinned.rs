//! The file of `--approvers`: classes whose approvers sign with keys of their own, and those keys.
//!
//! What it says comes from whoever runs the signer, not from the API server, and is all that counts for its classes.
//!
//! ```json
//! {"classes": [{"name": "production", "useWithinSeconds": 86400,
//!               "groups": [{"name": "security", "approvers": ["alice", "bob"], "count": 2}]}],
//!  "approvers": [{"name": "alice", "usernames": ["alice@example.com"], "keys": ["ssh-ed25519 AAAA... alice"]},
//!                {"name": "bob", "keys": ["ecdsa-sha2-nistp256 AAAA..."]}]}
//! ```

use super::demand::is_class_name;
use jiff::{SignedDuration, Timestamp};
use keywright_approvals::class::DEFAULT_COUNT;
use keywright_approvals::sshsig::SshPublicKey;
use keywright_approvals::statement::Statement;
use keywright_approvals::{Class, Group, Identity, Proof, Request, Signed, Verdict, Vote};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How long a request may be used after it was filed, when a class does not say: one day.
const USE_WITHIN: u64 = 86_400;
/// Longest that a class may say: 90 days.
const LONGEST: u64 = 90 * 86_400;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PinnedError {
    /// It cannot be read.
    #[error("approvers file {path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It says something that cannot be.
    #[error("approvers file {path}: {problem}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What, and the rule.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    classes: Vec<ClassEntry>,
    approvers: Vec<ApproverEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ClassEntry {
    name: String,
    groups: Vec<GroupEntry>,
    use_within_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct GroupEntry {
    name: String,
    approvers: Vec<String>,
    count: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ApproverEntry {
    name: String,
    #[serde(default)]
    usernames: Vec<String>,
    keys: Vec<String>,
}

/// Classes with signatures, as they are pinned here.
#[derive(Debug, Clone, Default)]
pub struct Pinned {
    classes: BTreeMap<String, Class>,
    /// Each key with the name of its owner.
    keys: Vec<(SshPublicKey, String)>,
}

impl Pinned {
    /// Reads the file. Errors: unreadable, or what is wrong in it.
    pub fn read(path: &Path) -> Result<Self, PinnedError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| PinnedError::Io { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|problem| PinnedError::Content { path: path.to_owned(), problem })
    }

    /// Reads the text of a file. Errors: what is wrong, and the rule.
    pub fn parse(text: &str) -> Result<Self, String> {
        let File { classes, approvers } = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut keys: Vec<(SshPublicKey, String)> = Vec::new();
        let mut principals = BTreeMap::new();
        for ApproverEntry { name, usernames, keys: lines } in &approvers {
            if name.is_empty() || lines.is_empty() {
                return Err(format!("approver {name:?}: needs a name and at least one key"));
            }
            for account in usernames.iter().chain([name]) {
                if principals.insert(account.clone(), name.clone()).is_some_and(|other| other != *name) {
                    return Err(format!("username {account:?} belongs to two approvers"));
                }
            }
            for line in lines {
                let key = SshPublicKey::from_line(line).map_err(|e| format!("approver {name:?}: {e}"))?;
                if keys.iter().any(|(known, _)| *known == key) {
                    return Err(format!("approver {name:?}: key {} is listed twice", key.fingerprint()));
                }
                keys.push((key, name.clone()));
            }
        }
        let names: BTreeSet<String> = approvers.into_iter().map(|one| one.name).collect();
        if names.len() != keys.iter().map(|(_, owner)| owner).collect::<BTreeSet<_>>().len() {
            return Err("an approver is listed twice".to_owned());
        }
        let mut pinned = Self { classes: BTreeMap::new(), keys };
        for entry in classes {
            let class = class(entry, &names, &principals)?;
            if let Some(twice) = pinned.classes.insert(class.name.clone(), class) {
                return Err(format!("class {:?} is listed twice", twice.name));
            }
        }
        Ok(pinned)
    }

    /// The class of this name, if it is pinned.
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.get(name)
    }

    /// Names of all classes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.classes.keys().map(String::as_str)
    }

    /// The votes that these signatures are: each by the owner of the key that made it, whatever anybody says about who
    /// voted. Those that are no signature of a pinned key over the statement are counted in the second place.
    pub fn votes(&self, statement: &Statement, request: &Request, armored: &[String]) -> (Vec<Vote>, usize) {
        let mut votes = Vec::new();
        let mut worthless = 0;
        for text in armored {
            let owner = statement.approved_by(text).ok().and_then(|key| {
                self.keys.iter().find(|(known, _)| *known == key).map(|(_, owner)| (key, owner))
            });
            match owner {
                None => worthless += 1,
                Some((key, owner)) => votes.push(Vote {
                    name: key.fingerprint(),
                    request_uid: request.uid.clone(),
                    digest: request.digest,
                    verdict: Verdict::Approve,
                    approver: Identity { username: owner.clone(), ..Identity::default() },
                    may_approve: true,
                    created: request.created,
                    signed: Signed::Valid,
                }),
            }
        }
        (votes, worthless)
    }
}

fn class(
    entry: ClassEntry,
    names: &BTreeSet<String>,
    principals: &BTreeMap<String, String>,
) -> Result<Class, String> {
    let ClassEntry { name, groups, use_within_seconds } = entry;
    if !is_class_name(&name) {
        return Err(format!("class {name:?}: must be named as an ApprovalClass is"));
    }
    let within = use_within_seconds.unwrap_or(USE_WITHIN);
    if !(60..=LONGEST).contains(&within) {
        return Err(format!("class {name:?}: useWithinSeconds must be 60 to {LONGEST}"));
    }
    if groups.is_empty() {
        return Err(format!("class {name:?}: needs at least one group"));
    }
    let mut parsed = Vec::new();
    for GroupEntry { name: group, approvers, count } in groups {
        let users: BTreeSet<String> = approvers.into_iter().collect();
        if let Some(unknown) = users.iter().find(|one| !names.contains(*one)) {
            return Err(format!("class {name:?}, group {group:?}: {unknown:?} is not among approvers"));
        }
        let count = count.unwrap_or(DEFAULT_COUNT);
        if count == 0 || users.len() < count as usize {
            return Err(format!(
                "class {name:?}, group {group:?}: {count} must agree, and it has {} approvers; count must be 1 or more \
                 and have enough of them",
                users.len()
            ));
        }
        parsed.push(Group { name: group, members: BTreeSet::new(), users, count });
    }
    let life = SignedDuration::from_secs(i64::try_from(within).unwrap_or(i64::MAX));
    Ok(Class {
        name,
        groups: parsed,
        request_ttl: life,
        grant_ttl: life,
        proof: Proof::Signature,
        // Whoever is pinned may vote: to list a machine's key is to name the machine.
        service_accounts: names.clone(),
        principals: principals.clone(),
    })
}

/// Whether a request was filed later than now, by more than clocks differ.
pub fn is_of_the_future(filed: Timestamp, now: Timestamp) -> bool {
    const SKEW: SignedDuration = SignedDuration::from_secs(30);
    filed.duration_since(now) > SKEW
}
