//! What a request brings, and what it turns out to be worth.
//!
//! ```text
//! class pinned here      signatures over the statement of the brought facts, each by a pinned key; where the API server
//!                        can be read, it is asked as well whether somebody denied
//! class not pinned       the API server's own records, read now; refused where there is no access to it
//! ```

use super::demand::is_class_name;
use super::pinned::{Pinned, is_of_the_future};
use crate::ids::Uid;
use crate::refusal::{Reason, Refusal};
use jiff::Timestamp;
use keywright_approvals::phase::{Wanted as Want, proof};
use keywright_approvals::records::with_editors;
use keywright_approvals::statement::{Facts, Statement};
use keywright_approvals::{
    Authors, Class, EffectDigest, Identity, Observed, Phase, Proof, Recorded, Request, Standing, Vote, phase,
};
use keywright_policy::Approval;
use keywright_signer_cluster::{Found, ReadError, Records, Wanted};
use keywright_signer_protocol::v1alpha1 as wire;
use std::collections::BTreeSet;

/// Most approvals that one request brings.
const MOST: usize = 8;
/// Most signatures in one approval.
const MOST_SIGNATURES: usize = 64;
/// Most editors of its target: as many as an ApprovalRequest can name.
const MOST_EDITORS: usize = 64;

/// An approval as a request names it: it parses, and nothing else is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// Namespace of the ApprovalRequest.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: Uid,
    /// Its class.
    pub class: String,
    /// What the approvers are said to have signed.
    pub signed: Option<Statements>,
}

/// Facts that approvers are said to have signed, without the digest, which the signer knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statements {
    filed: Timestamp,
    requester: String,
    requested_for: Option<String>,
    target_creator: Option<String>,
    target_editors: Vec<String>,
    signatures: Vec<String>,
}

/// Reads the approvals of a request. Errors: `Malformed` naming the field.
pub fn parse(uses: &[wire::ApprovalUse]) -> Result<Vec<Brought>, Refusal> {
    let malformed = |field: &str, rule: String| {
        Refusal::new(
            Reason::Malformed,
            ["approvals", field].join(if field.is_empty() { "" } else { "." }),
            rule,
            "name the ApprovalRequest as it stands",
        )
    };
    if uses.len() > MOST {
        return Err(malformed("", format!("at most {MOST} approvals may be brought, not {}", uses.len())));
    }
    let one = |one: &wire::ApprovalUse| {
        let uid = one.uid.parse().map_err(|_| malformed("uid", "must be a UUID".into()))?;
        if !is_class_name(&one.approval_class) {
            return Err(malformed("approvalClass", "must be the name of an ApprovalClass".into()));
        }
        for (field, text) in [("namespace", &one.namespace), ("name", &one.name)] {
            if !text.is_empty() && !is_class_name(text) {
                return Err(malformed(field, "must be the name of an object".into()));
            }
        }
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let signed = match &one.signed {
            None => None,
            Some(signed) if signed.signatures.len() > MOST_SIGNATURES => {
                return Err(malformed("signed.signatures", format!("at most {MOST_SIGNATURES}")));
            }
            Some(signed) if signed.target_editors.len() > MOST_EDITORS => {
                return Err(malformed("signed.targetEditors", format!("at most {MOST_EDITORS}")));
            }
            Some(signed) => Some(Statements {
                filed: Timestamp::from_second(signed.filed)
                    .map_err(|_| malformed("signed.filed", "must be before the year 10000".into()))?,
                requester: signed.requester.clone(),
                requested_for: some(&signed.requested_for),
                target_creator: some(&signed.target_creator),
                target_editors: signed.target_editors.clone(),
                signatures: signed.signatures.clone(),
            }),
        };
        let (namespace, name) = (one.namespace.clone(), one.name.clone());
        Ok(Brought { namespace, name, uid, class: one.approval_class.clone(), signed })
    };
    uses.iter().map(one).collect()
}

/// What is known of one approval that was brought, before it is held against an effect.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// What was brought.
    pub brought: Brought,
    proof: Result<Known, Refusal>,
    /// When it was read, by the signer's clock.
    read: Timestamp,
}

#[derive(Debug, Clone)]
enum Known {
    /// By keys pinned here; the digest is filled in when it is judged.
    Pinned { class: Box<Class>, pinned: Pinned, also: Option<Box<Found>> },
    /// By the API server's records.
    Recorded(Box<Found>),
}

/// An approval that holds for one effect: a met quorum, not denied, not expired.
#[derive(Debug, Clone)]
pub struct Grant {
    /// UID of the ApprovalRequest.
    pub uid: Uid,
    /// Its class.
    pub class: String,
    /// Who agreed, and how they proved it; personal.
    pub votes: Vec<String>,
    /// The signatures, armoured.
    pub signatures: Vec<String>,
    /// Usernames of those whose votes count, sorted.
    pub approvers: Vec<String>,
}

fn invalid(brought: &Brought, rule: impl std::fmt::Display, fix: &str) -> Refusal {
    let which = format!("ApprovalRequest {}/{} of class {}", brought.namespace, brought.name, brought.class);
    Refusal::new(Reason::ApprovalInvalid, "approvals", format!("{which}: {rule}"), fix)
}

