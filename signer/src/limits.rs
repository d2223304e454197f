//! What a certificate that a key signs may be: the part of constraints that a key and each of its profiles have. Pure.

use crate::algorithm;
use crate::refusal::{Reason, Refusal};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::constraints::{NameConstraints, Subtrees};
use keywright_pki::name::{DistinguishedName, NameError, SubjectAltNames};
use keywright_pki::usage::Usages;
use keywright_signer_protocol::v1alpha1 as wire;
use std::collections::BTreeSet;

/// Limits that parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Names of the certificate; of an authority, those below it too.
    pub names: NameConstraints,
    /// Longest life of a certificate, in seconds; none: to the authority's own end.
    pub max_leaf_seconds: Option<u64>,
    /// Usages a certificate may state; none: any.
    pub usages: Option<Usages>,
    /// Algorithms of keys it may certify; none: any.
    pub algorithms: Option<BTreeSet<KeyAlgorithm>>,
    /// Whether it may certify an authority whose key is elsewhere.
    pub allow_ca: bool,
}

/// Limits as a message states them.
pub(crate) struct Stated<'a> {
    /// What the longest life is called where it stands.
    pub(crate) longest: &'static str,
    pub(crate) permitted: Option<&'a wire::Subtrees>,
    pub(crate) excluded: Option<&'a wire::Subtrees>,
    pub(crate) max_leaf_seconds: Option<u64>,
    pub(crate) usages: &'a [String],
    pub(crate) algorithms: &'a [i32],
    pub(crate) allow_ca: bool,
}

/// A certificate that is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) subject: &'a DistinguishedName,
    pub(crate) sans: &'a SubjectAltNames,
    /// In seconds.
    pub(crate) duration: u64,
    /// Without those that only authorities state.
    pub(crate) usages: &'a Usages,
    pub(crate) algorithm: KeyAlgorithm,
    pub(crate) is_ca: bool,
}

/// Whose limits they are, in the words of a refusal.
#[derive(Clone, Copy)]
pub(crate) struct Whose<'a> {
    /// The subject of the sentence.
    pub(crate) who: &'a str,
    /// What else could be asked.
    pub(crate) other: &'a str,
}

/// A field that allows more than another does.
pub(crate) struct Looser {
    /// Which.
    pub(crate) field: String,
    /// Why that is more.
    pub(crate) why: String,
}

fn malformed(field: impl Into<String>, rule: impl Into<String>, fix: impl Into<String>) -> Refusal {
    Refusal::new(Reason::Malformed, field, rule, fix)
}

fn name_refusal(error: &NameError) -> Refusal {
    malformed(error.field.clone(), format!("{:?} {}", error.value, error.rule), error.fix)
}

fn subtrees(field: &str, wire: Option<&wire::Subtrees>) -> Result<Subtrees, Refusal> {
    let wire = wire.cloned().unwrap_or_default();
    Subtrees::parse(field, &wire.dns_domains, &wire.ip_ranges, &wire.email_addresses, &wire.uri_domains)
        .map_err(|error| name_refusal(&error))
}

fn constraint(field: &str, rule: String, fix: String) -> Refusal {
    Refusal::new(Reason::Constraint, field, rule, fix)
}

impl Limits {
    /// Reads them. Errors: `Malformed` naming the field.
    pub(crate) fn parse(stated: &Stated<'_>) -> Result<Self, Refusal> {
        let usages = match stated.usages {
            [] => None,
            names => Some(Usages::parse(names).map_err(|error| {
                malformed("allowed.usages", error.to_string(), "name usages as in Certificate.spec.usages")
            })?),
        };
        let algorithms = stated.algorithms.iter().map(|number| {
            algorithm::from_wire(*number).ok_or_else(|| {
                malformed(
                    "allowed.privateKeyAlgorithms",
                    format!("algorithm number {number} does not exist"),
                    "use a client of this signer's version",
                )
            })
        });
        let algorithms = algorithms.collect::<Result<BTreeSet<_>, _>>()?;
        if stated.max_leaf_seconds == Some(0) {
            return Err(malformed(stated.longest, "must be at least one second", "leave it out or raise it"));
        }
        Ok(Self {
            names: NameConstraints {
                permitted: subtrees("nameConstraints.permitted", stated.permitted)?,
                excluded: subtrees("nameConstraints.excluded", stated.excluded)?,
            },
            max_leaf_seconds: stated.max_leaf_seconds,
            usages,
            algorithms: (!algorithms.is_empty()).then_some(algorithms),
            allow_ca: stated.allow_ca,
        })
    }

