//! One subtree of each kind of name: what lies inside of it, and when one lies inside another.
//!
//! Rules: RFC 5280 section 4.2.1.10. All compare without regard to case but for the local part of mailboxes.

use crate::name::{DnsName, EmailAddress, NameError};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A subtree of the DNS: `example.com` (it and all below), `.example.com` (only below) or, only from foreign
/// certificates, empty (everything).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DnsSubtree {
    /// Lower case, without the leading dot.
    base: String,
    only_below: bool,
}

/// A range of addresses of one family: address and mask, without host bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct IpSubtree {
    network: IpAddr,
    prefix: u8,
}

/// A set of mailboxes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum EmailSubtree {
    /// This mailbox.
    Mailbox(EmailAddress),
    /// All mailboxes on exactly this host, or on all hosts below a domain.
    Host(HostSubtree),
}

/// A host exactly, or all hosts below a domain (written with a leading dot): the form for URIs and e-mail.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct HostSubtree {
    base: String,
    only_below: bool,
}

/// Whether `name` is `base` with at least one more label in front.
fn is_below(name: &str, base: &str) -> bool {
    if base.is_empty() {
        return true;
    }
    name.strip_suffix(base).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
}

impl DnsSubtree {
    pub(crate) fn parse(text: &str) -> Result<Self, NameError> {
        let (base, only_below) = text.strip_prefix('.').map_or((text, false), |base| (base, true));
        let name = DnsName::parse(base).map_err(|error| NameError { value: text.to_owned(), ..error })?;
        if name.wildcard_base().is_some() {
            return Err(NameError::new(
                text,
                "has a wildcard, which constraints do not know",
                "write example.com for a domain and all below it",
            ));
        }
        Ok(Self { base: name.as_str().to_owned(), only_below })
    }

    /// From a certificate: as [`Self::parse`], and empty for everything.
    pub(crate) fn from_certificate(text: &str) -> Result<Self, NameError> {
        if text.is_empty() { Ok(Self { base: String::new(), only_below: false }) } else { Self::parse(text) }
    }

    /// Whether a host name in lower case (no wildcard) lies inside.
    fn holds(&self, name: &str) -> bool {
        is_below(name, &self.base) || (!self.only_below && name == self.base)
    }

    /// Whether all that the name matches lies inside: for `*.a.example`, every `x.a.example`.
    pub(crate) fn holds_all(&self, name: &DnsName) -> bool {
        match name.wildcard_base() {
            Some(base) => base == self.base || is_below(base, &self.base),
            None => self.holds(name.as_str()),
        }
    }

    /// Whether anything that the name matches lies inside.
    pub(crate) fn holds_any(&self, name: &DnsName) -> bool {
        let Some(base) = name.wildcard_base() else { return self.holds(name.as_str()) };
        // `*.a.example` also matches the constraint's own name when that is one label longer.
        let matches_base =
            !self.only_below && self.base.split_once('.').is_some_and(|(_, parent)| parent == base);
        self.holds_all(name) || matches_base
    }

    pub(crate) fn covers(&self, other: &Self) -> bool {
        if self.base == other.base {
            return !self.only_below || other.only_below;
        }
        is_below(&other.base, &self.base)
    }
}

impl fmt::Display for DnsSubtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.only_below { "." } else { "" }, self.base)
    }
}

impl HostSubtree {
    pub(crate) fn parse(text: &str) -> Result<Self, NameError> {
        let DnsSubtree { base, only_below } = DnsSubtree::parse(text)?;
        Ok(Self { base, only_below })
    }

    pub(crate) fn holds(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        if self.only_below { is_below(&host, &self.base) } else { host == self.base }
    }

    pub(crate) fn covers(&self, other: &Self) -> bool {
        if self.base == other.base {
            return self.only_below == other.only_below;
        }
        self.only_below && is_below(&other.base, &self.base)
    }
}

impl fmt::Display for HostSubtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.only_below { "." } else { "" }, self.base)
    }
}

impl EmailSubtree {
    pub(crate) fn parse(text: &str) -> Result<Self, NameError> {
        if text.contains('@') {
            EmailAddress::parse(text).map(Self::Mailbox)
        } else {
            HostSubtree::parse(text).map(Self::Host)
        }
    }

    pub(crate) fn holds(&self, address: &EmailAddress) -> bool {
        match self {
            Self::Mailbox(mailbox) => mailbox == address,
            Self::Host(host) => host.holds(address.domain()),
        }
    }

    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Mailbox(mailbox)) => self.holds(mailbox),
            (Self::Mailbox(_), Self::Host(_)) => false,
            (Self::Host(mine), Self::Host(theirs)) => mine.covers(theirs),
        }
    }
}

