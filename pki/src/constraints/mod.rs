//! Name constraints (RFC 5280 section 4.2.1.10): which names may stand in certificates below an authority.
//!
//! Owns reading them from specs and certificates, the check of names against them, and the rule that a newer set may
//! only be tighter. Decides conservatively: a wildcard is permitted only when all it matches is, and excluded when
//! anything it matches is; a common name that looks like a host or an address is held to the same rules, since
//! verifiers treat it so. Constraints on other kinds of names (directory names ...) are never written and not read.

mod subtree;

use crate::name::{DistinguishedName, DnsName, NameError, SubjectAltNames};
use const_oid::AssociatedOid;
use der::asn1::{Ia5String, OctetString};
use der::{Decode, Encode};
use std::fmt;
use std::net::IpAddr;
use subtree::{DnsSubtree, EmailSubtree, HostSubtree, IpSubtree};
use x509_cert::ext::pkix::NameConstraints as NameConstraintsDer;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;

/// Subtrees of each kind of name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Subtrees {
    dns_domains: Vec<DnsSubtree>,
    ip_ranges: Vec<IpSubtree>,
    email_addresses: Vec<EmailSubtree>,
    uri_domains: Vec<HostSubtree>,
}

/// Which names a certificate below an authority may carry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct NameConstraints {
    /// If any subtree of a kind is here, all names of this kind must lie in one; other kinds are free.
    pub permitted: Subtrees,
    /// No name may lie in one of these; stronger than permitted.
    pub excluded: Subtrees,
}

/// A name that the constraints forbid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {name:?} {rule}")]
pub struct Violation {
    /// `dnsNames`, `ipAddresses`, `emailAddresses`, `uris` or `commonName`.
    pub field: &'static str,
    /// The name.
    pub name: String,
    /// Which constraint forbids it, in words.
    pub rule: String,
}

/// A change that would allow a name that was forbidden before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct Loosening {
    /// Such as `nameConstraints.permitted.dnsDomains`.
    pub field: String,
    /// What would be looser, and the fix.
    pub rule: String,
}

/// The most comparisons of a name with a subtree that one check makes; more can only be meant to cost time.
const MOST_COMPARISONS: usize = 1 << 20;

impl Subtrees {
    /// Reads the four lists of a spec; `field` is the prefix for errors, such as `nameConstraints.permitted`.
    ///
    /// `dns_domains`: `example.com` (it and all below) or `.example.com` (only below). RFC 5280 does not know the
    /// second form for DNS: OpenSSL and Go apply it, Python's `cryptography` refuses such chains. `ip_ranges`: CIDR without host
    /// bits. `email_addresses`: a mailbox, a host (exactly) or `.domain` (all hosts below). `uri_domains`: a host
    /// (exactly) or `.domain`. Errors: [`NameError`] at `field.dnsDomains[i]` and so on.
    pub fn parse<S: AsRef<str>>(
        field: &str,
        dns_domains: &[S],
        ip_ranges: &[S],
        email_addresses: &[S],
        uri_domains: &[S],
    ) -> Result<Self, NameError> {
        Ok(Self {
            dns_domains: each(field, "dnsDomains", dns_domains, DnsSubtree::parse)?,
            ip_ranges: each(field, "ipRanges", ip_ranges, IpSubtree::parse)?,
            email_addresses: each(field, "emailAddresses", email_addresses, EmailSubtree::parse)?,
            uri_domains: each(field, "uriDomains", uri_domains, HostSubtree::parse)?,
        })
    }

    /// No subtree of any kind.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many subtrees there are.
    pub fn len(&self) -> usize {
        self.dns_domains.len() + self.ip_ranges.len() + self.email_addresses.len() + self.uri_domains.len()
    }

    /// The DNS subtrees as [`Self::parse`] reads them.
    pub fn dns_domains(&self) -> Vec<String> {
        self.dns_domains.iter().map(ToString::to_string).collect()
    }

    /// The IP ranges as [`Self::parse`] reads them.
    pub fn ip_ranges(&self) -> Vec<String> {
        self.ip_ranges.iter().map(ToString::to_string).collect()
    }

    /// The e-mail subtrees as [`Self::parse`] reads them.
    pub fn email_addresses(&self) -> Vec<String> {
        self.email_addresses.iter().map(ToString::to_string).collect()
    }

    /// The URI subtrees as [`Self::parse`] reads them.
    pub fn uri_domains(&self) -> Vec<String> {
        self.uri_domains.iter().map(ToString::to_string).collect()
    }

