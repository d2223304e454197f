//! What can go wrong in a look, by what helps.

use std::time::Duration;

/// A look that could not be finished; the object says nothing new.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not answer, or not with what was asked for.
    #[error("API server: {0}")]
    Api(#[source] Box<kube::Error>),
    /// The random source or the key generator failed.
    #[error("no key could be made: {0}")]
    Key(#[from] keywright_pki::key::KeyError),
    /// A request for the signer could not be formed.
    #[error("no request could be formed: {0}")]
    Request(#[from] keywright_pki::csr::CsrError),
    /// The signer remembers more of this object than the cluster does, as after the cluster's store was set back. What it
    /// remembers is known now.
    #[error("the cluster is behind the signer: {0}")]
    Behind(String),
    /// What a request for approval came to is not in the signer's log yet, so it is kept.
    #[error("a request for approval is kept until it is in the signer's log: {0}")]
    NotLogged(String),
    /// Policies changed a moment ago, and signer and operator have not read the same yet.
    #[error("policies are read again: {0}")]
    PoliciesChange(String),
    /// The work was told to its owner, and is tried again.
    #[error("{0}")]
    Told(String),
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Soon, and later each time.
    Backoff,
    /// The same, but never later than this.
    Within(Duration),
    /// As soon as the cache has caught up.
    Soon(Duration),
}

impl Error {
    /// Its name, for traces: of a closed list, whatever the words are.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Api(_) => "ApiServer",
            Self::Key(_) => "NoKey",
            Self::Request(_) => "NoRequest",
            Self::Behind(_) => "Behind",
            Self::Told(_) => "TriedAgain",
            Self::NotLogged(_) => "NotLogged",
            Self::PoliciesChange(_) => "PoliciesChange",
        }
    }

    /// What to do about it.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Api(error) => match error.as_ref() {
                kube::Error::Api(status) if status.is_conflict() => Retry::Soon(Duration::from_millis(500)),
                // A missing permission too: nothing in this process will tell when it is granted.
                _ => Retry::Backoff,
            },
            Self::Behind(_) => Retry::Soon(Duration::from_millis(100)),
            // Who edits policies all the time must not hold up issuing longer than that.
            Self::PoliciesChange(_) => Retry::Within(Duration::from_secs(4)),
            Self::Key(_) | Self::Request(_) | Self::NotLogged(_) | Self::Told(_) => Retry::Backoff,
        }
    }
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}
