//! A class of approvals: which groups must agree, who is one person, and the limits of a grant.

use crate::identity::{Identity, Principal};
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};

/// How many of a group must agree when a class does not say.
pub const DEFAULT_COUNT: u32 = 2;

/// What an `ApprovalClass` says, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// `metadata.name`.
    pub name: String,
    /// All of these must agree, each with people of its own: one person fills one seat.
    pub groups: Vec<Group>,
    /// How long a request waits for its quorum, from its creation.
    pub request_ttl: SignedDuration,
    /// How long a grant may be used, from the moment at which the quorum was complete.
    pub grant_ttl: SignedDuration,
    /// Whether approvers must sign with their own key.
    pub proof: Proof,
    /// Usernames of service accounts (and other machine accounts) that may vote.
    pub service_accounts: BTreeSet<String>,
    /// Username to person. A person with several accounts has several entries.
    pub principals: BTreeMap<String, String>,
}

/// A group of approvers and how many of them must agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name, for people.
    pub name: String,
    /// Kubernetes groups (`userInfo.groups`) whose members belong to it.
    pub members: BTreeSet<String>,
    /// Usernames that belong to it.
    pub users: BTreeSet<String>,
    /// How many must agree; at least 1.
    pub count: u32,
}

/// What a vote must carry to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proof {
    /// The API server's word about who voted.
    #[default]
    None,
    /// A detached signature by a key that the verifier has pinned for the approver.
    Signature,
}

impl Class {
    /// The person behind an account.
    pub fn principal(&self, who: &Identity) -> Principal {
        match self.principals.get(&who.username) {
            Some(name) => Principal::Named(name.clone()),
            None => Principal::Account(who.username.clone()),
        }
    }

    /// True when two accounts belong to one person: by the class's list, by username, or by the authenticator's UID.
    pub fn same_person(&self, one: &Identity, other: &Identity) -> bool {
        self.principal(one) == self.principal(other) || (!one.uid.is_empty() && one.uid == other.uid)
    }

    /// Whether an account may vote at all: people may, machines only if named.
    pub fn admits(&self, who: &Identity) -> bool {
        !who.is_machine() || self.service_accounts.contains(&who.username)
    }

    /// The groups, by index, that an account belongs to.
    pub fn groups_of(&self, who: &Identity) -> impl Iterator<Item = usize> {
        self.groups.iter().enumerate().filter(|(_, group)| group.holds(who)).map(|(index, _)| index)
    }

    /// How many people must agree in all.
    pub fn seats(&self) -> u32 {
        self.groups.iter().map(|group| group.count).fold(0, u32::saturating_add)
    }
}

impl Group {
    /// Whether an account belongs to it.
    pub fn holds(&self, who: &Identity) -> bool {
        self.users.contains(&who.username) || !self.members.is_disjoint(&who.groups)
    }
}