    fn to_asn1(&self) -> der::Result<Option<Vec<GeneralSubtree>>> {
        let dns = self.dns_domains.iter().map(|tree| ia5(tree).map(GeneralName::DnsName));
        let ips =
            self.ip_ranges.iter().map(|tree| OctetString::new(tree.to_octets()).map(GeneralName::IpAddress));
        let emails = self.email_addresses.iter().map(|tree| ia5(tree).map(GeneralName::Rfc822Name));
        let uris = self.uri_domains.iter().map(|tree| ia5(tree).map(GeneralName::UniformResourceIdentifier));
        let all = dns.chain(ips).chain(emails).chain(uris);
        let list = all
            .map(|name| name.map(|base| GeneralSubtree { base, minimum: 0, maximum: None }))
            .collect::<der::Result<Vec<_>>>()?;
        Ok((!list.is_empty()).then_some(list))
    }

    fn from_asn1(list: &[GeneralSubtree]) -> Option<Self> {
        let mut all = Self::default();
        for subtree in list {
            if subtree.minimum != 0 || subtree.maximum.is_some() {
                return None;
            }
            match &subtree.base {
                GeneralName::DnsName(text) => {
                    all.dns_domains.push(DnsSubtree::from_certificate(text.as_ref()).ok()?);
                }
                GeneralName::IpAddress(octets) => {
                    all.ip_ranges.push(IpSubtree::from_octets(octets.as_bytes())?);
                }
                GeneralName::Rfc822Name(text) => {
                    all.email_addresses.push(EmailSubtree::parse(text.as_ref()).ok()?);
                }
                GeneralName::UniformResourceIdentifier(text) => {
                    all.uri_domains.push(HostSubtree::parse(text.as_ref()).ok()?);
                }
                GeneralName::OtherName(_)
                | GeneralName::DirectoryName(_)
                | GeneralName::EdiPartyName(_)
                | GeneralName::RegisteredId(_) => return None,
            }
        }
        Some(all)
    }
}

impl NameConstraints {
    /// No constraint at all.
    pub fn is_empty(&self) -> bool {
        self.permitted.is_empty() && self.excluded.is_empty()
    }

    /// Whether a certificate with these names may exist below. Errors: [`Violation`] for the first that may not.
    pub fn check(&self, subject: &DistinguishedName, sans: &SubjectAltNames) -> Result<(), Violation> {
        let subtrees = self.permitted.len() + self.excluded.len();
        if subtrees.saturating_mul(sans.len() + 1) > MOST_COMPARISONS {
            return Err(Violation {
                field: "subjectAltNames",
                name: format!("{} names", sans.len()),
                rule: format!("are too many to check against {subtrees} constraints; ask for fewer names"),
            });
        }
        for name in &sans.dns {
            self.check_dns("dnsNames", name)?;
        }
        for ip in &sans.ips {
            self.check_ip("ipAddresses", *ip)?;
        }
        for address in &sans.emails {
            decide(
                "emailAddresses",
                address,
                (&self.permitted.email_addresses, |tree| tree.holds(address)),
                (&self.excluded.email_addresses, |tree| tree.holds(address)),
            )?;
        }
        for uri in &sans.uris {
            let constrained = !self.permitted.uri_domains.is_empty() || !self.excluded.uri_domains.is_empty();
            let host = uri.host().filter(|host| host.parse::<IpAddr>().is_err() && !host.starts_with('['));
            match host {
                Some(host) => decide(
                    "uris",
                    uri,
                    (&self.permitted.uri_domains, |tree| tree.holds(host)),
                    (&self.excluded.uri_domains, |tree| tree.holds(host)),
                )?,
                None if constrained => {
                    return Err(Violation {
                        field: "uris",
                        name: uri.to_string(),
                        rule: "has no host name, and URIs are constrained by host (RFC 5280 4.2.1.10)"
                            .to_owned(),
                    });
                }
                None => {}
            }
        }
        subject.common_name.as_deref().map_or(Ok(()), |name| self.check_common_name(name))
    }

