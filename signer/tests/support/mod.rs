//! What the signer's tests share: TLS folders, requests, an engine in a temporary folder, an independent log reader.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code outside #[test] functions")]
#![allow(
    missing_docs,
    clippy::new_without_default,
    clippy::unnecessary_wraps,
    reason = "read only beside the tests"
)]

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use keywright_ambient::{Clock, SystemEntropy};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::csr;
use keywright_pki::key::PrivateKey;
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_signer::approval::Gate;
use keywright_signer::authority_key::KeyStore;
use keywright_signer::engine::{Answer, Engine, Parts, Steps};
use keywright_signer::parse;
use keywright_signer::refusal::Refusal;
use keywright_signer::seal::Kek;
use keywright_signer::store::StoreError;
use keywright_signer_protocol::tls::Pin;
use keywright_signer_protocol::v1alpha1 as wire;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;
use tempfile::TempDir;

pub const ROOT: &str = "0f8fad5b-d9cb-469f-a165-000000000001";
pub const CHILD: &str = "0f8fad5b-d9cb-469f-a165-000000000002";
pub const LEAF: &str = "0f8fad5b-d9cb-469f-a165-000000000003";

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct FixedClock(pub AtomicI64);

impl FixedClock {
    pub fn at(second: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(second)))
    }

    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "only for measuring pauses")]
    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// 2030-01-01T00:00:00Z
pub const NOW: i64 = 1_893_456_000;

/// A state folder, its key-encryption key, and an engine on it.
pub struct Bench {
    pub dir: TempDir,
    pub clock: Arc<FixedClock>,
    pub engine: Option<Engine>,
    pub gate: Gate,
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Kek::create(&dir.path().join("kek"), &SystemEntropy).unwrap();
        let mut bench = Self { dir, clock: FixedClock::at(NOW), engine: None, gate: Gate::default() };
        bench.open().unwrap();
        bench
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn open(&mut self) -> Result<(), StoreError> {
        let parts = Parts {
            state: self.state(),
            kek: Arc::new(Kek::read(&self.dir.path().join("kek")).unwrap()),
            keys: KeyStore::Memory,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::new(SystemEntropy),
            signers: 2,
            gate: self.gate.clone(),
        };
        self.engine = Some(Engine::start(parts)?);
        Ok(())
    }

