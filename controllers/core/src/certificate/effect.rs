//! What an issuance is for, as one digest.
//!
//! Two equal effects need no second certificate. The digest stands on the Secret; whatever changes it (names, key,
//! life, usages, issuer) asks for exactly one new issuance.

use super::valid::{SpecProblem, ValidCertificate};
use crate::issuer::Authority;
use crate::renewal::RenewWhen;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::SignedDuration;
use keywright_pki::constraints::Violation;
use keywright_pki::usage::Usages;

/// What an absent `spec.duration` asks for, unless the authority allows less.
pub const DEFAULT_LIFE: SignedDuration = SignedDuration::from_hours(2160);

/// The life to ask this authority for.
pub fn life(cert: &ValidCertificate, authority: &Authority) -> SignedDuration {
    cert.duration
        .unwrap_or_else(|| authority.limits.max_leaf.map_or(DEFAULT_LIFE, |most| most.min(DEFAULT_LIFE)))
}

/// The digest, lower-case hexadecimal, of what `cert` wants from `authority`.
pub fn effect(cert: &ValidCertificate, authority: &Authority) -> String {
    let text = |items: &[String]| {
        let mut sorted = items.to_vec();
        sorted.sort_unstable();
        sorted
    };
    let s = crate::wire::sans(&cert.sans);
    let canonical = serde_json::json!({
        "authority": authority.uid,
        "authorityKey": authority.key_id,
        "subject": cert.subject.to_string(),
        "dns": text(&s.dns_names), "ip": text(&s.ip_addresses),
        "email": text(&s.email_addresses), "uri": text(&s.uris),
        "seconds": life(cert, authority).as_secs(),
        "usages": cert.usages.names(),
        "ca": cert.is_ca,
        "key": cert.algorithm.name(),
    });
    sha256(canonical.to_string().as_bytes())
}

/// SHA-256 in lower-case hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

/// What the issuer's own limits refuse, said before the signer is asked: the same words, without a key made in vain.
/// The signer checks again, its ancestors' limits too; only its word counts.
pub fn within_limits(cert: &ValidCertificate, authority: &Authority) -> Result<(), SpecProblem> {
    let limits = &authority.limits;
    let by = &authority.shown;
    limits.names.check(&cert.subject, &cert.sans).map_err(|Violation { field, name, rule }| {
        SpecProblem::new(
            field,
            format!("{name} is outside the name constraints of {by}: {rule}; change the name or use another issuer"),
        )
    })?;
    let life = life(cert, authority);
    if let Some(most) = limits.max_leaf.filter(|most| life > *most) {
        return Err(SpecProblem::new(
            "duration",
            format!(
                "{} is over maxLeafDuration {} of {by} or of one above it; ask for no more, or leave it out",
                hours(life),
                hours(most)
            ),
        ));
    }
    if let RenewWhen::Before(before) = cert.renew
        && before >= life
    {
        return Err(SpecProblem::new(
            "renewBefore",
            format!(
                "{} is not under {}, the longest life that {by} gives (maxLeafDuration); write less",
                hours(before),
                hours(life)
            ),
        ));
    }
    if cert.is_ca && (!limits.allow_ca || limits.path_length == Some(0)) {
        return Err(SpecProblem::new(
            "isCA",
            format!(
                "{by} does not sign authorities (allowed.isCA, pathLength); remove isCA or use another issuer"
            ),
        ));
    }
    if !limits.algorithms.is_empty() && !limits.algorithms.contains(&cert.algorithm) {
        let allowed: Vec<_> = limits.algorithms.iter().map(|a| a.name()).collect();
        return Err(SpecProblem::new(
            "privateKey.algorithm",
            format!("{} is not allowed by {by}; choose one of {}", cert.algorithm, allowed.join(", ")),
        ));
    }
    if let Some(allowed) = limits.usages.as_ref().filter(|allowed| !stated(cert).is_subset(allowed)) {
        return Err(SpecProblem::new(
            "usages",
            format!(
                "{} are not all allowed by {by}, which allows {}; ask for these only",
                stated(cert).names().join(", "),
                allowed.names().join(", ")
            ),
        ));
    }
    Ok(())
}

/// The usages that an issuer's `allowed.usages` speaks of; whether authorities are signed is said by `allowed.isCA`.
fn stated(cert: &ValidCertificate) -> Usages {
    let mut usages = cert.usages.clone();
    if cert.is_ca {
        usages.key.retain(|usage| !Usages::authority().key.contains(usage));
    }
    usages
}

/// A duration as people write it in a spec.
pub fn hours(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
        (h, 0, 0) => format!("{h}h"),
        (0, m, 0) => format!("{m}m"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, 0) => format!("{h}h{m}m"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}