    /// Whether every name that `self` allows was allowed by `older` too.
    ///
    /// Each permitted subtree must lie in one permitted before, when any of its kind was; each one excluded before must
    /// lie in one excluded now. Errors: [`Loosening`] for the first that does not.
    pub fn is_no_looser_than(&self, older: &Self) -> Result<(), Loosening> {
        let (new, old) = (&self.permitted, &older.permitted);
        narrowed("dnsDomains", &new.dns_domains, &old.dns_domains, DnsSubtree::covers)?;
        narrowed("ipRanges", &new.ip_ranges, &old.ip_ranges, IpSubtree::covers)?;
        narrowed("emailAddresses", &new.email_addresses, &old.email_addresses, EmailSubtree::covers)?;
        narrowed("uriDomains", &new.uri_domains, &old.uri_domains, HostSubtree::covers)?;
        let (new, old) = (&self.excluded, &older.excluded);
        widened("dnsDomains", &new.dns_domains, &old.dns_domains, DnsSubtree::covers)?;
        widened("ipRanges", &new.ip_ranges, &old.ip_ranges, IpSubtree::covers)?;
        widened("emailAddresses", &new.email_addresses, &old.email_addresses, EmailSubtree::covers)?;
        widened("uriDomains", &new.uri_domains, &old.uri_domains, HostSubtree::covers)
    }

    /// These within those of an authority: a kind of which nothing is permitted here is permitted as there, and what is
    /// excluded there stays excluded. Errors: [`Loosening`] where this permits what is not permitted there.
    pub fn within(&self, above: &Self) -> Result<Self, Loosening> {
        fn or<T: Clone>(own: &[T], above: &[T]) -> Vec<T> {
            if own.is_empty() { above.to_vec() } else { own.to_vec() }
        }
        fn and<T: Clone + PartialEq>(own: &[T], above: &[T]) -> Vec<T> {
            let more = above.iter().filter(|tree| !own.contains(tree));
            own.iter().chain(more).cloned().collect()
        }
        let (own, over) = (&self.permitted, &above.permitted);
        let permitted = Subtrees {
            dns_domains: or(&own.dns_domains, &over.dns_domains),
            ip_ranges: or(&own.ip_ranges, &over.ip_ranges),
            email_addresses: or(&own.email_addresses, &over.email_addresses),
            uri_domains: or(&own.uri_domains, &over.uri_domains),
        };
        let (own, over) = (&self.excluded, &above.excluded);
        let excluded = Subtrees {
            dns_domains: and(&own.dns_domains, &over.dns_domains),
            ip_ranges: and(&own.ip_ranges, &over.ip_ranges),
            email_addresses: and(&own.email_addresses, &over.email_addresses),
            uri_domains: and(&own.uri_domains, &over.uri_domains),
        };
        let both = Self { permitted, excluded };
        both.is_no_looser_than(above).map(|()| both)
    }

    /// DER of the extension's value. Errors: [`NameError`] when it is too large to be written.
    pub fn to_der(&self) -> Result<Vec<u8>, NameError> {
        let encoded = self.to_asn1().and_then(|value| value.to_der());
        encoded.map_err(|_| unreadable("cannot be written as DER", "give fewer subtrees"))
    }

    /// Reads the extension's value. Errors: malformed, or a kind of name, a mask or a distance that we cannot apply.
    pub fn from_der(der: &[u8]) -> Result<Self, NameError> {
        let error = || {
            unreadable(
                "is malformed or of a kind that is not supported",
                "use DNS, IP, e-mail and URI constraints",
            )
        };
        let value = NameConstraintsDer::from_der(der).map_err(|_| error())?;
        let read =
            |list: &Option<Vec<GeneralSubtree>>| Subtrees::from_asn1(list.as_deref().unwrap_or_default());
        match (read(&value.permitted_subtrees), read(&value.excluded_subtrees)) {
            (Some(permitted), Some(excluded)) => Ok(Self { permitted, excluded }),
            _ => Err(error()),
        }
    }

    pub(crate) fn to_asn1(&self) -> der::Result<NameConstraintsDer> {
        Ok(NameConstraintsDer {
            permitted_subtrees: self.permitted.to_asn1()?,
            excluded_subtrees: self.excluded.to_asn1()?,
        })
    }

    fn check_dns(&self, field: &'static str, name: &DnsName) -> Result<(), Violation> {
        decide(
            field,
            name,
            (&self.permitted.dns_domains, |tree| tree.holds_all(name)),
            (&self.excluded.dns_domains, |tree| tree.holds_any(name)),
        )
    }

    fn check_ip(&self, field: &'static str, ip: IpAddr) -> Result<(), Violation> {
        decide(
            field,
            &ip,
            (&self.permitted.ip_ranges, |tree| tree.holds(ip)),
            (&self.excluded.ip_ranges, |tree| tree.holds(ip)),
        )
    }

