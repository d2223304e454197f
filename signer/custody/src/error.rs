//! What can go wrong with a custodian, and whether trying again can help.

use std::fmt;

/// What a caller may do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same again fails again: something has to be changed first.
    OnChange,
    /// It may work later, with nothing changed here.
    Backoff,
}

/// One kind per different reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An argument does not parse.
    Argument,
    /// A PIN, token or passphrase cannot be read, or others may read it.
    Secret,
    /// A PIN, token or passphrase was refused. A refused PIN is never tried twice.
    Refused,
    /// The key, the token or the mount does not exist.
    NotFound,
    /// There is such a key already, or several.
    Ambiguous,
    /// What is here was wrapped under another key, or damaged.
    WrongKey,
    /// The token or server cannot do it, or the key is not of the required kind.
    Unsupported,
    /// The token was removed, the server does not answer or is sealed.
    Unreachable,
    /// The server's certificate is not from an authority that is trusted, not for this address, or not valid now.
    Untrusted,
    /// All sessions of the token are taken.
    Busy,
    /// The disk, or a library.
    System,
}

/// Why a custodian did not do what it was asked. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodyError {
    /// What sort of failure.
    pub kind: Kind,
    /// What it is about: an argument, a file, a token, an address.
    pub what: String,
    /// What must hold, and what was found.
    pub rule: String,
    /// What to do.
    pub fix: String,
}

impl CustodyError {
    /// An error of this kind about `what`.
    pub fn new(kind: Kind, what: impl Into<String>, rule: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { kind, what: what.into(), rule: rule.into(), fix: fix.into() }
    }

    /// Whether trying again, with nothing changed, can help.
    pub fn retry(&self) -> Retry {
        match self.kind {
            Kind::Unreachable | Kind::Busy => Retry::Backoff,
            Kind::Argument
            | Kind::Secret
            | Kind::Refused
            | Kind::NotFound
            | Kind::Ambiguous
            | Kind::WrongKey
            | Kind::Unsupported
            | Kind::Untrusted
            | Kind::System => Retry::OnChange,
        }
    }
}

impl fmt::Display for CustodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = match self.retry() {
            Retry::OnChange => "trying again without a change will not help",
            Retry::Backoff => "trying again can help",
        };
        write!(f, "{}: {}; {} ({again})", self.what, self.rule, self.fix)
    }
}

impl std::error::Error for CustodyError {}