const ASK_AGAIN: &str = "file a new ApprovalRequest for this effect";

/// Finds out about one approval. `now`: the signer's clock.
pub async fn read(
    brought: Brought,
    pinned: &Pinned,
    records: Option<&dyn Records>,
    now: Timestamp,
) -> Evidence {
    let wanted = Wanted {
        namespace: brought.namespace.clone(),
        name: brought.name.clone(),
        uid: brought.uid.to_string(),
    };
    let found = match records {
        None => None,
        Some(records) => Some(records.read(&wanted).await),
    };
    let proof = known(&brought, pinned, found, now);
    Evidence { brought, proof, read: now }
}

fn known(
    brought: &Brought,
    pinned: &Pinned,
    found: Option<Result<Found, ReadError>>,
    now: Timestamp,
) -> Result<Known, Refusal> {
    let found = match found {
        // Signatures by pinned keys stand for themselves: whoever silences the API server does not stop them.
        Some(Err(ReadError::Unavailable(why))) if pinned.class(&brought.class).is_some() => {
            tracing::warn!(
                why,
                class = brought.class,
                "nobody could be asked for denials; the signatures decide"
            );
            None
        }
        found => found,
    };
    let found = found.transpose().map_err(|error| match error {
        ReadError::Unavailable(_) => unread(&error),
        ReadError::Missing { .. } | ReadError::Malformed(_) => invalid(brought, error, ASK_AGAIN),
    })?;
    if let Some(found) = &found {
        same_time(found, now)?;
        if found.request.uid != brought.uid.to_string() || found.class_name != brought.class {
            return Err(invalid(brought, "it is another request, or of another class", ASK_AGAIN));
        }
    }
    match (pinned.class(&brought.class), found) {
        (Some(class), also) => {
            let also = also.map(Box::new);
            Ok(Known::Pinned { class: Box::new(class.clone()), pinned: pinned.clone(), also })
        }
        (None, None) => Err(invalid(
            brought,
            "this signer has no access to the API server and serves only classes whose approvers sign, pinned by --approvers",
            "pin the class and its approvers' keys, or give the signer a kubeconfig",
        )),
        (None, Some(found)) => match proof(found.class.as_ref(), found.filed_under.as_ref()) {
            Proof::Signature => Err(invalid(
                brought,
                "its class asks for signatures, and this signer has no keys of its approvers",
                "pin the class and its approvers' keys in the file of --approvers",
            )),
            Proof::None => Ok(Known::Recorded(Box::new(found))),
        },
    }
}

/// The API server could not be asked.
pub(super) fn unread(error: &ReadError) -> Refusal {
    let fix = "try again; if it stays, look at the signer's kubeconfig and its rights";
    Refusal::new(Reason::Unavailable, "approvals", error.to_string(), fix)
}

/// Errors: expiry cannot be judged, as the signer and the API server do not agree what time it is.
pub(super) fn same_time(found: &Found, now: Timestamp) -> Result<(), Refusal> {
    let skew = found.server_time.duration_since(now).abs();
    if skew <= jiff::SignedDuration::from_secs(30) {
        return Ok(());
    }
    let rule = format!(
        "the signer's clock and the API server's differ by {} s; no expiry can be judged over 30 s",
        skew.as_secs()
    );
    Err(Refusal::new(Reason::Unavailable, "approvals", rule, "set the clocks right"))
}

impl Evidence {
    /// The approval as policies are shown it, if it is given for the effect that its own record names. Where there is no
    /// record (signatures alone) nobody knows that effect yet, and none is shown.
    pub fn given(&self, now: Timestamp) -> Option<Approval> {
        let found = match self.proof.as_ref().ok()? {
            Known::Recorded(found) => found,
            Known::Pinned { also, .. } => also.as_ref()?,
        };
        let grant = self.grant(found.request.digest, now).ok()?;
        Some(Approval { class: self.brought.class.clone(), approvers: grant.approvers })
    }