    /// OpenSSL (`NAME_CONSTRAINTS_check_CN`) and others fall back to the common name; so it must not say what a SAN
    /// may not say.
    fn check_common_name(&self, name: &str) -> Result<(), Violation> {
        let prepared = prepared(name);
        let name = prepared.as_str();
        if let Ok(ip) = name.parse::<IpAddr>() {
            let ip = ip.to_canonical();
            return self.check_ip("commonName", ip);
        }
        let dns_constrained = !self.permitted.dns_domains.is_empty() || !self.excluded.dns_domains.is_empty();
        if !looks_like_host(name) || !dns_constrained {
            return Ok(());
        }
        let Ok(host) = DnsName::parse(name.trim_end_matches('.')) else {
            return Err(Violation {
                field: "commonName",
                name: name.to_owned(),
                rule: "looks like a host name but is none, so that DNS constraints cannot be applied; write words"
                    .to_owned(),
            });
        };
        self.check_dns("commonName", &host)
    }
}

impl AssociatedOid for NameConstraints {
    const OID: const_oid::ObjectIdentifier = const_oid::db::rfc5280::ID_CE_NAME_CONSTRAINTS;
}

/// A name as it compares (RFC 4518 sections 2.2 and 2.6.1): without characters that show nothing, and without spaces at its ends.
/// So nothing but a name that reads differently escapes the look of a host name; full stops of other scripts are dots, as
/// IDNA takes them.
fn prepared(name: &str) -> String {
    let unseen = |c: &char| {
        matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
    };
    let dotted = |c| if matches!(c, '\u{3002}' | '\u{ff0e}' | '\u{ff61}') { '.' } else { c };
    let seen: String = name.chars().filter(|c| !unseen(c)).map(dotted).collect();
    seen.trim().to_owned()
}

/// Only characters of host names (and `_` and `*`, which some verifiers let pass), and a dot between two of them.
fn looks_like_host(text: &str) -> bool {
    let characters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte));
    characters && text.trim_matches('.').contains('.')
}

fn decide<T>(
    field: &'static str,
    name: &dyn fmt::Display,
    (permitted, inside): (&[T], impl Fn(&T) -> bool),
    (excluded, touched): (&[T], impl Fn(&T) -> bool),
) -> Result<(), Violation>
where
    T: fmt::Display,
{
    let violation = |rule| Violation { field, name: name.to_string(), rule };
    if let Some(tree) = excluded.iter().find(|tree| touched(tree)) {
        return Err(violation(format!(
            "lies in the excluded subtree {:?}; ask for another name",
            tree.to_string()
        )));
    }
    if !permitted.is_empty() && !permitted.iter().any(inside) {
        let shown: Vec<String> = permitted.iter().take(8).map(ToString::to_string).collect();
        return Err(violation(format!(
            "lies in no permitted subtree ({}); use a name inside of one",
            shown.join(", ")
        )));
    }
    Ok(())
}

fn narrowed<T: fmt::Display>(
    list: &str,
    new: &[T],
    old: &[T],
    covers: impl Fn(&T, &T) -> bool,
) -> Result<(), Loosening> {
    if old.is_empty() {
        return Ok(());
    }
    let loosening = |rule| Err(Loosening { field: format!("nameConstraints.permitted.{list}"), rule });
    if new.is_empty() {
        return loosening(
            "without any entry all names of this kind are permitted; keep at least one".to_owned(),
        );
    }
    match new.iter().find(|tree| !old.iter().any(|older| covers(older, tree))) {
        Some(tree) => {
            loosening(format!("{:?} was not permitted before; keep inside of what was", tree.to_string()))
        }
        None => Ok(()),
    }
}

fn widened<T: fmt::Display>(
    list: &str,
    new: &[T],
    old: &[T],
    covers: impl Fn(&T, &T) -> bool,
) -> Result<(), Loosening> {
    match old.iter().find(|older| !new.iter().any(|tree| covers(tree, older))) {
        Some(tree) => Err(Loosening {
            field: format!("nameConstraints.excluded.{list}"),
            rule: format!("{:?} was excluded before and would not be now; keep it", tree.to_string()),
        }),
        None => Ok(()),
    }
}

fn each<S: AsRef<str>, T: PartialEq>(
    field: &str,
    list: &str,
    texts: &[S],
    parse: impl Fn(&str) -> Result<T, NameError>,
) -> Result<Vec<T>, NameError> {
    let name = |(index, text): (usize, &S)| {
        parse(text.as_ref()).map_err(|error| error.at(format!("{field}.{list}[{index}]")))
    };
    texts.iter().enumerate().map(name).collect()
}

fn ia5(tree: &impl fmt::Display) -> der::Result<Ia5String> {
    Ia5String::new(&tree.to_string())
}

fn unreadable(rule: &'static str, fix: &'static str) -> NameError {
    NameError::new("the extension", rule, fix).at("nameConstraints")
}

#[cfg(test)]
mod tests;
