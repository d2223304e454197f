//! The next step of one issuer, from what is wanted and what is so.

#![allow(missing_docs, reason = "the fields of a variant are described by the variant")]

use super::profile::Profile;
use super::standing::Standing;
use super::valid::ValidAuthority;
use crate::certificate::decide::Waiting;
use crate::renewal::{RenewWhen, renew_at};
use crate::wire;
use jiff::{SignedDuration, Timestamp};
use keywright_crds::{AuthorityApprovals, AuthorityStatus};
use keywright_pki::certificate::Certificate;
use keywright_pki::constraints::Subtrees;
use keywright_pki::pem;
use keywright_signer_protocol::v1alpha1 as signer;
use serde_json::Value;

/// All that a decision may look at.
pub struct World {
    /// Now, by the operator's clock.
    pub now: Timestamp,
    /// The parent, where the spec names one.
    pub parent: Option<Standing>,
    /// The authority as the object's status shows it.
    pub published: Option<AuthorityStatus>,
    /// Number of the certificate that people were asked about, until their approval is used.
    pub asked: Option<u64>,
    /// Constraints that people agreed to loosen since the certificate was made.
    pub loosened: Option<Value>,
}

/// The next step.
#[derive(Debug, PartialEq)]
pub enum Plan {
    /// The parent has to come first.
    Wait { on: Waiting },
    /// Ask the signer to hold this authority. It makes what is missing and answers with what is there, so this is also
    /// how the object learns what the signer holds.
    Ensure { request: Box<signer::EnsureAuthorityRequest> },
}

/// Decides. The fencing token and the object's name are filled in by who sends.
pub fn decide(authority: &ValidAuthority, world: &World) -> Plan {
    let parent_uid = match &world.parent {
        None => String::new(),
        Some(Standing::Ready(parent)) => parent.uid.clone(),
        Some(Standing::Missing) => return Plan::Wait { on: Waiting::IssuerMissing },
        Some(Standing::NotReady { why }) => {
            return Plan::Wait { on: Waiting::IssuerNotReady { why: why.clone() } };
        }
    };
    let published = world.published.as_ref();
    let revision = revision(world);
    let due = published.and_then(|a| a.renewal_time.as_ref()).is_some_and(|at| world.now >= at.0);
    let wanted = due && can_extend(world) || is_asked(world) || is_outgrown(world);
    let step = if revision == 0 { 1 } else { revision + u64::from(wanted) };
    let expected = published.and_then(|a| a.subject_key_id.as_deref()).and_then(|id| hex::decode(id).ok());
    Plan::Ensure {
        request: Box::new(signer::EnsureAuthorityRequest {
            fencing_token: 0,
            request_key: Some(signer::RequestKey { object_uid: authority.uid.clone(), step }),
            object: None,
            subject: Some(wire::distinguished_name(&authority.subject)),
            key_algorithm: wire::key_algorithm(authority.algorithm).into(),
            duration_seconds: authority.duration.as_secs().unsigned_abs(),
            parent_uid,
            constraints: Some(constraints(authority)),
            expected_key_id: expected.unwrap_or_default(),
            generation: authority.generation,
            ..Default::default()
        }),
    }
}

/// Number of the certificate that the status shows; 0: it shows none.
fn revision(world: &World) -> u64 {
    let shown = world.published.as_ref().and_then(|a| a.revision);
    shown.and_then(|revision| u64::try_from(revision).ok()).unwrap_or(0)
}

/// People decide about the next certificate: it is what is wanted until they have, whatever the clock says.
fn is_asked(world: &World) -> bool {
    world.asked == Some(revision(world) + 1)
}

/// The certificate says less than people agreed to since it was made: relying parties would refuse what is signed by then.
fn is_outgrown(world: &World) -> bool {
    let Some(looser) = &world.loosened else { return false };
    let shown = world.published.as_ref().and_then(|a| a.certificate.as_deref()).unwrap_or_default();
    let own = pem::read_certificates(shown.as_bytes())
        .ok()
        .and_then(|chain| Certificate::from_der(chain.first()?).ok());
    own.is_some_and(|own| {
        let length = looser["pathLength"].as_u64();
        let says = own.name_constraints().cloned().unwrap_or_default();
        own.path_length().map(u64::from) != length
            || says.permitted != subtrees(&looser["permitted"])
            || says.excluded != subtrees(&looser["excluded"])
    })
}

