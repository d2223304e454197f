//! What one turn looks at, and the judgement of each request within it.

use super::{Answer, Counting, Refused, Reply};
use crate::access::{may_use, with_callers};
use crate::approval::ended::Reported;
use crate::approval::grant::Case;
use crate::approval::{Approved, Cleared, Needed, effect};
use crate::authority::{Authority, Birth, Keyring, certificates_of, destroyed};
use crate::authority_key::AuthorityKey;
use crate::constraints::KeyConstraints;
use crate::history::{Ask, Past, judge as judge_history};
use crate::ids::{RequestId, Uid};
use crate::judge;
use crate::ledger::{LedgerError, MarkRow, Purpose as LedgerPurpose, RequestRow, RequestState, View};
use crate::log::entry::{Kind, Value};
use crate::parse::{ValidEnsure, ValidIssue, ValidLookUp};
use crate::path::{Linted, Purpose, Turn};
use crate::profile::Profile;
use crate::purpose;
use crate::refusal::{About, Reason, Refusal};
use crate::seal::Kek;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use keywright_ambient::Entropy;
use keywright_approvals::EffectDigest;
use keywright_pki::certificate::Serial;
use keywright_signer_cluster::Found;
use keywright_signer_protocol::json;
use prost::Message as _;
use std::sync::Arc;

/// What becomes of a request within its turn.
pub(super) enum Course {
    /// It waits for its signature.
    Sign {
        /// What is to be signed.
        linted: Box<Linted>,
        /// Certificates above it.
        parents: Vec<Vec<u8>>,
        /// This request made the key.
        created: bool,
    },
    /// It is answered when the turn is committed.
    Answer(Answer),
}

/// All that a turn reads, and all that it gathers.
pub(super) struct Scene<'a> {
    pub(super) turn: Turn,
    pub(super) view: View,
    pub(super) now: u64,
    /// Highest fencing token, those of this turn included.
    pub(super) fencing: u64,
    pub(super) keyring: Arc<Keyring>,
    pub(super) kek: &'a Kek,
    pub(super) entropy: &'a dyn Entropy,
    /// Answers that wait for the commit only.
    pub(super) answers: Vec<(Reply, Result<Answer, Refusal>)>,
    /// Authorities made or tightened.
    pub(super) changed: Vec<Arc<Authority>>,
    /// Tickets and requests whose intent is in this turn.
    pub(super) pending: Vec<(u64, RequestId)>,
    /// Tickets and requests whose outcome is in this turn; the refusal tells a failure.
    pub(super) settled: Vec<(u64, RequestId, Option<Refusal>)>,
}

