//! What the requests for one effect of one object come to, and the request to file.

#![allow(missing_docs, reason = "the fields of a variant are described by the variant")]

use super::ready::{how, shown, who};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use keywright_approvals::EffectDigest;
use keywright_approvals::effect::{BadEffect, canonical};
use keywright_crds::{
    ApprovalDecision, ApprovalPhase, ApprovalRequest, ApprovalRequestSpec, ApprovalVerdict, MissingApproval,
    TargetEditor, TargetRef,
};
use keywright_signer_protocol::v1alpha1::{ApprovalUse, SignedApproval};
use kube::ResourceExt;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Longest readable part of a request's name.
const READABLE: usize = 200;
/// Longest diff: the API's bound.
const LONGEST_DIFF: usize = 16_384;

/// A request that was filed for the effect, with the votes for it.
pub struct Filed {
    /// The request, as the cache has it.
    pub request: Arc<ApprovalRequest>,
    /// The votes that name it.
    pub votes: Vec<Arc<ApprovalDecision>>,
}

/// What all requests for an effect come to.
#[derive(Debug, Clone, PartialEq)]
pub enum Consent {
    /// Nothing was filed: the signer says whether anybody has to agree.
    Unasked,
    /// People have to agree first.
    Waiting(Waiting),
    /// It will not be: denied, expired or taken back.
    Refused(Refused),
    /// All that were asked agreed; what the signer is told of it.
    Given(Vec<ApprovalUse>),
}

/// A request that waits for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Where the request is.
    pub namespace: String,
    /// Its name.
    pub request: String,
    /// Its class.
    pub class: String,
    /// Who is missing, as far as that is known already.
    pub missing: Vec<MissingApproval>,
    /// Until when.
    pub expires: Option<Timestamp>,
    /// Requests of other classes for the same effect that wait too.
    pub beside: Vec<Waiting>,
}

/// A request of which nothing comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Where the request is.
    pub namespace: String,
    /// Its name.
    pub request: String,
    /// What it ended in.
    pub phase: ApprovalPhase,
}

impl Waiting {
    /// For requests that are about to be filed. `None`: there are none.
    pub fn just_asked(requests: &[ApprovalRequest]) -> Option<Self> {
        let mut all = requests.iter().map(|request| Self {
            namespace: request.namespace().unwrap_or_default(),
            request: request.name_any(),
            class: request.spec.approval_class.clone(),
            missing: Vec::new(),
            expires: None,
            beside: Vec::new(),
        });
        all.next().map(|first| Self { beside: all.collect(), ..first })
    }

    /// What is waited for, and the command that ends it.
    pub fn words(&self) -> String {
        let Self { namespace, request, class, missing, expires, beside } = self;
        let until = expires.map_or_else(String::new, |at| format!(", until {}", shown(at)));
        let how = how(Some(namespace), Some(request));
        let own =
            format!("Class {class:?} has to agree first; still missing: {}{until}. {how}", who(missing));
        std::iter::once(own).chain(beside.iter().map(Self::words)).collect::<Vec<_>>().join(" ")
    }
}

impl Refused {
    /// Reason and words.
    pub fn words(&self) -> (&'static str, String) {
        let Self { namespace, request, phase } = self;
        let (reason, what) = match phase {
            ApprovalPhase::Denied | ApprovalPhase::Revoked => ("ApprovalDenied", "was denied"),
            ApprovalPhase::Withdrawn => ("ApprovalWithdrawn", "was taken back"),
            ApprovalPhase::Superseded => ("ApprovalSuperseded", "was given up for another one"),
            ApprovalPhase::Expired
            | ApprovalPhase::Pending
            | ApprovalPhase::Approved
            | ApprovalPhase::Consumed
            | ApprovalPhase::Ended => ("ApprovalExpired", "has expired"),
        };
        let why = format!("see kubectl keywright requests {request} --namespace {namespace}");
        (reason, format!("ApprovalRequest {request:?} {what} ({why})"))
    }
}

