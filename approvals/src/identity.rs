//! Who somebody is to the API server, and which person that is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Somebody as the API server knows them: `userInfo`, as it was stamped at admission. Never what an author wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// `userInfo.username`.
    pub username: String,
    /// `userInfo.uid`; empty when the authenticator gives none.
    pub uid: String,
    /// `userInfo.groups`.
    pub groups: BTreeSet<String>,
    /// `userInfo.extra`.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Who had a hand in an object, as admission stamped it there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authors {
    /// Who made it; none: nobody is known.
    pub creator: Option<Identity>,
    /// Who changed its spec since something last came of it: username and UID of each, the latest last.
    pub editors: Vec<Identity>,
}

/// One person, however many accounts they have: a name from the class's list of principals, else the username.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// Listed in the class.
    Named(String),
    /// Not listed: the account is the person.
    Account(String),
}

impl Identity {
    /// True for accounts that no person signs in with: service accounts, nodes and all else that Kubernetes itself
    /// names (`system:`). They vote only where a class names them.
    pub fn is_machine(&self) -> bool {
        self.username.is_empty() || self.username.starts_with("system:")
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) | Self::Account(name) => f.write_str(name),
        }
    }
}
