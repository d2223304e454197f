//! Profiles of a key: narrower sets of what it signs, one of which each request for a certificate comes under.
//!
//! They are part of the key's constraints, sealed with them. A key with profiles signs nothing outside of them; its own
//! constraints, and those of all above, hold as well, so a profile can only narrow. Children do not inherit them. Pure.

use crate::approval::Demands;
use crate::limits::{Limits, Looser, Stated};
use crate::refusal::{Reason, Refusal};
use keywright_pki::constraints::NameConstraints;
use keywright_signer_protocol::v1alpha1 as wire;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Most profiles of one key.
const MAX_PROFILES: usize = 16;
/// What the longest life is called in a profile.
const LONGEST: &str = "maxDuration";

/// Name of a profile: a lower-case DNS label (RFC 1123).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileName(String);

/// Text that names no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a lower-case DNS label: 1 to 63 letters, digits and '-', none of them at the ends")]
pub struct BadName;

impl ProfileName {
    /// The profile of requests that name none.
    pub const DEFAULT: &str = "default";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProfileName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_label = (1..=63).contains(&text.len())
            && text.bytes().all(inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if is_label { Ok(Self(text.to_owned())) } else { Err(BadName) }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: ProfileName,
    /// What it allows of what the key allows.
    pub limits: Limits,
    /// Whose agreement it needs, beside those that the key needs; never one to loosen.
    pub demands: Demands,
    wire: wire::Profile,
}

/// All profiles of a key; none: the key signs without.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profiles(BTreeMap<ProfileName, Profile>);

impl Profile {
    fn parse(wire: wire::Profile) -> Result<Self, Refusal> {
        let malformed = |rule: String, fix: &str| Refusal::new(Reason::Malformed, "profiles", rule, fix);
        let name: ProfileName = wire.name.parse().map_err(|error: BadName| {
            malformed(format!("name {:?} {error}", wire.name), "name it as in web-server")
        })?;
        let within = |refusal: Refusal| Refusal { field: field(&name, &refusal.field), ..refusal };
        let limits = Limits::parse(&Stated {
            longest: LONGEST,
            permitted: wire.permitted.as_ref(),
            excluded: wire.excluded.as_ref(),
            max_leaf_seconds: wire.max_leaf_seconds,
            usages: &wire.allowed_usages,
            algorithms: &wire.allowed_key_algorithms,
            allow_ca: wire.allow_ca,
        });
        let limits = limits.map_err(within)?;
        let demands = Demands::parse(wire.approvals.as_ref()).map_err(within)?;
        if demands.loosening.is_some() {
            let fix = "say in the authority's own approvals who agrees to a loosening";
            return Err(within(Refusal::new(
                Reason::Malformed,
                "approvals.loosening",
                "a profile has none: it becomes looser as its authority does",
                fix,
            )));
        }
        Ok(Self { name, limits, demands, wire })
    }

    /// The normalised message.
    pub fn wire(&self) -> &wire::Profile {
        &self.wire
    }

    fn looser_than(&self, other: &Self) -> Option<Looser> {
        let demanded = || {
            let (field, class) = self.demands.looser_than(&other.demands)?;
            Some(Looser { field: field.to_owned(), why: format!("class {class} has to agree") })
        };
        let found = self.limits.looser_than(&other.limits, LONGEST).or_else(demanded)?;
        Some(Looser { field: field(&self.name, &found.field), why: found.why })
    }

    /// The name constraints of an authority that is certified under this profile: its own, and the key's where it says
    /// nothing. Errors: `Constraint` where not all that it permits is permitted to the key.
    pub fn names_below(&self, key: &NameConstraints) -> Result<NameConstraints, Refusal> {
        self.limits.names.within(key).map_err(|loosening| {
            Refusal::new(
                Reason::Constraint,
                field(&self.name, "nameConstraints"),
                format!("an authority under this profile would have to be constrained by both: {loosening}"),
                "permit in the profile only what lies within the authority's own name constraints",
            )
        })
    }
}

/// Path of a field of a profile, below the authority.
fn field(name: &ProfileName, field: &str) -> String {
    format!("profiles[{name}].{field}")
}

impl Profiles {
    /// Reads them. Errors: `Malformed`, naming the field; two of one name; too many.
    pub fn parse(wire: &[wire::Profile]) -> Result<Self, Refusal> {
        let malformed = |rule: String, fix: &str| Refusal::new(Reason::Malformed, "profiles", rule, fix);
        if wire.len() > MAX_PROFILES {
            let rule = format!("{} are over the limit of {MAX_PROFILES}", wire.len());
            return Err(malformed(rule, "make another authority for some of them"));
        }
        let mut all = BTreeMap::new();
        for one in wire {
            let profile = Profile::parse(one.clone())?;
            if let Some(twice) = all.insert(profile.name.clone(), profile) {
                return Err(malformed(format!("{} is there twice", twice.name), "name each differently"));
            }
        }
        Ok(Self(all))
    }

    /// The profile that a request comes under; none: the key has no profiles and none is named.
    ///
    /// Errors: `Constraint`: one is named that is not there, or none is and none is called `default`.
    pub fn choose(&self, named: Option<&ProfileName>) -> Result<Option<&Profile>, Refusal> {
        let refused = |rule: String, fix: &str| Err(Refusal::new(Reason::Constraint, "profile", rule, fix));
        if self.0.is_empty() {
            return match named {
                None => Ok(None),
                Some(_) => refused(
                    "this authority has no profiles, so none can be named".to_owned(),
                    "leave profile out, or name an issuer that has it",
                ),
            };
        }
        let all: Vec<&str> = self.0.keys().map(ProfileName::as_str).collect();
        let all = all.join(", ");
        match named {
            Some(name) => match self.0.get(name) {
                Some(profile) => Ok(Some(profile)),
                None => refused(
                    format!("{name} is none of this authority's profiles, which are {all}"),
                    "name one of them",
                ),
            },
            None => match self.0.values().find(|one| one.name.as_str() == ProfileName::DEFAULT) {
                Some(profile) => Ok(Some(profile)),
                None => refused(
                    format!(
                        "this authority signs only under one of its profiles ({all}), and none of them is called default"
                    ),
                    "name one of them in profile",
                ),
            },
        }
    }

    /// The first that allows what `other` does not: one that was not there, or none where there were some.
    pub(crate) fn looser_than(&self, other: &Self) -> Option<Looser> {
        if other.0.is_empty() {
            return None;
        }
        if self.0.is_empty() {
            let why = "with no profile left, what they narrowed would be signed".to_owned();
            return Some(Looser { field: "profiles".to_owned(), why });
        }
        self.0.iter().find_map(|(name, new)| {
            let Some(old) = other.0.get(name) else {
                let why = "it was not there, and what no profile allows is not signed".to_owned();
                return Some(Looser { field: format!("profiles[{name}]"), why });
            };
            new.looser_than(old)
        })
    }
}

#[cfg(test)]
#[path = "profile/tests.rs"]
mod tests;
