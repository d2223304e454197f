//! Profiles of an authority, as its spec has them, and the one that a Certificate comes under.
//!
//! The signer chooses and judges by those that it holds; here the same is said before it is asked.

use super::valid::{life, names, usages};
use crate::certificate::valid::SpecProblem;
use crate::wire;
use jiff::SignedDuration;
use keywright_crds::{Algorithm, CertificateProfile, ProfileApprovals};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::constraints::NameConstraints;
use keywright_pki::usage::Usages;
use keywright_signer_protocol::v1alpha1 as signer;
use std::collections::BTreeSet;

/// The profile of Certificates that name none.
const DEFAULT: &str = "default";

/// A narrower set of what an authority signs.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Names of a certificate.
    pub names: NameConstraints,
    /// Longest life.
    pub max: Option<SignedDuration>,
    /// Usages; `None`: any.
    pub usages: Option<Usages>,
    /// Algorithms of the certified keys; empty: any.
    pub algorithms: Vec<KeyAlgorithm>,
    /// Whether authorities may be asked for.
    pub allow_ca: bool,
    /// As written.
    spec: CertificateProfile,
}

/// Reads profiles. Errors: the first problem, below `profiles`.
pub(super) fn parse(written: &[CertificateProfile]) -> Result<Vec<Profile>, SpecProblem> {
    let mut seen = BTreeSet::new();
    let mut one = |spec: &CertificateProfile| {
        let within = |problem: SpecProblem| SpecProblem {
            field: format!("profiles[{}].{}", spec.name, problem.field),
            ..problem
        };
        if !seen.insert(spec.name.clone()) {
            return Err(within(SpecProblem::new("name", "another profile has it too; rename one of them")));
        }
        read(spec).map_err(within)
    };
    written.iter().map(&mut one).collect()
}

fn read(spec: &CertificateProfile) -> Result<Profile, SpecProblem> {
    let allowed = spec.allowed.clone().unwrap_or_default();
    Ok(Profile {
        name: spec.name.clone(),
        names: names(spec.name_constraints.as_ref())?,
        max: spec.max_duration.as_deref().map(|text| life("maxDuration", text)).transpose()?,
        usages: usages(&allowed)?,
        algorithms: allowed.private_key_algorithms.iter().flat_map(|a| wire::family(*a)).collect(),
        allow_ca: allowed.is_ca,
        spec: spec.clone(),
    })
}

/// The profile that a Certificate comes under; `Ok(None)`: the authority has none, and none is named. `by`: the issuer, as
/// messages name it.
///
/// Errors: one is named that is not there, or none is and none is called `default`.
pub fn choose<'a>(
    profiles: &'a [Profile],
    named: Option<&str>,
    by: &str,
) -> Result<Option<&'a Profile>, SpecProblem> {
    let refused = |problem: String| Err(SpecProblem::new("profile", problem));
    let find = |name: &str| profiles.iter().find(|profile| profile.name == name);
    let all = || profiles.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>().join(", ");
    match (profiles, named) {
        ([], None) => Ok(None),
        ([], Some(name)) => refused(format!(
            "{by} has no profiles, so {name:?} is none of them; leave profile out, or name an issuer that has it"
        )),
        (_, Some(name)) => match find(name) {
            Some(profile) => Ok(Some(profile)),
            None => refused(format!("{name:?} is none of the profiles of {by}; name one of {}", all())),
        },
        (_, None) => match find(DEFAULT) {
            Some(profile) => Ok(Some(profile)),
            None => refused(format!(
                "it is required, as {by} signs only under one of its profiles and none of them is called default; name one \
                 of {}",
                all()
            )),
        },
    }
}

impl Profile {
    /// Families of key algorithms as written; empty: any.
    pub fn families(&self) -> impl Iterator<Item = &'static str> {
        self.spec
            .allowed
            .iter()
            .flat_map(|allowed| &allowed.private_key_algorithms)
            .map(|one| Algorithm::name(*one))
    }

    /// For the signer.
    pub fn wire(&self) -> signer::Profile {
        let names = self.spec.name_constraints.as_ref();
        signer::Profile {
            name: self.name.clone(),
            permitted: wire::subtrees(names.and_then(|names| names.permitted.as_ref())),
            excluded: wire::subtrees(names.and_then(|names| names.excluded.as_ref())),
            max_leaf_seconds: self.max.map(|life| life.as_secs().unsigned_abs()),
            allowed_usages: self
                .usages
                .as_ref()
                .map(|usages| usages.names().into_iter().map(str::to_owned).collect())
                .unwrap_or_default(),
            allowed_key_algorithms: self.algorithms.iter().map(|a| wire::key_algorithm(*a).into()).collect(),
            allow_ca: self.allow_ca,
            approvals: self.spec.approvals.as_ref().map(demands),
        }
    }
}

fn demands(approvals: &ProfileApprovals) -> signer::ApprovalDemands {
    let class = |name: &Option<String>| name.clone().unwrap_or_default();
    signer::ApprovalDemands {
        first_issuance_of_name: class(&approvals.first_issuance_of_name),
        any_issuance: class(&approvals.any_issuance),
        ca_certificates: class(&approvals.ca_certificates),
        loosening: String::new(),
    }
}