impl Scene<'_> {
    fn now_signed(&self) -> i64 {
        i64::try_from(self.now).unwrap_or(i64::MAX)
    }

    /// Notes a refusal in the log; it is answered with the commit.
    pub(super) fn refuse(&mut self, refused: Refused, reply: Reply) {
        let Refused { refusal, caller, operation, id, authority, count } = refused;
        tracing::info!(
            operation,
            caller,
            reason = refusal.reason.as_str_name(),
            field = refusal.field,
            "request refused"
        );
        let mut entry = self
            .turn
            .entry(Kind::Refusal)
            .with("caller", caller)
            .with("operation", operation)
            .with("reason", refusal.reason.as_str_name())
            .with("field", short(&refusal.field));
        if let Some(id) = id {
            entry = entry.with("uid", id.uid.to_string()).with("step", id.step);
        }
        if let Some(uid) = authority {
            entry = entry.with("authority", uid.to_string());
        }
        if count > 1 {
            entry = entry.with("count", count);
        }
        if let Some(about) = &refusal.about {
            let About { classes, effect, policies, decision, canonical: _, constraints: _ } = &**about;
            entry = entry
                .with("classes", Value::List(classes.clone()))
                .with("effect", effect.as_str())
                .with("policies", policies.as_str())
                .with("decision", decision.as_str());
        }
        let refusal = match self.turn.enter(&entry) {
            Ok(_) => refusal,
            Err(too_long) => too_long,
        };
        self.answers.push((reply, Err(refusal)));
    }

    pub(super) fn fence(&mut self, token: u64) -> Result<(), Refusal> {
        if token < self.fencing {
            return Err(Refusal::new(
                Reason::StaleFencingToken,
                "fencingToken",
                format!("a newer leader has been seen (token {}, this request has {token})", self.fencing),
                "stop: another replica leads. If the Lease was deleted and counts from zero again, stop the signer and run `keywright-signer fencing reset`",
            ));
        }
        if token > self.fencing {
            self.fencing = token;
            self.turn.fence(token);
        }
        Ok(())
    }

    fn serial(&self) -> Result<Serial, Refusal> {
        let mut bytes = [0; 20];
        self.entropy.fill(&mut bytes).map_err(|error| Refusal::unavailable(&error.to_string()))?;
        Ok(Serial::from_random(bytes))
    }

    fn salt(&self) -> Result<[u8; 16], Refusal> {
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt).map_err(|error| Refusal::unavailable(&error.to_string()))?;
        Ok(salt)
    }

    fn salts(&self, count: usize) -> Result<Vec<[u8; 16]>, Refusal> {
        (0..count).map(|_| self.salt()).collect()
    }

    /// A mark of the ledger or of this turn.
    fn mark(&self, key: &[u8; 32]) -> Result<Option<MarkRow>, LedgerError> {
        match self.turn.mark(key) {
            Some(row) => Ok(Some(row)),
            None => self.view.mark(key),
        }
    }

    /// The leave to do this, if all agreed who have to.
    fn approved(
        &self,
        id: RequestId,
        needed: Needed,
        effect: &dyn Fn() -> Result<EffectDigest, Refusal>,
        cleared: &Cleared,
    ) -> Result<Approved, Refusal> {
        let attempt = if needed.classes.is_empty() {
            None
        } else {
            let history = self.view.history(&id);
            history.map_err(|error| Refusal::unavailable(&error.to_string()))?.row
        };
        let case = Case {
            id,
            needed,
            effect,
            policies: &cleared.verdict.digest,
            attempt: attempt.as_ref(),
            now: self.now_signed(),
        };
        Approved::judge(case, &cleared.evidence, |key| self.mark(key))
    }

    fn past(&self, id: &RequestId, ask: &Ask<'_>) -> Result<Past, Refusal> {
        let history = self.view.history(id).map_err(|error| Refusal::unavailable(&error.to_string()))?;
        judge_history(&history, ask, self.now_signed())
    }

    fn supersede(&mut self, id: &RequestId, past: &Past) -> Result<(), Refusal> {
        if let Past::Instead { serial, why } = past {
            let entry = self
                .turn
                .entry(Kind::Superseded)
                .with("uid", id.uid.to_string())
                .with("step", id.step)
                .with("serial", hex::encode(serial))
                .with("why", *why);
            self.turn.enter(&entry)?;
        }
        Ok(())
    }

    /// What counts for each request. A request whose outcome is not known has nothing that counts.
    pub(super) fn look_up(&mut self, ask: &ValidLookUp) -> Result<Vec<Option<Counting>>, Refusal> {
        self.fence(ask.fencing)?;
        let one = |id: &RequestId| {
            let history = self.view.history(id).map_err(|error| Refusal::unavailable(&error.to_string()))?;
            let signed = history.row.filter(|row| row.state() == RequestState::Signed);
            Ok(signed.map(|row| Counting { serial: row.serial, log_index: row.log_index }))
        };
        ask.ids.iter().map(one).collect()
    }

    /// A leaf: fencing, authority, past, constraints, approvals, lint, in this order.
    pub(super) fn issue(
        &mut self,
        ask: ValidIssue,
        cleared: &Cleared,
        caller: &str,
        ticket: u64,
    ) -> Result<Course, Refusal> {
        let line = self.keyring.line("authorityUid", ask.authority)?;
        may_use("authorityUid", caller, &line)?;
        self.fence(ask.fencing)?;
        let Some(authority) = line.first() else {
            return Err(Refusal::internal("a line of authorities is never empty"));
        };
        let past = self.past(
            &ask.id,
            &Ask {
                step: ask.id.step,
                spki: &ask.public_key.spki_sha256(),
                effect: &ask.effect,
                authority_spki: &authority.key.public_key().spki_sha256(),
            },
        )?;
        if let Past::Again(row) = past {
            return Ok(Course::Answer(again(row, ask.id, certificates_of(&line))));
        }
        let profile = authority.constraints.profiles.choose(ask.profile.as_ref())?;
        let template = judge::leaf(&ask, &line, profile, self.serial()?, self.now_signed())?;
        shown_to_policies(cleared, profile)?;
        cleared.verdict.hold()?;
        let policies = &cleared.verdict.classes;
        let needed = Needed::for_leaf(&line, profile, &ask, policies, |name: &[u8; 32]| {
            self.mark(name).map(|row| row.is_some())
        });
        let needed = needed.map_err(|error| Refusal::unavailable(&error.to_string()))?;
        let effect =
            || effect::of_leaf(&ask, authority, profile, &cleared.verdict.digest).map(|formed| formed.digest);
        let approved = self.approved(ask.id, needed, &effect, cleared)?;
        let purpose = Purpose {
            ticket,
            id: ask.id,
            authority: authority.uid,
            issuer: Arc::clone(&authority.key),
            subject_authority: None,
            effect: ask.effect,
            profile: profile.map(|profile| profile.name.to_string()),
            caller: caller.to_owned(),
            fencing: ask.fencing,
            salt: self.salt()?,
            plain: ask.plain,
            names: Vec::new(),
        };
        let salts = self.salts(approved.uses())?;
        let linted = Box::new(Linted::lint(&template, purpose, approved, salts, self.now)?);
        self.supersede(&ask.id, &past)?;
        Ok(Course::Sign { linted, parents: certificates_of(&line), created: false })
    }

    /// An authority: made, tightened, renewed or only looked up.
    pub(super) fn ensure(
        &mut self,
        mut ask: ValidEnsure,
        cleared: &Cleared,
        key: Option<AuthorityKey>,
        caller: &str,
        ticket: u64,
    ) -> Result<Course, Refusal> {
        let line = match ask.parent {
            None => Vec::new(),
            Some(parent) => self.keyring.line("parentUid", parent)?,
        };
        may_use("parentUid", caller, &line)?;
        if let Some(parent) = line.first() {
            purpose::must_be("parentUid", parent.purpose, LedgerPurpose::X509Authority)?;
        }
        if self.keyring.is_destroyed(&ask.id.uid) {
            return Err(destroyed("requestKey"));
        }
        let known = self.keyring.get(&ask.id.uid).map(Arc::clone);
        if let Some(known) = &known {
            may_use("requestKey", caller, std::slice::from_ref(known))?;
            purpose::must_be("requestKey", known.purpose, LedgerPurpose::X509Authority)?;
        }
        self.fence(ask.fencing)?;
        ask.constraints = if let Some(known) = known.as_ref().filter(|_| ask.keeps) {
            known.constraints.wire().clone()
        } else {
            let has = known.as_ref().map(|known| &known.constraints.access);
            let above = line.first().map(|parent| &parent.constraints.access);
            with_callers(ask.constraints, has, above, caller)
        };
        let mut loosening = None;
        let (authority, event) = match &known {
            Some(authority) => {
                immutable(authority, &ask)?;
                let asked = match line.first().filter(|_| !ask.keeps) {
                    None => KeyConstraints::parse(ask.constraints.clone())?,
                    Some(parent) => KeyConstraints::inherit(ask.constraints.clone(), &parent.constraints)?,
                };
                match authority.constraints.tighten(asked.clone()) {
                    Ok(None) => (Arc::clone(authority), None),
                    Ok(Some(to)) => (
                        Arc::new(authority.tightened(to, ask.generation, self.kek, self.entropy)?),
                        Some("tightened"),
                    ),
                    Err(refusal) => {
                        let leave = self.may_loosen(&ask, authority, &asked, &line, cleared, refusal)?;
                        let looser =
                            authority.loosened(asked, ask.generation, &leave, self.kek, self.entropy)?;
                        loosening = Some(leave);
                        (Arc::new(looser), Some("loosened"))
                    }
                }
            }
            None if ask.expected_key_id.is_some() || ask.keeps => {
                return Err(Refusal::new(
                    Reason::UnknownAuthority,
                    "expectedKeyId",
                    "the asker has seen this authority before, and this signer has no key of it",
                    "restore the state folder that holds the key, or make a new authority under a new name",
                ));
            }
            None => {
                let constraints = judge::may_be_born(&ask, &line, self.now_signed())?;
                let Some(key) = key.filter(|key| key.algorithm() == ask.algorithm) else {
                    return Err(Refusal::internal("a new authority came without a fresh key of its kind"));
                };
                let birth = Birth {
                    uid: ask.id.uid,
                    purpose: LedgerPurpose::X509Authority,
                    subject: ask.subject_wire.clone(),
                    parent: ask.parent,
                    constraints,
                    generation: ask.generation,
                    key,
                };
                (Arc::new(Authority::new(birth, self.kek, self.entropy)?), Some("created"))
            }
        };
        let is_newer = event.is_none() && ask.generation > authority.row().generation;
        let authority = if is_newer { Arc::new(authority.seen_at(ask.generation)) } else { authority };
        let public_key = authority.key.public_key();
        let (signer, issuer) = match line.first() {
            Some(parent) => (parent.uid, Arc::clone(&parent.key)),
            None => (authority.uid, Arc::clone(&authority.key)),
        };
        let past = self.past(
            &ask.id,
            &Ask {
                step: ask.id.step,
                spki: &public_key.spki_sha256(),
                effect: &ask.effect,
                authority_spki: &issuer.public_key().spki_sha256(),
            },
        )?;
        let parents = certificates_of(&line);
        let course = if let Past::Again(row) = past {
            Course::Answer(again(row, ask.id, parents))
        } else {
            authority.may_be_certified()?;
            let template = judge::authority(
                &ask,
                &authority.constraints,
                public_key,
                &line,
                self.serial()?,
                self.now_signed(),
            )?;
            cleared.verdict.hold()?;
            // A new root has nobody above who could ask for anything.
            let own: Vec<_> =
                if line.is_empty() { known.iter().map(Arc::clone).collect() } else { Vec::new() };
            let needed =
                Needed::for_authority(if line.is_empty() { &own } else { &line }, &cleared.verdict.classes);
            let parent = line.first().map(|parent| &**parent);
            let formed = effect::of_authority(&ask, parent, &cleared.verdict.digest)?;
            let approved = self
                .approved(ask.id, needed, &|| Ok(formed.digest), cleared)
                .map_err(|refusal| refusal.of_effect(formed.canonical(), None))?;
            let purpose = Purpose {
                ticket,
                id: ask.id,
                authority: signer,
                issuer,
                subject_authority: Some(Arc::clone(&authority)),
                effect: ask.effect,
                profile: None,
                caller: caller.to_owned(),
                fencing: ask.fencing,
                salt: self.salt()?,
                plain: ask.plain,
                names: Vec::new(),
            };
            let salts = self.salts(approved.uses())?;
            let linted = Box::new(Linted::lint(&template, purpose, approved, salts, self.now)?);
            self.supersede(&ask.id, &past)?;
            Course::Sign { linted, parents, created: known.is_none() }
        };
        if let Some(leave) = &loosening {
            let salts = self.salts(leave.uses())?;
            self.turn.use_up(leave, &salts)?;
        }
        if let Some(event) = event {
            self.key_event(&authority, event, caller)?;
        } else if is_newer {
            self.turn.store(&authority);
            self.changed.push(Arc::clone(&authority));
        }
        Ok(course)
    }

    /// The end of a request for approval: told once, whatever the API server says by then.
    pub(super) fn ended(
        &mut self,
        reported: &Reported,
        found: Result<Found, Refusal>,
        caller: &str,
    ) -> Result<Answer, Refusal> {
        let unavailable = |error: LedgerError| Refusal::unavailable(&error.to_string());
        let of = reported.mark();
        if let Some(told) = self.mark(&of).map_err(unavailable)? {
            return Ok(told_at(told.index, true));
        }
        let found = found?;
        let is_used = self.mark(&reported.mark_of_use()).map_err(unavailable)?.is_some();
        let now = Timestamp::from_second(self.now_signed())
            .map_err(|_| Refusal::internal("the clock is out of range"))?;
        let ended = reported.judge(&found, is_used, caller, now)?;
        let salt = self.salt()?;
        Ok(told_at(self.turn.tell_end(of, &ended, &salt)?, false))
    }

    /// The leave to make a key's constraints looser. Errors: `refusal` where they never become looser; approvals.
    fn may_loosen(
        &self,
        ask: &ValidEnsure,
        authority: &Authority,
        asked: &KeyConstraints,
        line: &[Arc<Authority>],
        cleared: &Cleared,
        refusal: Refusal,
    ) -> Result<Approved, Refusal> {
        let Some(needed) = Needed::for_loosening(authority, line) else { return Err(refusal) };
        authority.constraints.same_urls(asked)?;
        let formed = effect::of_loosening(ask, authority, asked.wire())?;
        self.approved(ask.id, needed, &|| Ok(formed.digest), cleared).map_err(|refusal| {
            let before = json::constraints(authority.constraints.wire()).to_string();
            refusal.of_effect(formed.canonical(), Some(before))
        })
    }

    pub(super) fn key_event(
        &mut self,
        authority: &Arc<Authority>,
        event: &'static str,
        caller: &str,
    ) -> Result<(), Refusal> {
        let constraints = digest(&SHA256, &authority.constraints.wire().encode_to_vec());
        let entry = self
            .turn
            .entry(Kind::Key)
            .with("authority", authority.uid.to_string())
            .with("event", event)
            .with("algorithm", authority.algorithm.name())
            .with("purpose", purpose::name(authority.purpose))
            .with("spki", hex::encode(authority.key.public_key().spki_sha256()))
            .with("constraints", hex::encode(constraints))
            .with("custody", authority.key.place())
            .with("caller", caller);
        self.turn.enter(&entry)?;
        authority.key.keep();
        self.turn.store(authority);
        self.changed.push(Arc::clone(authority));
        Ok(())
    }
}

