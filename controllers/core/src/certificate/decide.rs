//! The next step of one Certificate, from what is wanted and what is so.

#![allow(missing_docs, reason = "the fields of a variant are described by the variant")]

use super::effect::{effect, life, profile, sha256, within_limits};
use super::held::{Found, Held, Obstacle};
use super::mark;
use super::secret::{Publication, made_from, named, publication};
use super::valid::{SpecProblem, ValidCertificate};
use crate::approval::consent::Refused;
use crate::issuer::{Authority, Standing};
use crate::renewal::renew_at;
use jiff::{SignedDuration, Timestamp};
use keywright_crds::{CertificateStatus, RotationPolicy};
use keywright_pki::certificate::Certificate;
use keywright_pki::name::SubjectAltNames;
use std::sync::Arc;

/// A fresh certificate is not looked at as due before this much time has passed, however short its life is.
const BREATH: SignedDuration = SignedDuration::from_secs(30);

/// All that a decision may look at: gathered by `observe`, never fetched here.
pub struct World {
    /// Now, by the operator's clock.
    pub now: Timestamp,
    /// The issuer that the spec names.
    pub issuer: Standing,
    /// The other Certificates of the namespace that name the same Secret.
    pub rivals: Vec<Rival>,
    /// What lies in the Secret.
    pub found: Found,
    /// `status.revision`; 0 if there is none.
    pub revision: u64,
    /// `status.serialNumber` and `status.logIndex`: what was published under that revision.
    pub published: Option<(String, u64)>,
    /// Serial number that the signer says does not count, because it signed another answer to the same request since.
    pub superseded: Option<String>,
}

/// Another Certificate that names the same Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rival {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// Created before ours; the UID decides between two of the same second.
    pub older: bool,
}

/// The next step, complete: whoever carries it out chooses nothing.
#[derive(Debug, PartialEq)]
pub enum Plan {
    /// All is as wanted; look again then.
    Rest { leaf: LeafFacts },
    /// Something else has to come first.
    Wait { on: Waiting, leaf: Option<LeafFacts> },
    /// Only a person can mend it.
    Stop { because: Blocked },
    /// Ask the signer for a certificate, and publish it.
    Sign { order: Order },
    /// The certificate is right; write the Secret again around it.
    Republish { leaf: LeafFacts, publication: Box<Publication>, because: &'static str },
}

/// A certificate to ask for.
#[derive(Debug, PartialEq, Eq)]
pub struct Order {
    /// The issuer's authority, as it was looked at.
    pub authority: Arc<Authority>,
    /// Number of this issuance: with the object's UID the request key.
    pub step: u64,
    /// Life to ask for.
    pub life: SignedDuration,
    /// Name of the profile that it comes under, by the issuer's spec.
    pub profile: Option<String>,
    /// Whether the key that lies in the Secret is used again.
    pub keep_key: bool,
    /// Digest of what it is for.
    pub effect: String,
    /// `metadata.resourceVersion` of the Secret to write over; `None`: there is none.
    pub over: Option<String>,
    /// Why.
    pub because: Because,
}

/// Why a certificate is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// There is none, or the Secret was deleted.
    Missing,
    /// What lies there does not read, or key and certificate do not belong together.
    Damaged,
    /// It is not what the spec and the issuer describe now.
    Changed,
    /// It is not the one that counts under its number.
    Displaced,
    /// It is due.
    Due,
    /// A person asked.
    Requested,
}

/// What has to come first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// The issuer does not exist.
    IssuerMissing,
    /// The issuer exists and cannot sign yet; its own words.
    IssuerNotReady { why: String },
}

/// What only a person can mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// The spec makes no sense.
    Spec(SpecProblem),
    /// The spec asks for what the issuer does not sign.
    Limits(SpecProblem),
    /// An older Certificate names the same Secret.
    Rival { name: String },
    /// The Secret is not ours to write.
    Secret(Obstacle),
    /// The signer refused; its field, rule and fix.
    Refused { words: String },
    /// People were asked and did not agree.
    Approval(Refused),
}

