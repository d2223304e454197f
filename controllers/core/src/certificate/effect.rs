//! What an issuance is for, as one digest.
//!
//! Two equal effects need no second certificate. The digest stands on the Secret; whatever changes it (names, key,
//! life, usages, issuer) asks for exactly one new issuance.

use super::valid::{SpecProblem, ValidCertificate};
use crate::issuer::Authority;
use crate::issuer::profile::{Profile, choose};
use crate::renewal::RenewWhen;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::SignedDuration;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::constraints::{NameConstraints, Violation};
use keywright_pki::usage::Usages;

/// What an absent `spec.duration` asks for, unless the authority allows less.
pub const DEFAULT_LIFE: SignedDuration = SignedDuration::from_hours(2160);

/// The life to ask this authority for.
pub fn life(cert: &ValidCertificate, authority: &Authority) -> SignedDuration {
    let of_profile = profile(cert, authority).ok().flatten().and_then(|profile| profile.max);
    let most =
        authority.limits.max_leaf.into_iter().chain(of_profile).fold(DEFAULT_LIFE, SignedDuration::min);
    cert.duration.unwrap_or(most)
}

/// The profile that it comes under, by the issuer's spec. Errors: none that is there, or none where one has to be.
pub fn profile<'a>(
    cert: &ValidCertificate,
    authority: &'a Authority,
) -> Result<Option<&'a Profile>, SpecProblem> {
    choose(&authority.limits.profiles, cert.profile.as_deref(), &authority.shown)
}

/// The digest, lower-case hexadecimal, of what `cert` wants from `authority`.
pub fn effect(cert: &ValidCertificate, authority: &Authority) -> String {
    let text = |items: &[String]| {
        let mut sorted = items.to_vec();
        sorted.sort_unstable();
        sorted
    };
    let s = crate::wire::sans(&cert.sans);
    let mut canonical = serde_json::json!({
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
    // As it is written: a profile that an issuer gets later does not replace what was issued before. Absent where none is
    // named, so that the digests on Secrets of before stay.
    if let Some(profile) = &cert.profile {
        canonical["profile"] = serde_json::json!(profile);
    }
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
    let life = life(cert, authority);
    Bounds {
        names: &limits.names,
        max: limits.max_leaf,
        usages: limits.usages.as_ref(),
        algorithms: &limits.algorithms,
        signs_ca: limits.allow_ca && limits.path_length != Some(0),
        by: &authority.shown,
        longest: "maxLeafDuration",
        above: " or of one above it",
        says: "allowed.isCA, pathLength",
        other: "another issuer",
    }
    .hold(cert, life)?;
    let Some(profile) = profile(cert, authority)? else {
        return renews_within(cert, life, &authority.shown, "maxLeafDuration");
    };
    let by = format!("profile {:?} of {}", profile.name, authority.shown);
    Bounds {
        names: &profile.names,
        max: profile.max,
        usages: profile.usages.as_ref(),
        algorithms: &profile.algorithms,
        signs_ca: profile.allow_ca,
        by: &by,
        longest: "maxDuration",
        above: "",
        says: "allowed.isCA",
        other: "another profile or issuer",
    }
    .hold(cert, life)?;
    if profile.max == Some(life) {
        renews_within(cert, life, &by, "maxDuration")
    } else {
        renews_within(cert, life, &authority.shown, "maxLeafDuration")
    }
}

/// The renewal that is asked for lies within a life that was not written but given.
fn renews_within(
    cert: &ValidCertificate,
    life: SignedDuration,
    by: &str,
    longest: &str,
) -> Result<(), SpecProblem> {
    match cert.renew {
        RenewWhen::Before(before) if before >= life => Err(SpecProblem::new(
            "renewBefore",
            format!(
                "{} is not under {}, the longest life that {by} gives ({longest}); write less",
                hours(before),
                hours(life)
            ),
        )),
        RenewWhen::Before(_) | RenewWhen::TwoThirds | RenewWhen::LeftPercent(_) => Ok(()),
    }
}

/// What an issuer, or a profile of it, signs, and how that is told.
struct Bounds<'a> {
    names: &'a NameConstraints,
    max: Option<SignedDuration>,
    usages: Option<&'a Usages>,
    algorithms: &'a [KeyAlgorithm],
    signs_ca: bool,
    by: &'a str,
    longest: &'static str,
    above: &'static str,
    says: &'static str,
    other: &'static str,
}

impl Bounds<'_> {
    fn hold(&self, cert: &ValidCertificate, life: SignedDuration) -> Result<(), SpecProblem> {
        let Self { by, longest, above, says, other, .. } = self;
        self.names.check(&cert.subject, &cert.sans).map_err(|Violation { field, name, rule }| {
            SpecProblem::new(
                field,
                format!(
                    "{name} is outside the name constraints of {by}: {rule}; change the name or use {other}"
                ),
            )
        })?;
        if let Some(most) = self.max.filter(|most| life > *most) {
            return Err(SpecProblem::new(
                "duration",
                format!(
                    "{} is over {longest} {} of {by}{above}; ask for no more, or leave it out",
                    hours(life),
                    hours(most)
                ),
            ));
        }
        if cert.is_ca && !self.signs_ca {
            return Err(SpecProblem::new(
                "isCA",
                format!("{by} does not sign authorities ({says}); remove isCA or use {other}"),
            ));
        }
        if !self.algorithms.is_empty() && !self.algorithms.contains(&cert.algorithm) {
            let allowed: Vec<_> = self.algorithms.iter().map(|a| a.name()).collect();
            return Err(SpecProblem::new(
                "privateKey.algorithm",
                format!("{} is not allowed by {by}; choose one of {}", cert.algorithm, allowed.join(", ")),
            ));
        }
        if let Some(allowed) = self.usages.filter(|allowed| !stated(cert).is_subset(allowed)) {
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
