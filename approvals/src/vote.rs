//! One request, one vote, and whether the vote counts.

use crate::class::{Class, Proof};
use crate::effect::EffectDigest;
use crate::identity::{Authors, Identity};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;

/// What is known of a request for approval, however it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `metadata.uid`: votes for an earlier object of the same name do not count.
    pub uid: String,
    /// The effect.
    pub digest: EffectDigest,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// Who asked, as stamped.
    pub requester: Identity,
    /// On whose behalf, when somebody asks for another: a username.
    pub requested_for: Option<String>,
    /// Who made and who changed the target.
    pub authors: Authors,
}

/// What a voter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Agrees.
    Approve,
    /// Does not: nothing will come of this request.
    Deny,
}

/// What is known of one vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// `metadata.name` of the decision, to point at it.
    pub name: String,
    /// UID of the request that it names.
    pub request_uid: String,
    /// The effect that the voter saw.
    pub digest: EffectDigest,
    /// What they say.
    pub verdict: Verdict,
    /// Who, as stamped.
    pub approver: Identity,
    /// Whether they hold verb `approve` on the class now (SubjectAccessReview), by the asker's own question.
    pub may_approve: bool,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// What the vote is signed with.
    pub signed: Signed,
}

/// A vote's signature, as the verifier found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// There is none.
    No,
    /// There is one, and this place holds no pinned keys to check it with. Good enough to show, never to sign on.
    Unchecked,
    /// Made over the request's digest by a key pinned for the approver.
    Valid,
    /// There is one that does not verify, or by a key that is not the approver's.
    Invalid,
}

/// Why a vote does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Ignored {
    /// It names another request, such as an earlier one of the same name.
    #[error("it is for another request: the UID differs")]
    OtherRequest,
    /// It names another effect.
    #[error("it is for another effect: the digest differs")]
    OtherEffect,
    /// The voter is the requester.
    #[error("nobody approves their own request")]
    OwnRequest,
    /// The voter is whom the request is for.
    #[error("nobody approves what is requested for them")]
    OwnBenefit,
    /// The voter made the target.
    #[error("nobody approves what they created")]
    OwnTarget,
    /// The voter changed the target.
    #[error("nobody approves what they changed")]
    OwnEdit,
    /// A machine account that the class does not name.
    #[error("machine accounts vote only where the class names them")]
    Machine,
    /// The voter belongs to none of the class's groups.
    #[error("the voter is in none of the groups")]
    NoGroup,
    /// The voter may not approve (any more).
    #[error("the voter does not hold verb approve on the class")]
    NotPermitted,
    /// The class asks for a signature and there is none.
    #[error("the class asks for a signature and the vote has none")]
    Unsigned,
    /// The signature does not verify.
    #[error("its signature does not verify with a key of the voter")]
    BadSignature,
    /// It came after the request had expired.
    #[error("it came after the request had expired")]
    TooLate,
}

/// The name of the one `ApprovalDecision` that a person can make for a request: `vote-` and the first 32 hexadecimal
/// digits of the SHA-256 of request UID, newline and username. So nobody votes twice, and no vote is lost to another.
pub fn vote_name(request_uid: &str, username: &str) -> String {
    let hash = digest(&SHA256, format!("{request_uid}\n{username}").as_bytes());
    format!("vote-{}", &hex::encode(hash)[..32])
}

/// Why a vote does not count under a class; none: it counts.
///
/// A denial is heard with less than an approval: it needs no signature (stopping is always safe), and no vote is too
/// early. The requester's own denial is heard too, as a withdrawal; see [`crate::phase`].
pub fn ignored(class: &Class, request: &Request, vote: &Vote) -> Option<Ignored> {
    if vote.request_uid != request.uid {
        return Some(Ignored::OtherRequest);
    }
    if vote.digest != request.digest {
        return Some(Ignored::OtherEffect);
    }
    if !class.admits(&vote.approver) {
        return Some(Ignored::Machine);
    }
    if class.groups_of(&vote.approver).next().is_none() {
        return Some(Ignored::NoGroup);
    }
    if !vote.may_approve {
        return Some(Ignored::NotPermitted);
    }
    match vote.verdict {
        Verdict::Deny => None,
        Verdict::Approve => own(class, request, vote).or_else(|| unproven(class, vote)),
    }
}

/// Nobody agrees to their own.
fn own(class: &Class, request: &Request, vote: &Vote) -> Option<Ignored> {
    if class.same_person(&request.requester, &vote.approver) {
        return Some(Ignored::OwnRequest);
    }
    let beneficiary = request
        .requested_for
        .as_ref()
        .map(|username| Identity { username: username.clone(), ..Identity::default() });
    if beneficiary.is_some_and(|who| class.same_person(&who, &vote.approver)) {
        return Some(Ignored::OwnBenefit);
    }
    let is_voter = |who: &Identity| class.same_person(who, &vote.approver);
    let Authors { creator, editors } = &request.authors;
    if creator.as_ref().is_some_and(is_voter) {
        return Some(Ignored::OwnTarget);
    }
    editors.iter().any(is_voter).then_some(Ignored::OwnEdit)
}

fn unproven(class: &Class, vote: &Vote) -> Option<Ignored> {
    match (class.proof, vote.signed) {
        (Proof::Signature, Signed::No) => Some(Ignored::Unsigned),
        // A signature that is there and wrong is a sign of trouble, asked for or not.
        (Proof::Signature | Proof::None, Signed::Invalid) => Some(Ignored::BadSignature),
        (Proof::Signature, Signed::Unchecked | Signed::Valid)
        | (Proof::None, Signed::No | Signed::Unchecked | Signed::Valid) => None,
    }
}
