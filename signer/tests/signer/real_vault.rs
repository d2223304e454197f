//! A real Vault server of a test's own: storage in a file, TLS by an authority of its own, initialised and unsealed, with a
//! transit engine and a log of its own requests. The program is named by `KEYWRIGHT_VAULT_SERVER`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code outside #[test] functions")]

use crate::support::Installation;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

pub(crate) fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) struct Vault {
    dir: PathBuf,
    tls: Arc<ClientConfig>,
    process: Option<Child>,
    address: SocketAddr,
    unseal_key: String,
    pub(crate) root_token: String,
}

impl Vault {
    /// Starts one, its files and the tokens that it hands out in this folder.
    pub(crate) fn start(dir: &Path) -> Self {
        let installation = Installation::new();
        let end = installation.end("localhost");
        private(&dir.join("vault-ca.pem"), &installation.pem);
        private(&dir.join("vault-cert.pem"), &end.cert);
        private(&dir.join("vault-key.pem"), &end.key);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(installation.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (process, address) = serve(dir, "127.0.0.1:0");
        let mut vault = Self {
            dir: dir.to_owned(),
            tls: Arc::new(tls),
            process: Some(process),
            address,
            unseal_key: String::new(),
            root_token: String::new(),
        };
        let made = vault.put("sys/init", &json!({ "secret_shares": 1, "secret_threshold": 1 }));
        made["keys_base64"][0].as_str().unwrap().clone_into(&mut vault.unseal_key);
        made["root_token"].as_str().unwrap().clone_into(&mut vault.root_token);
        vault.unseal();
        let log = dir.join("vault-audit.log").display().to_string();
        vault.put("sys/audit/file", &json!({ "type": "file", "options": { "file_path": log } }));
        vault.put("sys/mounts/transit", &json!({ "type": "transit" }));
        vault
    }

    pub(crate) fn unseal(&self) {
        let answer = self.put("sys/unseal", &json!({ "key": self.unseal_key }));
        assert_eq!(answer["sealed"], false, "{answer}");
    }

    /// Ends the process, as a machine that goes away does.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// At the same address, with the same storage; sealed, as after each start.
    pub(crate) fn start_again(&mut self) {
        let (process, address) = serve(&self.dir, &self.address.to_string());
        assert_eq!(address, self.address);
        self.process = Some(process);
    }

    /// The argument that names a transit key of it, and the file with the token.
    pub(crate) fn place(&self, key: &str, token: &str) -> String {
        let at = |name: &str| self.dir.join(name).display().to_string();
        let port = self.address.port();
        let (token, ca) = (at(token), at("vault-ca.pem"));
        format!("vault:https://localhost:{port};key={key};token-file={token};ca-file={ca}")
    }

    /// Makes a token with these properties and writes it to a file of this name.
    pub(crate) fn hand_out(&self, name: &str, properties: &Value) {
        let made = self.put("auth/token/create", properties);
        private(&self.dir.join(name), made["auth"]["client_token"].as_str().unwrap());
    }

    pub(crate) fn token(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap()
    }

    pub(crate) fn revoke(&self, name: &str) {
        self.put("auth/token/revoke", &json!({ "token": self.token(name) }));
    }

    /// Its own log of requests and answers, which exists before it answers.
    pub(crate) fn audit_log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.dir.join("vault-audit.log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn requests_seen(&self) -> usize {
        self.audit_log().iter().filter(|line| line["type"] == "request").count()
    }

    /// Asks with the root token. It must be content.
    pub(crate) fn put(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask("PUT", path, &body.to_string());
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// Status and answer.
    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, "")
    }

    /// By HTTP/1.0, whose answers come in one piece and end with the connection.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::clone(&self.tls), name).unwrap();
        let mut stream = StreamOwned::new(tls, TcpStream::connect(self.address).unwrap());
        let (token, length) = (&self.root_token, body.len());
        let head = format!(
            "{method} /v1/{path} HTTP/1.0\r\nHost: localhost\r\nX-Vault-Token: {token}\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the program and waits until it says where it listens.
fn serve(dir: &Path, address: &str) -> (Child, SocketAddr) {
    let program = std::env::var_os("KEYWRIGHT_VAULT_SERVER")
        .expect("KEYWRIGHT_VAULT_SERVER names no Vault server: run hack/vault.sh, which builds one and runs these tests");
    let log = fs::File::options().create(true).append(true).open(dir.join("vault-stderr")).unwrap();
    let mut process = Command::new(program)
        .args(["-listen", address, "-data"])
        .arg(dir.join("vault-data"))
        .arg("-tls-cert")
        .arg(dir.join("vault-cert.pem"))
        .arg("-tls-key")
        .arg(dir.join("vault-key.pem"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().parse().unwrap_or_else(|_| {
        panic!("it did not start: {}", fs::read_to_string(dir.join("vault-stderr")).unwrap())
    });
    (process, address)
}
