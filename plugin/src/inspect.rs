//! `kubectl keywright inspect`: certificates in plain words.

use crate::Machine;
use crate::cli::{Global, Inspect};
use crate::connect::connect;
use crate::exit::{Failure, NOT_AS_WANTED};
use crate::facts::CertificateFacts;
use crate::material::{ChainCheck, KeyFit, Material, write_chain};
use crate::page::{Page, Tone};
use crate::status::secret::{SecretFacts, SecretSeen, read};
use jiff::Timestamp;
use serde::Serialize;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

/// The longest file that is read, in bytes: that of [`keywright_pki::pem::MAX_LEN`].
const MAX_LEN: u64 = keywright_pki::pem::MAX_LEN as u64;

/// Runs the command.
pub(crate) async fn run(global: &Global, what: &Inspect, machine: &Machine) -> Result<ExitCode, Failure> {
    let now = machine.clock.now();
    let fine = match what {
        Inspect::Secret { name } => {
            let cluster = connect(global).await?;
            let facts = match read(&cluster.client, &cluster.namespace, name, now).await {
                SecretSeen::Read(facts) => facts,
                SecretSeen::Missing => {
                    let namespace = &cluster.namespace;
                    let words = format!("Secret {name:?} does not exist in namespace {namespace:?}");
                    return Err(Failure::NotAsWanted(words));
                }
                SecretSeen::Unread { problem } => {
                    return Err(Failure::Unreachable(format!("cannot read Secret {name:?}: {problem}")));
                }
            };
            machine.terminal.show(global.output, facts.as_ref(), |page, _| {
                write_secret(page, name, &facts, now);
            })?;
            facts.is_fine()
        }
        Inspect::File { path, root } => {
            let bytes = read_file(path)?;
            let roots = match root {
                Some(root) => Material::read(&root.display().to_string(), &read_file(root)?),
                None => Material::default(),
            };
            let contents = Contents::of(Material::read(&path.display().to_string(), &bytes), roots, now);
            machine.terminal.show(global.output, &contents, |page, _| contents.write(page, now))?;
            contents.is_fine()
        }
    };
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(NOT_AS_WANTED) })
}

/// Reads a file, or standard input for `-`. The bytes are wiped, as they may hold a private key.
pub(crate) fn read_file(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, Failure> {
    let unreadable =
        |error: std::io::Error| Failure::Unreachable(format!("cannot read {}: {error}", path.display()));
    // Reserved in full, so that no copy of a key is left behind by growing.
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(keywright_pki::pem::MAX_LEN + 1));
    if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_LEN + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_LEN + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    if bytes.len() as u64 > MAX_LEN {
        let words = format!("{} is longer than 1 MiB; give only the chain that is needed", path.display());
        return Err(Failure::NotAsWanted(words));
    }
    Ok(bytes)
}

fn write_secret(page: &mut Page, name: &str, facts: &SecretFacts, now: Timestamp) {
    page.heading(&format!("Secret {name}"));
    page.row("Type", &facts.kind);
    page.row("Entries", &facts.entries.join(", "));
    facts.write(page, None, now);
    write_certificates(page, &facts.chain, now);
}

fn write_certificates(page: &mut Page, list: &[CertificateFacts], now: Timestamp) {
    for (position, one) in list.iter().enumerate() {
        page.heading(&format!("Certificate {position} ({})", one.role()));
        one.write(page, now);
    }
}

/// What a file holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Contents {
    certificates: Vec<CertificateFacts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_check: Option<ChainCheck>,
    /// Algorithms of private keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    private_keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<KeyFit>,
    /// Algorithms of the keys of requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    requests: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

impl Contents {
    fn of(material: Material, roots: Material, now: Timestamp) -> Self {
        let Material { certificates, keys, requests, problems } = material;
        let names = |list: &[keywright_pki::key::PublicKey]| {
            list.iter().map(|key| key.algorithm().name().to_owned()).collect::<Vec<_>>()
        };
        Self {
            chain_check: ChainCheck::of(&certificates, &roots.certificates, now),
            key: (!certificates.is_empty() && !keys.is_empty()).then(|| KeyFit::of(&certificates, &keys)),
            certificates: certificates.iter().map(CertificateFacts::of).collect(),
            private_keys: names(&keys),
            requests: names(&requests),
            problems: [problems, roots.problems].concat(),
        }
    }

    fn is_fine(&self) -> bool {
        self.problems.is_empty()
            && self.chain_check.as_ref().is_none_or(ChainCheck::is_fine)
            && self.key.is_none_or(|fit| fit == KeyFit::Fits)
    }

    fn write(&self, page: &mut Page, now: Timestamp) {
        page.heading("Contents");
        write_chain(page, &self.certificates, self.chain_check.as_ref(), now);
        for algorithm in &self.private_keys {
            page.row("Private key", &format!("{algorithm} (not shown)"));
        }
        if let Some(fit) = self.key {
            let (words, tone) = fit.words();
            page.row_toned("", words, tone);
        }
        for algorithm in &self.requests {
            page.row("Request", &format!("{algorithm}, its proof of possession is good"));
        }
        for problem in &self.problems {
            page.row_toned("Problem", problem, Tone::Bad);
        }
        write_certificates(page, &self.certificates, now);
    }
}
