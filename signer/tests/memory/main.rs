//! What a root on the same node finds of the keys: in memory, in core files, and from within the process.
//!
//! The secrets are known here, in the parent; the processes that are searched only ever get them sealed. Reading another
//! process's memory needs rights that not everybody has: without them the tests say SKIPPED and why.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code outside #[test] functions")]

mod child;
mod patterns;
mod scan;
#[path = "../support/mod.rs"]
mod support;

use child::{BINDING, Role};
use keywright_ambient::{Clock as _, SystemClock, SystemEntropy};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::key::PrivateKey;
use keywright_signer::parse;
use keywright_signer::seal::Kek;
use keywright_signer_protocol::v1alpha1 as wire;
use keywright_signer_protocol::{SignerClient, Timeouts, connect};
use patterns::Secret;
use prost::Message as _;
use scan::{Windows, may_read, search};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{Bench, Installation, leaf, new_key, request_key, root, uid};

#[global_allocator]
static HEAP: keywright_secmem::GuardedHeap = keywright_secmem::GuardedHeap;

/// The secrets of a key of each algorithm, sealed into `folder`, and those of the key-encryption key.
fn sealed_keys(folder: &Path) -> Vec<Secret> {
    let path = support::key_encryption_key(folder);
    Kek::create(&path, &SystemEntropy).unwrap();
    let kek = Kek::read(&path).unwrap();
    let mut secrets = vec![Secret { name: "KEK".into(), bytes: std::fs::read(&path).unwrap() }];
    for (n, algorithm) in KeyAlgorithm::ALL.into_iter().enumerate() {
        let key = new_key(algorithm);
        let sealed = kek.seal(&key.to_pkcs8_der().unwrap(), BINDING, &SystemEntropy).unwrap();
        std::fs::write(folder.join(format!("sealed-{n}")), sealed.encode_to_vec()).unwrap();
        secrets.extend(patterns::of(&key));
    }
    secrets
}

#[test]
fn role_uses_keys() {
    child::uses_keys();
}

#[test]
fn role_breaks_out() {
    child::breaks_out();
}

fn finds_keys_in_the_arena_and_nowhere_else(protection: &str) {
    let dir = tempfile::tempdir().unwrap();
    let secrets = sealed_keys(dir.path());
    let windows = Windows::of(&secrets);
    assert!(windows.count() > 20_000, "{}", windows.count());
    let mut role = Role::start("role_uses_keys", protection, dir.path());
    let said = role.hears();
    if !may_read(role.pid()) {
        println!("SKIPPED: this user may not read the memory of another process");
        return;
    }
    let number = |n: usize| said[n].parse::<u64>().unwrap();
    let loaded = search(role.pid(), &windows, Some((number(1), number(2))));
    println!("{protection}: {} windows, signatures {}", windows.count(), said[4..].join(" "));
    println!(
        "{protection}: {} MiB searched while loaded, arena peak {} KiB",
        loaded.searched >> 20,
        number(3) >> 10
    );
    assert!(
        loaded.outside.is_empty(),
        "{} outside: {:#?}",
        loaded.outside.len(),
        &loaded.outside[..loaded.outside.len().min(40)]
    );
    if protection == "locked" {
        // The search does find what is there: each key, in the arena.
        for algorithm in KeyAlgorithm::ALL {
            let name = algorithm.to_string();
            assert!(loaded.inside.keys().any(|secret| secret.starts_with(&name)), "{name} is nowhere");
        }
        assert!(loaded.inside.contains_key("KEK"));
    } else {
        assert!(loaded.inside.is_empty());
        let start = format!("{:x}-", number(1));
        assert!(loaded.unreadable.iter().any(|line| line.starts_with(&start)), "the arena could be read");
    }
    role.goes_on();
    let said = role.hears();
    assert_eq!(said[0], "unloaded");
    let unloaded = search(role.pid(), &windows, None);
    println!(
        "{protection}: {} MiB searched after unloading, {} bytes of the arena still taken",
        unloaded.searched >> 20,
        said[1]
    );
    assert!(unloaded.outside.is_empty(), "{:#?}", &unloaded.outside[..unloaded.outside.len().min(40)]);
    role.goes_on();
    assert!(role.ends().success());
}

#[test]
fn with_memfd_secret_no_window_of_a_key_can_be_read_at_all() {
    finds_keys_in_the_arena_and_nowhere_else("secret");
}

#[test]
fn with_locked_memory_all_windows_are_in_the_arena_and_none_anywhere_after_unloading() {
    finds_keys_in_the_arena_and_nowhere_else("locked");
}

/// The real binary on a state folder that holds a key of each algorithm.
struct Signer {
    process: Child,
    listen: SocketAddr,
    bench: Bench,
}