/// What is known of the certificate that lies in the Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafFacts {
    /// First second.
    pub not_before: Timestamp,
    /// Last second.
    pub not_after: Timestamp,
    /// When it is due.
    pub renewal: Timestamp,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// Number of the issuance.
    pub revision: u64,
    /// Index in the signer's log.
    pub log_index: Option<u64>,
    /// UID of the issuer that signed.
    pub issuer_uid: Option<String>,
    /// Key identifier of the authority, lower-case hexadecimal.
    pub authority_key_id: Option<String>,
}

impl LeafFacts {
    /// Digest, lower-case hexadecimal, of all but the renewal, which the spec decides too.
    pub fn digest(&self) -> String {
        let canonical = serde_json::json!([
            self.not_before.as_second(),
            self.not_after.as_second(),
            self.serial,
            self.revision,
            self.log_index,
            self.issuer_uid,
            self.authority_key_id,
        ]);
        sha256(canonical.to_string().as_bytes())
    }
}

/// Decides.
pub fn decide(cert: &ValidCertificate, world: &World) -> Plan {
    if let Some(rival) = winner(cert, world) {
        return Plan::Stop { because: Blocked::Rival { name: rival.name.clone() } };
    }
    let held = match &world.found {
        Found::Blocked(obstacle) => return Plan::Stop { because: Blocked::Secret(obstacle.clone()) },
        Found::Nothing => None,
        Found::Ours(held) => Some(held.as_ref()),
    };
    let leaf = held.and_then(|held| leaf_facts(cert, held));
    let authority = match &world.issuer {
        Standing::Ready(authority) => authority,
        Standing::Missing => return without_issuer(cert, world, held, leaf, Waiting::IssuerMissing),
        Standing::NotReady { why } => {
            return without_issuer(cert, world, held, leaf, Waiting::IssuerNotReady { why: why.clone() });
        }
    };
    if let Err(problem) = within_limits(cert, authority) {
        return Plan::Stop { because: Blocked::Limits(problem) };
    }
    let wanted = effect(cert, authority);
    let needed = needed(cert, world, held, leaf.as_ref(), |held| {
        held.mark(mark::EFFECT) != Some(&wanted) || !signed_by(held, authority)
    });
    match (needed, held, leaf) {
        (None, Some(held), Some(leaf)) => keep(cert, authority, held, leaf, &wanted),
        (needed, held, _) => Plan::Sign {
            order: order(cert, world, authority, held, wanted, needed.unwrap_or(Because::Missing)),
        },
    }
}

/// The other Certificate that the Secret belongs to, if it is not ours: the one it is marked for, else the oldest. So
/// naming a Secret that is in use never breaks the Certificate that uses it.
fn winner<'a>(cert: &ValidCertificate, world: &'a World) -> Option<&'a Rival> {
    let marked = match &world.found {
        Found::Ours(held) => held.mark(mark::CERTIFICATE_UID),
        Found::Nothing | Found::Blocked(_) => None,
    };
    if marked == Some(&cert.uid) {
        return None;
    }
    let by_mark = world.rivals.iter().find(|rival| marked == Some(&rival.uid));
    by_mark.or_else(|| world.rivals.iter().find(|rival| rival.older))
}

/// What the watch of Secrets tells of ours without a read: metadata only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// `metadata.resourceVersion`.
    pub version: String,
    /// The mark [`mark::PUBLICATION`].
    pub made_from: String,
    /// The mark [`mark::LEAF`].
    pub leaf: String,
}

