//! `Issuer` and `ClusterIssuer`: this controller owns their status, and asks the signer to hold their authority.
//!
//! ```text
//! Wait    the parent has to come first       one write of the status, at most
//! Ensure  the signer is asked at each look   one write of the status, if its answer is new
//! ```
//!
//! Where the signer wants people to agree, requests are filed once the status tells of them. While they decide about a
//! loosening the authority works under the constraints in force, and so it does while a policy denies its next certificate.

mod people;
mod question;

use self::people::Asking;
use self::question::{asker, question};
use crate::approval::ask::{self, Filing};
use crate::context::Context;
use crate::error::Error;
use crate::events::{Tell, tell};
use crate::publish::{self, Placed};
use crate::run::{ECHO, LONGEST_REST};
use crate::signer::SignerError;
use crate::timers::Action;
use crate::verdict;
use jiff::Timestamp;
use keywright_controllers_core::approval::consent::Consent;
use keywright_controllers_core::conditions::{State, find};
use keywright_controllers_core::issuer::decide::{Plan, World, at_revision, certifies, decide, max_leaf};
use keywright_controllers_core::issuer::ready::{Outcome, published, status};
use keywright_controllers_core::issuer::valid::ValidAuthority;
use keywright_controllers_core::policy::unless_new;
use keywright_crds::{AnyIssuer, AuthorityStatus, ObjectApproval};
use keywright_signer_protocol::v1alpha1::{Authority, EnsureAuthorityRequest, ObjectRef};
use std::sync::Arc;
use std::time::Duration;

/// How often the signer is asked whether it still holds an authority.
const RECHECK: Duration = Duration::from_mins(10);
/// One look at one issuer.
pub async fn reconcile<I: AnyIssuer + Placed>(issuer: Arc<I>, ctx: Arc<Context>) -> Result<Action, Error> {
    let meta = issuer.meta();
    let uid = meta.uid.clone().unwrap_or_default();
    if meta.deletion_timestamp.is_some() {
        ctx.forget(&uid);
        return Ok(Action::await_change());
    }
    if ctx.writes.outrun(&uid, meta.resource_version.as_deref()) {
        return Ok(Action::requeue(ECHO));
    }
    let now = ctx.clock.now();
    let (outcome, filing) = match ValidAuthority::parse(issuer.as_ref()) {
        Err(problem) => (Outcome::Invalid { problem }, None),
        Ok(authority) => {
            let world = observe(&ctx, issuer.as_ref(), &authority, now);
            let look = Look { ctx: &ctx, issuer: issuer.as_ref(), authority: &authority, world: &world };
            look.apply(decide(&authority, &world)).await?
        }
    };
    say(&ctx, issuer.as_ref(), &outcome, now).await?;
    if let Some(filing) = filing {
        ask::file(&ctx, filing).await?;
    }
    next_look(&ctx, &uid, &outcome, now)
}

fn observe<I: AnyIssuer>(ctx: &Context, issuer: &I, authority: &ValidAuthority, now: Timestamp) -> World {
    let namespace = issuer.meta().namespace.clone().unwrap_or_default();
    World {
        now,
        parent: authority.parent.as_ref().map(|parent| ctx.caches.standing(parent, &namespace, now)),
        published: issuer.issuer_status().and_then(|s| s.authority.clone()),
        asked: people::asked(issuer),
        loosened: people::loosened(ctx, issuer),
    }
}

/// One look at one issuer whose spec makes sense.
struct Look<'a, I> {
    ctx: &'a Context,
    issuer: &'a I,
    authority: &'a ValidAuthority,
    world: &'a World,
}

/// What a look ended in, and the requests to file once the status tells of them.
type Applied = (Outcome, Option<Filing>);