/// What these requests, all for one effect, come to. The first that stops decides; else all that wait are waited for.
pub fn consent(filed: &[Filed]) -> Consent {
    if filed.is_empty() {
        return Consent::Unasked;
    }
    let place = |request: &ApprovalRequest| (request.namespace().unwrap_or_default(), request.name_any());
    let phase = |one: &Filed| one.request.status.as_ref().and_then(|s| s.phase).unwrap_or_default();
    let refused = filed.iter().find(|one| match phase(one) {
        ApprovalPhase::Denied
        | ApprovalPhase::Revoked
        | ApprovalPhase::Expired
        | ApprovalPhase::Withdrawn
        | ApprovalPhase::Superseded => true,
        ApprovalPhase::Pending | ApprovalPhase::Approved | ApprovalPhase::Consumed | ApprovalPhase::Ended => {
            false
        }
    });
    if let Some(one) = refused {
        let (namespace, request) = place(&one.request);
        return Consent::Refused(Refused { namespace, request, phase: phase(one) });
    }
    let mut waiting = filed.iter().filter(|one| phase(one) == ApprovalPhase::Pending).map(|one| {
        let (namespace, request) = place(&one.request);
        let status = one.request.status.clone().unwrap_or_default();
        Waiting {
            namespace,
            request,
            class: one.request.spec.approval_class.clone(),
            missing: status.missing,
            expires: status.expires_at.map(|at| at.0),
            beside: Vec::new(),
        }
    });
    if let Some(first) = waiting.next() {
        return Consent::Waiting(Waiting { beside: waiting.collect(), ..first });
    }
    Consent::Given(filed.iter().map(Filed::as_use).collect())
}

/// Usernames of those whose votes for a request count, sorted; from its status, so none before that was written.
pub fn agreed(request: &ApprovalRequest) -> Vec<String> {
    let votes = request.status.iter().flat_map(|status| &status.votes);
    let counted = votes.filter(|vote| vote.verdict == ApprovalVerdict::Approve && vote.ignored.is_none());
    let names: BTreeSet<String> = counted.map(|vote| vote.approver.clone()).collect();
    names.into_iter().collect()
}

impl Filed {
    /// What the signer is told: which request, and for classes whose approvers sign what they signed.
    fn as_use(&self) -> ApprovalUse {
        let spec = &self.request.spec;
        let signatures: Vec<String> = self
            .votes
            .iter()
            .filter(|vote| vote.spec.verdict == ApprovalVerdict::Approve)
            .filter_map(|vote| vote.spec.signature.clone())
            .collect();
        let filed = self.request.creation_timestamp().map_or(0, |at| at.0.as_second());
        let signed = SignedApproval {
            filed,
            requester: spec.requester.as_ref().map(|who| who.username.clone()).unwrap_or_default(),
            requested_for: spec.requested_for.clone().unwrap_or_default(),
            target_creator: String::new(),
            target_editors: spec.target_editors.iter().map(|one| one.username.clone()).collect(),
            signatures,
        };
        ApprovalUse {
            namespace: self.request.namespace().unwrap_or_default(),
            name: self.request.name_any(),
            uid: self.request.uid().unwrap_or_default(),
            approval_class: spec.approval_class.clone(),
            signed: (!signed.signatures.is_empty()).then_some(signed),
        }
    }
}

/// The uses, each with the name of the target's creator, which approvers sign too.
pub fn with_creator(mut uses: Vec<ApprovalUse>, creator: Option<&str>) -> Vec<ApprovalUse> {
    for signed in uses.iter_mut().filter_map(|one| one.signed.as_mut()) {
        creator.unwrap_or_default().clone_into(&mut signed.target_creator);
    }
    uses
}

/// The name of the request for this effect under this class. `again`: whatever asks for another request where an earlier
/// one came to nothing, such as the renewal that a person asked for.
pub fn request_name(target: &TargetRef, effect: &EffectDigest, class: &str, again: Option<&str>) -> String {
    let text = [target.uid.as_str(), &effect.to_string(), class, again.unwrap_or_default()].join("\n");
    let mut readable: String = target.name.chars().take(READABLE).collect();
    while readable.ends_with(['.', '-']) {
        readable.pop();
    }
    format!("{readable}-{}", &hex::encode(digest(&SHA256, text.as_bytes()))[..12])
}

