//! The leave to sign: made when everybody who has to agree did, used in the commit that records the intent.

use super::demand::{Needed, mark};
use super::evidence::{Evidence, Grant};
use crate::ids::{RequestId, Uid};
use crate::ledger::{LedgerError, MarkRow, RequestRow, RequestState};
use crate::log::entry::{Entry, Kind, Value, commit};
use crate::refusal::{About, Reason, Refusal};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use keywright_approvals::EffectDigest;

/// The leave to sign one effect once. [`Approved::judge`] alone makes it; it is moved into `Linted`.
#[derive(Debug)]
pub struct Approved {
    id: RequestId,
    /// None: nobody had to agree.
    effect: Option<EffectDigest>,
    grants: Vec<Grant>,
    names: Vec<[u8; 32]>,
}

/// What a judgement looks at besides the evidence.
pub struct Case<'a> {
    /// The request.
    pub id: RequestId,
    /// What is needed.
    pub needed: Needed,
    /// Forms the effect, which is work: where somebody has to have agreed to it.
    pub effect: &'a dyn Fn() -> Result<EffectDigest, Refusal>,
    /// Text form of the digest of the policies that apply.
    pub policies: &'a str,
    /// The newest attempt at the same request.
    pub attempt: Option<&'a RequestRow>,
    /// Now, seconds since the Unix epoch.
    pub now: i64,
}

/// What the use of a request leaves in the ledger.
pub(super) fn request_mark(uid: &Uid) -> [u8; 32] {
    mark(&[b"approval request", &uid.0])
}

fn effect_mark(effect: &EffectDigest) -> [u8; 32] {
    mark(&[b"approved effect", effect.octets()])
}

impl Approved {
    /// Whether all agreed who have to. `marked`: what the ledger (this turn included) says of an earlier use.
    ///
    /// Errors: `ApprovalRequired` naming the classes of which nothing was brought; `ApprovalInvalid`; `Unavailable`.
    pub fn judge(
        case: Case<'_>,
        evidence: &[Evidence],
        marked: impl Fn(&[u8; 32]) -> Result<Option<MarkRow>, LedgerError>,
    ) -> Result<Self, Refusal> {
        let Case { id, needed, effect, policies, attempt, now } = case;
        if needed.classes.is_empty() {
            return Ok(Self { id, effect: None, grants: Vec::new(), names: needed.names });
        }
        let effect = effect()?;
        let about = |classes: Vec<String>| About {
            classes,
            effect: effect.to_string(),
            policies: policies.to_owned(),
            ..About::default()
        };
        let brought = |class: &String| evidence.iter().any(|one| one.brought.class == *class);
        let absent: Vec<(&String, &&str)> =
            needed.classes.iter().filter(|(class, _)| !brought(class)).collect();
        if !absent.is_empty() {
            let told: Vec<_> = absent.iter().map(|(class, why)| format!("{class} ({why})")).collect();
            return Err(Refusal::new(
                Reason::ApprovalRequired,
                "approvals",
                format!("people have to agree to exactly this first: class {}", told.join(", ")),
                "file an ApprovalRequest of that class for the effect with this digest",
            )
            .about(about(absent.into_iter().map(|(class, _)| class.clone()).collect())));
        }
        let now = Timestamp::from_second(now).map_err(|_| Refusal::internal("the clock is out of range"))?;
        let mut grants = Vec::new();
        for class in needed.classes.keys() {
            let mut problem = None;
            let of_class = evidence.iter().filter(|one| one.brought.class == *class);
            // Several of one class: for this effect and, in the same request, for another.
            let granted =
                of_class.filter_map(|one| one.grant(effect, now).map_err(|e| problem = Some(e)).ok());
            if let Some(grant) = granted.collect::<Vec<_>>().into_iter().next() {
                grants.push(grant);
            } else {
                let none = || Refusal::internal("an approval was neither granted nor refused");
                return Err(problem.unwrap_or_else(none).about(about(vec![class.clone()])));
            }
        }
        let approved = Self { id, effect: Some(effect), grants, names: needed.names };
        for mark in approved.marks() {
            if let Some(used) = marked(&mark).map_err(|error| Refusal::unavailable(&error.to_string()))?
                && !is_again(&used, &id, &effect, attempt)
            {
                let rule =
                    format!("an approval is used once, and this one was: entry {} of the log", used.index);
                let fix = "file a new ApprovalRequest for what is wanted now";
                return Err(Refusal::new(Reason::ApprovalInvalid, "approvals", rule, fix)
                    .about(about(approved.grants.iter().map(|grant| grant.class.clone()).collect())));
            }
        }
        Ok(approved)
    }

    /// The marks that its use leaves in the ledger.
    fn marks(&self) -> Vec<[u8; 32]> {
        let effect = self.effect.iter().map(effect_mark);
        self.grants.iter().map(|grant| request_mark(&grant.uid)).chain(effect).collect()
    }

    /// How many grants it uses: each needs a salt.
    pub fn uses(&self) -> usize {
        self.grants.len()
    }

    /// Names to be marked as certified once the certificate exists.
    pub fn take_names(&mut self) -> Vec<[u8; 32]> {
        std::mem::take(&mut self.names)
    }

    /// The entries that its use makes, each with the personal fields behind it.
    pub fn entries(&self, at: u64, salts: &[[u8; 16]]) -> Vec<(Entry, Vec<String>)> {
        let one = |(grant, salt): (&Grant, &[u8; 16])| {
            let plain: Vec<String> = grant.votes.iter().chain(&grant.signatures).cloned().collect();
            let entry = Entry::new(Kind::ApprovalUsed, at)
                .with("uid", self.id.uid.to_string())
                .with("step", self.id.step)
                .with("request", grant.uid.to_string())
                .with("class", grant.class.as_str())
                .with("effect", self.effect.map(|effect| effect.to_string()).unwrap_or_default())
                .with("approvals", grant.votes.len() as u64)
                .with("signatures", hashes(&grant.signatures))
                .with("votes", commit(salt, &plain));
            (entry, plain)
        };
        self.grants.iter().zip(salts).map(one).collect()
    }

    /// The rows that its use makes. `index`: of the entry that tells it.
    pub fn rows(&self, index: u64) -> Vec<([u8; 32], MarkRow)> {
        let effect = self.effect.map(|effect| effect.octets().to_vec()).unwrap_or_default();
        let row = || MarkRow { request: self.id.key().to_vec(), effect: effect.clone(), index };
        self.marks().into_iter().map(|mark| (mark, row())).collect()
    }
}

/// SHA-256 of each signature.
pub(super) fn hashes<'a>(signatures: impl IntoIterator<Item = &'a String>) -> Value {
    let hash = |text: &String| hex::encode(digest(&SHA256, text.as_bytes()));
    Value::List(signatures.into_iter().map(hash).collect())
}

/// Whether an earlier use was by this very request for this very effect and came to nothing: its certificate never left,
/// so nobody has to agree again.
fn is_again(used: &MarkRow, id: &RequestId, effect: &EffectDigest, attempt: Option<&RequestRow>) -> bool {
    used.request == id.key()
        && used.effect == effect.octets()
        && attempt.is_some_and(|row| row.state() == RequestState::Abandoned)
}
