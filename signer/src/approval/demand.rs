//! Which classes have to agree before a key is used.

use crate::authority::Authority;
use crate::ids::Uid;
use crate::parse::ValidIssue;
use crate::profile::Profile;
use crate::refusal::{Reason, Refusal};
use aws_lc_rs::digest::{Context, SHA256};
use keywright_signer_protocol::v1alpha1 as wire;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Longest name of a class: that of a Kubernetes object.
const LONGEST: usize = 253;

/// The part of a key's constraints that is about people. Absent: nobody has to agree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Demands {
    /// Class for the first certificate of a name.
    pub first_issuance_of_name: Option<String>,
    /// Class for each certificate.
    pub any_issuance: Option<String>,
    /// Class for each certificate of an authority.
    pub ca_certificates: Option<String>,
    /// Class for constraints that become looser; absent: they never do.
    pub loosening: Option<String>,
}

/// Whether text can name a class.
pub fn is_class_name(text: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.len() <= LONGEST
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
        && edge(text.bytes().next())
        && edge(text.bytes().next_back())
}

impl Demands {
    /// Reads them. Errors: `Malformed` naming the field whose class cannot exist.
    pub fn parse(wire: Option<&wire::ApprovalDemands>) -> Result<Self, Refusal> {
        let Some(wire) = wire else { return Ok(Self::default()) };
        let class = |field: &str, text: &str| match text {
            "" => Ok(None),
            name if is_class_name(name) => Ok(Some(name.to_owned())),
            _ => Err(Refusal::new(
                Reason::Malformed,
                format!("approvals.{field}"),
                "must be the name of an ApprovalClass: lower-case letters, digits, - and ., at most 253",
                "name an existing ApprovalClass, or leave it out",
            )),
        };
        Ok(Self {
            first_issuance_of_name: class("firstIssuanceOfName", &wire.first_issuance_of_name)?,
            any_issuance: class("anyIssuance", &wire.any_issuance)?,
            ca_certificates: class("caCertificates", &wire.ca_certificates)?,
            loosening: class("loosening", &wire.loosening)?,
        })
    }

    /// What a child's constraints say: its own demands, and its parent's where it says nothing.
    pub fn inherit(
        own: Option<wire::ApprovalDemands>,
        parent: Option<&wire::ApprovalDemands>,
    ) -> Option<wire::ApprovalDemands> {
        let (own, parent) = (own.unwrap_or_default(), parent.cloned().unwrap_or_default());
        let or = |own: String, above: String| if own.is_empty() { above } else { own };
        let all = wire::ApprovalDemands {
            first_issuance_of_name: or(own.first_issuance_of_name, parent.first_issuance_of_name),
            any_issuance: or(own.any_issuance, parent.any_issuance),
            ca_certificates: or(own.ca_certificates, parent.ca_certificates),
            loosening: or(own.loosening, parent.loosening),
        };
        (all != wire::ApprovalDemands::default()).then_some(all)
    }

    /// The first demand of `other` that these lack or address to another class: whether that one is as strict nobody
    /// here can tell. To be allowed to become looser at all is looser than never.
    pub fn looser_than(&self, other: &Self) -> Option<(&'static str, String)> {
        let pairs = [
            ("approvals.firstIssuanceOfName", &self.first_issuance_of_name, &other.first_issuance_of_name),
            ("approvals.anyIssuance", &self.any_issuance, &other.any_issuance),
            ("approvals.caCertificates", &self.ca_certificates, &other.ca_certificates),
            ("approvals.loosening", &self.loosening, &other.loosening),
        ];
        let lost = |(field, new, old): (&'static str, &Option<String>, &Option<String>)| {
            old.clone().filter(|_| new != old).map(|class| (field, class))
        };
        pairs.into_iter().find_map(lost)
    }
}

/// Classes that have to agree to one effect, each with why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needed {
    /// Class to the reason that is told.
    pub classes: BTreeMap<String, &'static str>,
    /// Marks of the names that this effect certifies, where first issuance is watched.
    pub names: Vec<[u8; 32]>,
}

impl Needed {
    fn add(&mut self, class: Option<&String>, why: &'static str) {
        if let Some(class) = class {
            self.classes.entry(class.clone()).or_insert(why);
        }
    }

    fn of_policies(classes: &BTreeSet<String>) -> Self {
        let mut needed = Self::default();
        for class in classes {
            needed.add(Some(class), "a policy demands it");
        }
        needed
    }