impl<I: AnyIssuer> Look<'_, I> {
    async fn apply(&self, plan: Plan) -> Result<Applied, Error> {
        let request = match plan {
            Plan::Wait { on } => {
                let parent = self.authority.parent.clone().unwrap_or_default();
                return Ok((Outcome::Waiting { on, parent }, None));
            }
            Plan::Ensure { request } => EnsureAuthorityRequest {
                fencing_token: self.ctx.fencing_token,
                object: Some(ObjectRef {
                    kind: I::KIND.name().to_owned(),
                    namespace: self.issuer.meta().namespace.clone().unwrap_or_default(),
                    name: self.issuer.meta().name.clone().unwrap_or_default(),
                }),
                ..*request
            },
        };
        let parent = self.world.parent.as_ref();
        let asking = people::asking(self.ctx, self.issuer, self.authority, &request, parent).await?;
        let request = match self.judged(request, asking.as_ref()).await {
            Ok(request) => request,
            Err(denied) => return Ok((denied, None)),
        };
        match asking {
            None => Ok(self.ensure(request, None).await),
            Some(asking) => self.go_on(request, asking).await,
        }
    }

    /// The request, if policies let a new certificate be made; else what is so.
    async fn judged(
        &self,
        request: EnsureAuthorityRequest,
        asking: Option<&Asking>,
    ) -> Result<EnsureAuthorityRequest, Outcome> {
        let policy_facts = Some(verdict::facts(self.issuer.meta()));
        if !certifies(&request, self.world) {
            return Ok(EnsureAuthorityRequest { policy_facts, ..request });
        }
        let approvals = asking.map(|asking| asking.approvals.clone()).unwrap_or_default();
        let asker = asker(self.issuer, self.authority, approvals);
        let verdict = verdict::ask(self.ctx, asker, || question(self.authority)).await;
        let Some(words) = verdict.denied else {
            return Ok(EnsureAuthorityRequest { policy_digest: verdict.seen, policy_facts, ..request });
        };
        let words = self.unless_new(words);
        let request = at_revision(request, self.world);
        let loosening = asking.is_some_and(|asking| asking.loosening);
        Err(self.meanwhile(request, loosening, |authority| Outcome::PolicyDenied { words, authority }).await)
    }

    /// A denial in the words that the status has, if it says the same.
    fn unless_new(&self, words: String) -> String {
        let said = self.issuer.issuer_status().map_or(&[][..], |status| &status.conditions);
        unless_new(said, words)
    }

    /// Goes on with what people were asked about.
    async fn go_on(&self, request: EnsureAuthorityRequest, asking: Asking) -> Result<Applied, Error> {
        let Asking { approval, loosening, consent, approvals: _ } = asking;
        match consent {
            Consent::Unasked => Ok(self.ensure(request, None).await),
            Consent::Given(approvals) => {
                let request = EnsureAuthorityRequest { approvals, ..request };
                let request = if loosening { at_revision(request, self.world) } else { request };
                Ok(self.ensure(request, Some(approval)).await)
            }
            Consent::Waiting(on) => {
                let meanwhile = |authority| Outcome::AwaitingApproval { on, approval, authority };
                Ok((self.meanwhile(request, loosening, meanwhile).await, None))
            }
            Consent::Refused(because) => {
                let meanwhile = |authority| Outcome::ApprovalRefused { because, authority };
                Ok((self.meanwhile(request, loosening, meanwhile).await, None))
            }
        }
    }

    /// What is so while nobody agreed. Under the constraints in force an authority is looked after as ever, and one whose
    /// next certificate is waited for still becomes tighter.
    async fn meanwhile(
        &self,
        request: EnsureAuthorityRequest,
        loosening: bool,
        outcome: impl FnOnce(Option<Box<AuthorityStatus>>) -> Outcome,
    ) -> Outcome {
        let request = match (loosening, &self.world.published) {
            (true, _) => EnsureAuthorityRequest { keep_constraints: true, ..request },
            (false, Some(_)) => at_revision(request, self.world),
            (false, None) => return outcome(None),
        };
        match self.ctx.signer.ensure_authority(request).await {
            Ok(answer) => match self.published(&answer) {
                Ok(authority) => outcome(Some(authority)),
                Err(words) => Outcome::SignerUnavailable { words },
            },
            // Its certificate is not renewed before people have decided.
            Err(SignerError::ApprovalRequired { .. }) => outcome(None),
            Err(error) => failed(error),
        }
    }

    /// Asks the signer. `used`: the approval that is brought.
    async fn ensure(&self, request: EnsureAuthorityRequest, used: Option<ObjectApproval>) -> Applied {
        let bare = EnsureAuthorityRequest { approvals: Vec::new(), ..request.clone() };
        let brought = used.as_ref().map(|approval| approval.effect_digest.clone());
        let (outcome, filing) = self.ask_signer(request, used).await;
        if brought.is_none() || !matches!(outcome, Outcome::ApprovalNotTaken { .. }) {
            return (outcome, filing);
        }
        // It may see another effect by now, such as under another policy, which is asked about anew.
        match self.ask_signer(bare, None).await {
            (Outcome::AwaitingApproval { on, approval, authority }, filing)
                if Some(&approval.effect_digest) != brought.as_ref() =>
            {
                (Outcome::AwaitingApproval { on, approval, authority }, filing)
            }
            _ => (outcome, None),
        }
    }

    async fn ask_signer(&self, request: EnsureAuthorityRequest, used: Option<ObjectApproval>) -> Applied {
        let asked = request.clone();
        let outcome = match self.ctx.signer.ensure_authority(request).await {
            Ok(answer) => match self.published(&answer) {
                Ok(authority) => Outcome::Current { authority, created: answer.created, used },
                Err(words) => Outcome::SignerUnavailable { words },
            },
            Err(SignerError::ApprovalRequired { classes, effect, authority, words, policies: _ }) => {
                let told = authority.as_deref();
                match people::ask(self.ctx, self.issuer, &asked, &classes, &effect, told) {
                    Some((outcome, filing)) => return (outcome, Some(filing)),
                    None => Outcome::Refused { words },
                }
            }
            Err(SignerError::PolicyDenied(words)) => {
                Outcome::PolicyDenied { words: self.unless_new(words), authority: None }
            }
            Err(error) => failed(error),
        };
        (outcome, None)
    }

    fn published(&self, answer: &Authority) -> Result<Box<AuthorityStatus>, String> {
        published(answer, &self.authority.uid, max_leaf(self.authority, self.world))
            .map(Box::new)
            .map_err(|error| format!("its answer does not read: {error}"))
    }
}

