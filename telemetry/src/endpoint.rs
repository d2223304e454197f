//! A collector's address, as `OTEL_EXPORTER_OTLP_ENDPOINT` names it: the base below which each signal has its path.

use http::Uri;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Where spans go below the base. Source: OTLP 1.0, section "OTLP/HTTP Request".
const PATH: &str = "v1/traces";

/// A collector's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether TLS is spoken there.
    pub tls: bool,
    /// Name or address of the host, an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// What stands in header `Host`.
    pub authority: String,
    /// Path of the spans.
    pub path: String,
}

/// A text that names no collector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be http://HOST:PORT or https://HOST:PORT, with a path where the collector wants one and no user"
)]
pub struct Malformed;

impl Endpoint {
    /// Its socket address, when its host is an IP address.
    pub fn address(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }
}

impl FromStr for Endpoint {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let uri: Uri = text.parse().map_err(|_| Malformed)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) | None => return Err(Malformed),
        };
        let authority = uri.authority().ok_or(Malformed)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if authority.as_str().contains('@') || host.is_empty() || uri.query().is_some() {
            return Err(Malformed);
        }
        let port = match (authority.port_u16(), authority.as_str().ends_with(authority.host()), tls) {
            (Some(port), ..) => port,
            (None, true, false) => 80,
            (None, true, true) => 443,
            // A port that is no number.
            (None, false, _) => return Err(Malformed),
        };
        let path = format!("{}/{PATH}", uri.path().trim_end_matches('/'));
        Ok(Self { tls, host: host.to_owned(), port, authority: authority.to_string(), path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_base_url_of_http() {
        for (given, wanted) in [
            ("http://collector:4318", (false, "collector", 4318, "/v1/traces")),
            ("http://collector.observe.svc:4318/", (false, "collector.observe.svc", 4318, "/v1/traces")),
            ("https://collector", (true, "collector", 443, "/v1/traces")),
            ("http://192.0.2.7", (false, "192.0.2.7", 80, "/v1/traces")),
            ("http://[::1]:4318/otlp", (false, "::1", 4318, "/otlp/v1/traces")),
        ] {
            let read: Endpoint = given.parse().unwrap();
            assert_eq!((read.tls, read.host.as_str(), read.port, read.path.as_str()), wanted, "{given}");
        }
        for refused in [
            "collector:4318",
            "grpc://collector:4317",
            "http://",
            "http://user@collector:1",
            "http://collector:no",
            "http://collector:99999",
            "http://collector?x=1",
            "",
            "/",
        ] {
            assert_eq!(refused.parse::<Endpoint>(), Err(Malformed), "{refused}");
        }
    }

    #[test]
    fn only_an_ip_address_has_a_socket_address_without_asking_anybody() {
        let address = |text: &str| text.parse::<Endpoint>().unwrap().address().map(|at| at.to_string());
        assert_eq!(address("http://192.0.2.7:4318").as_deref(), Some("192.0.2.7:4318"));
        assert_eq!(address("http://[2001:db8::1]:4318").as_deref(), Some("[2001:db8::1]:4318"));
        assert_eq!(address("http://collector:4318"), None);
    }
}