    /// Whether it holds for this effect at `now`. Errors: `ApprovalInvalid` with why; `Unavailable`.
    pub fn grant(&self, effect: EffectDigest, now: Timestamp) -> Result<Grant, Refusal> {
        const FRESH: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);
        if now.duration_since(self.read).abs() > FRESH {
            let rule = "the approvals were read too long ago; somebody may have denied since";
            return Err(Refusal::new(Reason::Unavailable, "approvals", rule, "try again"));
        }
        match self.proof.as_ref().map_err(Clone::clone)? {
            Known::Recorded(found) => {
                let standing = stand(found, effect, now);
                self.approved(&standing)?;
                Ok(self.granted(&found.votes, &standing, Vec::new()))
            }
            Known::Pinned { class, pinned, also } => {
                if let Some(found) = also {
                    self.not_stopped(&stand(found, effect, now))?;
                }
                let recorded = also.as_ref().map(|found| found.request.authors.editors.as_slice());
                self.signed((class, pinned), recorded.unwrap_or_default(), effect, now)
            }
        }
    }

    /// Of records beside signatures only a stop counts.
    fn not_stopped(&self, standing: &Standing) -> Result<(), Refusal> {
        match standing.phase {
            Phase::Pending | Phase::Approved => Ok(()),
            Phase::Consumed
            | Phase::Ended
            | Phase::Denied
            | Phase::Revoked
            | Phase::Expired
            | Phase::Withdrawn
            | Phase::Superseded => self.approved(standing),
        }
    }

    /// `recorded`: editors of the target as the API server has them, where it could be asked. They approve no more than
    /// those whom the statement names.
    fn signed(
        &self,
        (class, pinned): (&Class, &Pinned),
        recorded: &[Identity],
        effect: EffectDigest,
        now: Timestamp,
    ) -> Result<Grant, Refusal> {
        let Some(signed) = &self.brought.signed else {
            let fix = "bring the facts of the request and the approvers' signatures";
            return Err(invalid(&self.brought, "its class asks for signatures and none were brought", fix));
        };
        if is_of_the_future(signed.filed, now) {
            return Err(invalid(&self.brought, "it was filed in the future", "set the clocks right"));
        }
        let identity = |username: &String| Identity { username: username.clone(), ..Identity::default() };
        let request = Request {
            uid: self.brought.uid.to_string(),
            digest: effect,
            created: signed.filed,
            requester: identity(&signed.requester),
            requested_for: signed.requested_for.clone(),
            authors: with_editors(
                Authors {
                    creator: signed.target_creator.as_ref().map(identity),
                    editors: signed.target_editors.iter().map(identity).collect(),
                },
                recorded.iter().cloned(),
            ),
        };
        let statement = Statement::new(Facts {
            request_uid: request.uid.clone(),
            digest: effect,
            class: self.brought.class.clone(),
            filed: signed.filed,
            requester: signed.requester.clone(),
            requested_for: signed.requested_for.clone(),
            target_creator: signed.target_creator.clone(),
            target_editors: signed.target_editors.clone(),
        });
        let statement =
            statement.map_err(|bad| invalid(&self.brought, bad, "bring the facts as they stand"))?;
        let (votes, worthless) = pinned.votes(&statement, &request, &signed.signatures);
        let standing = phase(&Observed {
            now,
            request: &request,
            class: Some(class),
            filed_under: None,
            votes: &votes,
            recorded: None,
            used: None,
            withdrawn: false,
            wanted: Want::Effect(effect),
        });
        self.approved(&standing).map_err(|refusal| {
            if worthless == 0 {
                return refusal;
            }
            let rule = format!(
                "{}; {worthless} signatures are not over this effect, request, class and requester by a pinned key",
                refusal.rule
            );
            Refusal { rule, ..refusal }
        })?;
        Ok(self.granted(&votes, &standing, signed.signatures.clone()))
    }

    fn approved(&self, standing: &Standing) -> Result<(), Refusal> {
        let rule = match standing.phase {
            Phase::Approved => return Ok(()),
            Phase::Pending => {
                let missing: Vec<_> =
                    standing.missing.iter().map(|one| format!("{} of {}", one.count, one.group)).collect();
                let why: Vec<_> =
                    standing.ignored.iter().map(|(vote, why)| format!("{vote}: {why}")).take(4).collect();
                let missing = if missing.is_empty() { "its class".to_owned() } else { missing.join(" and ") };
                let why = if why.is_empty() {
                    String::new()
                } else {
                    format!(" (not counted: {})", why.join("; "))
                };
                format!("not enough people agree: still missing {missing}{why}")
            }
            Phase::Expired => "it has expired".to_owned(),
            Phase::Consumed | Phase::Ended => "it was used already".to_owned(),
            Phase::Denied | Phase::Revoked => "somebody denied it".to_owned(),
            Phase::Withdrawn => "its requester took it back".to_owned(),
            Phase::Superseded => "it is for another effect than the one asked for now".to_owned(),
        };
        Err(invalid(&self.brought, rule, ASK_AGAIN))
    }

    fn granted(&self, votes: &[Vote], standing: &Standing, signatures: Vec<String>) -> Grant {
        let counts = |vote: &&Vote| standing.counted.iter().any(|counted| counted.vote == vote.name);
        let told = votes.iter().filter(counts).map(|vote| {
            format!("vote={} approver={} at={}", vote.name, vote.approver.username, vote.created.as_second())
        });
        let approvers: BTreeSet<String> =
            votes.iter().filter(counts).map(|vote| vote.approver.username.clone()).collect();
        Grant {
            uid: self.brought.uid,
            class: self.brought.class.clone(),
            votes: told.collect(),
            signatures,
            approvers: approvers.into_iter().collect(),
        }
    }
}

fn stand(found: &Found, effect: EffectDigest, now: Timestamp) -> Standing {
    let recorded: Option<Recorded> = found.recorded;
    phase(&Observed {
        now,
        request: &found.request,
        class: found.class.as_ref(),
        filed_under: found.filed_under.as_ref(),
        votes: &found.votes,
        recorded,
        used: None,
        withdrawn: found.is_withdrawn(),
        wanted: Want::Effect(effect),
    })
}
