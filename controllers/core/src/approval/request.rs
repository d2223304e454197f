//! One `ApprovalRequest`: from its votes, its class and its target to the status that shows its phase.

use super::ready::facts;
use crate::conditions::{settle, whole_seconds};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use keywright_approvals::phase::Wanted;
use keywright_approvals::{Authors, Observed, Phase, Standing, Use, Verdict, Vote, phase, records};
use keywright_crds::{
    ApprovalClassSpec, ApprovalPhase, ApprovalRequest, ApprovalRequestStatus, ApprovalVerdict,
    MissingApproval, ObjectApproval, VoteSummary,
};

/// How many votes a status shows.
const SHOWN: usize = 64;

/// All that a look at a request may see.
pub struct World {
    /// Now, by the operator's clock.
    pub now: Timestamp,
    /// The class that the request names, if it exists.
    pub class: Option<ApprovalClassSpec>,
    /// All votes for it, each with the answer whether its voter still may vote.
    pub votes: Vec<Vote>,
    /// Who made and who changed the target, as stamped there.
    pub authors: Authors,
    /// What the target wants.
    pub target: Target,
}

/// What is known of the object that a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// It is of a kind whose effects only its asker knows.
    Foreign,
    /// There is none with this UID.
    Gone,
    /// It waits for this approval, or used it; none: it needs nothing.
    Wants(Option<ObjectApproval>),
}

/// What a look has come to.
#[derive(Debug, PartialEq)]
pub struct Looked {
    /// The status to publish.
    pub status: ApprovalRequestStatus,
    /// When the clock alone changes it.
    pub due: Option<Timestamp>,
}

/// Looks at a request whose phase is not final. Errors: why nothing can be decided on it, for people.
pub fn look(object: &ApprovalRequest, world: &World) -> Result<Looked, records::Malformed> {
    let old = object.status.clone().unwrap_or_default();
    let name = &object.spec.approval_class;
    let request = records::request(object, world.authors.clone())?;
    let class = world.class.as_ref().map(|spec| records::class(name, spec)).transpose()?;
    let filed = old.filed_under.clone().or_else(|| world.class.clone());
    let filed_under = filed.as_ref().map(|spec| records::class(name, spec)).transpose()?;
    let used = used(&world.target, &object.spec.effect_digest);
    let standing = phase(&Observed {
        now: world.now,
        request: &request,
        class: class.as_ref(),
        filed_under: filed_under.as_ref(),
        votes: &world.votes,
        recorded: records::recorded(object),
        used: used.map(|(at, _)| Use { at }),
        withdrawn: object.metadata.deletion_timestamp.is_some(),
        wanted: wanted(&world.target),
    });
    let generation = object.metadata.generation.unwrap_or_default();
    let said = facts(object, class.is_some(), &standing, &world.votes);
    let status = ApprovalRequestStatus {
        observed_generation: Some(generation),
        phase: Some(ApprovalPhase::from(standing.phase)),
        conditions: settle(&old.conditions, &said, generation, world.now),
        filed_under: filed,
        votes: summaries(&world.votes, &standing),
        missing: missing(&standing),
        expires_at: standing.expires_at.map(time),
        use_by: standing.use_by.map(time),
        used_at: used.map(|(at, _)| time(at)).or(old.used_at),
        log_index: used.and_then(|(_, index)| index).or(old.log_index),
        // Who sends notices owns that field, by a field manager of its own.
        notified: Vec::new(),
    };
    Ok(Looked { due: due(&standing), status })
}

fn time(at: Timestamp) -> Time {
    Time(whole_seconds(at))
}

fn wanted(target: &Target) -> Wanted {
    match target {
        Target::Foreign => Wanted::Unknown,
        Target::Gone | Target::Wants(None) => Wanted::Nothing,
        Target::Wants(Some(approval)) => {
            approval.effect_digest.parse().map_or(Wanted::Nothing, Wanted::Effect)
        }
    }
}

/// When the grant was used, and the index of what it allowed in the signer's log.
fn used(target: &Target, digest: &str) -> Option<(Timestamp, Option<i64>)> {
    match target {
        Target::Wants(Some(approval)) if approval.effect_digest == digest => {
            Some((approval.used_at.as_ref()?.0, approval.log_index))
        }
        Target::Wants(_) | Target::Foreign | Target::Gone => None,
    }
}

/// The first instant after which the clock alone makes it another phase.
fn due(standing: &Standing) -> Option<Timestamp> {
    let limit = match standing.phase {
        Phase::Pending => standing.expires_at,
        Phase::Approved | Phase::Consumed => standing.use_by,
        Phase::Ended
        | Phase::Denied
        | Phase::Revoked
        | Phase::Expired
        | Phase::Withdrawn
        | Phase::Superseded => None,
    };
    limit.and_then(|limit| limit.checked_add(SignedDuration::from_secs(1)).ok())
}

fn summaries(votes: &[Vote], standing: &Standing) -> Vec<VoteSummary> {
    let mut votes: Vec<&Vote> = votes.iter().collect();
    votes.sort_by(|a, b| (b.created, &b.name).cmp(&(a.created, &a.name)));
    votes.truncate(SHOWN);
    let why = |vote: &Vote| {
        let ignored = standing.ignored.iter().find(|(name, _)| *name == vote.name);
        ignored.map(|(_, why)| why.to_string())
    };
    let shown = |vote: &&Vote| VoteSummary {
        name: vote.name.clone(),
        approver: vote.approver.username.clone(),
        verdict: match vote.verdict {
            Verdict::Approve => ApprovalVerdict::Approve,
            Verdict::Deny => ApprovalVerdict::Deny,
        },
        ignored: why(vote),
    };
    votes.iter().map(shown).collect()
}

fn missing(standing: &Standing) -> Vec<MissingApproval> {
    match standing.phase {
        Phase::Pending => standing
            .missing
            .iter()
            .map(|one| MissingApproval {
                group: one.group.clone(),
                count: i32::try_from(one.count).unwrap_or(i32::MAX),
            })
            .collect(),
        Phase::Approved
        | Phase::Consumed
        | Phase::Ended
        | Phase::Denied
        | Phase::Revoked
        | Phase::Expired
        | Phase::Withdrawn
        | Phase::Superseded => Vec::new(),
    }
}
