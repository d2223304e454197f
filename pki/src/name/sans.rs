//! Subject alternative names (RFC 5280 section 4.2.1.6) of the four kinds that specs can ask for.

use super::{DnsName, EmailAddress, NameError, Uri};
use der::asn1::{Ia5String, OctetString};
use std::collections::HashSet;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use x509_cert::ext::pkix::name::GeneralName;

/// Alternative names in the order they were given, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct SubjectAltNames {
    /// DNS names.
    pub dns: Vec<DnsName>,
    /// IP addresses; never IPv4 addresses mapped into IPv6.
    pub ips: Vec<IpAddr>,
    /// E-mail addresses.
    pub emails: Vec<EmailAddress>,
    /// URIs.
    pub uris: Vec<Uri>,
}

impl SubjectAltNames {
    /// Reads the four lists of a spec; repeated names are kept once.
    ///
    /// Errors: [`NameError`] with field `dnsNames[i]`, `ipAddresses[i]`, `emailAddresses[i]` or `uris[i]`.
    pub fn parse<S: AsRef<str>>(
        dns_names: &[S],
        ip_addresses: &[S],
        email_addresses: &[S],
        uris: &[S],
    ) -> Result<Self, NameError> {
        Ok(Self {
            dns: each("dnsNames", dns_names, DnsName::parse)?,
            ips: each("ipAddresses", ip_addresses, parse_ip)?,
            emails: each("emailAddresses", email_addresses, EmailAddress::parse)?,
            uris: each("uris", uris, Uri::parse)?,
        })
    }

    /// Whether there is no name at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.dns.len() + self.ips.len() + self.emails.len() + self.uris.len()
    }

    /// The same set of names, whatever their order.
    pub fn is_same_set(&self, other: &Self) -> bool {
        fn same<T: Eq + Hash>(left: &[T], right: &[T]) -> bool {
            left.iter().collect::<HashSet<_>>() == right.iter().collect::<HashSet<_>>()
        }
        same(&self.dns, &other.dns)
            && same(&self.ips, &other.ips)
            && same(&self.emails, &other.emails)
            && same(&self.uris, &other.uris)
    }

    /// The X.509 form, in the order DNS, IP, e-mail, URI.
    pub(crate) fn to_general_names(&self) -> der::Result<Vec<GeneralName>> {
        let dns = self.dns.iter().map(|name| Ia5String::new(name.as_str()).map(GeneralName::DnsName));
        let ips = self.ips.iter().map(|ip| Ok(GeneralName::from(*ip)));
        let emails =
            self.emails.iter().map(|name| Ia5String::new(name.as_str()).map(GeneralName::Rfc822Name));
        let uris = self
            .uris
            .iter()
            .map(|name| Ia5String::new(name.as_str()).map(GeneralName::UniformResourceIdentifier));
        dns.chain(ips).chain(emails).chain(uris).collect()
    }

    /// Reads the X.509 form; the number says how many names are of another kind or break a rule of ours.
    pub(crate) fn from_general_names(names: &[GeneralName]) -> (Self, usize) {
        let mut sans = Self::default();
        let mut unsupported = 0;
        for name in names {
            let understood = match name {
                GeneralName::DnsName(text) => push(&mut sans.dns, DnsName::parse(text.as_ref())),
                GeneralName::Rfc822Name(text) => push(&mut sans.emails, EmailAddress::parse(text.as_ref())),
                GeneralName::UniformResourceIdentifier(text) => {
                    push(&mut sans.uris, Uri::parse(text.as_ref()))
                }
                GeneralName::IpAddress(bytes) => push(&mut sans.ips, ip_from_octets(bytes).ok_or(())),
                GeneralName::OtherName(_)
                | GeneralName::DirectoryName(_)
                | GeneralName::EdiPartyName(_)
                | GeneralName::RegisteredId(_) => false,
            };
            if !understood {
                unsupported += 1;
            }
        }
        (sans, unsupported)
    }
}

fn push<T, E>(list: &mut Vec<T>, name: Result<T, E>) -> bool {
    name.map(|name| list.push(name)).is_ok()
}

fn each<S: AsRef<str>, T: Clone + Eq + Hash>(
    field: &str,
    texts: &[S],
    parse: impl Fn(&str) -> Result<T, NameError>,
) -> Result<Vec<T>, NameError> {
    let mut seen = HashSet::new();
    let mut list = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let name = parse(text.as_ref()).map_err(|error| error.at(format!("{field}[{index}]")))?;
        if seen.insert(name.clone()) {
            list.push(name);
        }
    }
    Ok(list)
}

fn parse_ip(text: &str) -> Result<IpAddr, NameError> {
    let ip = text.parse::<IpAddr>().map_err(|_| {
        NameError::new(
            text,
            "is no IP address",
            "write it as 192.0.2.1 or 2001:db8::1, without mask, port or zone",
        )
    })?;
    if is_mapped(ip) {
        return Err(NameError::new(
            text,
            "is an IPv4 address inside an IPv6 address",
            "write the IPv4 address",
        ));
    }
    Ok(ip)
}

/// `::ffff:a.b.c.d`: would slip past constraints on either family.
pub(crate) fn is_mapped(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

fn ip_from_octets(bytes: &OctetString) -> Option<IpAddr> {
    let ip = match bytes.as_bytes().len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.as_bytes()).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_bytes()).ok()?)),
        _ => return None,
    };
    (!is_mapped(ip)).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_field_its_index_the_value_the_rule_and_the_fix() {
        let none: [&str; 0] = [];
        let dns = SubjectAltNames::parse(&["a.example", "b_c.example"], &none, &none, &none).unwrap_err();
        assert_eq!(
            dns.to_string(),
            "dnsNames[1]: \"b_c.example\" has a character that is no letter, digit or hyphen; \
             use only letters, digits, hyphens and dots"
        );
        let ip = SubjectAltNames::parse(&none, &["10.0.0.0/8"], &none, &none).unwrap_err();
        assert_eq!(ip.field, "ipAddresses[0]");
        let email = SubjectAltNames::parse(&none, &none, &["x"], &none).unwrap_err();
        assert_eq!(email.field, "emailAddresses[0]");
        let uri = SubjectAltNames::parse(&none, &none, &none, &["x"]).unwrap_err();
        assert_eq!(uri.field, "uris[0]");
    }

    #[test]
    fn addresses_that_are_written_oddly_are_refused() {
        let none: [&str; 0] = [];
        for text in ["", "10.0.0", "010.0.0.1", "10.0.0.1:80", "fe80::1%eth0", "::ffff:10.0.0.1", "[::1]"] {
            assert!(SubjectAltNames::parse(&none, &[text], &none, &none).is_err(), "{text}");
        }
    }

    #[test]
    fn repeated_names_are_kept_once_and_the_order_is_kept() {
        let none: [&str; 0] = [];
        let sans =
            SubjectAltNames::parse(&["b.example", "a.example", "B.example"], &none, &none, &none).unwrap();
        assert_eq!(sans.dns.iter().map(DnsName::as_str).collect::<Vec<_>>(), ["b.example", "a.example"]);
    }

    #[test]
    fn the_x509_form_reads_back() {
        let sans = SubjectAltNames::parse(
            &["a.example", "*.b.example"],
            &["192.0.2.1", "2001:db8::1"],
            &["ops@a.example"],
            &["spiffe://td/x"],
        )
        .unwrap();
        assert_eq!(SubjectAltNames::from_general_names(&sans.to_general_names().unwrap()), (sans, 0));
    }
}