/// The request to file. `target` comes with those who changed it, as stamped there. Errors: the effect has no canonical
/// form.
pub fn request(
    namespace: &str,
    name: &str,
    (target, editors): (TargetRef, Vec<TargetEditor>),
    effect: &Value,
    class: &str,
    diff: &str,
) -> Result<ApprovalRequest, BadEffect> {
    let canonical = canonical(effect)?;
    let action = effect["action"].as_str().unwrap_or_default().to_owned();
    let mut request = ApprovalRequest::new(
        name,
        ApprovalRequestSpec {
            target_ref: target,
            target_editors: editors,
            action,
            effect_digest: EffectDigest::of(effect)?.to_string(),
            effect: String::from_utf8_lossy(&canonical).into_owned(),
            diff: Some(bounded(diff)),
            approval_class: class.to_owned(),
            ..ApprovalRequestSpec::default()
        },
    );
    request.metadata.namespace = Some(namespace.to_owned());
    Ok(request)
}

fn bounded(diff: &str) -> String {
    const MORE: &str = "\n(more: see the effect)";
    if diff.len() <= LONGEST_DIFF {
        return diff.to_owned();
    }
    let most = LONGEST_DIFF - MORE.len();
    let cut = (0..=most).rev().find(|&at| diff.is_char_boundary(at)).unwrap_or(0);
    format!("{}{MORE}", &diff[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywright_crds::{ApprovalRequestStatus, VoteSummary};

    fn filed(class: &str, phase: ApprovalPhase) -> Filed {
        let spec = ApprovalRequestSpec { approval_class: class.to_owned(), ..ApprovalRequestSpec::default() };
        let mut request = ApprovalRequest::new(&format!("web-{class}"), spec);
        request.metadata.namespace = Some("shop".to_owned());
        let missing = vec![MissingApproval { group: format!("group of {class}"), count: 1 }];
        request.status =
            Some(ApprovalRequestStatus { phase: Some(phase), missing, ..ApprovalRequestStatus::default() });
        Filed { request: Arc::new(request), votes: Vec::new() }
    }

    #[test]
    fn all_classes_that_are_waited_for_are_told_each_with_its_command() {
        let all = ["one", "two", "three"];
        let filed = all.map(|class| {
            filed(class, if class == "two" { ApprovalPhase::Approved } else { ApprovalPhase::Pending })
        });
        let Consent::Waiting(on) = consent(&filed) else { panic!("it waits") };
        let words = on.words();
        for class in ["one", "three"] {
            assert!(words.contains(&format!("Class {class:?}")), "{words}");
            assert!(words.contains(&format!("group of {class}")), "{words}");
            assert!(words.contains(&format!("approve web-{class}")), "{words}");
        }
        assert!(!words.contains("two"), "{words}");
    }

    #[test]
    fn one_refusal_stops_what_others_still_wait_for() {
        let filed = [filed("one", ApprovalPhase::Pending), filed("two", ApprovalPhase::Denied)];
        let Consent::Refused(refused) = consent(&filed) else { panic!("it is refused") };
        assert_eq!(refused.request, "web-two");
    }

    #[test]
    fn only_votes_that_count_are_shown_as_agreement() {
        let vote = |approver: &str, verdict, ignored: Option<&str>| VoteSummary {
            name: String::new(),
            approver: approver.to_owned(),
            verdict,
            ignored: ignored.map(str::to_owned),
        };
        let mut request = ApprovalRequest::new("web", ApprovalRequestSpec::default());
        assert!(agreed(&request).is_empty(), "without a status nobody did");
        let votes = vec![
            vote("bob", ApprovalVerdict::Approve, None),
            vote("alice", ApprovalVerdict::Approve, None),
            vote("carol", ApprovalVerdict::Approve, Some("SelfApproval")),
            vote("dave", ApprovalVerdict::Deny, None),
        ];
        request.status = Some(ApprovalRequestStatus { votes, ..ApprovalRequestStatus::default() });
        assert_eq!(agreed(&request), ["alice", "bob"]);
    }
}
