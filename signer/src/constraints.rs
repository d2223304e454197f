//! What a key may sign, and the one direction in which that may change.
//!
//! Constraints are fixed when the key is made. A child inherits what it does not state and may not state more than its
//! parent may. Later they only become tighter. The lists of URLs are no constraints but part of what every certificate
//! of this key says; they may not change at all, for that could take revocation away from relying parties.

use crate::access::{Access, with_burst};
use crate::algorithm;
use crate::approval::Demands;
use crate::refusal::{Reason, Refusal};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::constraints::{NameConstraints, Subtrees};
use keywright_pki::name::NameError;
use keywright_pki::usage::Usages;
use keywright_signer_protocol::v1alpha1 as wire;
use std::collections::BTreeSet;

/// Constraints that parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyConstraints {
    /// Authorities that may stand between this one and a leaf; none: any number.
    pub path_length: Option<u32>,
    /// Names below.
    pub names: NameConstraints,
    /// Longest life of a certificate, in seconds; none: to the authority's own end.
    pub max_leaf_seconds: Option<u64>,
    /// Usages a certificate may state; none: any.
    pub usages: Option<Usages>,
    /// Algorithms of keys it may certify; none: any.
    pub algorithms: Option<BTreeSet<KeyAlgorithm>>,
    /// Whether it may certify an authority whose key is elsewhere.
    pub allow_ca: bool,
    /// Who may use it, and how often.
    pub access: Access,
    /// Whose agreement its use needs.
    pub demands: Demands,
    wire: wire::Constraints,
}

fn malformed(field: impl Into<String>, rule: impl Into<String>, fix: impl Into<String>) -> Refusal {
    Refusal::new(Reason::Malformed, field, rule, fix)
}

fn name_refusal(error: &NameError) -> Refusal {
    malformed(error.field.clone(), format!("{:?} {}", error.value, error.rule), error.fix)
}

fn subtrees(field: &str, wire: &wire::Subtrees) -> Result<Subtrees, Refusal> {
    Subtrees::parse(field, &wire.dns_domains, &wire.ip_ranges, &wire.email_addresses, &wire.uri_domains)
        .map_err(|error| name_refusal(&error))
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list.dedup();
    list
}

fn normal_subtrees(wire: Option<wire::Subtrees>) -> wire::Subtrees {
    let wire = wire.unwrap_or_default();
    wire::Subtrees {
        dns_domains: sorted(wire.dns_domains),
        ip_ranges: sorted(wire.ip_ranges),
        email_addresses: sorted(wire.email_addresses),
        uri_domains: sorted(wire.uri_domains),
    }
}

fn normal(wire: wire::Constraints) -> wire::Constraints {
    let wire = with_burst(wire);
    wire::Constraints {
        permitted: Some(normal_subtrees(wire.permitted)),
        excluded: Some(normal_subtrees(wire.excluded)),
        allowed_usages: sorted(wire.allowed_usages),
        allowed_key_algorithms: sorted(wire.allowed_key_algorithms),
        allowed_callers: sorted(wire.allowed_callers),
        approvals: wire.approvals.filter(|demands| *demands != wire::ApprovalDemands::default()),
        ..wire
    }
}

/// The second list where the first says nothing.
fn or<T>(own: Vec<T>, inherited: Vec<T>) -> Vec<T> {
    if own.is_empty() { inherited } else { own }
}

