//! `up`, `demo` and `down` as the Makefile calls them, in a checkout of their own.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use keywright_ambient::{Clock, SystemClock};
use keywright_e2e::assets::Assets;
use keywright_e2e::{Identity, Process};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

/// A folder that looks like a checkout, with the binaries of this one. Whatever runs in it is stopped with it.
struct Checkout {
    folder: TempDir,
    product: PathBuf,
}

impl Checkout {
    fn new() -> Self {
        let ours = Assets::of_this_checkout().unwrap();
        let folder = tempfile::tempdir().unwrap();
        for part in ["charts", "docs", "e2e"] {
            std::os::unix::fs::symlink(ours.checkout.join(part), folder.path().join(part)).unwrap();
        }
        Self { folder, product: ours.product }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(".keywright").join(name)
    }

    /// Runs `keywright-dev` to its end; it must succeed. Answers standard output.
    fn dev(&self, command: &str) -> String {
        let output = self.dev_may_fail(command);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "keywright-dev {command}: {out}{err}");
        out.into_owned()
    }

    fn dev_may_fail(&self, command: &str) -> Output {
        let mut dev = Command::new(env!("CARGO_BIN_EXE_keywright-dev"));
        dev.arg("--checkout").arg(self.folder.path()).arg(command).env("KEYWRIGHT_BIN", &self.product);
        dev.output().unwrap()
    }

    /// What a person's shell says to a line after sourcing `.keywright/env`.
    fn shell(&self, line: &str) -> Output {
        let line = format!("source .keywright/env && {line}");
        Command::new("bash").args(["-c", &line]).current_dir(self.folder.path()).output().unwrap()
    }

    fn identity(&self, process: Process) -> Identity {
        let pid = std::fs::read_to_string(self.path("run").join(format!("{}.pid", process.name()))).unwrap();
        Identity::of(pid.trim().parse().unwrap()).unwrap()
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        self.dev_may_fail("down");
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn the_demo_shows_a_verified_certificate_repeats_quickly_and_goes_down_without_a_trace() {
    let checkout = Checkout::new();
    let said = checkout.dev("demo");
    assert!(said.contains("tls.crt: OK") && said.contains("DNS:web.example.test"), "{said}");
    let processes = Process::ALL.map(|process| checkout.identity(process));

    let before = SystemClock.monotonic();
    checkout.dev("demo");
    assert!(SystemClock.monotonic().duration_since(before) < Duration::from_secs(20));
    assert_eq!(
        Process::ALL.map(|process| checkout.identity(process)),
        processes,
        "nothing was started again"
    );

    let (_, next) = said.split_once("What to try next").unwrap();
    let mut tried = 0;
    for line in next.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        if line.starts_with("kubectl") || line.starts_with("tail") {
            let output = checkout.shell(line);
            assert!(output.status.success(), "{line}: {output:?}");
            tried += 1;
        }
    }
    assert!(tried >= 5, "{next}");

    checkout.dev("down");
    assert!(!processes.iter().any(|process| process.is_alive()));
    assert_eq!(names_in(&checkout.path("run")), Vec::<String>::new());
}

#[test]
fn up_starts_what_does_not_run_and_is_not_fooled_by_a_pid_that_another_program_has() {
    let checkout = Checkout::new();
    checkout.dev("demo");
    let [etcd, api, ..] = Process::ALL.map(|process| checkout.identity(process));
    let killed = [Process::KubeControllerManager, Process::Signer, Process::Operator];
    for process in killed {
        let gone = checkout.identity(process);
        assert!(gone.signal(Signal::KILL));
        let pid_file = checkout.path("run").join(format!("{}.pid", process.name()));
        std::fs::write(pid_file, format!("{}\n", std::process::id())).unwrap();
    }
    checkout.dev("up");
    assert_eq!(
        [Process::Etcd, Process::KubeApiserver].map(|process| checkout.identity(process)),
        [etcd, api]
    );
    for process in killed {
        assert_ne!(u32::try_from(checkout.identity(process).pid).unwrap(), std::process::id());
    }

    for process in Process::ALL {
        assert!(checkout.identity(process).signal(Signal::KILL));
    }
    checkout.dev("up");
    let output = checkout.shell("kubectl wait --for=condition=Ready certificate/web --timeout=5s");
    assert!(output.status.success(), "what was there before the kill is there after it: {output:?}");
}