impl fmt::Display for EmailSubtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(mailbox) => write!(f, "{mailbox}"),
            Self::Host(host) => write!(f, "{host}"),
        }
    }
}

impl IpSubtree {
    /// Reads `10.0.0.0/8` or `2001:db8::/32`; a single address needs its `/32` or `/128`.
    pub(crate) fn parse(text: &str) -> Result<Self, NameError> {
        let error = |rule, fix| NameError::new(text, rule, fix);
        let no_range = || error("is no address range", "write it as 10.0.0.0/8 or 2001:db8::/32");
        let (address, prefix) = text.split_once('/').ok_or_else(no_range)?;
        let network: IpAddr = address.parse().map_err(|_| no_range())?;
        let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let canonical = digits && (prefix == "0" || !prefix.starts_with('0'));
        let prefix: u8 = prefix.parse().ok().filter(|_| canonical).ok_or_else(no_range)?;
        if prefix > bits(network) {
            return Err(error(
                "has a prefix longer than its address",
                "use at most /32 for IPv4 and /128 for IPv6",
            ));
        }
        if crate::name::is_mapped(network) {
            return Err(error("is an IPv4 range inside IPv6", "write the IPv4 range"));
        }
        let range = Self { network, prefix };
        if number(network) & !range.mask() != 0 {
            return Err(error(
                "has bits set behind its prefix",
                "clear them: 10.1.2.3/8 is written as 10.0.0.0/8",
            ));
        }
        Ok(range)
    }

    /// From a certificate: address and mask, 8 or 32 bytes, the mask without holes and the host bits clear.
    pub(crate) fn from_octets(bytes: &[u8]) -> Option<Self> {
        let (address, mask) = bytes.split_at_checked(bytes.len() / 2)?;
        let ip = |bytes: &[u8]| -> Option<IpAddr> {
            match bytes.len() {
                4 => Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?))),
                16 => Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))),
                _ => None,
            }
        };
        let (network, mask) = (ip(address)?, number(ip(mask)?));
        let prefix = u8::try_from(mask.count_ones()).ok()?;
        let range = Self { network, prefix };
        (range.mask() == mask && number(network) & !mask == 0).then_some(range)
    }

    /// Address and mask, as in certificates.
    pub(crate) fn to_octets(self) -> Vec<u8> {
        match self.network {
            IpAddr::V4(address) => {
                let mask = u32::try_from(self.mask()).unwrap_or(u32::MAX);
                [address.octets(), mask.to_be_bytes()].concat()
            }
            IpAddr::V6(address) => [address.octets(), self.mask().to_be_bytes()].concat(),
        }
    }

    pub(crate) fn holds(&self, ip: IpAddr) -> bool {
        self.network.is_ipv4() == ip.is_ipv4() && number(ip) & self.mask() == number(self.network)
    }

    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.holds(other.network)
    }

    /// The mask in the low 32 or all 128 bits.
    fn mask(&self) -> u128 {
        let width = u32::from(bits(self.network));
        let all = u128::MAX >> (128 - width);
        // Shifting by the full width is no shift at all, hence the checked one.
        all & !all.checked_shr(u32::from(self.prefix)).unwrap_or(0)
    }
}

impl fmt::Display for IpSubtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

