//! URIs: absolute (RFC 3986), ASCII, with a host or opaque; SPIFFE IDs as their specification demands.
//!
//! Sources: RFC 3986, RFC 5280 section 4.2.1.6 (absolute; a host when there is an authority), SPIFFE-ID section 2.

use super::{DnsName, NameError};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// An absolute URI, kept as written; its scheme is in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uri(String);

impl Uri {
    /// Reads a URI of at most 2,048 characters.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let error = |rule, fix| NameError::new(text, rule, fix);
        if text.len() > 2048 {
            return Err(error("is longer than 2048 characters", "shorten it"));
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(error("has no scheme", "write it as scheme://host/path"));
        };
        let letter_first = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest_fits = scheme
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
        if !letter_first || !rest_fits {
            return Err(error(
                "has a scheme that is not in lower-case letters",
                "begin it like https: or spiffe:",
            ));
        }
        if !is_uri_text(rest) {
            return Err(error(
                "has a character that is not allowed in a URI",
                "percent-encode it as UTF-8 (RFC 3986)",
            ));
        }
        let Some(after) = rest.strip_prefix("//") else {
            let needs_host =
                ["http", "https", "ldap", "ldaps", "ftp", "spiffe", "ws", "wss"].contains(&scheme);
            return match (needs_host, rest.is_empty()) {
                (true, _) => Err(error("has no host", "write it as scheme://host/path")),
                (false, true) => Err(error("has nothing behind its scheme", "write it as scheme:something")),
                (false, false) => Ok(Self(text.to_owned())),
            };
        };
        if scheme == "spiffe" {
            check_spiffe(text, after)?;
            return Ok(Self(text.to_owned()));
        }
        let uri = Self(text.to_owned());
        match uri.host() {
            Some(host) if is_host(host) && port_is_valid(uri.authority().unwrap_or_default()) => Ok(uri),
            _ => Err(error(
                "has an authority without a valid host",
                "give a host name or IP address, and a port number if any",
            )),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon.
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// The host of the authority, if there is an authority: a host name, an IPv4 address, a bracketed IPv6 address or
    /// a SPIFFE trust domain.
    pub fn host(&self) -> Option<&str> {
        let authority = self.authority()?;
        let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if host_and_port.starts_with('[') {
            return host_and_port.split_inclusive(']').next();
        }
        host_and_port.split(':').next()
    }

    fn authority(&self) -> Option<&str> {
        let (_, rest) = self.0.split_once(':')?;
        rest.strip_prefix("//")?.split(['/', '?', '#']).next()
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Only characters of RFC 3986 section 2, and each `%` followed by two hexadecimal digits.
fn is_uri_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
        other => other.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(other),
    })
}

fn is_host(host: &str) -> bool {
    if let Some(inside) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inside.parse::<Ipv6Addr>().is_ok();
    }
    host.parse::<Ipv4Addr>().is_ok() || DnsName::parse(host).is_ok_and(|name| name.wildcard_base().is_none())
}

fn port_is_valid(authority: &str) -> bool {
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let after = match host_and_port.rsplit_once(']') {
        Some((_, after)) => after,
        None => host_and_port.find(':').and_then(|at| host_and_port.get(at..)).unwrap_or_default(),
    };
    after.is_empty() || after.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

/// SPIFFE-ID sections 2.1 to 2.3; `after` is what follows `spiffe://`.
fn check_spiffe(text: &str, after: &str) -> Result<(), NameError> {
    let error = |rule, fix| NameError::new(text, rule, fix);
    let (domain, path) = after.split_once('/').map_or((after, None), |(domain, path)| (domain, Some(path)));
    let in_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    if domain.is_empty() || domain.len() > 255 || !domain.bytes().all(in_domain) {
        return Err(error(
            "has a SPIFFE trust domain that is not 1 to 255 lower-case letters, digits, dots, hyphens, underscores",
            "write it as spiffe://trust-domain/path, without port or user",
        ));
    }
    let in_segment = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let segment_fits = |segment: &str| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(in_segment)
    };
    if path.is_some_and(|path| !path.split('/').all(segment_fits)) {
        return Err(error(
            "has a SPIFFE path segment that is empty, . or .., or has other characters than letters, digits, -._",
            "write it as spiffe://trust-domain/a/b, without trailing slash, query or fragment",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_uris_are_read_and_show_their_host() {
        for (text, host) in [
            ("https://example.com/a?b=c#d", Some("example.com")),
            ("https://user@Example.com:8443/", Some("Example.com")),
            ("https://10.0.0.1/", Some("10.0.0.1")),
            ("https://[::1]:8443/x", Some("[::1]")),
            ("spiffe://example.org/ns/web/sa/default", Some("example.org")),
            ("spiffe://td_1", Some("td_1")),
            ("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", None),
            ("mailto:ops@example.com", None),
            ("tag:example.com,2026:x", None),
            ("https://example.com/%C3%A4", Some("example.com")),
        ] {
            assert_eq!(Uri::parse(text).unwrap().host(), host, "{text}");
        }
    }

    #[test]
    fn what_is_no_absolute_uri_or_no_spiffe_id_is_refused() {
        let long = format!("https://example.com/{}", "a".repeat(2048));
        for text in [
            "",
            "example.com",
            "/path",
            "://x",
            ":x",
            "HTTPS://example.com",
            "1a:b",
            "https:",
            "https:example.com",
            "https:///path",
            "https://:80/",
            "https://exa mple.com",
            "https://example.com/ä",
            "https://example.com/%zz",
            "https://example.com/%a",
            "https://example.com:99999/",
            "https://example.com:port/",
            "https://[::1/",
            "https://[zz]/",
            "https://*.example.com/",
            "urn:",
            "spiffe:example.org",
            "spiffe://",
            "spiffe://Example.org/x",
            "spiffe://example.org:8080/x",
            "spiffe://user@example.org/x",
            "spiffe://example.org/",
            "spiffe://example.org/a/",
            "spiffe://example.org//a",
            "spiffe://example.org/a/../b",
            "spiffe://example.org/a?b",
            "spiffe://example.org/a#b",
            "spiffe://example.org/%41",
            "spiffe://example.org?x",
            &long,
        ] {
            assert!(Uri::parse(text).is_err(), "{text}");
        }
    }
}
