//! All that can be wrong with an issuer's spec is found here.

use super::profile;
use super::standing::Limits;
use crate::certificate::valid::SpecProblem;
use crate::wire;
use jiff::SignedDuration;
use keywright_crds::{
    AllowedLeaves, AnyIssuer, AuthoritySpec, IssuerMember, IssuerRef, NameConstraints as Written,
    NameSubtrees, duration,
};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::constraints::{NameConstraints, Subtrees};
use keywright_pki::name::DistinguishedName;
use keywright_pki::usage::Usages;

/// An authority whose description makes sense.
#[derive(Debug)]
pub struct ValidAuthority {
    /// `metadata.uid`: the authority's name in the signer.
    pub uid: String,
    /// `metadata.generation`: what people agree to names it.
    pub generation: u64,
    /// Subject of its certificate, never empty.
    pub subject: DistinguishedName,
    /// Key that the signer makes.
    pub algorithm: KeyAlgorithm,
    /// Life of its certificate.
    pub duration: SignedDuration,
    /// Who signs it; `None`: itself.
    pub parent: Option<IssuerRef>,
    /// What it signs.
    pub limits: Limits,
    /// As written, for the signer.
    pub spec: AuthoritySpec,
}

impl ValidAuthority {
    /// Reads an object as the API server gave it. Errors: the first problem, in the order of the spec's fields.
    pub fn parse<I: AnyIssuer>(issuer: &I) -> Result<Self, SpecProblem> {
        let Some(IssuerMember::Authority(spec)) = issuer.issuer_spec().member() else {
            return Err(SpecProblem::new(
                "authority",
                "no member is set; an issuer is exactly one of: authority",
            ));
        };
        let within =
            |problem: SpecProblem| SpecProblem { field: format!("authority.{}", problem.field), ..problem };
        let meta = issuer.meta();
        let generation = meta.generation.and_then(|g| u64::try_from(g).ok()).unwrap_or_default();
        parse(meta.uid.clone().unwrap_or_default(), generation, spec).map_err(within)
    }
}

fn parse(uid: String, generation: u64, spec: &AuthoritySpec) -> Result<ValidAuthority, SpecProblem> {
    let subject = wire::subject(spec.common_name.as_deref(), spec.subject.as_ref())?;
    if subject.is_empty() {
        return Err(SpecProblem::new(
            "commonName",
            "an authority needs a name: set commonName, subject, or both",
        ));
    }
    let key = spec.private_key.unwrap_or_default();
    Ok(ValidAuthority {
        uid,
        generation,
        subject,
        algorithm: wire::algorithm(key.algorithm, key.effective_size())
            .map_err(|e| SpecProblem::new("privateKey.size", e))?,
        duration: life("duration", spec.duration_text())?,
        parent: spec.issuer_ref.clone(),
        limits: limits(spec)?,
        spec: spec.clone(),
    })
}

fn limits(spec: &AuthoritySpec) -> Result<Limits, SpecProblem> {
    let allowed = spec.allowed.clone().unwrap_or_default();
    Ok(Limits {
        names: names(spec.name_constraints.as_ref())?,
        max_leaf: spec.max_leaf_duration.as_deref().map(|text| life("maxLeafDuration", text)).transpose()?,
        usages: usages(&allowed)?,
        algorithms: allowed.private_key_algorithms.iter().flat_map(|a| wire::family(*a)).collect(),
        allow_ca: allowed.is_ca,
        path_length: path_length(spec.path_length)?,
        profiles: profile::parse(&spec.profiles)?,
    })
}

/// Usages that are allowed; `None`: any.
pub(super) fn usages(allowed: &AllowedLeaves) -> Result<Option<Usages>, SpecProblem> {
    (!allowed.usages.is_empty())
        .then(|| Usages::parse(&wire::usage_names(&allowed.usages)))
        .transpose()
        .map_err(|e| SpecProblem::new("allowed.usages", e))
}

/// Name constraints as written.
pub(super) fn names(written: Option<&Written>) -> Result<NameConstraints, SpecProblem> {
    let written = written.cloned().unwrap_or_default();
    Ok(NameConstraints {
        permitted: subtrees("nameConstraints.permitted", written.permitted.as_ref())?,
        excluded: subtrees("nameConstraints.excluded", written.excluded.as_ref())?,
    })
}

fn path_length(written: Option<i32>) -> Result<Option<u32>, SpecProblem> {
    written
        .map(u32::try_from)
        .transpose()
        .map_err(|_| SpecProblem::new("pathLength", "it cannot be negative; leave it out for any"))
}

fn subtrees(field: &str, written: Option<&NameSubtrees>) -> Result<Subtrees, SpecProblem> {
    let written = written.cloned().unwrap_or_default();
    Subtrees::parse(
        field,
        &written.dns_domains,
        &written.ip_ranges,
        &written.email_addresses,
        &written.uri_domains,
    )
    .map_err(|e| SpecProblem::new(e.field.clone(), format!("{:?}: {}; {}", e.value, e.rule, e.fix)))
}

/// A life as written, over zero.
pub(super) fn life(field: &str, text: &str) -> Result<SignedDuration, SpecProblem> {
    let parsed = duration::parse(text).map_err(|e| SpecProblem::new(field, e))?;
    let parsed = SignedDuration::try_from(parsed).map_err(|e| SpecProblem::new(field, e))?;
    if parsed.is_zero() {
        return Err(SpecProblem::new(field, "a life of zero; write more, such as 2160h"));
    }
    Ok(parsed)
}