    /// The first field that allows what `other` does not. `longest`: what the longest life is called where they stand.
    pub(crate) fn looser_than(&self, other: &Self, longest: &str) -> Option<Looser> {
        let looser = |field: &str, why: String| Some(Looser { field: field.to_owned(), why });
        if let Err(error) = self.names.is_no_looser_than(&other.names) {
            return looser("nameConstraints", error.to_string());
        }
        match (self.max_leaf_seconds, other.max_leaf_seconds) {
            (None, Some(limit)) => return looser(longest, format!("it was limited to {limit} s")),
            (Some(new), Some(old)) if new > old => {
                return looser(longest, format!("{new} s is over {old} s"));
            }
            (None | Some(_), None) | (Some(_), Some(_)) => {}
        }
        match (&self.usages, &other.usages) {
            (None, Some(_)) => return looser("allowed.usages", "it was limited".into()),
            (Some(new), Some(old)) if !new.is_subset(old) => {
                return looser("allowed.usages", format!("only {} may be allowed", old.names().join(", ")));
            }
            (None | Some(_), None) | (Some(_), Some(_)) => {}
        }
        match (&self.algorithms, &other.algorithms) {
            (None, Some(_)) => return looser("allowed.privateKeyAlgorithms", "it was limited".into()),
            (Some(new), Some(old)) if !new.is_subset(old) => {
                let names: Vec<_> = old.iter().map(|one| one.name()).collect();
                return looser(
                    "allowed.privateKeyAlgorithms",
                    format!("only {} may be allowed", names.join(", ")),
                );
            }
            (None | Some(_), None) | (Some(_), Some(_)) => {}
        }
        if self.allow_ca && !other.allow_ca {
            return looser("allowed.isCA", "it was not allowed".into());
        }
        None
    }

    /// Whether a key of this kind may be certified. Errors: `Constraint`.
    pub(crate) fn allow_key(&self, algorithm: KeyAlgorithm, whose: Whose<'_>) -> Result<(), Refusal> {
        let Whose { who, other } = whose;
        match &self.algorithms {
            Some(allowed) if !allowed.contains(&algorithm) => {
                let names: Vec<_> = allowed.iter().map(|one| one.name()).collect();
                Err(constraint(
                    "privateKey.algorithm",
                    format!("{who} certifies only keys of {}, not {}", names.join(", "), algorithm.name()),
                    format!("choose one of them, or {other}"),
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a certificate lies within. Errors: `Constraint` naming field, rule and fix.
    pub(crate) fn allow(&self, wanted: Wanted<'_>, whose: Whose<'_>) -> Result<(), Refusal> {
        let Whose { who, other } = whose;
        self.allow_key(wanted.algorithm, whose)?;
        if let Some(limit) = self.max_leaf_seconds.filter(|limit| wanted.duration > *limit) {
            return Err(constraint(
                "duration",
                format!("{who} signs for at most {limit} s, not {} s", wanted.duration),
                format!("ask for less, or {other}"),
            ));
        }
        if let Some(allowed) = self.usages.as_ref().filter(|allowed| !wanted.usages.is_subset(allowed)) {
            return Err(constraint(
                "usages",
                format!("{who} allows only {}", allowed.names().join(", ")),
                format!("take the others out, or {other}"),
            ));
        }
        if wanted.is_ca && !self.allow_ca {
            return Err(constraint(
                "isCA",
                format!("{who} certifies no authorities whose keys are elsewhere"),
                format!(
                    "leave isCA out, make the authority an Issuer so that its key is in the signer, or {other}"
                ),
            ));
        }
        self.names.check(wanted.subject, wanted.sans).map_err(|violation| {
            constraint(
                "names",
                format!("{who}: {:?} {}", violation.name, violation.rule),
                format!("choose names inside the name constraints, or {other}"),
            )
        })
    }
}