    pub fn close(&mut self) {
        self.engine = None;
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub async fn ensure(&self, request: &wire::EnsureAuthorityRequest) -> Result<Answer, Refusal> {
        let ask = parse::ensure(request)?;
        let known = self.engine().knows(&ask.id.uid);
        let key = (!known).then(|| PrivateKey::generate(ask.algorithm).unwrap().into());
        self.engine().ensure(ask, key, "keywright-operator".into()).await
    }

    pub async fn issue(&self, request: &wire::IssueRequest) -> Result<Answer, Refusal> {
        let ask = parse::issue(request)?;
        self.engine().issue(ask, "keywright-operator".into(), Steps::default()).await
    }

    /// A root and its child, each with a certificate.
    pub async fn with_authorities() -> Self {
        let bench = Self::new();
        bench.ensure(&root()).await.unwrap();
        bench.ensure(&child()).await.unwrap();
        bench
    }

    /// The log's entries once `size` of them are published, read without any code of the signer.
    pub async fn published(&self, size: usize) -> Vec<serde_json::Value> {
        for _ in 0..100 {
            let entries = foreign_log(&self.state().join("log"));
            if entries.len() >= size {
                return entries;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the log never reached {size} entries");
    }

    pub fn kinds(entries: &[serde_json::Value]) -> Vec<&str> {
        entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
    }
}

pub fn request_key(uid: &str, step: u64) -> Option<wire::RequestKey> {
    Some(wire::RequestKey { object_uid: uid.into(), step })
}

pub fn common_name(name: &str) -> Option<wire::DistinguishedName> {
    Some(wire::DistinguishedName { common_name: name.into(), ..Default::default() })
}

pub fn root() -> wire::EnsureAuthorityRequest {
    wire::EnsureAuthorityRequest {
        fencing_token: 1,
        request_key: request_key(ROOT, 1),
        object: None,
        subject: common_name("Example root"),
        key_algorithm: wire::KeyAlgorithm::EcdsaP256.into(),
        duration_seconds: 10 * 365 * 86_400,
        parent_uid: String::new(),
        constraints: Some(wire::Constraints { path_length: Some(2), allow_ca: true, ..Default::default() }),
        expected_key_id: Vec::new(),
        ..Default::default()
    }
}

pub fn child() -> wire::EnsureAuthorityRequest {
    wire::EnsureAuthorityRequest {
        request_key: request_key(CHILD, 1),
        subject: common_name("Example intermediate"),
        duration_seconds: 365 * 86_400,
        parent_uid: ROOT.into(),
        constraints: Some(wire::Constraints {
            path_length: Some(0),
            permitted: Some(wire::Subtrees { dns_domains: vec!["example.com".into()], ..Default::default() }),
            max_leaf_seconds: Some(90 * 86_400),
            allowed_usages: vec![
                "digital signature".into(),
                "key encipherment".into(),
                "server auth".into(),
                "client auth".into(),
            ],
            allowed_key_algorithms: vec![1, 2, 4],
            ..Default::default()
        }),
        ..root()
    }
}

pub fn new_key(algorithm: KeyAlgorithm) -> PrivateKey {
    PrivateKey::generate(algorithm).unwrap()
}

pub fn pkcs10(key: &PrivateKey) -> Vec<u8> {
    csr::build(&DistinguishedName::default(), &SubjectAltNames::default(), key).unwrap()
}

pub fn leaf(uid: &str, key: &PrivateKey) -> wire::IssueRequest {
    wire::IssueRequest {
        fencing_token: 1,
        request_key: request_key(uid, 1),
        object: Some(wire::ObjectRef {
            kind: "Certificate".into(),
            namespace: "shop".into(),
            name: "web".into(),
        }),
        authority_uid: CHILD.into(),
        pkcs10: pkcs10(key),
        subject: None,
        sans: Some(wire::SubjectAltNames { dns_names: vec!["web.example.com".into()], ..Default::default() }),
        duration_seconds: 86_400,
        usages: vec!["digital signature".into(), "server auth".into()],
        is_ca: false,
        ..Default::default()
    }
}

/// A UUID for the n-th object of a test.
pub fn uid(n: usize) -> String {
    format!("0f8fad5b-d9cb-469f-b000-{n:012x}")
}

/// The private root of an installation.
pub struct Installation {
    key: KeyPair,
    params: CertificateParams,
    pub pem: String,
}

/// One end's certificate and key.
pub struct End {
    pub cert: String,
    pub key: String,
    pub pin: String,
}

impl Installation {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { key, params, pem }
    }

    pub fn end(&self, name: &str) -> End {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        let cert = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        let pin = Pin::of(cert.der()).unwrap();
        End { cert: cert.pem(), key: key.serialize_pem(), pin: hex::encode(pin.0) }
    }

    pub fn folder(&self, dir: &Path, end: &End, peers: &[(&str, &str, &End)]) {
        fs::create_dir_all(dir).unwrap();
        let peers: Vec<_> = peers
            .iter()
            .map(|(name, role, end)| serde_json::json!({"name": name, "role": role, "spkiSha256": end.pin}))
            .collect();
        fs::write(dir.join("ca.crt"), &self.pem).unwrap();
        fs::write(dir.join("tls.crt"), &end.cert).unwrap();
        fs::write(dir.join("tls.key"), &end.key).unwrap();
        fs::write(dir.join("peers.json"), serde_json::json!({"peers": peers}).to_string()).unwrap();
    }
}

/// Reads a log as its specification says, checks root and size against the checkpoint, and returns the entries.
pub fn foreign_log(root: &Path) -> Vec<serde_json::Value> {
    use base64::Engine as _;
    fn mth(hashes: &[Vec<u8>]) -> Vec<u8> {
        match hashes {
            [] => digest(&SHA256, b"").as_ref().to_vec(),
            [one] => one.clone(),
            many => {
                let split = many.len().next_power_of_two() / 2;
                let both = [vec![1], mth(&many[..split]), mth(&many[split..])].concat();
                digest(&SHA256, &both).as_ref().to_vec()
            }
        }
    }
    // A checkpoint may be replaced between reading it and reading its tiles: then look again.
    for _ in 0..50 {
        let Ok(checkpoint) = fs::read_to_string(root.join("checkpoint")) else { return Vec::new() };
        let lines: Vec<&str> = checkpoint.lines().collect();
        let size: usize = lines[1].parse().unwrap();
        let mut entries = Vec::new();
        for n in 0..size.div_ceil(256) {
            let width = (size - n * 256).min(256);
            assert!(n < 1000, "the reader of the tests knows short logs only");
            let full = root.join(format!("tile/entries/{n:03}"));
            let part = root.join(format!("tile/entries/{n:03}.p/{width}"));
            let Ok(bundle) = fs::read(&full).or_else(|_| fs::read(part)) else { continue };
            let mut rest = &bundle[..];
            for _ in 0..width {
                let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                entries.push(rest[2..2 + length].to_vec());
                rest = &rest[2 + length..];
            }
        }
        if entries.len() < size {
            std::thread::sleep(std::time::Duration::from_millis(20));
            continue;
        }
        let leaves: Vec<Vec<u8>> = entries
            .iter()
            .map(|entry| digest(&SHA256, &[&[0], &entry[..]].concat()).as_ref().to_vec())
            .collect();
        let stated = base64::engine::general_purpose::STANDARD.decode(lines[2]).unwrap();
        assert_eq!(mth(&leaves), stated, "the log's root is that of its entries");
        return entries.iter().map(|entry| serde_json::from_slice(entry).unwrap()).collect();
    }
    panic!("the log's tiles never fitted its checkpoint")
}

/// Where the key-encryption key of a test's folder is.
pub fn key_encryption_key(folder: &Path) -> PathBuf {
    folder.join("kek")
}
