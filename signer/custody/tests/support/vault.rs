//! The transit API as Vault and OpenBao document it, in a small server: what a signer asks, and what may come back.
//!
//! Bodies and status codes are those of the API's reference (transit, auth/token, sys/seal-status); keys are a table.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code outside #[test] functions")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

pub const TOKEN: &str = "hvs.right-token";

/// What the server is like now.
#[derive(Default)]
pub struct Mood {
    pub sealed: bool,
    /// Answers everything with this status and body.
    pub broken: Option<(u16, String)>,
    /// Key name to newest version; encrypted texts by ciphertext.
    pub keys: BTreeMap<String, u64>,
    pub texts: BTreeMap<String, (String, String)>,
    pub namespace: Option<String>,
    /// Whether the token may be renewed, and how often it was.
    pub renewable: bool,
    pub renewed: u32,
    /// Method and path of each request.
    pub seen: Vec<String>,
}

pub struct FakeVault {
    pub address: SocketAddr,
    pub mood: Arc<Mutex<Mood>>,
    /// PEM of the authority of its certificate, when it speaks TLS.
    pub ca: Option<String>,
}

impl FakeVault {
    pub fn start() -> Self {
        Self::serve(None)
    }

    pub fn start_tls() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self { ca: Some(certificate.pem()), ..Self::serve(Some(Arc::new(config))) }
    }

    fn serve(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mood = Arc::new(Mutex::new(Mood::default()));
        let shared = Arc::clone(&mood);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (mood, tls) = (Arc::clone(&shared), tls.clone());
                std::thread::spawn(move || match tls {
                    None => talk(stream, &mood),
                    Some(config) => {
                        talk(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), &mood);
                    }
                });
            }
        });
        Self { address, mood, ca: None }
    }

    pub fn mood(&self) -> std::sync::MutexGuard<'_, Mood> {
        self.mood.lock().unwrap()
    }
}

fn talk(stream: impl Read + Write, mood: &Mutex<Mood>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let mut headers = BTreeMap::new();
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).unwrap();
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (status, answer) = answer(&mut mood.lock().unwrap(), &method, &path, &headers, &body);
        let head = format!(
            "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        let stream = stream.get_mut();
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(answer.as_bytes()));
        if sent.and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

fn errors(status: u16, said: &[&str]) -> (u16, String) {
    (status, json!({ "errors": said }).to_string())
}

fn data(value: &Value) -> (u16, String) {
    let answer = json!({
        "request_id": "b0e9e9a0-0000-0000-0000-000000000000", "lease_id": "", "renewable": false,
        "lease_duration": 0, "data": value, "wrap_info": null, "warnings": null, "auth": null,
    });
    (200, answer.to_string())
}

fn answer(
    mood: &mut Mood,
    method: &str,
    path: &str,
    headers: &BTreeMap<String, String>,
    body: &Value,
) -> (u16, String) {
    mood.seen.push(format!("{method} {path}"));
    if let Some(broken) = &mood.broken {
        return broken.clone();
    }
    if mood.sealed {
        return errors(503, &["Vault is sealed"]);
    }
    if headers.get("x-vault-token").map(String::as_str) != Some(TOKEN)
        || headers.get("x-vault-namespace") != mood.namespace.as_ref()
    {
        return errors(403, &["permission denied"]);
    }
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
    match (method, &parts[..]) {
        ("GET", ["auth", "token", "lookup-self"]) => data(&json!({
            "accessor": "8609694a", "creation_time": 1_523_979_354, "creation_ttl": 3600, "display_name": "token",
            "entity_id": "", "expire_time": null, "explicit_max_ttl": 0, "id": TOKEN, "issue_time": null,
            "meta": null, "num_uses": 0, "orphan": false, "path": "auth/token/create",
            "policies": ["default", "keywright"], "renewable": mood.renewable, "ttl": 1800, "type": "service",
        })),
        (_, ["auth", "token", "renew-self"]) => {
            mood.renewed += 1;
            let auth = json!({
                "client_token": TOKEN, "accessor": "8609694a", "policies": ["keywright"],
                "token_policies": ["keywright"], "metadata": null, "lease_duration": 3600, "renewable": true,
                "entity_id": "", "token_type": "service", "orphan": false,
            });
            (200, json!({"request_id": "x", "lease_id": "", "renewable": false, "lease_duration": 0, "data": null, "auth": auth}).to_string())
        }
        ("GET", ["transit", "keys", name]) => match mood.keys.get(*name) {
            None => errors(404, &[]),
            Some(newest) => data(&json!({
                "type": "aes256-gcm96", "deletion_allowed": false, "derived": false, "exportable": false,
                "allow_plaintext_backup": false, "keys": {newest.to_string(): 1_442_851_412},
                "min_decryption_version": 1, "min_encryption_version": 0, "name": name,
                "supports_encryption": true, "supports_decryption": true, "supports_derivation": true,
                "supports_signing": false, "imported_key": false,
            })),
        },
        (_, ["transit", "keys", name]) => {
            mood.keys.entry((*name).to_owned()).or_insert(1);
            (204, String::new())
        }
        (_, ["transit", "keys", name, "rotate"]) => match mood.keys.get_mut(*name) {
            None => errors(400, &["key not found"]),
            Some(newest) => {
                *newest += 1;
                (204, String::new())
            }
        },
        (_, ["transit", "encrypt", name]) => {
            let Some(newest) = mood.keys.get(*name) else {
                return errors(403, &["1 error occurred:\n\t* permission denied\n\n"]);
            };
            let plaintext = text("plaintext");
            if STANDARD.decode(&plaintext).is_err() {
                return errors(400, &["failed to base64-decode plaintext"]);
            }
            let ciphertext =
                format!("vault:v{newest}:{}", STANDARD.encode(format!("text {}", mood.texts.len())));
            mood.texts.insert(ciphertext.clone(), ((*name).to_owned(), plaintext));
            data(&json!({"ciphertext": ciphertext, "key_version": newest}))
        }
        (_, ["transit", "decrypt", name]) => {
            if !mood.keys.contains_key(*name) {
                return errors(400, &["encryption key not found"]);
            }
            match mood.texts.get(&text("ciphertext")) {
                Some((key, plaintext)) if key == name => data(&json!({"plaintext": plaintext})),
                Some(_) => errors(400, &["cipher: message authentication failed"]),
                None => errors(400, &["invalid ciphertext: no prefix"]),
            }
        }
        _ => errors(404, &["no handler for route \"x\". route entry not found."]),
    }
}
