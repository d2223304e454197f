//! Whether a key may sign what is asked, and exactly what the certificate will say. Pure: no clock, no disk.

use crate::authority::Authority;
use crate::constraints::KeyConstraints;
use crate::parse::{ValidEnsure, ValidIssue};
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

fn constraint(field: &str, rule: impl Into<String>, fix: &str) -> Refusal {
    Refusal::new(Reason::Constraint, field, rule, fix)
}

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
    for authority in line {
        if let Some(allowed) = &authority.constraints.algorithms
            && !allowed.contains(&algorithm)
        {
            let names: Vec<_> = allowed.iter().map(|one| one.name()).collect();
            return Err(constraint(
                "privateKey.algorithm",
                format!(
                    "this authority certifies only keys of {}, not {}",
                    names.join(", "),
                    algorithm.name()
                ),
                "choose one of them, or another issuer",
            ));
        }
    }
    Ok(())
}

/// What a leaf's certificate (or that of an authority whose key is elsewhere) will say.
///
/// `line`: the signing authority first, then those above it; the constraints of each of them hold.
/// Errors: `Constraint` naming field, rule and fix; the authority's own state.
pub fn leaf(
    ask: &ValidIssue,
    line: &[Arc<Authority>],
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
    key_allowed(line, ask.public_key.algorithm())?;
    let mut stated = ask.usages.clone();
    if ask.is_ca {
        stated.key.remove(&KeyUsage::CertSign);
        stated.key.remove(&KeyUsage::CrlSign);
    }
    for KeyConstraints { max_leaf_seconds, usages, names, allow_ca, .. } in
        line.iter().map(|authority| &authority.constraints)
    {
        if let Some(limit) = max_leaf_seconds
            && ask.duration > *limit
        {
            return Err(constraint(
                "duration",
                format!("this authority signs for at most {limit} s, not {} s", ask.duration),
                "ask for less, or choose another issuer",
            ));
        }
        if let Some(allowed) = usages
            && !stated.is_subset(allowed)
        {
            return Err(constraint(
                "usages",
                format!("this authority allows only {}", allowed.names().join(", ")),
                "take the others out, or choose another issuer",
            ));
        }
        if ask.is_ca && !allow_ca {
            return Err(constraint(
                "isCA",
                "this authority certifies no authorities whose keys are elsewhere",
                "leave isCA out, or make the authority an Issuer so that its key is in the signer",
            ));
        }
        names.check(&ask.subject, &ask.sans).map_err(|violation| {
            constraint(
                "names",
                format!("{:?} {}", violation.name, violation.rule),
                "choose names inside the authority's name constraints, or another issuer",
            )
        })?;
    }
    let ca = match (ask.is_ca, authority.constraints.path_length) {
        (false, _) => None,
        (true, Some(0)) => {
            return Err(constraint(
                "isCA",
                "this authority's pathLength is 0: it certifies leaves only",
                "choose an issuer with room below it",
            ));
        }
        (true, limit) => Some(CaProfile {
            path_length: limit.map(|limit| limit - 1),
            name_constraints: authority.constraints.names.clone(),
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
            name_constraints: constraints.names.clone(),
        }),
        crl_distribution_points: from.crl_distribution_points,
        ocsp_servers: from.ocsp_servers,
        issuing_certificate_urls: from.issuing_certificate_urls,
    })
}
