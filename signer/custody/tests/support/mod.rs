//! A SoftHSM token of a test's own.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code outside #[test] functions")]

use keywright_custody::{SecretSource, TokenSpec};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const PIN: &str = "1234-right";

/// Where distributions put the library.
pub fn module() -> PathBuf {
    const PLACES: [&str; 4] = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib64/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    ];
    let found = PLACES.iter().map(Path::new).find(|path| path.exists());
    found
        .expect("SoftHSM is missing; run hack/setup.sh test, or install the Debian package softhsm2")
        .to_owned()
}

pub fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A folder with tokens, which SoftHSM of this process uses.
pub struct SoftHsm {
    pub dir: PathBuf,
}

/// Runs a test in a process of its own, in whose environment SOFTHSM2_CONF names a folder of the test's own: the
/// library reads the variable, and a variable is set safely only for a process that does not run yet.
pub fn with_soft_hsm(test: &str, body: impl FnOnce(SoftHsm)) {
    if let Some(conf) = std::env::var_os("KEYWRIGHT_TEST_SOFTHSM_CONF") {
        let dir = Path::new(&conf).parent().unwrap().to_owned();
        return body(SoftHsm { dir });
    }
    let dir = tempfile::tempdir().unwrap();
    let conf = SoftHsm::prepare(dir.path());
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("SOFTHSM2_CONF", &conf)
        .env("KEYWRIGHT_TEST_SOFTHSM_CONF", &conf)
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in its own process");
}

impl SoftHsm {
    /// Lays out a folder without tokens and gives the file to name in SOFTHSM2_CONF.
    pub fn prepare(dir: &Path) -> PathBuf {
        fs::create_dir(dir.join("tokens")).unwrap();
        let conf = dir.join("softhsm2.conf");
        let tokens = dir.join("tokens").display().to_string();
        let text =
            format!("directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n");
        fs::write(&conf, text).unwrap();
        private(&dir.join("pin"), PIN);
        private(&dir.join("wrong-pin"), "0000-wrong");
        conf
    }

    pub fn token(&self, label: &str) {
        let made = Command::new("softhsm2-util")
            .env("SOFTHSM2_CONF", self.dir.join("softhsm2.conf"))
            .args(["--init-token", "--free", "--label", label, "--so-pin", "so-pin-x", "--pin", PIN])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    pub fn spec(&self, label: &str) -> TokenSpec {
        TokenSpec {
            module: module(),
            token: label.into(),
            pin: SecretSource::File(self.dir.join("pin")),
            sessions: 4,
            paths: Vec::new(),
            ports: Vec::new(),
        }
    }

    /// Takes all tokens out of the machine, or puts them back.
    pub fn unplug(&self) {
        fs::rename(self.dir.join("tokens"), self.dir.join("away")).unwrap();
        fs::create_dir(self.dir.join("tokens")).unwrap();
    }

    pub fn plug(&self) {
        fs::remove_dir_all(self.dir.join("tokens")).unwrap();
        fs::rename(self.dir.join("away"), self.dir.join("tokens")).unwrap();
    }
}
