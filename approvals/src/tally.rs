//! All votes for one request under one class.

use crate::class::Class;
use crate::identity::{Identity, Principal};
use crate::seats::empty_seats;
use crate::vote::{Ignored, Request, Verdict, Vote, ignored};
use jiff::Timestamp;

/// What the votes come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Name of the first valid denial, if there is one.
    pub denied_by: Option<String>,
    /// When the last seat was filled: the creation of the vote that filled it.
    pub met_at: Option<Timestamp>,
    /// How many of each group must still agree, in the order of the class; groups with enough are left out.
    pub missing: Vec<Missing>,
    /// The approvals that count, oldest first.
    pub counted: Vec<Counted>,
    /// The votes that do not, and why.
    pub ignored: Vec<(String, Ignored)>,
    /// When the request expires without a quorum.
    pub expires_at: Timestamp,
}

/// A group that lacks people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The group's name.
    pub group: String,
    /// How many more must agree; at least 1.
    pub count: u32,
}

/// A vote that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Name of the decision.
    pub vote: String,
    /// The person.
    pub principal: Principal,
    /// When.
    pub created: Timestamp,
}

/// One person who agreed, and all their accounts that did.
struct Person<'a> {
    accounts: Vec<&'a Identity>,
    groups: Vec<usize>,
}

/// Counts the votes. Their order does not matter; a vote that is given twice counts once.
pub fn tally(class: &Class, request: &Request, votes: &[Vote]) -> Tally {
    let expires_at = later(request.created, class.request_ttl);
    let mut valid: Vec<&Vote> = Vec::new();
    let mut refused = Vec::new();
    for vote in votes {
        match ignored(class, request, vote).or_else(|| too_late(vote, expires_at)) {
            None => valid.push(vote),
            Some(why) => refused.push((vote.name.clone(), why)),
        }
    }
    valid.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    let denied_by = valid.iter().find(|vote| vote.verdict == Verdict::Deny).map(|vote| vote.name.clone());
    let approvals: Vec<&Vote> = valid.into_iter().filter(|vote| vote.verdict == Verdict::Approve).collect();

    let counts: Vec<u32> = class.groups.iter().map(|group| group.count).collect();
    let mut people: Vec<Person<'_>> = Vec::new();
    let mut counted = Vec::new();
    let mut met_at = None;
    let mut empty = counts.clone();
    for vote in approvals {
        if join(class, &mut people, &vote.approver) {
            counted.push(Counted {
                vote: vote.name.clone(),
                principal: class.principal(&vote.approver),
                created: vote.created,
            });
        }
        if met_at.is_none() {
            let memberships: Vec<Vec<usize>> = people.iter().map(|person| person.groups.clone()).collect();
            empty = empty_seats(&counts, &memberships);
            // A class without seats is met by nobody: who demands nothing has forgotten something.
            if class.seats() > 0 && empty.iter().all(|seats| *seats == 0) {
                met_at = Some(vote.created);
            }
        }
    }
    let missing = class
        .groups
        .iter()
        .zip(&empty)
        .filter(|(_, count)| **count > 0)
        .map(|(group, count)| Missing { group: group.name.clone(), count: *count })
        .collect();
    Tally { denied_by, met_at, missing, counted, ignored: refused, expires_at }
}

fn too_late(vote: &Vote, expires_at: Timestamp) -> Option<Ignored> {
    match vote.verdict {
        Verdict::Approve => (vote.created > expires_at).then_some(Ignored::TooLate),
        Verdict::Deny => None,
    }
}

/// Adds an account to the person it belongs to; true when the person is new. A second account brings its groups along.
fn join<'a>(class: &Class, people: &mut Vec<Person<'a>>, who: &'a Identity) -> bool {
    let known = people
        .iter_mut()
        .find(|person| person.accounts.iter().any(|account| class.same_person(account, who)));
    if let Some(person) = known {
        person.accounts.push(who);
        person.groups.extend(class.groups_of(who));
        person.groups.sort_unstable();
        person.groups.dedup();
        return false;
    }
    people.push(Person { accounts: vec![who], groups: class.groups_of(who).collect() });
    true
}

/// `at` plus a length of time, at most the end of time.
pub(crate) fn later(at: Timestamp, by: jiff::SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