impl KeyConstraints {
    /// Reads constraints that stand for themselves: a root's, or stored ones.
    pub fn parse(wire: wire::Constraints) -> Result<Self, Refusal> {
        let wire = normal(wire);
        let (permitted, excluded) =
            (normal_subtrees(wire.permitted.clone()), normal_subtrees(wire.excluded.clone()));
        let usages = match wire.allowed_usages.as_slice() {
            [] => None,
            names => Some(Usages::parse(names).map_err(|error| {
                malformed("allowed.usages", error.to_string(), "name usages as in Certificate.spec.usages")
            })?),
        };
        let algorithms = wire.allowed_key_algorithms.iter().map(|number| {
            algorithm::from_wire(*number).ok_or_else(|| {
                malformed(
                    "allowed.privateKeyAlgorithms",
                    format!("algorithm number {number} does not exist"),
                    "use a client of this signer's version",
                )
            })
        });
        let algorithms = algorithms.collect::<Result<BTreeSet<_>, _>>()?;
        if wire.max_leaf_seconds == Some(0) {
            return Err(malformed(
                "maxLeafDuration",
                "must be at least one second",
                "leave it out or raise it",
            ));
        }
        Ok(Self {
            path_length: wire.path_length,
            names: NameConstraints {
                permitted: subtrees("nameConstraints.permitted", &permitted)?,
                excluded: subtrees("nameConstraints.excluded", &excluded)?,
            },
            max_leaf_seconds: wire.max_leaf_seconds,
            usages,
            algorithms: (!algorithms.is_empty()).then_some(algorithms),
            allow_ca: wire.allow_ca,
            access: Access::parse(&wire)?,
            demands: Demands::parse(wire.approvals.as_ref())?,
            wire,
        })
    }

    /// Reads a child's constraints: what it does not state it inherits, and it may state nothing looser.
    ///
    /// Errors: `Constraint` naming the field that is looser than the parent's.
    pub fn inherit(wire: wire::Constraints, parent: &Self) -> Result<Self, Refusal> {
        let own = normal(wire);
        let (permitted, excluded) = (own.permitted.unwrap_or_default(), own.excluded.unwrap_or_default());
        let above = parent.wire.permitted.clone().unwrap_or_default();
        let above_excluded = parent.wire.excluded.clone().unwrap_or_default();
        let join = |own: Vec<String>, above: Vec<String>| [own, above].concat();
        let path_length = match (own.path_length, parent.path_length) {
            (_, Some(0)) => {
                return Err(Refusal::new(
                    Reason::Constraint,
                    "issuerRef",
                    "the parent's pathLength is 0: it certifies leaves only",
                    "choose a parent with room below it",
                ));
            }
            (Some(own), Some(above)) if own >= above => {
                return Err(Refusal::new(
                    Reason::Constraint,
                    "pathLength",
                    format!("must be less than the parent's, which is {above}"),
                    format!("set it to {} or less, or leave it out", above - 1),
                ));
            }
            (Some(own), _) => Some(own),
            (None, Some(above)) => Some(above - 1),
            (None, None) => None,
        };
        let child = Self::parse(wire::Constraints {
            path_length,
            permitted: Some(wire::Subtrees {
                dns_domains: or(permitted.dns_domains, above.dns_domains),
                ip_ranges: or(permitted.ip_ranges, above.ip_ranges),
                email_addresses: or(permitted.email_addresses, above.email_addresses),
                uri_domains: or(permitted.uri_domains, above.uri_domains),
            }),
            excluded: Some(wire::Subtrees {
                dns_domains: join(excluded.dns_domains, above_excluded.dns_domains),
                ip_ranges: join(excluded.ip_ranges, above_excluded.ip_ranges),
                email_addresses: join(excluded.email_addresses, above_excluded.email_addresses),
                uri_domains: join(excluded.uri_domains, above_excluded.uri_domains),
            }),
            max_leaf_seconds: own.max_leaf_seconds.or(parent.max_leaf_seconds),
            allowed_usages: or(own.allowed_usages, parent.wire.allowed_usages.clone()),
            allowed_key_algorithms: or(
                own.allowed_key_algorithms,
                parent.wire.allowed_key_algorithms.clone(),
            ),
            allow_ca: own.allow_ca,
            crl_distribution_points: own.crl_distribution_points,
            ocsp_servers: own.ocsp_servers,
            issuing_certificate_urls: own.issuing_certificate_urls,
            allowed_callers: or(own.allowed_callers, parent.wire.allowed_callers.clone()),
            rate_per_second: own.rate_per_second.or(parent.wire.rate_per_second),
            burst: if own.rate_per_second.is_some() { own.burst } else { own.burst.or(parent.wire.burst) },
            approvals: Demands::inherit(own.approvals, parent.wire.approvals.as_ref()),
        })?;
        match child.looser_than(parent) {
            None => Ok(child),
            Some(found) => Err(Refusal::new(
                Reason::Constraint,
                found.field,
                format!("a child may only be tighter than its parent: {}", found.why),
                "tighten it, leave it out to inherit, or choose another parent",
            )),
        }
    }