/// Subtrees of an effect; what does not read is none.
fn subtrees(of: &Value) -> Subtrees {
    let list = |name: &str| -> Vec<String> {
        let items = of[name].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (dns, ips) = (list("dnsDomains"), list("ipRanges"));
    Subtrees::parse("", &dns, &ips, &list("emailAddresses"), &list("uriDomains")).unwrap_or_default()
}

/// The request without a renewal: for what holds of the key itself, whatever becomes of its next certificate.
pub fn at_revision(request: signer::EnsureAuthorityRequest, world: &World) -> signer::EnsureAuthorityRequest {
    let key = request.request_key.clone().unwrap_or_default();
    let step = if revision(world) > 0 { revision(world) } else { key.step };
    let request_key = Some(signer::RequestKey { step, ..key });
    signer::EnsureAuthorityRequest { request_key, ..request }
}

/// Whether the request asks for a certificate that the status does not show.
pub fn certifies(request: &signer::EnsureAuthorityRequest, world: &World) -> bool {
    request.request_key.as_ref().is_some_and(|key| key.step > revision(world))
}

/// The longest life of a leaf that this authority and those above it allow.
pub fn max_leaf(authority: &ValidAuthority, world: &World) -> Option<SignedDuration> {
    let above = match &world.parent {
        Some(Standing::Ready(parent)) => parent.limits.max_leaf,
        Some(Standing::Missing | Standing::NotReady { .. }) | None => None,
    };
    authority.limits.max_leaf.into_iter().chain(above).min()
}

/// A child that already lives as long as its parent gains nothing before the parent is renewed.
fn can_extend(world: &World) -> bool {
    let ours = world.published.as_ref().and_then(|a| a.not_after.as_ref());
    match (&world.parent, ours) {
        (Some(Standing::Ready(parent)), Some(ours)) => parent.own().validity().not_after() > ours.0,
        _ => true,
    }
}

fn constraints(authority: &ValidAuthority) -> signer::Constraints {
    let spec = &authority.spec;
    let limits = &authority.limits;
    let names = spec.name_constraints.as_ref();
    signer::Constraints {
        path_length: limits.path_length,
        permitted: wire::subtrees(names.and_then(|n| n.permitted.as_ref())),
        excluded: wire::subtrees(names.and_then(|n| n.excluded.as_ref())),
        max_leaf_seconds: limits.max_leaf.map(|life| life.as_secs().unsigned_abs()),
        allowed_usages: limits
            .usages
            .as_ref()
            .map(|u| u.names().into_iter().map(str::to_owned).collect())
            .unwrap_or_default(),
        allowed_key_algorithms: limits.algorithms.iter().map(|a| wire::key_algorithm(*a).into()).collect(),
        allow_ca: limits.allow_ca,
        crl_distribution_points: spec.crl_distribution_points.clone(),
        ocsp_servers: spec.ocsp_servers.clone(),
        issuing_certificate_urls: spec.issuing_certificate_urls.clone(),
        approvals: spec.approvals.as_ref().map(demands),
        profiles: limits.profiles.iter().map(Profile::wire).collect(),
        // Callers and their rates: the key is this operator's, at the signer's own rate.
        ..signer::Constraints::default()
    }
}

fn demands(approvals: &AuthorityApprovals) -> signer::ApprovalDemands {
    let class = |name: &Option<String>| name.clone().unwrap_or_default();
    signer::ApprovalDemands {
        first_issuance_of_name: class(&approvals.first_issuance_of_name),
        any_issuance: class(&approvals.any_issuance),
        ca_certificates: class(&approvals.ca_certificates),
        loosening: class(&approvals.loosening),
    }
}

/// When the authority's certificate is due: as a leaf's, at two thirds of its life.
pub fn renewal(certificate: &Certificate, uid: &str) -> Timestamp {
    let validity = certificate.validity();
    renew_at(validity.not_before(), validity.not_after(), RenewWhen::TwoThirds, uid)
}