/// The certificate in a Secret that nobody has touched since it was published and that is still what is wanted: then
/// it need not be read at all, which is what keeps a restart among ten thousand certificates cheap.
pub fn untouched(
    cert: &ValidCertificate,
    status: &CertificateStatus,
    issuer: &Standing,
    glance: Option<&Glance>,
    now: Timestamp,
) -> Option<LeafFacts> {
    let (Standing::Ready(authority), Some(glance)) = (issuer, glance) else { return None };
    if status.secret_resource_version.as_deref() != Some(&glance.version)
        || within_limits(cert, authority).is_err()
        || glance.made_from != made_from(cert, authority, &effect(cert, authority))
    {
        return None;
    }
    let (not_before, not_after) = (status.not_before.as_ref()?.0, status.not_after.as_ref()?.0);
    let leaf = LeafFacts {
        not_before,
        not_after,
        renewal: due(cert, not_before, not_after),
        serial: status.serial_number.clone()?,
        revision: u64::try_from(status.revision?).ok()?,
        log_index: status.log_index.and_then(|index| u64::try_from(index).ok()),
        issuer_uid: status.issuer_uid.clone(),
        authority_key_id: status.authority_key_id.clone(),
    };
    // A status that somebody edited would otherwise decide when to renew.
    (now < leaf.renewal && leaf.digest() == glance.leaf).then_some(leaf)
}

/// While the issuer cannot sign, a good certificate of this issuer stays good.
fn without_issuer(
    cert: &ValidCertificate,
    world: &World,
    held: Option<&Held>,
    leaf: Option<LeafFacts>,
    on: Waiting,
) -> Plan {
    match (needed(cert, world, held, leaf.as_ref(), |held| of_another_issuer(cert, held)), leaf) {
        (None, Some(leaf)) => Plan::Rest { leaf },
        (_, leaf) => Plan::Wait { on, leaf },
    }
}

fn needed(
    cert: &ValidCertificate,
    world: &World,
    held: Option<&Held>,
    leaf: Option<&LeafFacts>,
    changed: impl Fn(&Held) -> bool,
) -> Option<Because> {
    let Some(held) = held else { return Some(Because::Missing) };
    if held.entries.values().all(|bytes| bytes.is_empty()) {
        return Some(Because::Missing);
    }
    let Some(leaf) = leaf.filter(|_| held.key_fits()) else { return Some(Because::Damaged) };
    if !content_fits(cert, held) || changed(held) {
        return Some(Because::Changed);
    }
    if displaced(world, leaf) {
        return Some(Because::Displaced);
    }
    if cert.renew_request.as_deref().is_some_and(|request| held.mark(mark::RENEWED_FOR) != Some(request)) {
        return Some(Because::Requested);
    }
    (world.now >= leaf.renewal && can_extend(world, leaf)).then_some(Because::Due)
}

/// A leader that was paused while it wrote the Secret can finish that write after the next one has published its own
/// answer to the same request. What lies there then is the certificate that the signer recorded as superseded: another
/// serial, signed earlier. A status that somebody edited differs in one of the two only. Where the status does not tell, the
/// signer does.
fn displaced(world: &World, leaf: &LeafFacts) -> bool {
    if world.superseded.as_ref() == Some(&leaf.serial) {
        return true;
    }
    let other = world.published.as_ref().filter(|(serial, _)| *serial != leaf.serial);
    leaf.revision == world.revision
        && other.is_some_and(|(_, index)| leaf.log_index.is_some_and(|i| i < *index))
}

/// What the spec named when it was issued, where the Secret tells.
fn of_another_issuer(cert: &ValidCertificate, held: &Held) -> bool {
    held.mark(mark::ISSUER).is_some_and(|issuer| issuer != named(&cert.issuer))
}

/// A certificate that already lives as long as its authority gains nothing from a new one before the authority is
/// renewed.
fn can_extend(world: &World, leaf: &LeafFacts) -> bool {
    match &world.issuer {
        Standing::Ready(authority) => authority.own().validity().not_after() > leaf.not_after,
        Standing::Missing | Standing::NotReady { .. } => true,
    }
}

/// Looks at the certificate itself, as annotations can be written by anybody who may write the Secret.
fn content_fits(cert: &ValidCertificate, held: &Held) -> bool {
    held.leaf.as_ref().is_some_and(|leaf| certifies(leaf, cert))
}

