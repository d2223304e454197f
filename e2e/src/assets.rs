//! Where the binaries are: the control plane's, which `e2e/controlplane/build.sh` builds, and the product's own.

use crate::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders with what the processes are made from.
#[derive(Debug, Clone)]
pub struct Assets {
    /// The checkout: chart files and examples are taken from here.
    pub checkout: PathBuf,
    /// etcd, kube-apiserver, kube-controller-manager, kubectl.
    pub kubernetes: PathBuf,
    /// keywright-operator, keywright-signer, keywright-webhook, kubectl-keywright.
    pub product: PathBuf,
}

impl Assets {
    /// Asks `build.sh` for the control plane's folder; builds nothing. `KEYWRIGHT_KUBE_ASSETS` names another one.
    ///
    /// The product is taken from `$KEYWRIGHT_BIN`, or `release` in the target folder of the checkout; whether its
    /// binaries are there is asked when they are started. Errors: `Command` when nothing has been built.
    pub fn find(checkout: &Path) -> Result<Self, Error> {
        let checkout = checkout.canonicalize().map_err(Error::file("find", checkout))?;
        let script = checkout.join("e2e/controlplane/build.sh");
        let output = run(Command::new(&script).arg("--where"))?;
        let product = std::env::var_os("KEYWRIGHT_BIN").map_or_else(
            || {
                let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
                checkout.join(target).join("release")
            },
            |folder| checkout.join(folder),
        );
        Ok(Self { kubernetes: PathBuf::from(output.trim_end()), product, checkout })
    }

    /// The assets of the checkout that this crate was compiled in: what tests want.
    pub fn of_this_checkout() -> Result<Self, Error> {
        Self::find(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")))
    }

    /// The path of one product binary. Errors: `NoBinary` with the command that builds it.
    pub fn product_binary(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.product.join(name);
        if path.is_file() {
            return Ok(path);
        }
        let fix = format!("cargo build --release --locked --bin {name}, or name its folder in KEYWRIGHT_BIN");
        Err(Error::NoBinary { path, fix })
    }
}

/// Runs a command to its end and returns its standard output. Errors: `Command` with both outputs when it fails.
pub(crate) fn run(command: &mut Command) -> Result<String, Error> {
    let line = format!("{command:?}");
    let output = command.output().map_err(|source| Error::Spawn { name: line.clone(), source })?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(out);
    }
    let err = String::from_utf8_lossy(&output.stderr);
    Err(Error::Command { command: line, status: output.status, output: format!("{out}{err}") })
}
