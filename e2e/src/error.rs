//! What can go wrong around the processes, each with what to do about it.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// An error of the harness. Its message is for the person at the terminal and names the next step.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read, written or made.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was tried: "read", "write", "make".
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A binary is not where it should be.
    #[error("{} is missing: {fix}", path.display())]
    NoBinary {
        /// Where it was looked for.
        path: PathBuf,
        /// How to get it.
        fix: String,
    },
    /// A process could not be started.
    #[error("cannot start {name}: {source}")]
    Spawn {
        /// The process.
        name: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A process ended although it should run on.
    #[error("{name} ended right after its start; the end of {}:\n{tail}", log.display())]
    Ended {
        /// The process.
        name: &'static str,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A command did not succeed.
    #[error("{command} failed ({status}):\n{output}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// Its standard output and error.
        output: String,
    },
    /// Something awaited did not come.
    #[error("waited {seconds} s in vain until {what}")]
    TooLate {
        /// What was awaited, as "X is ready".
        what: String,
        /// How long.
        seconds: u64,
    },
    /// No free port was found.
    #[error("no free port between {first} and {last} on 127.0.0.1: stop what listens there")]
    NoPort {
        /// First port tried.
        first: u16,
        /// Last port tried.
        last: u16,
    },
    /// A file that the harness wrote earlier no longer reads as what it wrote.
    #[error("{} is not what keywright-dev wrote there ({problem}): run make clean-demo, then try again", path.display())]
    Garbled {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The API server refused or could not be reached.
    #[error("kube-apiserver: {0}")]
    Api(#[from] Box<kube::Error>),
    /// A kubeconfig could not be used.
    #[error("kubeconfig: {0}")]
    Kubeconfig(#[from] Box<kube::config::KubeconfigError>),
    /// A key or a certificate for the control plane could not be made.
    #[error("cannot make the control plane's keys: {0}")]
    Keys(#[from] rcgen::Error),
    /// The machine gave no random bytes.
    #[error(transparent)]
    NoEntropy(#[from] keywright_ambient::NoEntropy),
}

impl Error {
    /// For `map_err` on a file operation.
    pub fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { doing, path, source }
    }
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

impl From<kube::config::KubeconfigError> for Error {
    fn from(error: kube::config::KubeconfigError) -> Self {
        Self::Kubeconfig(Box::new(error))
    }
}
