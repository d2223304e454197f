//! What the tests share: a small PKI, a log written from the specifications, and the program as a child process.

#![allow(dead_code, reason = "no test uses all of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::{CaProfile, Certificate, Serial, Template, Validity, assemble};
use keywright_pki::key::PrivateKey;
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_pki::usage::Usages;
use kubectl_keywright::log::merkle::{Hash, leaf_hash, node_hash};
use kubectl_keywright::log::tile::{Row, Tile};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A root and a leaf under it, valid from 2025 to 2055.
pub(crate) struct Pki {
    pub(crate) root: Certificate,
    pub(crate) leaf: Certificate,
    pub(crate) key: PrivateKey,
}

/// A PKI whose leaf has the name `web.example` and this first byte in its serial number.
pub(crate) fn pki(serial: u8) -> Pki {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let validity = Validity::new(at("2025-01-01T00:00:00Z"), at("2055-01-01T00:00:00Z")).unwrap();
    let root_key = PrivateKey::generate(KeyAlgorithm::EcdsaP384).unwrap();
    let name = DistinguishedName::with_common_name("Test root").unwrap();
    let template = Template {
        serial: Serial::from_random([0x51; 20]),
        issuer_name: name.to_der().unwrap(),
        subject: name,
        sans: SubjectAltNames::default(),
        public_key: root_key.public_key().clone(),
        authority_key_identifier: None,
        validity,
        usages: Usages::authority(),
        ca: Some(CaProfile::default()),
        crl_distribution_points: vec![],
        ocsp_servers: vec![],
        issuing_certificate_urls: vec![],
    };
    let root = sign(&template, &root_key);
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let none: [&str; 0] = [];
    let template = Template {
        serial: Serial::from_random([serial; 20]),
        subject: DistinguishedName::default(),
        sans: SubjectAltNames::parse(&["web.example"], &none, &none, &none).unwrap(),
        public_key: key.public_key().clone(),
        authority_key_identifier: root.subject_key_identifier().map(<[u8]>::to_vec),
        usages: Usages::parse(&["digital signature", "server auth"]).unwrap(),
        ca: None,
        ..template
    };
    let leaf = sign(&template, &root_key);
    Pki { root, leaf, key }
}

fn sign(template: &Template, key: &PrivateKey) -> Certificate {
    let tbs = template.tbs_der(key.algorithm()).unwrap();
    assemble(&tbs, &key.sign(tbs.as_bytes()).unwrap()).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

/// A log in memory: its entries and the key that signs for them.
pub(crate) struct TestLog {
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) name: String,
    pair: Ed25519KeyPair,
}

