//! One installation on this machine: a folder, its ports and whether it must survive a power cut.

use crate::assets::Assets;
use crate::ports::Ports;
use std::path::{Path, PathBuf};

/// Where everything of one installation lives. The names below are relied on by others: see CONTRIBUTING.md.
#[derive(Debug, Clone)]
pub struct Site {
    /// The folder, absolute: `.keywright` of a checkout, or a temporary one.
    pub root: PathBuf,
    /// Which ports its processes use.
    pub ports: Ports,
    /// Where its binaries come from.
    pub assets: Assets,
    /// What etcd promises.
    pub durability: Durability,
}

/// Whether etcd waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It waits: what was acknowledged survives a crash of the machine.
    Synced,
    /// It does not, for tests, which throw the data away.
    Hasty,
}

impl Site {
    fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// The admin's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_of("admin")
    }
    /// The kubeconfig of a user or ServiceAccount.
    pub fn kubeconfig_of(&self, user: &str) -> PathBuf {
        self.join("kubeconfig").join(user)
    }
    /// What the API server was asked: one JSON object per line, level Metadata, never rotated away.
    pub fn audit_log(&self) -> PathBuf {
        self.join("audit.log")
    }
    /// The signer's volume: sealed keys, records, and its log in `log`.
    pub fn signer_state(&self) -> PathBuf {
        self.join("signer")
    }
    /// What a pod would see mounted under this name.
    pub fn mount(&self, name: &str) -> PathBuf {
        self.join("mounts").join(name)
    }
    /// The signer's key-encryption key.
    pub fn kek(&self) -> PathBuf {
        self.mount("signer-kek").join("kek")
    }
    /// Approvers whose keys the signer pins when it starts, where a test has written this file.
    pub fn approvers(&self) -> PathBuf {
        self.join("approvers.json")
    }
    /// The base URL of a collector of spans, where a test has written this file.
    pub fn collector(&self) -> PathBuf {
        self.join("collector")
    }
    /// Standard output and error of each process.
    pub fn logs(&self) -> PathBuf {
        self.join("logs")
    }
    /// Pid files.
    pub fn run(&self) -> PathBuf {
        self.join("run")
    }
    /// To be sourced by a shell: KUBECONFIG and PATH.
    pub fn env(&self) -> PathBuf {
        self.join("env")
    }
    pub(crate) fn keys(&self) -> PathBuf {
        self.join("keys")
    }
    pub(crate) fn etcd_data(&self) -> PathBuf {
        self.join("etcd")
    }
    pub(crate) fn audit_policy(&self) -> PathBuf {
        self.join("audit-policy.json")
    }
    /// The manifests as they were last applied.
    pub(crate) fn installed(&self) -> PathBuf {
        self.join("installed.yaml")
    }
}
