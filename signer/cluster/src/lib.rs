//! What the signer reads from the API server itself, with credentials that can change nothing.
//!
//! Owns the reading of requests for approval, votes and classes, of policies and their bundles, and the question whether
//! each approver still may approve.
//! Decides nothing: it hands over what is recorded, and when it was read. Never lists Secrets, never writes.

mod policies;
mod reader;

pub use policies::{ObjectFacts, ObjectName, PolicySource, StoredPolicy};
pub use reader::{Access, Reader};

use futures::future::BoxFuture;
use jiff::Timestamp;
use keywright_approvals::{Class, Recorded, Request, Vote, records};
use std::collections::BTreeMap;

/// Which request for approval is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Namespace of the ApprovalRequest.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: another object of the same name is another request.
    pub uid: String,
}

/// A request for approval as it stands in the API server, and all that decides about it.
#[derive(Debug, Clone)]
pub struct Found {
    /// The request.
    pub request: Request,
    /// Name of the class that it names.
    pub class_name: String,
    /// The class as it is now; none: there is no such class.
    pub class: Option<Class>,
    /// The class as it was when the request was first seen, where that is recorded.
    pub filed_under: Option<Class>,
    /// All votes in its namespace that name it.
    pub votes: Vec<Vote>,
    /// The phase in its status.
    pub recorded: Option<Recorded>,
    /// What it is about, as it says itself.
    pub target: Target,
    /// There is no such object any more, or another one under its name.
    pub target_is_gone: bool,
    /// Since when it is being deleted.
    pub deleted: Option<Timestamp>,
    /// The votes' signatures, armoured, by the name of the vote.
    pub signatures: BTreeMap<String, String>,
    /// The API server's clock when it answered, to the second.
    pub server_time: Timestamp,
}

/// The object that a request is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// Kind, with the group after a dot where it is not ours.
    pub kind: String,
    /// Namespace; empty for what is in none.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
}

impl Found {
    /// Whether it can no longer be used, whatever people say: it is being deleted, or its target is gone.
    pub fn is_withdrawn(&self) -> bool {
        self.deleted.is_some() || self.target_is_gone
    }
}

/// Why nothing was found out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such request, or another one under its name.
    #[error("ApprovalRequest {namespace}/{name} with UID {uid} does not exist")]
    Missing {
        /// Where.
        namespace: String,
        /// Which.
        name: String,
        /// Which exactly.
        uid: String,
    },
    /// What is recorded does not parse.
    #[error(transparent)]
    Malformed(#[from] records::Malformed),
    /// The API server does not answer, or not to this signer.
    #[error("the API server cannot be asked: {0}")]
    Unavailable(String),
}

/// A place to read requests for approval from, always as they are now.
pub trait Records: Send + Sync {
    /// Reads one. Errors: [`ReadError`].
    fn read<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Found, ReadError>>;
}