impl TestLog {
    pub(crate) fn new(entries: Vec<Vec<u8>>) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        Self { entries, name: "example.com/signer".to_owned(), pair }
    }

    /// `count` refusals, with the intent of the certificate at `at` and its signature right after.
    pub(crate) fn about(leaf: &Certificate, count: usize, at: usize) -> Self {
        let mut entries: Vec<Vec<u8>> =
            (0..count).map(|n| entry(json!({"at": 1_800_000_000 + n, "kind": "refusal", "v": 1}))).collect();
        let serial = leaf.serial().to_string();
        entries[at] = entry(json!({
            "at": 1_900_000_000, "caller": "keywright-operator", "kind": "intent", "serial": serial, "v": 1,
            "spki": hex::encode(leaf.public_key().spki_sha256()), "tbs": sha256(leaf.tbs_der()),
        }));
        entries[at + 1] = entry(json!({
            "at": 1_900_000_001, "certificate": sha256(leaf.der()), "intent": at, "kind": "signature",
            "serial": serial, "v": 1,
        }));
        Self::new(entries)
    }

    /// A witness: it has a name and a key and no entries.
    pub(crate) fn witness(name: &str, seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        Self { entries: Vec::new(), name: name.to_owned(), pair }
    }

    /// As a witness: its verifier key, and the line that cosigns this checkpoint (c2sp.org/tlog-cosignature).
    pub(crate) fn cosign(&self, checkpoint: &[u8], time: u64) -> (String, String) {
        let note = std::str::from_utf8(checkpoint).unwrap();
        let (text, _) = note.split_once("\n\n").unwrap();
        let public = self.pair.public_key().as_ref();
        let key: Vec<u8> = [4].iter().chain(public).copied().collect();
        let named: Vec<u8> = self.name.bytes().chain([b'\n']).chain(key.iter().copied()).collect();
        let id = digest(&SHA256, &named).as_ref()[..4].to_vec();
        let message = format!("cosignature/v1\ntime {time}\n{text}\n");
        let signature = [&id[..], &time.to_be_bytes(), self.pair.sign(message.as_bytes()).as_ref()].concat();
        let vkey = format!("{}+{}+{}", self.name, hex::encode(&id), STANDARD.encode(key));
        (vkey, format!("\u{2014} {} {}\n", self.name, STANDARD.encode(signature)))
    }

    /// The verifier key's text.
    pub(crate) fn vkey(&self) -> String {
        let key: Vec<u8> = [1].iter().chain(self.pair.public_key().as_ref()).copied().collect();
        format!("{}+{}+{}", self.name, hex::encode(self.key_id()), STANDARD.encode(key))
    }

    fn key_id(&self) -> Vec<u8> {
        let key = self.pair.public_key().as_ref();
        let text: Vec<u8> = self.name.bytes().chain([b'\n', 1]).chain(key.iter().copied()).collect();
        digest(&SHA256, &text).as_ref()[..4].to_vec()
    }

    /// Every file by its path.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let leaves: Vec<Hash> = self.entries.iter().map(|entry| leaf_hash(entry)).collect();
        for (number, entries) in (0_u64..).zip(self.entries.chunks(256)) {
            let bundle = entries.iter().flat_map(|entry| {
                let length = u16::try_from(entry.len()).unwrap();
                length.to_be_bytes().into_iter().chain(entry.iter().copied())
            });
            let width = u16::try_from(entries.len()).unwrap();
            files.insert(Tile { row: Row::Entries, number, width }.path(), bundle.collect());
        }
        let mut row = leaves.clone();
        for level in 0_u8.. {
            for (number, hashes) in (0_u64..).zip(row.chunks(256)) {
                let width = u16::try_from(hashes.len()).unwrap();
                files.insert(Tile { row: Row::Hashes(level), number, width }.path(), hashes.concat());
            }
            row = row.as_chunks::<256>().0.iter().map(|hashes| root(hashes)).collect();
            if row.is_empty() {
                break;
            }
        }
        let text = format!("{}\n{}\n{}\n", self.name, leaves.len(), STANDARD.encode(root(&leaves)));
        let mut signature = self.key_id();
        signature.extend(self.pair.sign(text.as_bytes()).as_ref());
        let note = format!("{text}\n\u{2014} {} {}\n", self.name, STANDARD.encode(signature));
        files.insert("checkpoint".to_owned(), note.into_bytes());
        files
    }
}

/// An entry in its one spelling; serde_json sorts keys.
pub(crate) fn entry(value: Value) -> Vec<u8> {
    let sorted: BTreeMap<String, Value> = serde_json::from_value(value).unwrap();
    serde_json::to_vec(&sorted).unwrap()
}

fn root(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => panic!("no test has an empty log"),
        [one] => *one,
        many => {
            let middle = many.len().next_power_of_two() / 2;
            node_hash(&root(&many[..middle]), &root(&many[middle..]))
        }
    }
}

/// Writes files under a folder.
pub(crate) fn write(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (path, bytes) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs the program with these words and nothing of this process's cluster configuration.
pub(crate) async fn run(words: &[&str]) -> Ended {
    run_with(words, b"").await
}

/// The same with standard input.
pub(crate) async fn run_with(words: &[&str], input: &[u8]) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kubectl-keywright"))
        .args(words)
        .env_remove("KUBECONFIG")
        .env_remove("KEYWRIGHT_LOG_KEY")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("HOME", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that does not read its input closes it early.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
