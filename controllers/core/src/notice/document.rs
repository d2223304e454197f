//! One notice as data: what, who, why, until when, and the command. Also the body that our own form of webhook gets.

use super::due::{Event, Notice};
use crate::approval::ready::{how, who};
use crate::conditions::whole_seconds;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use keywright_crds::{ApprovalPhase, ApprovalRequest, MissingApproval, TargetRef, VoteSummary};
use kube::ResourceExt;
use serde::Serialize;

/// What the document calls its own form; another number when a field changes its meaning.
pub const VERSION: &str = "keywright.dev/notice/v1";

/// A notice. What people wrote is in it as they wrote it: whoever shows it has to treat it as text of strangers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// [`VERSION`].
    pub version: &'static str,
    /// The same whenever this notice is delivered again, and of no other notice.
    pub id: String,
    /// What happened.
    pub event: Event,
    /// When it happened, whole seconds, UTC.
    pub time: Timestamp,
    /// The same in a line.
    pub summary: String,
    /// The request.
    pub request: Place,
    /// Where it stands now, which is later than the event when the notice is.
    pub phase: ApprovalPhase,
    /// Name of its ApprovalClass.
    pub approval_class: String,
    /// What is to happen, such as IssueCertificate.
    pub action: String,
    /// The object that it is about.
    pub target: TargetRef,
    /// Digest of the exact effect.
    pub effect_digest: String,
    /// What changes, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// Why it is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Username of who asked.
    pub requester: String,
    /// Username of who made the object that it is about, where that is somebody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_creator: Option<String>,
    /// Usernames of who changed that object since something last came of it, the latest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_editors: Vec<String>,
    /// Username of whom it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_for: Option<String>,
    /// Who must still agree.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<MissingApproval>,
    /// The votes so far.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<VoteSummary>,
    /// Until when the quorum must be complete, or the grant be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What to type.
    pub command: String,
}

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

impl Document {
    /// What a notice says of its request. `creator`: who made the object that it is about, if that is known.
    pub fn new(notice: &Notice<'_>, request: &ApprovalRequest, creator: Option<&str>) -> Self {
        let (spec, status) = (&request.spec, request.status.clone().unwrap_or_default());
        let phase = status.phase.unwrap_or_default();
        let until = match phase {
            ApprovalPhase::Pending => status.expires_at,
            ApprovalPhase::Approved | ApprovalPhase::Consumed => status.use_by,
            ApprovalPhase::Ended
            | ApprovalPhase::Denied
            | ApprovalPhase::Revoked
            | ApprovalPhase::Expired
            | ApprovalPhase::Withdrawn
            | ApprovalPhase::Superseded => None,
        };
        let place = Place {
            namespace: request.namespace().unwrap_or_default(),
            name: request.name_any(),
            uid: request.uid().unwrap_or_default(),
        };
        let requester = spec.requester.as_ref().map(|who| who.username.clone()).unwrap_or_default();
        Self {
            version: VERSION,
            id: id(&place.uid, notice),
            event: notice.event,
            time: whole_seconds(notice.at),
            summary: format!(
                "{}: {} of {}",
                headline(notice.event, phase),
                spec.action,
                named(&spec.target_ref)
            ),
            phase,
            approval_class: spec.approval_class.clone(),
            action: spec.action.clone(),
            target: spec.target_ref.clone(),
            effect_digest: spec.effect_digest.clone(),
            diff: spec.diff.clone(),
            reason: spec.reason.clone(),
            target_creator: creator.filter(|creator| *creator != requester).map(str::to_owned),
            target_editors: spec.target_editors.iter().map(|one| one.username.clone()).collect(),
            requester,
            requested_for: spec.requested_for.clone(),
            missing: status.missing,
            votes: status.votes,
            until: until.map(|at| at.0),
            command: command(phase, &place),
            request: place,
        }
    }

    /// The same as labels and words, for forms that are read by people. Cut and without what could pass for something else.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        // Most requests are the operator's, for an object that a person made.
        let through =
            self.target_creator.as_ref().map(|creator| format!("{creator}, through {}", self.requester));
        let who_asks = through.unwrap_or_else(|| self.requester.clone());
        let who_asks = match &self.requested_for {
            Some(other) if *other != self.requester => format!("{who_asks}, for {other}"),
            Some(_) | None => who_asks,
        };
        let mut facts =
            vec![("What", format!("{} of {}", self.action, named(&self.target))), ("Who", who_asks)];
        if !self.target_editors.is_empty() {
            facts.push(("Changed by", self.target_editors.join(", ")));
        }
        facts.push(("Why", self.reason.clone().unwrap_or_else(|| "(no reason was given)".to_owned())));
        if self.phase == ApprovalPhase::Pending {
            facts.push(("Still missing", format!("{} (class {})", who(&self.missing), self.approval_class)));
        } else {
            facts.push(("Now", format!("{:?} (class {})", self.phase, self.approval_class)));
        }
        let votes: Vec<String> = self.votes.iter().filter(|vote| vote.ignored.is_none()).map(vote).collect();
        if !votes.is_empty() {
            facts.push(("Votes", votes.join("\n")));
        }
        facts.extend(self.until.map(|until| ("Until", until.to_string())));
        facts.extend(self.diff.as_ref().map(|diff| ("Changes", diff.clone())));
        facts.into_iter().map(|(label, words)| (label, shown(&words, LONGEST_FACT))).collect()
    }
}

/// What chat programs show of one fact, in characters; the command shows all.
const LONGEST_FACT: usize = 1500;

fn vote(vote: &VoteSummary) -> String {
    format!("{}: {:?}", vote.approver, vote.verdict)
}

fn id(uid: &str, notice: &Notice<'_>) -> String {
    let text = [uid, &notice.target.name, notice.event.name()].join("\n");
    hex::encode(&digest(&SHA256, text.as_bytes()).as_ref()[..16])
}

fn headline(event: Event, phase: ApprovalPhase) -> &'static str {
    match event {
        Event::Filed => "Approval wanted",
        Event::ExpiringSoon => "Approval still wanted, and soon too late",
        Event::Granted => "Approved",
        Event::Used => "Done, as approved",
        Event::Denied if phase == ApprovalPhase::Revoked => "Denied after it was done",
        Event::Denied => "Denied",
        Event::Closed if phase == ApprovalPhase::Expired => "Expired",
        Event::Closed => "No longer wanted",
    }
}

fn named(target: &TargetRef) -> String {
    let TargetRef { kind, namespace, name, .. } = target;
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

/// What to type: to agree while that helps, else to look.
fn command(phase: ApprovalPhase, request: &Place) -> String {
    let Place { namespace, name, .. } = request;
    if phase == ApprovalPhase::Pending {
        how(Some(namespace), Some(name))
            .rsplit_once(": ")
            .map(|(_, command)| command.to_owned())
            .unwrap_or_default()
    } else {
        format!("kubectl keywright requests {name} --namespace {namespace}")
    }
}

/// Text of strangers for people to see: no control characters but line ends, nothing that turns the direction of what is
/// read or cannot be seen, and no more than so many characters.
pub(super) fn shown(text: &str, most: usize) -> String {
    let plain = text.chars().map(|c| match c {
        '\n' => '\n',
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
            '\u{fffd}'
        }
        c if c.is_control() => ' ',
        c => c,
    });
    let cut: String = plain.clone().take(most).collect();
    if plain.count() > most { format!("{cut}…") } else { cut }
}