    /// What these constraints become when `asked` is asked for: `None` when that is the same.
    ///
    /// Errors: `Loosening` naming the field that would allow more than now, or a URL list that differs.
    pub fn tighten(&self, asked: Self) -> Result<Option<Self>, Refusal> {
        if asked.wire == self.wire {
            return Ok(None);
        }
        self.same_urls(&asked)?;
        if self.demands.loosening.is_none() && asked.demands.loosening.is_some() {
            // Otherwise whoever may ask could name a class of their own that lets everything become looser.
            return Err(Refusal::new(
                Reason::Loosening,
                "approvals.loosening",
                "a key that was made to become no looser cannot be given a class that may loosen it",
                "leave it out, or make a new authority with it",
            ));
        }
        match asked.looser_than(self) {
            None => Ok(Some(asked)),
            Some(found) => Err(Refusal::new(
                Reason::Loosening,
                found.field,
                format!("constraints of a key only become tighter: {}", found.why),
                "put it back, or make a new authority",
            )),
        }
    }

    /// Whether the parts that never change are the same. Errors: `Loosening` naming the list of URLs that differs.
    pub fn same_urls(&self, asked: &Self) -> Result<(), Refusal> {
        let urls = [
            (
                "crlDistributionPoints",
                &asked.wire.crl_distribution_points,
                &self.wire.crl_distribution_points,
            ),
            ("ocspServers", &asked.wire.ocsp_servers, &self.wire.ocsp_servers),
            (
                "issuingCertificateURLs",
                &asked.wire.issuing_certificate_urls,
                &self.wire.issuing_certificate_urls,
            ),
        ];
        if let Some((field, ..)) = urls.iter().find(|(_, new, old)| new != old) {
            return Err(Refusal::new(
                Reason::Loosening,
                *field,
                "is fixed when the key is made",
                "put it back, or make a new authority",
            ));
        }
        Ok(())
    }

