//! What a request for approval came to of which nothing more comes, for the log: its votes stand there before the operator
//! lets go of the objects.
//!
//! The signer finds out by itself: from the votes, the classes, the instants and its own ledger. Only that another effect is
//! wanted it cannot know; there the entry has the operator's word, and every entry has that word beside what was found.
//!
//! ```text
//! reported --> read --> logged before: the same index again
//!                  \--> judged: an Outcome --> entry, plain fields and mark, in one commit
//!                          \-> may still be granted or used: refused
//! ```

use super::demand::{is_class_name, mark};
use super::evidence::{same_time, unread};
use super::grant::{hashes, request_mark};
use crate::ids::Uid;
use crate::ledger::MarkRow;
use crate::log::entry::{Entry, Kind, commit};
use crate::refusal::{Reason, Refusal};
use jiff::Timestamp;
use keywright_approvals::phase::Wanted as Want;
use keywright_approvals::{Observed, Phase, Standing, Verdict, phase};
use keywright_signer_cluster::{Found, ReadError, Records, Wanted};
use keywright_signer_protocol::v1alpha1 as wire;

/// Most signatures whose hashes an entry lists: it has to fit into the log.
const MOST_HASHES: usize = 512;

/// The request for approval that is reported: it parses, and nothing else is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: Uid,
}

/// What a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What it allowed happened.
    Used,
    /// That happened, and somebody denied it afterwards.
    Revoked,
    /// Somebody denied it.
    Denied,
    /// Its requester took it back, or it was deleted while it waited.
    Withdrawn,
    /// Another effect is wanted, or none.
    Superseded,
    /// Its time was over.
    Expired,
}

/// A request that ended, and all that its entry tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What it came to.
    pub outcome: Outcome,
    entry: Entry,
    plain: Vec<String>,
    effect: Vec<u8>,
}

fn refused(reason: Reason, rule: impl Into<String>, fix: &str) -> Refusal {
    Refusal::new(reason, "request", rule, fix)
}

impl Outcome {
    /// As in the entry.
    pub fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Revoked => "revoked",
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
        }
    }

    /// What a request came to at `now`. `is_used`: the ledger has its use. None: it may still be granted, used or revoked.
    pub fn of(found: &Found, is_used: bool, now: Timestamp) -> Option<Self> {
        let phase = standing(found, now).phase;
        if is_used {
            // Until when it can be revoked the ledger does not say; nobody votes on what is deleted.
            return if phase == Phase::Denied {
                Some(Self::Revoked)
            } else {
                found.deleted.map(|_| Self::Used)
            };
        }
        let told = found.recorded.map(|recorded| recorded.phase);
        match phase {
            Phase::Denied | Phase::Revoked => Some(Self::Denied),
            Phase::Withdrawn => Some(Self::Withdrawn),
            Phase::Pending
            | Phase::Approved
            | Phase::Expired
            | Phase::Superseded
            | Phase::Consumed
            | Phase::Ended => {
                if told == Some(Phase::Superseded) || found.target_is_gone {
                    Some(Self::Superseded)
                } else if phase == Phase::Expired {
                    Some(Self::Expired)
                } else {
                    found.deleted.map(|_| Self::Withdrawn)
                }
            }
        }
    }
}

/// Where it stands by its votes and the clock alone; once it is deleted the clock stands still.
fn standing(found: &Found, now: Timestamp) -> Standing {
    phase(&Observed {
        now: found.deleted.map_or(now, |at| at.min(now)),
        request: &found.request,
        class: found.class.as_ref(),
        filed_under: found.filed_under.as_ref(),
        votes: &found.votes,
        recorded: None,
        used: None,
        withdrawn: false,
        wanted: Want::Unknown,
    })
}

impl Reported {
    /// Reads a report. Errors: `Malformed` naming the field.
    pub fn parse(message: &wire::LogEndedApprovalRequest) -> Result<Self, Refusal> {
        let fix = "name the ApprovalRequest as it stands";
        for (field, text) in [("namespace", &message.namespace), ("name", &message.name)] {
            if !is_class_name(text) {
                return Err(Refusal::new(Reason::Malformed, field, "must be the name of an object", fix));
            }
        }
        let uid =
            message.uid.parse().map_err(|_| Refusal::new(Reason::Malformed, "uid", "must be a UUID", fix))?;
        Ok(Self { namespace: message.namespace.clone(), name: message.name.clone(), uid })
    }

