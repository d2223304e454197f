//! DNS names: RFC 1123 host names in lower case, with an optional wildcard label (RFC 9525 section 6.3).

use super::NameError;
use std::fmt;

/// A host name or `*.` and a host name: lower-case letters, digits and hyphens, at most 253 characters, no trailing
/// dot, labels of 1 to 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

impl DnsName {
    /// Reads a name; upper case becomes lower case. Errors name the rule; the caller names the field.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let error = |rule, fix| NameError::new(text, rule, fix);
        if text.is_empty() {
            return Err(error("is empty", "give a host name such as web.example.com"));
        }
        if !text.is_ascii() {
            return Err(error("is not ASCII", "write international labels as A-labels (xn--...)"));
        }
        if text.len() > 253 {
            return Err(error("is longer than 253 characters", "shorten it"));
        }
        if text.ends_with('.') {
            return Err(error("ends with a dot", "remove the dot"));
        }
        let host = text.strip_prefix("*.").unwrap_or(text);
        if host.contains('*') {
            return Err(error(
                "has a wildcard that is not the whole leftmost label",
                "use *.example.com or list the names",
            ));
        }
        for label in host.split('.') {
            if label.is_empty() {
                return Err(error("has an empty label", "remove the extra dot"));
            }
            if label.len() > 63 {
                return Err(error("has a label longer than 63 characters", "shorten the label"));
            }
            if label.starts_with('-') || label.ends_with('-') {
                return Err(error("has a label that begins or ends with a hyphen", "remove the hyphen"));
            }
            if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                return Err(error(
                    "has a character that is no letter, digit or hyphen",
                    "use only letters, digits, hyphens and dots",
                ));
            }
        }
        if host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(error("is an IP address or ends like one", "put IP addresses into ipAddresses"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows `*.`, when this is a wildcard.
    pub fn wildcard_base(&self) -> Option<&str> {
        self.0.strip_prefix("*.")
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_and_wildcards_are_read_in_lower_case() {
        for (text, expected) in [
            ("web.example.com", "web.example.com"),
            ("WEB.Example.COM", "web.example.com"),
            ("*.example.com", "*.example.com"),
            ("*.local", "*.local"),
            ("localhost", "localhost"),
            ("1.pool.ntp.org", "1.pool.ntp.org"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("a-b.c", "a-b.c"),
        ] {
            assert_eq!(DnsName::parse(text).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn what_is_no_host_name_is_refused_with_the_rule() {
        let long_label = format!("{}.com", "a".repeat(64));
        let long_name = ["a".repeat(60).as_str(); 5].join(".");
        for (text, rule) in [
            ("", "is empty"),
            ("bücher.example", "is not ASCII"),
            ("example.com.", "ends with a dot"),
            (".example.com", "empty label"),
            ("a..b", "empty label"),
            ("*", "wildcard"),
            ("*.", "ends with a dot"),
            ("*.*.example.com", "wildcard"),
            ("a.*.example.com", "wildcard"),
            ("w*.example.com", "wildcard"),
            ("-a.example", "hyphen"),
            ("a-.example", "hyphen"),
            ("a_b.example", "no letter, digit or hyphen"),
            ("a b.example", "no letter, digit or hyphen"),
            ("a\0.example", "no letter, digit or hyphen"),
            ("https://example.com", "no letter, digit or hyphen"),
            ("10.0.0.1", "IP address"),
            ("*.0.0.1", "IP address"),
            ("::1", "no letter, digit or hyphen"),
            (&long_label, "63 characters"),
            (&long_name, "253 characters"),
        ] {
            let error = DnsName::parse(text).unwrap_err();
            assert!(error.rule.contains(rule), "{error}");
        }
    }
}