/// True when names, usages and kind of key of a certificate are those of the spec.
pub fn certifies(leaf: &Certificate, cert: &ValidCertificate) -> bool {
    *leaf.subject() == cert.subject
        && same_names(leaf.sans(), &cert.sans)
        && cert.usages.is_subset(leaf.usages())
        && leaf.is_ca() == cert.is_ca
        && leaf.public_key().algorithm() == cert.algorithm
}

fn same_names(a: &SubjectAltNames, b: &SubjectAltNames) -> bool {
    let sorted = |names| {
        let mut s = crate::wire::sans(names);
        for list in [&mut s.dns_names, &mut s.ip_addresses, &mut s.email_addresses, &mut s.uris] {
            list.sort_unstable();
            list.dedup();
        }
        s
    };
    sorted(a) == sorted(b)
}

fn signed_by(held: &Held, authority: &Authority) -> bool {
    held.leaf.as_ref().is_some_and(|leaf| leaf.verify_signed_by(authority.own().public_key()).is_ok())
}

fn keep(cert: &ValidCertificate, authority: &Authority, held: &Held, leaf: LeafFacts, effect: &str) -> Plan {
    let (Some(certificate), Some(key)) = (&held.leaf, &held.key) else { return Plan::Rest { leaf } };
    let wanted = publication(cert, authority, certificate, key, &leaf, effect, held.version.clone());
    match wanted {
        Ok(wanted) => match wanted.differs_from(held) {
            Some(because) => Plan::Republish { leaf, publication: Box::new(wanted), because },
            None => Plan::Rest { leaf },
        },
        // A key that reads and cannot be written again does not exist; resting is the harmless answer.
        Err(_) => Plan::Rest { leaf },
    }
}

fn order(
    cert: &ValidCertificate,
    world: &World,
    authority: &Arc<Authority>,
    held: Option<&Held>,
    effect: String,
    because: Because,
) -> Order {
    let last = world.revision.max(held.map_or(0, Held::revision));
    let fitting = held.is_some_and(|h| h.key.as_ref().is_some_and(|key| key.algorithm() == cert.algorithm));
    Order {
        authority: Arc::clone(authority),
        // Anybody who may write the Secret may write any number there.
        step: last.saturating_add(1),
        life: life(cert, authority),
        profile: profile(cert, authority).ok().flatten().map(|profile| profile.name.clone()),
        keep_key: cert.rotation == RotationPolicy::Never && fitting,
        effect,
        over: held.and_then(|h| h.version.clone()),
        because,
    }
}

/// What the Secret's certificate and marks say.
pub fn leaf_facts(cert: &ValidCertificate, held: &Held) -> Option<LeafFacts> {
    let leaf = held.leaf.as_ref()?;
    Some(facts_of(
        cert,
        leaf,
        held.revision(),
        held.log_index(),
        held.mark(mark::ISSUER_UID).map(str::to_owned),
    ))
}

/// What is known of a certificate once it is issued.
pub fn facts_of(
    cert: &ValidCertificate,
    leaf: &Certificate,
    revision: u64,
    log_index: Option<u64>,
    issuer_uid: Option<String>,
) -> LeafFacts {
    let validity = leaf.validity();
    LeafFacts {
        not_before: validity.not_before(),
        not_after: validity.not_after(),
        renewal: due(cert, validity.not_before(), validity.not_after()),
        serial: leaf.serial().to_string(),
        revision,
        log_index,
        issuer_uid,
        authority_key_id: leaf.authority_key_identifier().map(hex::encode),
    }
}

fn due(cert: &ValidCertificate, not_before: Timestamp, not_after: Timestamp) -> Timestamp {
    let due = renew_at(not_before, not_after, cert.renew, &cert.uid);
    due.max(not_before.saturating_add(BREATH).unwrap_or(due))
}