/// Policies were asked before this turn: the profile may have been edited between.
fn shown_to_policies(cleared: &Cleared, profile: Option<&Profile>) -> Result<(), Refusal> {
    if cleared.profile.as_ref() == profile {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::Unavailable,
        "profile",
        "the profile was edited while policies were asked about it, and nothing was signed",
        "try again",
    ))
}

/// At most 100 characters of a field's name: it may come from the asker.
fn short(field: &str) -> String {
    field.chars().take(100).collect()
}

/// An entry that is there, or comes with the commit.
fn told_at(log_index: u64, repeated: bool) -> Answer {
    Answer { log_index, repeated, ..Answer::default() }
}

fn again(row: RequestRow, id: RequestId, parents: Vec<Vec<u8>>) -> Answer {
    Answer {
        certificate: row.certificate,
        parents,
        step: id.step,
        log_index: row.log_index,
        repeated: true,
        ..Answer::default()
    }
}

fn immutable(authority: &Authority, ask: &ValidEnsure) -> Result<(), Refusal> {
    if let Some(expected) = &ask.expected_key_id
        && *expected != authority.key.public_key().key_identifier()
    {
        return Err(Refusal::new(
            Reason::Immutable,
            "expectedKeyId",
            "the key of this authority is another one than the asker has seen",
            "find out which is the right signer or state folder before anything is signed",
        ));
    }
    let differs = |field: &str, what: String| {
        let rule = format!("is fixed when the key is made: {what}");
        Err(Refusal::new(Reason::Immutable, field, rule, "put it back, or make a new authority"))
    };
    if authority.row().subject != ask.subject_wire {
        return differs("subject", "the authority's is another".into());
    }
    if authority.algorithm != ask.algorithm {
        return differs("privateKey.algorithm", format!("the key is {}", authority.algorithm.name()));
    }
    if authority.parent != ask.parent {
        return differs(
            "issuerRef",
            authority.parent.map_or("it is a root".into(), |uid: Uid| format!("its parent is {uid}")),
        );
    }
    Ok(())
}
