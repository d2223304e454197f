//! What a key may sign, and the one direction in which that may change.
//!
//! Constraints are fixed when the key is made. A child inherits what it does not state and may not state more than its
//! parent may. Later they only become tighter. The lists of URLs are no constraints but part of what every certificate
//! of this key says; they may not change at all, for that could take revocation away from relying parties. Profiles are
//! the key's own: a child has those that it states, whatever its parent has.

use crate::access::{Access, with_burst};
use crate::approval::Demands;
use crate::limits::{Limits, Looser, Stated};
use crate::profile::Profiles;
use crate::refusal::{Reason, Refusal};
use keywright_signer_protocol::v1alpha1 as wire;

/// What the longest life of a leaf is called in an authority.
const LONGEST: &str = "maxLeafDuration";

/// Constraints that parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyConstraints {
    /// Authorities that may stand between this one and a leaf; none: any number.
    pub path_length: Option<u32>,
    /// What a certificate may be.
    pub limits: Limits,
    /// Who may use it, and how often.
    pub access: Access,
    /// Whose agreement its use needs.
    pub demands: Demands,
    /// Narrower sets of what it signs; with any, it signs nothing outside of them.
    pub profiles: Profiles,
    wire: wire::Constraints,
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
        approvals: normal_demands(wire.approvals),
        profiles: normal_profiles(wire.profiles),
        ..wire
    }
}

fn normal_demands(wire: Option<wire::ApprovalDemands>) -> Option<wire::ApprovalDemands> {
    wire.filter(|demands| *demands != wire::ApprovalDemands::default())
}

fn normal_profiles(wire: Vec<wire::Profile>) -> Vec<wire::Profile> {
    let mut all: Vec<_> = wire
        .into_iter()
        .map(|one| wire::Profile {
            permitted: Some(normal_subtrees(one.permitted)),
            excluded: Some(normal_subtrees(one.excluded)),
            allowed_usages: sorted(one.allowed_usages),
            allowed_key_algorithms: sorted(one.allowed_key_algorithms),
            approvals: normal_demands(one.approvals),
            ..one
        })
        .collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// The second list where the first says nothing.
fn or<T>(own: Vec<T>, inherited: Vec<T>) -> Vec<T> {
    if own.is_empty() { inherited } else { own }
}

impl KeyConstraints {
    /// Reads constraints that stand for themselves: a root's, or stored ones.
    pub fn parse(wire: wire::Constraints) -> Result<Self, Refusal> {
        let wire = normal(wire);
        Ok(Self {
            path_length: wire.path_length,
            limits: Limits::parse(&Stated {
                longest: LONGEST,
                permitted: wire.permitted.as_ref(),
                excluded: wire.excluded.as_ref(),
                max_leaf_seconds: wire.max_leaf_seconds,
                usages: &wire.allowed_usages,
                algorithms: &wire.allowed_key_algorithms,
                allow_ca: wire.allow_ca,
            })?,
            access: Access::parse(&wire)?,
            demands: Demands::parse(wire.approvals.as_ref())?,
            profiles: Profiles::parse(&wire.profiles)?,
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
            max_leaf_seconds: own.max_leaf_seconds.or(parent.wire.max_leaf_seconds),
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
            profiles: own.profiles,
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
        match asked.looser_than(self).or_else(|| asked.profiles.looser_than(&self.profiles)) {
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

    /// The first field that allows what `other` does not; profiles are no part of it, as children have their own.
    fn looser_than(&self, other: &Self) -> Option<Looser> {
        let looser = |field: &'static str, why: String| Some(Looser { field: field.to_owned(), why });
        match (self.path_length, other.path_length) {
            (None, Some(limit)) => return looser("pathLength", format!("it was limited to {limit}")),
            (Some(new), Some(old)) if new > old => {
                return looser("pathLength", format!("{new} is over {old}"));
            }
            (None | Some(_), None) | (Some(_), Some(_)) => {}
        }
        if let Some(found) = self.limits.looser_than(&other.limits, LONGEST) {
            return Some(found);
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

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

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

    /// A key's seal is bound to these bytes: other ones, and it does not open.
    #[test]
    fn constraints_without_profiles_are_the_bytes_that_they_always_were() {
        let kept = concat!(
            "0802120d0a0b6578616d706c652e636f6d1a0020901c2a0b636c69656e7420617574682a0b7365727665722061757468",
            "320201023801a20108636572656d6f6e79a201126b65797772696768742d6f70657261746f72a80132b00164",
        );
        let bytes = parsed(base()).wire().encode_to_vec();
        assert_eq!(hex::encode(&bytes), kept);
        let read = wire::Constraints::decode(&*bytes).unwrap();
        assert_eq!(parsed(read).profiles, Profiles::default());
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
        assert_eq!(child.limits.max_leaf_seconds, Some(3600));
        assert_eq!(child.limits.names, parsed(base()).limits.names);
        assert!(!child.limits.allow_ca, "certifying foreign authorities has to be asked for");
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