/// What a refusal comes to that asks nobody.
fn failed(error: SignerError) -> Outcome {
    match error {
        SignerError::ApprovalInvalid { words, .. } => Outcome::ApprovalNotTaken { words },
        SignerError::Unavailable(words) => Outcome::SignerUnavailable { words },
        SignerError::PolicyStale(words) => Outcome::PoliciesChange { words },
        SignerError::KeyLost(words) => Outcome::KeyLost { words },
        SignerError::Loosening(words) => Outcome::LooseningRefused { words },
        // A step of an authority is one of its renewals, which the object's own status counts.
        SignerError::PolicyDenied(words) => Outcome::PolicyDenied { words, authority: None },
        SignerError::Refused(words)
        | SignerError::StaleStep { words, .. }
        | SignerError::ApprovalRequired { words, .. } => Outcome::Refused { words },
    }
}

async fn say<I: AnyIssuer + Placed>(
    ctx: &Context,
    issuer: &I,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<(), Error> {
    let old = issuer.issuer_status().cloned().unwrap_or_default();
    let new = status(&old, outcome, issuer.meta().generation.unwrap_or_default(), now);
    let facts = outcome.facts(new.authority.is_some());
    let said = find(&old.conditions, "Ready")
        .is_some_and(|c| c.reason == facts.reason && c.message == facts.message);
    let worth = match outcome {
        Outcome::Current { created, .. } => *created,
        Outcome::Waiting { .. }
        | Outcome::SignerUnavailable { .. }
        | Outcome::PoliciesChange { .. }
        | Outcome::AwaitingApproval { .. }
        | Outcome::ApprovalNotTaken { .. } => false,
        Outcome::KeyLost { .. }
        | Outcome::Invalid { .. }
        | Outcome::Refused { .. }
        | Outcome::PolicyDenied { .. }
        | Outcome::ApprovalRefused { .. }
        | Outcome::LooseningRefused { .. } => true,
    };
    if worth && !said {
        let note = Tell {
            warning: matches!(facts.state, State::Failed | State::Kept),
            reason: facts.reason,
            note: facts.message,
        };
        tell(&ctx.client, issuer, &ctx.identity, &note, now).await;
    }
    publish::status(ctx, issuer, &old, &new).await.map(|_| ())
}

fn next_look(ctx: &Context, uid: &str, outcome: &Outcome, now: Timestamp) -> Result<Action, Error> {
    match outcome {
        Outcome::Current { authority, .. } => {
            ctx.backoff.clear(uid);
            let due = authority.renewal_time.as_ref().map_or(now, |at| at.0);
            let left = Duration::try_from(due.duration_since(now)).unwrap_or(RECHECK);
            Ok(Action::requeue(left.clamp(Duration::from_secs(1), RECHECK.min(LONGEST_REST))))
        }
        Outcome::Invalid { .. } => Ok(Action::await_change()),
        // A parent is watched, but may also become valid by the clock alone. What the signer refused it may hold again after a restore, or allow after a change of its own.
        Outcome::Waiting { .. }
        | Outcome::AwaitingApproval { .. }
        | Outcome::ApprovalRefused { .. }
        | Outcome::PolicyDenied { .. }
        | Outcome::KeyLost { .. }
        | Outcome::Refused { .. }
        | Outcome::LooseningRefused { .. } => Ok(Action::requeue(RECHECK)),
        Outcome::SignerUnavailable { words } | Outcome::ApprovalNotTaken { words } => {
            Err(Error::Told(words.clone()))
        }
        Outcome::PoliciesChange { words } => Err(Error::PoliciesChange(words.clone())),
    }
}
