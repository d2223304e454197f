//! The process that is searched: this test binary again, in a role named by its environment.

use crate::support::key_encryption_key;
use keywright_pki::key::PrivateKey;
use keywright_secmem::{Protection, install_only, usage, wiping_stack};
use keywright_signer::authority_key::AuthorityKey;
use keywright_signer::hardening::calls::{self, Outward};
use keywright_signer::hardening::files::{self, Reach};
use keywright_signer::seal::{Kek, Sealed};
use prost::Message as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Names the role; without it the tests that are roles do nothing.
const ROLE: &str = "KEYWRIGHT_TEST_ROLE";
/// Names the folder of the role.
const FOLDER: &str = "KEYWRIGHT_TEST_FOLDER";
/// For how long each key signs, so that the slow algorithms do not hold up the tests, and how often at most.
const SIGNS: (Duration, usize) = (Duration::from_millis(2500), 10_000);
/// Size of the arena: what a container may lock.
const ARENA: usize = 8 << 20;

/// The binding of the sealed keys.
pub(crate) const BINDING: &[u8] = b"a test of memory";

/// A process in a role.
pub(crate) struct Role {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Role {
    pub(crate) fn start(test: &str, role: &str, folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(FOLDER, folder);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, input, output }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The words that it says next. Panics when it ends first.
    pub(crate) fn hears(&mut self) -> Vec<String> {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the process in the role has ended");
            if let Some((_, said)) = line.split_once("ROLE ") {
                return said.split_whitespace().map(str::to_owned).collect();
            }
        }
    }

    pub(crate) fn goes_on(&mut self) {
        self.input.write_all(b"go on\n").unwrap();
    }

    pub(crate) fn ends(mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The role and folder of this process, if it is in one.
fn role() -> Option<(String, PathBuf)> {
    Some((std::env::var(ROLE).ok()?, std::env::var_os(FOLDER)?.into()))
}

fn says(what: &str) {
    println!("\nROLE {what}");
    std::io::stdout().flush().unwrap();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test that limits its own time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Opens sealed keys, signs with them, seals them again, drops them; stops after loading and after unloading.
pub(crate) fn uses_keys() {
    let Some((role, folder)) = role() else { return };
    let protection = if role == "locked" { Protection::Locked } else { Protection::Secret };
    install_only(protection, ARENA).unwrap();
    let kek = Kek::read(&key_encryption_key(&folder)).unwrap();
    let mut keys: Vec<AuthorityKey> = Vec::new();
    for n in 0.. {
        let Ok(blob) = std::fs::read(folder.join(format!("sealed-{n}"))) else { break };
        let secret = kek.open(&Sealed::decode(&blob[..]).unwrap(), BINDING).unwrap();
        keys.push(wiping_stack(|| PrivateKey::from_pkcs8_der(&secret)).unwrap().into());
    }
    let mut counts = Vec::new();
    std::thread::scope(|scope| {
        let (left, right) = keys.split_at(keys.len() / 2);
        let sign = |keys: &[AuthorityKey]| -> Vec<String> {
            let sign = |key: &AuthorityKey| {
                let end = now() + SIGNS.0;
                let mut count = 0;
                while count < SIGNS.1 && now() < end {
                    key.sign(&count.to_be_bytes()).unwrap();
                    count += 1;
                }
                let secret = key.to_secret().unwrap();
                kek.seal(&secret, BINDING, &keywright_ambient::SystemEntropy).unwrap();
                format!("{}:{count}", key.algorithm())
            };
            keys.iter().map(sign).collect()
        };
        let left = scope.spawn(move || sign(left));
        counts.extend(sign(right));
        counts.extend(left.join().unwrap());
    });
    let arena = usage().unwrap();
    says(&format!("loaded {} {} {} {}", arena.start, arena.size, arena.peak, counts.join(" ")));
    drop(keys);
    drop(kek);
    says(&format!("unloaded {}", usage().unwrap().used));
}

/// Tries what a confined process must not do, one attempt for each role.
pub(crate) fn breaks_out() {
    let Some((role, folder)) = role() else { return };
    let outside = folder.join("outside");
    let inside = folder.join("inside");
    let reach = Reach { write: vec![inside.clone()], read: Vec::new(), listen: vec![0], connect: Vec::new() };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let landlock = files::confine(&reach).unwrap();
    if role == "files" {
        // Before the filter: what Landlock alone holds off.
        let read = std::fs::read(&outside).map_err(|error| error.kind());
        let connected = std::net::TcpStream::connect(address).map_err(|error| error.kind());
        says(&format!("{landlock:?} {read:?} {connected:?}").replace("Ok(TcpStream", "Connected("));
        return;
    }
    calls::confine(Outward::Never).unwrap();
    match role.as_str() {
        "works" => {
            let file = inside.join("file");
            std::fs::write(&file, "kept").unwrap();
            std::fs::File::open(&file).unwrap().sync_all().unwrap();
            std::fs::rename(&file, inside.join("moved")).unwrap();
            let threads: Vec<_> =
                (0..4).map(|n| std::thread::spawn(move || vec![n; 1 << 20].len())).collect();
            let sum: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            says(&format!("{sum} {}", std::fs::read_to_string(inside.join("moved")).unwrap()));
        }
        "connects" => {
            let error = std::net::TcpStream::connect(address).unwrap_err();
            says(&format!("{:?}", error.kind()));
        }
        "changes-owner" => {
            let error = std::os::unix::fs::chown(&inside, Some(1), None).unwrap_err();
            says(&format!("{:?}", error.kind()));
        }
        "forks" => {
            let error = Command::new("/bin/true").status().unwrap_err();
            says(&format!("{:?}", error.kind()));
        }
        "becomes-a-program" => {
            let error = Command::new("/bin/true").exec();
            panic!("a refused program: {error}");
        }
        other => panic!("no role {other}"),
    }
}