const fn bits(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(text: &str) -> DnsSubtree {
        DnsSubtree::parse(text).unwrap()
    }

    #[test]
    fn a_domain_holds_itself_and_what_is_below_and_a_wildcard_when_all_or_any_of_it_is_inside() {
        // (constraint, name, all of it inside, any of it inside)
        for (constraint, name, all, any) in [
            ("a.example", "a.example", true, true),
            ("a.example", "A.EXAMPLE", true, true),
            ("a.example", "x.a.example", true, true),
            ("a.example", "x.y.a.example", true, true),
            ("a.example", "ba.example", false, false),
            ("a.example", "example", false, false),
            (".a.example", "a.example", false, false),
            (".a.example", "x.a.example", true, true),
            ("a.example", "*.a.example", true, true),
            (".a.example", "*.a.example", true, true),
            ("a.example", "*.x.a.example", true, true),
            ("b.a.example", "*.a.example", false, true),
            (".b.a.example", "*.a.example", false, false),
            ("c.b.a.example", "*.a.example", false, false),
            ("a.example", "*.example", false, true),
            ("a.example", "*.ba.example", false, false),
        ] {
            let name = DnsName::parse(name).unwrap();
            assert_eq!(dns(constraint).holds_all(&name), all, "{constraint} all {name}");
            assert_eq!(dns(constraint).holds_any(&name), any, "{constraint} any {name}");
        }
        let everything = DnsSubtree::from_certificate("").unwrap();
        assert!(everything.holds_all(&DnsName::parse("*.example").unwrap()));
        assert!(everything.covers(&dns(".a.example")) && !dns("a.example").covers(&everything));
    }

    #[test]
    fn one_domain_covers_another() {
        for (outer, inner, covers) in [
            ("a.example", "a.example", true),
            ("a.example", ".a.example", true),
            (".a.example", "a.example", false),
            (".a.example", ".a.example", true),
            (".a.example", "b.a.example", true),
            ("a.example", "b.a.example", true),
            ("b.a.example", "a.example", false),
            ("a.example", "ba.example", false),
        ] {
            assert_eq!(dns(outer).covers(&dns(inner)), covers, "{outer} covers {inner}");
        }
    }

    #[test]
    fn hosts_of_uris_and_mail_are_exact_unless_a_dot_leads() {
        for (constraint, host, holds) in [
            ("mail.example", "mail.example", true),
            ("mail.example", "MAIL.example", true),
            ("mail.example", "x.mail.example", false),
            (".example", "mail.example", true),
            (".example", "a.mail.example", true),
            (".example", "example", false),
        ] {
            assert_eq!(HostSubtree::parse(constraint).unwrap().holds(host), holds, "{constraint} {host}");
        }
    }

    #[test]
    fn mailboxes_compare_the_local_part_by_case() {
        let address = EmailAddress::parse("Ops@Example.com").unwrap();
        for (constraint, holds) in [
            ("Ops@example.COM", true),
            ("ops@example.com", false),
            ("example.com", true),
            (".com", true),
            (".example.com", false),
        ] {
            assert_eq!(EmailSubtree::parse(constraint).unwrap().holds(&address), holds, "{constraint}");
        }
        let covers =
            |outer, inner| EmailSubtree::parse(outer).unwrap().covers(&EmailSubtree::parse(inner).unwrap());
        assert!(covers("example.com", "a@example.com"));
        assert!(covers(".com", "example.com"));
        assert!(!covers("a@example.com", "example.com"));
        assert!(!covers("example.com", ".example.com"));
        assert!(!covers(".example.com", "example.com"));
    }

    #[test]
    fn ranges_hold_addresses_of_their_own_family_only() {
        for (range, ip, holds) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.1/32", "10.0.0.2", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("::a00:1/128", "10.0.0.1", false),
        ] {
            assert_eq!(IpSubtree::parse(range).unwrap().holds(ip.parse().unwrap()), holds, "{range} {ip}");
        }
    }

    #[test]
    fn ranges_are_written_canonically_or_refused() {
        for text in [
            "10.0.0.0",
            "10.1.0.0/8",
            "10.0.0.1/31",
            "10.0.0.0/33",
            "::/129",
            "::1/127",
            "10.0.0.0/",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "/8",
            "10.0.0.0/8/8",
            "::ffff:10.0.0.0/104",
            "10.0.0.0/255.0.0.0",
            "",
        ] {
            assert!(IpSubtree::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_read_back_from_octets_and_masks_with_holes_are_refused() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "1.2.3.4/32", "::/0", "2001:db8::/32", "::1/128"] {
            let range = IpSubtree::parse(text).unwrap();
            assert_eq!(IpSubtree::from_octets(&range.to_octets()), Some(range));
            assert_eq!(range.to_string(), text);
        }
        for octets in
            [&[10, 0, 0, 0, 255, 0, 255, 0][..], &[10, 1, 0, 0, 255, 0, 0, 0], &[10; 7], &[0; 16], &[]]
        {
            assert_eq!(IpSubtree::from_octets(octets), None, "{octets:?}");
        }
    }

    #[test]
    fn one_range_covers_another() {
        let range = |text| IpSubtree::parse(text).unwrap();
        assert!(range("10.0.0.0/8").covers(&range("10.1.0.0/16")));
        assert!(range("10.0.0.0/8").covers(&range("10.0.0.0/8")));
        assert!(!range("10.1.0.0/16").covers(&range("10.0.0.0/8")));
        assert!(range("0.0.0.0/0").covers(&range("10.0.0.0/8")));
        assert!(!range("::/0").covers(&range("10.0.0.0/8")));
    }
}