    fn looser_than(&self, other: &Self) -> Option<Looser> {
        let looser = |field: &'static str, why: String| Some(Looser { field: field.to_owned(), why });
        match (self.path_length, other.path_length) {
            (None, Some(limit)) => return looser("pathLength", format!("it was limited to {limit}")),
            (Some(new), Some(old)) if new > old => {
                return looser("pathLength", format!("{new} is over {old}"));
            }
            (None | Some(_), None) | (Some(_), Some(_)) => {}
        }
        if let Err(error) = self.names.is_no_looser_than(&other.names) {
            return looser("nameConstraints", error.to_string());
        }
        match (self.max_leaf_seconds, other.max_leaf_seconds) {
            (None, Some(limit)) => return looser("maxLeafDuration", format!("it was limited to {limit} s")),
            (Some(new), Some(old)) if new > old => {
                return looser("maxLeafDuration", format!("{new} s is over {old} s"));
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
        if let Some((field, class)) = self.demands.looser_than(&other.demands) {
            return looser(field, format!("class {class} has to agree"));
        }
        self.access.looser_than(&other.access).and_then(|(field, why)| looser(field, why))
    }

    /// The normalised message, as stored and as bound to the sealed key.
    pub fn wire(&self) -> &wire::Constraints {
        &self.wire
    }
}

struct Looser {
    field: String,
    why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> wire::Constraints {
        wire::Constraints {
            path_length: Some(2),
            permitted: Some(wire::Subtrees { dns_domains: vec!["example.com".into()], ..Default::default() }),
            max_leaf_seconds: Some(3600),
            allowed_usages: vec!["server auth".into(), "client auth".into()],
            allowed_key_algorithms: vec![1, 2],
            allow_ca: true,
            allowed_callers: vec!["keywright-operator".into(), "ceremony".into()],
            rate_per_second: Some(50),
            ..Default::default()
        }
    }

    fn parsed(wire: wire::Constraints) -> KeyConstraints {
        KeyConstraints::parse(wire).unwrap()
    }

    fn change(edit: impl FnOnce(&mut wire::Constraints)) -> wire::Constraints {
        let mut wire = base();
        edit(&mut wire);
        wire
    }

    #[test]
    fn the_same_in_another_order_is_the_same() {
        let again = change(|c| c.allowed_usages.reverse());
        assert_eq!(parsed(base()).tighten(parsed(again)), Ok(None));
    }

    #[test]
    fn each_field_may_become_tighter() {
        for tighter in [
            change(|c| c.path_length = Some(0)),
            change(|c| c.max_leaf_seconds = Some(60)),
            change(|c| c.allowed_usages = vec!["server auth".into()]),
            change(|c| c.allowed_key_algorithms = vec![2]),
            change(|c| c.allow_ca = false),
            change(|c| c.allowed_callers = vec!["ceremony".into()]),
            change(|c| c.rate_per_second = Some(1)),
            change(|c| c.burst = Some(1)),
        ] {
            let asked = parsed(tighter);
            assert_eq!(parsed(base()).tighten(asked.clone()), Ok(Some(asked)));
        }
    }

    #[test]
    fn each_field_refuses_to_become_looser_and_is_named() {
        for (looser, field) in [
            (change(|c| c.path_length = Some(3)), "pathLength"),
            (change(|c| c.path_length = None), "pathLength"),
            (change(|c| c.max_leaf_seconds = Some(3601)), "maxLeafDuration"),
            (change(|c| c.max_leaf_seconds = None), "maxLeafDuration"),
            (change(|c| c.allowed_usages.clear()), "allowed.usages"),
            (change(|c| c.allowed_usages.push("code signing".into())), "allowed.usages"),
            (change(|c| c.allowed_key_algorithms.clear()), "allowed.privateKeyAlgorithms"),
            (change(|c| c.allowed_key_algorithms.push(4)), "allowed.privateKeyAlgorithms"),
            (change(|c| c.ocsp_servers.push("http://ocsp.example.com".into())), "ocspServers"),
            (change(|c| c.permitted = None), "nameConstraints"),
            (change(|c| c.allowed_callers.push("other".into())), "allowed.callers"),
            (change(|c| c.allowed_callers.clear()), "allowed.callers"),
            (change(|c| c.rate_per_second = Some(51)), "ratePerSecond"),
            (change(|c| c.rate_per_second = None), "ratePerSecond"),
            (change(|c| c.burst = Some(101)), "burst"),
        ] {
            let refusal = parsed(base()).tighten(parsed(looser)).unwrap_err();
            assert_eq!((refusal.reason, refusal.field.as_str()), (Reason::Loosening, field));
        }
        let strict = parsed(change(|c| c.allow_ca = false));
        assert_eq!(strict.tighten(parsed(base())).unwrap_err().field, "allowed.isCA");
    }

    #[test]
    fn a_child_inherits_what_it_does_not_state() {
        let child = KeyConstraints::inherit(wire::Constraints::default(), &parsed(base())).unwrap();
        assert_eq!(child.path_length, Some(1));
        assert_eq!(child.max_leaf_seconds, Some(3600));
        assert_eq!(child.names, parsed(base()).names);
        assert!(!child.allow_ca, "certifying foreign authorities has to be asked for");
        assert_eq!(child.access, parsed(base()).access);
    }

    #[test]
    fn a_child_may_not_state_more_than_its_parent_may() {
        for (wire, field) in [
            (change(|c| c.path_length = Some(2)), "pathLength"),
            (
                change(|c| {
                    c.path_length = None;
                    c.max_leaf_seconds = Some(7200);
                }),
                "maxLeafDuration",
            ),
            (
                change(|c| {
                    c.path_length = None;
                    c.allowed_key_algorithms = vec![9];
                }),
                "allowed.privateKeyAlgorithms",
            ),
        ] {
            let refusal = KeyConstraints::inherit(wire, &parsed(base())).unwrap_err();
            assert_eq!((refusal.reason, refusal.field.as_str()), (Reason::Constraint, field));
        }
        let leaves_only = parsed(change(|c| c.path_length = Some(0)));
        assert_eq!(
            KeyConstraints::inherit(wire::Constraints::default(), &leaves_only).unwrap_err().field,
            "issuerRef"
        );
    }
}
