//! The effect of a request, as the signer understood it: what people have to have agreed to.

use crate::algorithm;
use crate::authority::Authority;
use crate::parse::{ValidEnsure, ValidIssue};
use crate::profile::Profile;
use crate::refusal::{Reason, Refusal};
use keywright_approvals::effect::{
    Authority as Issuer, BadEffect, CertifyAuthority, IssueCertificate, LoosenAuthority, Target, canonical,
    usage_names,
};
use keywright_approvals::{Effect, EffectDigest};
use keywright_signer_protocol::{json, v1alpha1 as wire};

fn issuer(authority: &Authority) -> Issuer {
    Issuer { uid: authority.uid.to_string(), generation: authority.row().generation }
}

fn target(uid: String, object: &wire::ObjectRef) -> Target {
    Target { uid, namespace: object.namespace.clone(), name: object.name.clone() }
}

/// An effect and its digest.
#[derive(Debug)]
pub struct Formed {
    /// The digest.
    pub digest: EffectDigest,
    effect: Effect,
}

impl Formed {
    fn new(effect: Effect) -> Result<Self, Refusal> {
        let digest = effect.digest().map_err(|error: BadEffect| {
            let fix = "ask for something that JSON can say exactly";
            Refusal::new(Reason::Malformed, "", error.to_string(), fix)
        })?;
        Ok(Self { digest, effect })
    }

    /// The canonical form that the digest is of.
    pub fn canonical(&self) -> String {
        // It has one, or it would have no digest.
        let bytes = canonical(&self.effect.to_value()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Of a leaf, or of a certificate for an authority whose key is elsewhere. `profile`: the one it comes under.
pub fn of_leaf(
    ask: &ValidIssue,
    authority: &Authority,
    profile: Option<&Profile>,
    policies: &str,
) -> Result<Formed, Refusal> {
    Formed::new(Effect::IssueCertificate(Box::new(IssueCertificate {
        certificate: target(ask.id.uid.to_string(), &ask.object),
        step: ask.id.step,
        subject: (&ask.subject).into(),
        sans: (&ask.sans).into(),
        public_key_sha256: hex::encode(ask.public_key.spki_sha256()),
        duration_seconds: ask.duration,
        usages: usage_names(&ask.asked_usages),
        is_ca: ask.is_ca,
        issuer: issuer(authority),
        profile: profile.map(|profile| profile.name.to_string()),
        policy_digest: policies.to_owned(),
    })))
}

/// Of the certificate of an authority whose key is here.
pub fn of_authority(
    ask: &ValidEnsure,
    parent: Option<&Authority>,
    policies: &str,
) -> Result<Formed, Refusal> {
    Formed::new(Effect::CertifyAuthority(Box::new(CertifyAuthority {
        authority: target(ask.id.uid.to_string(), &ask.object),
        step: ask.id.step,
        subject: (&ask.subject).into(),
        key_algorithm: algorithm::to_wire(ask.algorithm).into(),
        duration_seconds: ask.duration,
        parent: parent.map(issuer),
        constraints: json::constraints(&ask.constraints),
        policy_digest: policies.to_owned(),
    })))
}

/// Of constraints that become looser: all that would hold then.
pub fn of_loosening(
    ask: &ValidEnsure,
    authority: &Authority,
    to: &wire::Constraints,
) -> Result<Formed, Refusal> {
    Formed::new(Effect::LoosenAuthority(Box::new(LoosenAuthority {
        issuer: Issuer { uid: ask.id.uid.to_string(), generation: ask.generation },
        authority_key_id: hex::encode(authority.key.public_key().key_identifier()),
        constraints: json::constraints(to),
    })))
}
