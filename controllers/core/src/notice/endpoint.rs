//! Where a notice goes: read from the Secret that the class names. A URL of a webhook is a secret by itself, so nothing
//! here shows one.

use http::Uri;
use k8s_openapi::api::core::v1::Secret;
use keywright_crds::{NoticeForm, NotifyTarget};
use std::fmt;
use std::net::IpAddr;
use zeroize::{Zeroize, Zeroizing};

/// Entry with the roots that a receiver's certificate must chain to, in the Secret that holds the URL. Absent: the
/// machine's roots.
pub const ROOTS: &str = "ca.crt";

/// Where to connect and what to ask for there.
#[derive(Clone)]
pub struct Endpoint {
    /// Whether TLS is spoken. Without it only the own machine is spoken to.
    pub tls: bool,
    /// DNS name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Value of header `Host`.
    pub authority: String,
    /// Path and query.
    pub path: Zeroizing<String>,
}

/// Where a target's notices go.
pub struct Destination {
    /// Where to post.
    pub endpoint: Endpoint,
    /// Roots of its own, in PEM.
    pub roots: Option<Vec<u8>>,
    /// Key of the signature on each notice.
    pub hmac_key: Option<Zeroizing<Vec<u8>>>,
}

/// Why a target cannot be posted to. Trying again does not help before the Secret is another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is no such Secret.
    #[error("Secret {0:?} does not exist in the operator's namespace; make it")]
    NoSecret(String),
    /// The operator may not read it.
    #[error("the operator may not read Secret {0:?}; name it in the chart's operator.notices.secrets")]
    Forbidden(String),
    /// It lacks the entry.
    #[error("Secret {secret:?} has no entry {key:?}; add it")]
    NoEntry {
        /// Name of the Secret.
        secret: String,
        /// Key of the entry.
        key: String,
    },
    /// The entry is no URL that can be posted to.
    #[error("entry {key:?} of Secret {secret:?} {problem}")]
    BadUrl {
        /// Name of the Secret.
        secret: String,
        /// Key of the entry.
        key: String,
        /// What is wrong; not the URL.
        problem: &'static str,
    },
}

/// Says nothing of what it holds.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").finish_non_exhaustive()
    }
}

impl Destination {
    /// Reads it. `url` and `hmac`: the Secrets that the target names, if they are there.
    pub fn read(
        target: &NotifyTarget,
        url: Option<&Secret>,
        hmac: Option<&Secret>,
    ) -> Result<Self, Unusable> {
        let from = &target.url_from;
        let bytes = entry(url, &from.name, &from.key)?;
        let endpoint = Endpoint::parse(bytes).map_err(|problem| Unusable::BadUrl {
            secret: from.name.clone(),
            key: from.key.clone(),
            problem,
        })?;
        let roots = url.and_then(|secret| secret.data.as_ref()?.get(ROOTS)).map(|bytes| bytes.0.clone());
        let hmac_key = match (&target.hmac_key_from, target.form) {
            (Some(from), NoticeForm::Webhook) => {
                Some(Zeroizing::new(entry(hmac, &from.name, &from.key)?.to_vec()))
            }
            (Some(_), NoticeForm::Slack | NoticeForm::MicrosoftTeams) | (None, _) => None,
        };
        Ok(Self { endpoint, roots, hmac_key })
    }
}

/// An entry that is not empty.
fn entry<'a>(secret: Option<&'a Secret>, name: &str, key: &str) -> Result<&'a [u8], Unusable> {
    let secret = secret.ok_or_else(|| Unusable::NoSecret(name.to_owned()))?;
    let bytes = secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice());
    bytes
        .filter(|bytes| !bytes.is_empty())
        .ok_or_else(|| Unusable::NoEntry { secret: name.to_owned(), key: key.to_owned() })
}

/// Overwrites what a Secret that was read holds.
pub fn wipe(secret: &mut Secret) {
    for bytes in secret.data.iter_mut().flat_map(|data| data.values_mut()) {
        bytes.0.zeroize();
    }
}

impl Endpoint {
    /// Reads a URL; blanks and line ends around it are no part of it. Errors: what is wrong, without the URL.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(bytes).map_err(|_| "is no text; write a URL")?.trim();
        let uri: Uri = text.parse().map_err(|_| "is no URL; write one, as in https://host/path")?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err("is no https URL; write one, as in https://host/path"),
        };
        let authority = uri.authority().ok_or("names no host; write https://host/path")?;
        if authority.as_str().contains('@') {
            return Err("has a user before its host, which is not sent; remove it");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err("names no host; write https://host/path");
        }
        let port = match authority.as_str().get(authority.host().len()..) {
            None | Some("") => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(port) => port
                .strip_prefix(':')
                .and_then(|port| port.parse().ok())
                .filter(|port| *port != 0)
                .ok_or("has a port that is none; mend it")?,
        };
        if !tls && !is_own_machine(&host) {
            return Err("is http to another machine, where everybody on the way reads it; write https");
        }
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        Ok(Self { tls, host, port, authority: authority.as_str().to_owned(), path: Zeroizing::new(path) })
    }
}