    /// Reads the request and its votes. Errors: `NoRecords`, `UnknownRequest`, `ApprovalInvalid` where it does not parse,
    /// `Unavailable`.
    pub async fn read(&self, records: Option<&dyn Records>, now: Timestamp) -> Result<Found, Refusal> {
        let Some(records) = records else {
            let rule = "this signer has no access to the API server, so it reads no requests for approval";
            let fix = "give the signer --kubeconfig or --in-cluster where their votes are to be in its log";
            return Err(refused(Reason::NoRecords, rule, fix));
        };
        let wanted =
            Wanted { namespace: self.namespace.clone(), name: self.name.clone(), uid: self.uid.to_string() };
        let found = records.read(&wanted).await.map_err(|error| match error {
            ReadError::Unavailable(_) => unread(&error),
            ReadError::Missing { .. } => refused(
                Reason::UnknownRequest,
                error.to_string(),
                "report it by its namespace, name and UID while it is there",
            ),
            ReadError::Malformed(_) => refused(
                Reason::ApprovalInvalid,
                error.to_string(),
                "see that its class reads; a record that admission never saw cannot be told in the log",
            ),
        })?;
        same_time(&found, now)?;
        Ok(found)
    }

    /// What its entry leaves in the ledger.
    pub fn mark(&self) -> [u8; 32] {
        mark(&[b"ended approval request", &self.uid.0])
    }

    /// What its use would have left there.
    pub fn mark_of_use(&self) -> [u8; 32] {
        request_mark(&self.uid)
    }

    /// What it came to, and what its entry tells. Errors: `NotEnded`.
    pub fn judge(
        &self,
        found: &Found,
        is_used: bool,
        caller: &str,
        now: Timestamp,
    ) -> Result<Ended, Refusal> {
        let Some(outcome) = Outcome::of(found, is_used, now) else {
            let rule = "it may still be granted, used or revoked";
            return Err(refused(Reason::NotEnded, rule, "report it when nothing more can come of it"));
        };
        let count = |verdict| found.votes.iter().filter(|vote| vote.verdict == verdict).count() as u64;
        let told = found.recorded.map_or("", |recorded| recorded.phase.name());
        let at = u64::try_from(now.as_second()).unwrap_or(0);
        let entry = Entry::new(Kind::ApprovalEnded, at)
            .with("request", self.uid.to_string())
            .with("target", found.target.kind.as_str())
            .with("uid", found.target.uid.as_str())
            .with("class", found.class_name.as_str())
            .with("effect", found.request.digest.to_string())
            .with("outcome", outcome.name())
            .with("told", told)
            .with("approvals", count(Verdict::Approve))
            .with("denials", count(Verdict::Deny))
            .with("signatures", hashes(found.signatures.values().take(MOST_HASHES)))
            .with("caller", caller);
        Ok(Ended {
            outcome,
            entry,
            plain: self.plain(found, now),
            effect: found.request.digest.octets().to_vec(),
        })
    }

    /// All that is personal, and the signatures.
    fn plain(&self, found: &Found, now: Timestamp) -> Vec<String> {
        let (request, target) = (&found.request, &found.target);
        let mut plain = vec![
            format!("request={}/{}", self.namespace, self.name),
            format!("target={}/{}", target.namespace, target.name),
            format!("requester={}", request.requester.username),
        ];
        plain.extend(request.requested_for.iter().map(|who| format!("for={who}")));
        plain.extend(request.authors.creator.iter().map(|who| format!("creator={}", who.username)));
        plain.extend(request.authors.editors.iter().map(|who| format!("editor={}", who.username)));
        let ignored = standing(found, now).ignored;
        plain.extend(found.votes.iter().map(|vote| {
            let verdict = match vote.verdict {
                Verdict::Approve => "approve",
                Verdict::Deny => "deny",
            };
            let why = ignored.iter().find(|(name, _)| *name == vote.name);
            let why = why.map_or_else(String::new, |(_, why)| format!(" ignored: {why}"));
            let (name, who, at) = (&vote.name, &vote.approver.username, vote.created.as_second());
            format!("vote={name} verdict={verdict} approver={who} at={at}{why}")
        }));
        plain.extend(found.signatures.values().cloned());
        plain
    }
}

impl Ended {
    /// The entry, and the fields behind it.
    pub fn entry(&self, salt: &[u8; 16]) -> (Entry, Vec<String>) {
        (self.entry.clone().with("votes", commit(salt, &self.plain)), self.plain.clone())
    }

    /// The row that keeps it from being told twice. `index`: of the entry.
    pub fn row(&self, index: u64) -> MarkRow {
        MarkRow { effect: self.effect.clone(), index, ..MarkRow::default() }
    }
}