    /// For a leaf, or an authority whose key is elsewhere. `line`: the signing authority first, then those above; the
    /// demands of each hold, and those of the profile. `is_marked`: whether a name was certified before.
    pub fn for_leaf<E>(
        line: &[Arc<Authority>],
        profile: Option<&Profile>,
        ask: &ValidIssue,
        policies: &BTreeSet<String>,
        is_marked: impl Fn(&[u8; 32]) -> Result<bool, E>,
    ) -> Result<Self, E> {
        let mut needed = Self::of_policies(policies);
        let mut is_first = |marks: Vec<[u8; 32]>| {
            let mut is_first = false;
            for name in &marks {
                is_first = is_first || !is_marked(name)?;
            }
            needed.names.extend(marks);
            Ok(is_first)
        };
        let watched = line.iter().any(|one| one.constraints.demands.first_issuance_of_name.is_some());
        let by_key = match line.first().filter(|_| watched) {
            Some(authority) => is_first(name_marks(authority.uid, None, ask))?,
            None => false,
        };
        let watching = profile.filter(|one| one.demands.first_issuance_of_name.is_some());
        let by_profile = match line.first().zip(watching) {
            Some((authority, profile)) => is_first(name_marks(authority.uid, Some(profile), ask))?,
            None => false,
        };
        let is_ca = ask.is_ca;
        for Demands { first_issuance_of_name, any_issuance, ca_certificates, .. } in
            line.iter().map(|authority| &authority.constraints.demands)
        {
            needed.add(any_issuance.as_ref(), "the key signs nothing without it");
            needed
                .add(ca_certificates.as_ref().filter(|_| is_ca), "the key certifies no authority without it");
            needed.add(
                first_issuance_of_name.as_ref().filter(|_| by_key),
                "the key has not certified one of these names before",
            );
        }
        if let Some(Profile { demands, .. }) = profile {
            needed.add(demands.any_issuance.as_ref(), "nothing is signed under this profile without it");
            needed.add(
                demands.ca_certificates.as_ref().filter(|_| is_ca),
                "no authority is certified under this profile without it",
            );
            needed.add(
                demands.first_issuance_of_name.as_ref().filter(|_| by_profile),
                "one of these names has not been certified under this profile before",
            );
        }
        Ok(needed)
    }

    /// For the certificate of an authority whose key is here. `line`: the authorities above, or for a renewed root itself;
    /// empty for a root that is made.
    pub fn for_authority(line: &[Arc<Authority>], policies: &BTreeSet<String>) -> Self {
        let mut needed = Self::of_policies(policies);
        for Demands { any_issuance, ca_certificates, .. } in
            line.iter().map(|authority| &authority.constraints.demands)
        {
            needed.add(any_issuance.as_ref(), "the key signs nothing without it");
            needed.add(ca_certificates.as_ref(), "the key certifies no authority without it");
        }
        needed
    }

    /// For a loosening. `line`: the authority itself and those above. `None`: it can never become looser.
    pub fn for_loosening(authority: &Authority, line: &[Arc<Authority>]) -> Option<Self> {
        authority.constraints.demands.loosening.as_ref()?;
        let mut needed = Self::default();
        let above = line.iter().map(|one| &one.constraints.demands);
        for demands in std::iter::once(&authority.constraints.demands).chain(above) {
            needed.add(demands.loosening.as_ref(), "constraints become no looser without it");
        }
        Some(needed)
    }
}

/// What stands in the ledger for each name that this authority certified, or that it certified under this profile: who
/// agreed to a name under one profile did not agree to it under another.
fn name_marks(authority: Uid, profile: Option<&Profile>, ask: &ValidIssue) -> Vec<[u8; 32]> {
    let ValidIssue { subject, sans, .. } = ask;
    let mut names: Vec<(&str, String)> = Vec::new();
    if !subject.is_empty() {
        names.push(("subject", subject.to_string()));
    }
    names.extend(sans.dns.iter().map(|name| ("dns", name.as_str().to_owned())));
    names.extend(sans.ips.iter().map(|name| ("ip", name.to_string())));
    names.extend(sans.emails.iter().map(|name| ("email", name.as_str().to_owned())));
    names.extend(sans.uris.iter().map(|name| ("uri", name.as_str().to_owned())));
    let marked = |(kind, name): &(&str, String)| match profile {
        None => mark(&[b"name", &authority.0, kind.as_bytes(), name.as_bytes()]),
        Some(profile) => mark(&[
            b"name under profile",
            &authority.0,
            profile.name.as_str().as_bytes(),
            kind.as_bytes(),
            name.as_bytes(),
        ]),
    };
    names.iter().map(marked).collect()
}

/// The key of a mark in the ledger: SHA-256 over the length-prefixed parts.
pub fn mark(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut mark = [0; 32];
    mark.copy_from_slice(context.finish().as_ref());
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(loosening: &str, any: &str) -> wire::ApprovalDemands {
        wire::ApprovalDemands { loosening: loosening.into(), any_issuance: any.into(), ..Default::default() }
    }

    #[test]
    fn a_class_is_named_as_an_object_is() {
        for good in ["a", "production", "a-b.c", "1"] {
            assert!(is_class_name(good), "{good}");
        }
        for bad in ["", "-a", "a.", "A", "a b", "a/b", "ä", &"a".repeat(254)] {
            assert!(!is_class_name(bad), "{bad}");
        }
        let refusal = Demands::parse(Some(&wire("", "No"))).unwrap_err();
        assert_eq!((refusal.reason, refusal.field.as_str()), (Reason::Malformed, "approvals.anyIssuance"));
    }

    #[test]
    fn a_demand_may_be_added_and_not_taken_away_or_readdressed() {
        let parse = |wire| Demands::parse(Some(&wire)).unwrap();
        let table = [
            (wire("", ""), wire("", ""), None),
            (wire("", "a"), wire("", ""), None),
            (wire("s", "a"), wire("", ""), None),
            (wire("", ""), wire("", "a"), Some("approvals.anyIssuance")),
            (wire("", "b"), wire("", "a"), Some("approvals.anyIssuance")),
            (wire("", "a"), wire("s", "a"), Some("approvals.loosening")),
        ];
        for (new, old, looser) in table {
            assert_eq!(
                parse(new.clone()).looser_than(&parse(old)).map(|(field, _)| field),
                looser,
                "{new:?}"
            );
        }
    }

    #[test]
    fn a_child_inherits_what_it_does_not_say() {
        let child = Demands::inherit(Some(wire("", "own")), Some(&wire("s", "above")));
        assert_eq!(child, Some(wire("s", "own")));
        assert_eq!(Demands::inherit(None, None), None);
    }
}