fn is_own_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use keywright_crds::SecretEntry;

    #[test]
    fn only_https_or_the_own_machine_is_posted_to() {
        let read = |text: &str| {
            Endpoint::parse(text.as_bytes())
                .map(|to| (to.tls, to.host, to.port, to.authority, to.path.as_str().to_owned()))
        };
        let is = |tls, host: &str, port, authority: &str, path: &str| {
            Ok((tls, host.to_owned(), port, authority.to_owned(), path.to_owned()))
        };
        assert_eq!(
            read(" https://hooks.example.com/services/T/B?x=1\n"),
            is(true, "hooks.example.com", 443, "hooks.example.com", "/services/T/B?x=1")
        );
        assert_eq!(read("https://a.example:8443"), is(true, "a.example", 8443, "a.example:8443", "/"));
        assert_eq!(
            read("https://[2001:db8::1]:8443/x"),
            is(true, "2001:db8::1", 8443, "[2001:db8::1]:8443", "/x")
        );
        assert_eq!(read("http://127.0.0.1:9/x"), is(false, "127.0.0.1", 9, "127.0.0.1:9", "/x"));
        assert_eq!(read("http://[::1]/"), is(false, "::1", 80, "[::1]", "/"));
        assert_eq!(read("http://localhost/"), is(false, "localhost", 80, "localhost", "/"));
        for bad in [
            "",
            "x",
            "/x",
            "hooks.example.com",
            "ftp://a.example/",
            "http://a.example/",
            "http://127.0.0.1.a.example/",
            "https://user:word@a.example/",
            "https:///x",
            "https://a.example:0/",
            "https://a.example:70000/",
            "https://a b/",
        ] {
            let said = read(bad).unwrap_err();
            assert!(bad.len() < 4 || !said.contains(bad), "{said}");
        }
        assert!(Endpoint::parse(&[0xff]).is_err());
    }

    fn target(form: NoticeForm) -> NotifyTarget {
        let entry = |key: &str| SecretEntry { name: "hooks".into(), key: key.into() };
        NotifyTarget { name: "ops".into(), form, url_from: entry("url"), hmac_key_from: Some(entry("key")) }
    }

    fn secret(entries: &[(&str, &str)]) -> Secret {
        let entry = |(key, value): &(&str, &str)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()));
        Secret { data: Some(entries.iter().map(entry).collect()), ..Secret::default() }
    }

    #[test]
    fn a_secret_is_read_or_said_what_it_lacks_and_its_url_is_never_shown() {
        let url = ("url", "https://a.example/token");
        let read = |secret: Option<&Secret>, form| {
            Destination::read(&target(form), secret, secret)
                .map(|to| (to.roots, to.hmac_key.map(|key| key.to_vec())))
        };
        let whole = secret(&[url, ("key", "k"), (ROOTS, "pem")]);
        assert_eq!(read(Some(&whole), NoticeForm::Webhook), Ok((Some(b"pem".to_vec()), Some(b"k".to_vec()))));
        assert_eq!(read(Some(&whole), NoticeForm::Slack), Ok((Some(b"pem".to_vec()), None)));
        let no_key = Unusable::NoEntry { secret: "hooks".into(), key: "key".into() };
        assert_eq!(read(Some(&secret(&[url])), NoticeForm::Webhook), Err(no_key.clone()), "never unsigned");
        assert_eq!(read(Some(&secret(&[url, ("key", "")])), NoticeForm::Webhook), Err(no_key));
        assert_eq!(read(None, NoticeForm::Webhook), Err(Unusable::NoSecret("hooks".into())));
        let bad =
            read(Some(&secret(&[("url", "http://a.example/token"), ("key", "k")])), NoticeForm::Webhook);
        let said = bad.unwrap_err().to_string();
        assert!(!said.contains("a.example") && !said.contains("token"), "{said}");
        let shown = format!("{:?}", Endpoint::parse(b"https://a.example/token").unwrap());
        assert!(!shown.contains("a.example") && !shown.contains("token"), "{shown}");
    }
}
