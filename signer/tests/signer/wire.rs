//! The binary from outside: mutual TLS, health, kill -9 under load, a clean stop, its refusals to start.

use crate::support::{self, End, Installation, foreign_log, leaf, new_key, root, uid};
use crate::world::{BINARY, TIMEOUTS, World, free_address};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::Certificate;
use keywright_signer::refusal::Reason;
use keywright_signer_protocol::tls::TlsFolder;
use keywright_signer_protocol::v1alpha1 as wire;
use keywright_signer_protocol::{connect, refusal_of};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::collections::BTreeSet;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_operator_gets_certificates_and_an_observer_only_the_status() {
    let mut world = World::new();
    world.start();
    assert!(world.get("/healthz").starts_with("HTTP/1.1 200"));
    let mut operator = world.client("operator-tls");
    let authority = operator.ensure_authority(root()).await.unwrap().into_inner();
    assert!(authority.created && authority.parents.is_empty());
    let request = wire::IssueRequest {
        authority_uid: support::ROOT.into(),
        ..leaf(support::LEAF, &new_key(KeyAlgorithm::EcdsaP256))
    };
    let issued = operator.issue(request.clone()).await.unwrap().into_inner();
    let root = Certificate::from_der(&issued.parents[0]).unwrap();
    Certificate::from_der(&issued.certificate).unwrap().verify_signed_by(root.public_key()).unwrap();
    let refused =
        operator.issue(wire::IssueRequest { fencing_token: 0, ..request.clone() }).await.unwrap_err();
    assert_eq!(refusal_of(&refused).unwrap().reason(), Reason::StaleFencingToken);
    let mut observer = world.client("observer-tls");
    let status = observer.get_status(wire::GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.authorities, status.highest_fencing_token, status.ready), (1, 1, true));
    let refused = observer.issue(request).await.unwrap_err();
    assert_eq!(refusal_of(&refused).unwrap().reason(), Reason::Forbidden);
    assert!(world.signal("-TERM").success(), "SIGTERM is a clean end");
    let fsck = World::command(&["log", "fsck", "--state-dir", world.path("state").to_str().unwrap()]);
    assert!(fsck.status.success(), "{}", String::from_utf8_lossy(&fsck.stderr));
    let kinds: Vec<_> = foreign_log(&world.path("state/log"));
    assert_eq!(kinds.iter().filter(|entry| entry["kind"] == "refusal").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_request_is_reported_by_operators_only_and_a_signer_that_reads_none_says_so() {
    let mut world = World::new();
    world.start();
    let report = |uid: &str| wire::LogEndedApprovalRequest {
        namespace: "shop".into(),
        name: "web-1".into(),
        uid: uid.into(),
    };
    let mut table = Vec::new();
    for (folder, uid) in
        [("observer-tls", support::LEAF), ("operator-tls", support::LEAF), ("operator-tls", "x")]
    {
        let refused = world.client(folder).log_ended_approval(report(uid)).await.unwrap_err();
        table.push(refusal_of(&refused).unwrap().reason());
    }
    assert_eq!(table, [Reason::Forbidden, Reason::NoRecords, Reason::Malformed]);
    assert!(world.signal("-TERM").success());
    let entries = foreign_log(&world.path("state/log"));
    let told: Vec<_> = entries.iter().map(|entry| entry["operation"].as_str().unwrap_or_default()).collect();
    assert_eq!(told, ["LogEndedApproval"; 3], "each refusal is in the log");
}

/// Connects with this chain and key (or none) and TLS version, and says whether an HTTP/2 preface got an answer.
fn reaches(world: &World, end: Option<&End>, versions: &[&'static rustls::SupportedProtocolVersion]) -> bool {
    use std::io::{Read as _, Write as _};
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(world.installation.pem.as_bytes()).unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match end {
        None => builder.with_no_client_auth(),
        Some(end) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(end.cert.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(end.key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("keywright-signer").unwrap();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut tcp = TcpStream::connect(world.listen).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    if stream.write_all(preface).and_then(|()| stream.flush()).is_err() {
        return false;
    }
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_without_a_pinned_certificate_and_tls_1_2_do_not_get_in() {
    let mut world = World::new();
    world.start();
    let tls13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
    assert!(reaches(&world, Some(&world.operator), tls13));
    assert!(!reaches(&world, None, tls13), "no certificate");
    let unpinned = world.installation.end("keywright-operator");
    assert!(!reaches(&world, Some(&unpinned), tls13), "a certificate of the same root that is not pinned");
    let stranger = Installation::new().end("keywright-operator");
    assert!(!reaches(&world, Some(&stranger), tls13), "a certificate of another root");
    let older = Command::new("openssl")
        .args(["s_client", "-tls1_2", "-connect", &world.listen.to_string()])
        .stdin(Stdio::null())
        .output();
    if let Ok(older) = older {
        assert!(!older.status.success(), "TLS 1.2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_refuses_a_server_that_is_not_the_pinned_signer() {
    let mut world = World::new();
    world.start();
    let impostor = world.installation.end("keywright-signer");
    let folder = world.path("wrong-tls");
    world.installation.folder(&folder, &world.operator, &[("keywright-signer", "signer", &impostor)]);
    let mut client = connect(&world.listen.to_string(), &folder, TIMEOUTS).unwrap();
    assert!(client.get_status(wire::GetStatusRequest {}).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_files_count_without_a_restart() {
    let mut world = World::new();
    world.start();
    let mut before = world.client("operator-tls");
    before.get_status(wire::GetStatusRequest {}).await.unwrap();
    let signer = world.installation.end("keywright-signer");
    let operator = world.installation.end("keywright-operator");
    world.installation.folder(
        &world.path("signer-tls"),
        &signer,
        &[("keywright-operator", "operator", &operator)],
    );
    world.installation.folder(&world.path("new-tls"), &operator, &[("keywright-signer", "signer", &signer)]);
    let mut after = world.client("new-tls");
    after.get_status(wire::GetStatusRequest {}).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let refused = before.get_status(wire::GetStatusRequest {}).await.unwrap_err();
    assert_eq!(refusal_of(&refused).map(|refusal| refusal.reason()), Some(Reason::Unauthenticated));
    assert!(TlsFolder::open(&world.path("new-tls")).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_certificate_that_ever_left_has_its_entry_however_often_the_process_is_killed() {
    let mut world = World::new();
    world.start();
    let mut operator = world.client("operator-tls");
    operator.ensure_authority(root()).await.unwrap();
    let serials = Arc::new(Mutex::new(BTreeSet::new()));
    let mut next = 0;
    for round in 0..5_u64 {
        let workers: Vec<_> = (0..8)
            .map(|_| {
                let first = next;
                next += 10_000;
                let (mut client, serials) = (operator.clone(), Arc::clone(&serials));
                tokio::spawn(async move {
                    for n in 0.. {
                        let request = wire::IssueRequest {
                            authority_uid: support::ROOT.into(),
                            ..leaf(&uid(first + n), &new_key(KeyAlgorithm::Ed25519))
                        };
                        let Ok(issued) = client.issue(request).await else { return };
                        let certificate = Certificate::from_der(&issued.into_inner().certificate).unwrap();
                        serials.lock().unwrap().insert(certificate.serial().to_string());
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(200 + 77 * round)).await;
        world.signal("-KILL");
        for worker in workers {
            worker.await.unwrap();
        }
        world.start();
    }
    assert!(world.signal("-TERM").success());
    let entries = foreign_log(&world.path("state/log"));
    let logged: BTreeSet<_> = entries
        .iter()
        .filter(|entry| entry["kind"] == "signature")
        .map(|entry| entry["serial"].as_str().unwrap().to_owned())
        .collect();
    let serials = serials.lock().unwrap();
    assert!(serials.len() > 50, "only {} certificates were made", serials.len());
    assert!(serials.is_subset(&logged), "{} left without an entry", serials.difference(&logged).count());
    let state = world.path("state");
    assert!(World::command(&["log", "fsck", "--state-dir", state.to_str().unwrap()]).status.success());
}

/// Reads a path of the log over HTTPS without a client certificate; status line and body.
fn read_log(world: &World, path: &str) -> (String, Vec<u8>) {
    use std::io::{Read as _, Write as _};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(world.installation.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("keywright-signer").unwrap();
    let tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(tls, TcpStream::connect(world.log).unwrap());
    write!(stream, "GET {path} HTTP/1.1\r\nHost: keywright-signer\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..at]).into_owned();
    (head.lines().next().unwrap().to_owned(), answer[at + 4..].to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn anyone_may_read_the_log_and_nothing_else() {
    let mut world = World::new();
    world.start();
    world.client("operator-tls").ensure_authority(root()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let folder = world.path("state/log");
    let (status, note) = read_log(&world, "/checkpoint");
    assert!(status.ends_with("200 OK"), "{status}");
    assert_eq!(note, std::fs::read(folder.join("checkpoint")).unwrap());
    let (_, tile) = read_log(&world, "/tile/entries/000.p/3");
    assert_eq!(tile, std::fs::read(folder.join("tile/entries/000.p/3")).unwrap());
    let (_, narrower) = read_log(&world, "/tile/0/000.p/2");
    assert_eq!(narrower, std::fs::read(folder.join("tile/0/000.p/3")).unwrap()[..64]);
    for path in
        ["/ledger.redb", "/../ledger.redb", "/tile/../../ledger.redb", "/tile/0/000.p/4", "/tile/0/x", "/"]
    {
        let (status, _) = read_log(&world, path);
        assert!(status.contains(" 404 ") || status.contains(" 400 "), "{path}: {status}");
    }
}

/// A command of the binary that runs until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_of_its_own_cosigns_the_running_log() {
    let mut world = World::new();
    world.start();
    let key = world.path("witness.key");
    let name = ["--name", "witness.example/w", "--key-file", key.to_str().unwrap()];
    let made = World::command(&[&["witness", "key"][..], &name].concat());
    let witness_key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let log_key = std::fs::read_to_string(world.path("state/log.vkey")).unwrap();
    let address = free_address().to_string();
    let memory = world.path("witness");
    let serve = ["--state-dir", memory.to_str().unwrap(), "--log-key", log_key.trim(), "--listen", &address];
    let process =
        Command::new(BINARY).args(["witness", "serve"]).args(name).args(serve).stderr(Stdio::null()).spawn();
    let _running = Running(process.unwrap());
    let place = format!("{address}={witness_key}");
    let state = world.path("state");
    let ask = ["log", "cosign", "--state-dir", state.to_str().unwrap(), "--witness", &place];
    for _ in 0..2 {
        let mut cosigned = World::command(&ask);
        for _ in 0..40 {
            if cosigned.status.success() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            cosigned = World::command(&ask);
        }
        assert!(cosigned.status.success(), "{}", String::from_utf8_lossy(&cosigned.stderr));
        world.client("operator-tls").ensure_authority(root()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let (status, note) = read_log(&world, "/checkpoint.cosigned");
    assert!(status.ends_with("200 OK"), "{status}");
    assert!(String::from_utf8(note).unwrap().contains("\u{2014} witness.example/w "));
}

fn fails_saying(world: &World, words: &[&str]) {
    let output = world.run().output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

#[test]
fn it_refuses_to_start_in_words_that_say_the_fix() {
    let world = World::new();
    let kek = world.path("kek");
    let sound = std::fs::read(&kek).unwrap();
    std::fs::set_permissions(&kek, std::fs::Permissions::from_mode(0o644)).unwrap();
    fails_saying(&world, &["0644", "chmod 0600"]);
    std::fs::set_permissions(&kek, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&kek, b"short").unwrap();
    fails_saying(&world, &["exactly 32 bytes"]);
    std::fs::remove_file(&kek).unwrap();
    fails_saying(&world, &["no such file", "kek create"]);
    assert!(!kek.exists(), "it never makes one itself");
    std::fs::write(&kek, sound).unwrap();
    std::fs::set_permissions(&kek, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::remove_file(world.path("signer-tls/peers.json")).unwrap();
    fails_saying(&world, &["peers.json"]);
    let again = World::command(&["kek", "create", kek.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("never overwritten"));
    assert!(Path::new(BINARY).exists());
}
