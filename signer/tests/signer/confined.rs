//! The running binary with its key-encryption key and its authorities' keys in a token: confined, and still able to sign.

use crate::hsm::{self, SoftHsm};
use crate::support::{self, Installation, leaf, new_key, root, uid};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_signer::refusal::Reason;
use keywright_signer_protocol::v1alpha1 as wire;
use keywright_signer_protocol::{SignerClient, Timeouts, connect, refusal_of};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_keywright-signer");

/// Ends its process with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct World {
    dir: PathBuf,
    conf: PathBuf,
    listen: SocketAddr,
}

impl World {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).env("SOFTHSM2_CONF", &self.conf);
        command
    }

    fn token(&self, pin: &str) -> String {
        let (module, dir) = (hsm::module(), self.dir.display());
        format!("pkcs11:module={};token=ca;pin-file={dir}/{pin}", module.display())
    }

    fn run(&self, pin: &str) -> Command {
        let dir = self.dir.display();
        let mut command = self.command(&["run"]);
        command.args(["--kek", &format!("{};key=kek", self.token("pin"))]);
        // The token's own folder and the library's settings are what a confined signer is let through to.
        let paths = format!("{dir}/tokens,{dir}/softhsm2.conf");
        command.args(["--key-store", &format!("{};paths={paths}", self.token(pin))]);
        command.arg("--state-dir").arg(self.dir.join("state")).arg("--tls-dir").arg(self.dir.join("tls"));
        command.args(["--listen", &self.listen.to_string(), "--health-listen", "127.0.0.1:0"]);
        command
    }

    fn start(&self) -> Running {
        let log = std::fs::File::options().create(true).append(true).open(self.dir.join("stderr")).unwrap();
        Running(self.run("pin").stderr(log).stdout(Stdio::null()).spawn().unwrap())
    }

    fn client(&self) -> SignerClient {
        let timeouts = Timeouts { connect: Duration::from_secs(5), request: Duration::from_secs(20) };
        connect(&self.listen.to_string(), &self.dir.join("operator-tls"), timeouts).unwrap()
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.dir.join("stderr")).unwrap_or_default()
    }
}

fn world(dir: &Path) -> (World, SoftHsm) {
    let conf = SoftHsm::prepare(dir);
    let hsm = SoftHsm { dir: dir.to_owned() };
    hsm.token("ca");
    let installation = Installation::new();
    let (signer, operator) = (installation.end("keywright-signer"), installation.end("keywright-operator"));
    installation.folder(&dir.join("tls"), &signer, &[("keywright-operator", "operator", &operator)]);
    installation.folder(&dir.join("operator-tls"), &operator, &[("keywright-signer", "signer", &signer)]);
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    (World { dir: dir.to_owned(), conf, listen }, hsm)
}

async fn ready(world: &World) -> SignerClient {
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut client = world.client();
        if client.get_status(wire::GetStatusRequest {}).await.is_ok() {
            return client;
        }
    }
    panic!("not ready: {}", world.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confined_signer_signs_with_a_token_restarts_and_finds_it_when_it_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (world, hsm) = world(dir.path());
    let made =
        world.command(&["kek", "create", &format!("{};key=kek", world.token("pin"))]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let wrong = world.run("wrong-pin").output().unwrap();
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(wrong.status.code() == Some(1) && said.contains("it was tried once"), "{said}");
    for start in 0..2 {
        let running = world.start();
        let mut client = ready(&world).await;
        let authority = client.ensure_authority(root()).await;
        assert_eq!(
            authority.unwrap_or_else(|status| panic!("{status}: {}", world.said())).into_inner().created,
            start == 0
        );
        for n in 0..4 {
            let request = wire::IssueRequest {
                authority_uid: support::ROOT.into(),
                ..leaf(&uid(start * 10 + n), &new_key(KeyAlgorithm::EcdsaP256))
            };
            client.issue(request).await.unwrap_or_else(|status| panic!("{status}: {}", world.said()));
        }
        let child = wire::EnsureAuthorityRequest {
            request_key: support::request_key(&uid(100 + start), 1),
            key_algorithm: wire::KeyAlgorithm::EcdsaP384.into(),
            ..support::child()
        };
        client.ensure_authority(child).await.unwrap_or_else(|status| panic!("{status}: {}", world.said()));
        let refused = wire::EnsureAuthorityRequest {
            request_key: support::request_key(&uid(200 + start), 1),
            key_algorithm: wire::KeyAlgorithm::MlDsa65.into(),
            ..root()
        };
        let refused = refusal_of(&client.ensure_authority(refused).await.unwrap_err()).unwrap();
        assert_eq!((refused.reason(), refused.field.as_str()), (Reason::Constraint, "privateKey.algorithm"));
        let after = |n| wire::IssueRequest {
            authority_uid: support::ROOT.into(),
            ..leaf(&uid(300 + start * 10 + n), &new_key(KeyAlgorithm::EcdsaP256))
        };
        hsm.unplug();
        let refused = refusal_of(&client.issue(after(0)).await.unwrap_err()).unwrap();
        assert_eq!(refused.reason(), Reason::Unavailable, "{refused:?}");
        hsm.plug();
        client.issue(after(0)).await.unwrap_or_else(|status| panic!("{status}: {}", world.said()));
        drop(running);
    }
    let said = world.said();
    assert!(!said.contains(hsm::PIN), "{said}");
}