impl Drop for Signer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Signer {
    async fn start(keys: &[PrivateKey]) -> Self {
        let mut bench = Bench::new();
        // The binary lives in real time, so its authorities must too.
        bench.clock.advance(SystemClock.now().as_second() - support::NOW);
        for (number, key) in (1_i32..).zip(keys) {
            let name = uid(usize::try_from(number).unwrap());
            let request = wire::EnsureAuthorityRequest {
                key_algorithm: number,
                request_key: request_key(&name, 1),
                ..root()
            };
            let copy = PrivateKey::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap();
            bench
                .engine()
                .ensure(parse::ensure(&request).unwrap(), Some(copy.into()), "keywright-operator".into())
                .await
                .unwrap();
        }
        bench.close();
        let dir = bench.dir.path();
        let installation = Installation::new();
        let (signer, operator) =
            (installation.end("keywright-signer"), installation.end("keywright-operator"));
        installation.folder(&dir.join("s"), &signer, &[("keywright-operator", "operator", &operator)]);
        installation.folder(&dir.join("o"), &operator, &[("keywright-signer", "signer", &signer)]);
        let (listen, health) = (free_address(), free_address());
        let mut command = Command::new(env!("CARGO_BIN_EXE_keywright-signer"));
        command.args(["run", "--listen", &listen.to_string(), "--health-listen", &health.to_string()]);
        for (option, value) in [("--state-dir", "state"), ("--kek-file", "kek"), ("--tls-dir", "s")] {
            command.arg(option).arg(dir.join(value));
        }
        let process = command.current_dir(dir).stderr(Stdio::null()).spawn().unwrap();
        let signer = Self { process, listen, bench };
        for _ in 0..400 {
            if signer.client().get_status(wire::GetStatusRequest {}).await.is_ok() {
                return signer;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the signer did not start");
    }

    fn client(&self) -> SignerClient {
        let timeouts = Timeouts { connect: Duration::from_secs(5), request: Duration::from_secs(30) };
        connect(&self.listen.to_string(), &self.bench.dir.path().join("o"), timeouts).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_running_signer_shows_no_window_of_a_key_to_root() {
    let keys: Vec<_> = KeyAlgorithm::ALL.into_iter().map(new_key).collect();
    let signer = Signer::start(&keys).await;
    if !may_read(signer.process.id()) {
        println!("SKIPPED: this user may not read the memory of another process");
        return;
    }
    let leaf_key = new_key(KeyAlgorithm::Ed25519);
    let mut client = signer.client();
    for round in 0..20 {
        for n in 1..=keys.len() {
            let name = uid(1000 + round * keys.len() + n);
            let request = wire::IssueRequest { authority_uid: uid(n), ..leaf(&name, &leaf_key) };
            client.issue(request).await.unwrap();
        }
    }
    // A key that is made, sealed and used in the process itself is not known here; its path is the same.
    client
        .ensure_authority(wire::EnsureAuthorityRequest { request_key: request_key(&uid(500), 1), ..root() })
        .await
        .unwrap();
    let mut secrets: Vec<_> = keys.iter().flat_map(patterns::of).collect();
    let kek = std::fs::read(support::key_encryption_key(signer.bench.dir.path())).unwrap();
    secrets.push(Secret { name: "KEK".into(), bytes: kek });
    let found = search(signer.process.id(), &Windows::of(&secrets), None);
    println!("{} MiB searched, {:?} not readable", found.searched >> 20, found.unreadable);
    assert!(
        found.outside.is_empty(),
        "{} hits: {:#?}",
        found.outside.len(),
        &found.outside[..found.outside.len().min(40)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_crashes_leaves_no_core_file() {
    let dir = tempfile::tempdir().unwrap();
    let crash = Command::new("/bin/sh")
        .args(["-c", "ulimit -c unlimited; kill -SEGV $$"])
        .current_dir(dir.path())
        .status();
    if !crash.unwrap().core_dumped() {
        println!("SKIPPED: this system writes core files of nobody");
        return;
    }
    for signal in ["-SEGV", "-ABRT", "-QUIT"] {
        let mut signer = Signer::start(&[]).await;
        let ended = loop {
            // Rust's own handler of SIGSEGV lets the first one pass that no bad access caused.
            Command::new("kill").args([signal, &signer.process.id().to_string()]).status().unwrap();
            std::thread::sleep(Duration::from_millis(50));
            if let Some(ended) = signer.process.try_wait().unwrap() {
                break ended;
            }
        };
        assert!(ended.signal().is_some() && !ended.core_dumped(), "{signal}: {ended}");
    }
}

#[test]
fn a_confined_process_does_its_work_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("outside"), "secret").unwrap();
    let answer = |role: &str| {
        let mut role = Role::start("role_breaks_out", role, dir.path());
        let said = role.hears().join(" ");
        role.goes_on();
        assert!(role.ends().success());
        said
    };
    assert_eq!(answer("works"), "4194304 kept");
    assert_eq!(answer("connects"), "PermissionDenied");
    assert_eq!(answer("changes-owner"), "PermissionDenied");
    match answer("files").as_str() {
        "Not Ok([115, 101, 99, 114, 101, 116])" => println!("SKIPPED: this kernel has no Landlock"),
        said => {
            assert!(said.contains("Err(PermissionDenied)"), "{said}");
            if said.starts_with("Fully") {
                assert_eq!(said, "Fully Err(PermissionDenied) Err(PermissionDenied)");
            }
        }
    }
    assert_eq!(answer("forks"), "PermissionDenied");
    let ended = Role::start("role_breaks_out", "becomes-a-program", dir.path()).ends();
    assert_eq!(ended.signal(), Some(31), "SIGSYS, from the filter of system calls: {ended}");
}
