//! A signer process with all it needs, asked from outside.

use crate::support::{End, Installation};
use keywright_signer_protocol::{SignerClient, Timeouts, connect};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_keywright-signer");
pub const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), request: Duration::from_secs(20) };

pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A signer process with everything it needs, in a temporary folder.
pub struct World {
    pub dir: TempDir,
    pub installation: Installation,
    pub operator: End,
    pub listen: SocketAddr,
    pub health: SocketAddr,
    pub log: SocketAddr,
    /// Where the key-encryption key is, if it is not the file `kek`.
    pub kek: Option<String>,
    /// Base URL of a collector of spans, if there is one.
    pub collector: Option<String>,
    pub process: Option<Child>,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let installation = Installation::new();
        let signer = installation.end("keywright-signer");
        let operator = installation.end("keywright-operator");
        let observer = installation.end("keywright-observer");
        let second = installation.end("keywright-operator");
        let peers = [
            ("keywright-operator", "operator", &operator),
            ("second-operator", "operator", &second),
            ("watcher", "observer", &observer),
        ];
        installation.folder(&dir.path().join("signer-tls"), &signer, &peers);
        installation.folder(
            &dir.path().join("operator-tls"),
            &operator,
            &[("keywright-signer", "signer", &signer)],
        );
        installation.folder(
            &dir.path().join("second-tls"),
            &second,
            &[("keywright-signer", "signer", &signer)],
        );
        installation.folder(
            &dir.path().join("observer-tls"),
            &observer,
            &[("keywright-signer", "signer", &signer)],
        );
        let world = Self {
            dir,
            installation,
            operator,
            listen: free_address(),
            health: free_address(),
            log: free_address(),
            kek: None,
            collector: None,
            process: None,
        };
        assert!(Self::command(&["kek", "create", world.path("kek").to_str().unwrap()]).status.success());
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(arguments: &[&str]) -> Output {
        Command::new(BINARY).args(arguments).output().unwrap()
    }

    pub fn run(&self) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("run");
        for (option, value) in [("state-dir", "state"), ("tls-dir", "signer-tls")] {
            command.arg(format!("--{option}")).arg(self.path(value));
        }
        match &self.kek {
            Some(place) => command.args(["--kek", place]),
            None => command.arg("--kek-file").arg(self.path("kek")),
        };
        command.args(["--listen", &self.listen.to_string(), "--health-listen", &self.health.to_string()]);
        command.args(["--log-listen", &self.log.to_string()]);
        if let Some(url) = &self.collector {
            command.args(["--otlp-endpoint", url]);
        }
        command
    }

    pub fn start(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.path("stderr")).unwrap();
        self.process = Some(self.run().stderr(log).stdout(Stdio::null()).spawn().unwrap());
        for _ in 0..200 {
            if self.get("/readyz").starts_with("HTTP/1.1 200") {
                return;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("not ready: {}", std::fs::read_to_string(self.path("stderr")).unwrap());
    }

    pub fn get(&self, path: &str) -> String {
        use std::io::{Read as _, Write as _};
        let Ok(mut stream) = TcpStream::connect(self.health) else { return String::new() };
        let _ = write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    pub fn signal(&mut self, signal: &str) -> std::process::ExitStatus {
        let mut process = self.process.take().unwrap();
        assert!(Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap().success());
        process.wait().unwrap()
    }

    pub fn client(&self, folder: &str) -> SignerClient {
        connect(&self.listen.to_string(), &self.path(folder), TIMEOUTS).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
