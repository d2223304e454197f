//! Whether a key may sign what is asked, and exactly what the certificate will say. Pure: no clock, no disk.

use crate::authority::Authority;
use crate::constraints::KeyConstraints;
use crate::limits::{Wanted, Whose};
use crate::parse::{ValidEnsure, ValidIssue};
use crate::profile::Profile;
use crate::refusal::{Reason, Refusal};
use jiff::Timestamp;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::{CaProfile, Certificate, Serial, Template, Validity};
use keywright_pki::key::PublicKey;
use keywright_pki::name::SubjectAltNames;
use keywright_pki::usage::{KeyUsage, Usages};
use std::sync::Arc;

/// How far before now a certificate begins, in seconds, so that clocks a little behind accept it at once.
///
/// A twentieth of the life at most, and the life is counted from that beginning: it is never longer than asked for.
const BACKDATING: u64 = 30;

/// An authority, in the words of a refusal.
const AUTHORITY: Whose<'_> = Whose { who: "this authority", other: "choose another issuer" };

/// From when to when: `duration` seconds from slightly before `now`, within the issuer's own validity.
fn validity(duration: u64, now: i64, issuer: Option<&Certificate>) -> Result<Validity, Refusal> {
    let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    let mut from = now.saturating_sub(seconds(BACKDATING.min(duration / 20)));
    let mut to = from.saturating_add(seconds(duration));
    if let Some(issuer) = issuer {
        from = from.max(issuer.validity().not_before().as_second());
        to = to.min(issuer.validity().not_after().as_second());
    }
    let instant = |at: i64| {
        Timestamp::from_second(at).map_err(|_| {
            Refusal::new(Reason::Malformed, "durationSeconds", "ends after the year 9999", "ask for less")
        })
    };
    Validity::new(instant(from)?, instant(to)?).map_err(|error| {
        Refusal::new(
            Reason::AuthorityExpired,
            "durationSeconds",
            error.to_string(),
            "renew the authority first",
        )
    })
}

fn key_allowed(line: &[Arc<Authority>], algorithm: KeyAlgorithm) -> Result<(), Refusal> {
    line.iter().try_for_each(|authority| authority.constraints.limits.allow_key(algorithm, AUTHORITY))
}

/// What a leaf's certificate (or that of an authority whose key is elsewhere) will say.
///
/// `line`: the signing authority first, then those above it; the constraints of each of them hold. `profile`: of the
/// signing authority, which holds as well; none: it has no profiles.
/// Errors: `Constraint` naming field, rule and fix; the authority's own state.
pub fn leaf(
    ask: &ValidIssue,
    line: &[Arc<Authority>],
    profile: Option<&Profile>,
    serial: Serial,
    now: i64,
) -> Result<Template, Refusal> {
    let Some(authority) = line.first() else {
        return Err(Refusal::internal("a line of authorities is never empty"));
    };
    let issuer = authority.certificate_to_sign_with(ask.is_ca, now)?;
    for above in line.iter().skip(1) {
        above.certificate_to_sign_with(ask.is_ca, now)?;
    }
    let mut stated = ask.usages.clone();
    if ask.is_ca {
        stated.key.remove(&KeyUsage::CertSign);
        stated.key.remove(&KeyUsage::CrlSign);
    }
    let wanted = Wanted {
        subject: &ask.subject,
        sans: &ask.sans,
        duration: ask.duration,
        usages: &stated,
        algorithm: ask.public_key.algorithm(),
        is_ca: ask.is_ca,
    };
    for above in line {
        above.constraints.limits.allow(wanted, AUTHORITY)?;
    }
    if let Some(profile) = profile {
        let who = format!("this authority under profile {}", profile.name);
        profile.limits.allow(wanted, Whose { who: &who, other: "choose another profile or issuer" })?;
    }
    let names = &authority.constraints.limits.names;
    let ca = match (ask.is_ca, authority.constraints.path_length) {
        (false, _) => None,
        (true, Some(0)) => {
            return Err(Refusal::new(
                Reason::Constraint,
                "isCA",
                "this authority's pathLength is 0: it certifies leaves only",
                "choose an issuer with room below it",
            ));
        }
        (true, limit) => Some(CaProfile {
            path_length: limit.map(|limit| limit - 1),
            name_constraints: profile.map_or_else(|| Ok(names.clone()), |one| one.names_below(names))?,
        }),
    };
    let wire = authority.constraints.wire();
    Ok(Template {
        serial,
        subject: ask.subject.clone(),
        sans: ask.sans.clone(),
        public_key: ask.public_key.clone(),
        issuer_name: issuer.subject_der().to_vec(),
        authority_key_identifier: issuer.subject_key_identifier().map(<[u8]>::to_vec),
        validity: validity(ask.duration, now, Some(issuer))?,
        usages: ask.usages.clone(),
        ca,
        crl_distribution_points: wire.crl_distribution_points.clone(),
        ocsp_servers: wire.ocsp_servers.clone(),
        issuing_certificate_urls: wire.issuing_certificate_urls.clone(),
    })
}

/// Whether this parent may have this child at all. `line`: the parent first; empty for a root.
pub fn may_be_born(ask: &ValidEnsure, line: &[Arc<Authority>], now: i64) -> Result<KeyConstraints, Refusal> {
    let Some(parent) = line.first() else { return KeyConstraints::parse(ask.constraints.clone()) };
    for above in line {
        above.certificate_to_sign_with(true, now)?;
    }
    key_allowed(line, ask.algorithm)?;
    KeyConstraints::inherit(ask.constraints.clone(), &parent.constraints)
}

/// What an authority's certificate will say. `line`: the authorities above it, its parent first; empty for a root.
pub fn authority(
    ask: &ValidEnsure,
    constraints: &KeyConstraints,
    public_key: &PublicKey,
    line: &[Arc<Authority>],
    serial: Serial,
    now: i64,
) -> Result<Template, Refusal> {
    for above in line {
        above.certificate_to_sign_with(true, now)?;
    }
    key_allowed(line, public_key.algorithm())?;
    let parent = match line.first() {
        Some(parent) => Some((parent, parent.certificate_to_sign_with(true, now)?)),
        None => None,
    };
    let own_name = ask.subject.to_der().map_err(|error| {
        Refusal::new(Reason::Malformed, error.field.clone(), error.to_string(), "correct the subject")
    })?;
    // Where an authority's certificate is to be fetched and its revocation looked up is said by who signed it.
    let from = parent.map_or_else(Default::default, |(parent, _)| parent.constraints.wire().clone());
    Ok(Template {
        serial,
        subject: ask.subject.clone(),
        sans: SubjectAltNames::default(),
        public_key: public_key.clone(),
        issuer_name: parent.map_or(own_name, |(_, certificate)| certificate.subject_der().to_vec()),
        authority_key_identifier: parent
            .and_then(|(_, certificate)| certificate.subject_key_identifier())
            .map(<[u8]>::to_vec),
        validity: validity(ask.duration, now, parent.map(|(_, certificate)| certificate))?,
        usages: Usages::authority(),
        ca: Some(CaProfile {
            path_length: constraints.path_length,
            name_constraints: constraints.limits.names.clone(),
        }),
        crl_distribution_points: from.crl_distribution_points,
        ocsp_servers: from.ocsp_servers,
        issuing_certificate_urls: from.issuing_certificate_urls,
    })
}
