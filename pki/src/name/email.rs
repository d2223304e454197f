//! E-mail addresses: an RFC 5321 section 4.1.2 mailbox with a dot-string before and a host name after the `@`.

use super::{DnsName, NameError};
use std::fmt;

/// A mailbox in ASCII; the domain is in lower case, the local part as written since it is case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads an address without display name. Quoted local parts and address literals are refused: name constraints
    /// cannot judge them.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let error = |rule, fix| NameError::new(text, rule, fix);
        let Some((local, domain)) = text.rsplit_once('@') else {
            return Err(error("has no @", "write it as user@example.com"));
        };
        if text.len() > 254 {
            return Err(error("is longer than 254 characters", "shorten it"));
        }
        if local.is_empty() || local.len() > 64 {
            return Err(error("has a local part that is empty or longer than 64 characters", "shorten it"));
        }
        let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
        if !local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom)) {
            return Err(error(
                "has a local part that is no RFC 5321 dot-string",
                "use letters, digits and !#$%&'*+-/=?^_`{|}~ with single dots between, without quotes",
            ));
        }
        match DnsName::parse(domain) {
            Ok(domain) if domain.wildcard_base().is_none() => Ok(Self(format!("{local}@{domain}"))),
            Ok(_) | Err(_) => Err(error("has a domain that is no host name", "write it as user@example.com")),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &str {
        self.split().0
    }

    /// The host name behind the `@`, in lower case.
    pub fn domain(&self) -> &str {
        self.split().1
    }

    fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('@').unwrap_or((&self.0, ""))
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_are_read_with_the_domain_in_lower_case() {
        for (text, expected) in [
            ("ops@example.com", "ops@example.com"),
            ("First.Last+tag@Example.COM", "First.Last+tag@example.com"),
            ("o'hara@host", "o'hara@host"),
        ] {
            let address = EmailAddress::parse(text).unwrap();
            assert_eq!(address.as_str(), expected);
            assert_eq!(format!("{}@{}", address.local_part(), address.domain()), expected);
        }
    }

    #[test]
    fn what_is_no_mailbox_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "",
            "ops",
            "@example.com",
            "ops@",
            "a..b@example.com",
            ".a@example.com",
            "a b@example.com",
            "\"a b\"@example.com",
            "a@b@example.com",
            "Ops <ops@example.com>",
            "ops@[10.0.0.1]",
            "ops@10.0.0.1",
            "ops@*.example.com",
            "öps@example.com",
            "ops@exämple.com",
            "a\r\nb@example.com",
            &long,
        ] {
            assert!(EmailAddress::parse(text).is_err(), "{text}");
        }
    }
}
