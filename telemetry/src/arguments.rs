//! Where traces go, as it is said on the command line.

use crate::endpoint::{Endpoint, Malformed};
use clap::Args;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where traces go.
#[derive(Debug, Clone, Default, Args)]
pub struct Traces {
    /// Base URL of a collector that takes traces by OTLP over HTTP, as in http://collector:4318; none: no traces.
    ///
    /// Spans are posted to v1/traces below it, as binary protobuf. They are dropped, and counted, while it does not answer.
    /// The signer wants an IP address as host: it looks up no names.
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
    /// Roots in PEM by which a collector with https is judged; needed for https and for nothing else.
    #[arg(long, value_name = "FILE", env = "OTEL_EXPORTER_OTLP_CERTIFICATE")]
    otlp_ca: Option<PathBuf>,
}

/// A collector, and how to speak to it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its address.
    pub endpoint: Endpoint,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// Traces cannot go where they should. Trying again does not help before an argument or the file changes.
#[derive(Debug, thiserror::Error)]
pub enum BadTarget {
    /// The URL.
    #[error("--otlp-endpoint {given:?}: {why}")]
    Endpoint {
        /// What was given.
        given: String,
        /// What is wrong.
        why: Malformed,
    },
    /// The host is a name, and this process looks up none.
    #[error("--otlp-endpoint {0:?}: the host must be an IP address: this process looks up no names")]
    NoAddress(String),
    /// `https` without roots.
    #[error("--otlp-ca: https needs a file with the roots of the collector's certificate")]
    NoRoots,
    /// The file cannot be read.
    #[error("--otlp-ca {path}: {source}; name a file of certificates in PEM")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No certificate in the file can be a root.
    #[error("--otlp-ca {0}: no certificate in it can be a root; name a file of certificates in PEM")]
    Unusable(PathBuf),
}

impl Traces {
    /// The collector, read once; none: traces are off. Errors: as the variants say.
    pub fn target(&self) -> Result<Option<Target>, BadTarget> {
        // An empty variable is one that is not set: OpenTelemetry specification, "Environment Variable Specification".
        let Some(given) = self.otlp_endpoint.as_deref().filter(|given| !given.is_empty()) else {
            return Ok(None);
        };
        let endpoint: Endpoint =
            given.parse().map_err(|why| BadTarget::Endpoint { given: given.to_owned(), why })?;
        let tls = match (endpoint.tls, &self.otlp_ca) {
            (false, _) => None,
            (true, None) => return Err(BadTarget::NoRoots),
            (true, Some(path)) => Some(Arc::new(trusting(path)?)),
        };
        Ok(Some(Target { endpoint, tls }))
    }

    /// The same for a process that looks up no names.
    pub fn target_by_address(&self) -> Result<Option<Target>, BadTarget> {
        let target = self.target()?;
        match &target {
            Some(target) if target.endpoint.address().is_none() => {
                Err(BadTarget::NoAddress(target.endpoint.host.clone()))
            }
            Some(_) | None => Ok(target),
        }
    }
}

/// TLS towards whoever shows a certificate of one of these roots.
fn trusting(path: &Path) -> Result<ClientConfig, BadTarget> {
    let pem =
        std::fs::read(path).map_err(|source| BadTarget::Unreadable { path: path.to_path_buf(), source })?;
    let unusable = || BadTarget::Unusable(path.to_path_buf());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|_| unusable())?;
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.map_err(|_| unusable())?.with_webpki_verifier(verifier).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        traces: Traces,
    }

    fn said(arguments: &[&str]) -> Traces {
        Command::try_parse_from([&["program"], arguments].concat()).unwrap().traces
    }

    #[test]
    fn traces_are_off_unless_an_endpoint_is_named() {
        assert!(Traces::default().target().unwrap().is_none());
        assert!(said(&["--otlp-endpoint="]).target().unwrap().is_none());
        assert!(said(&["--otlp-endpoint=http://collector:4318"]).target().unwrap().is_some());
    }

    #[test]
    fn https_is_spoken_only_to_whom_named_roots_vouch_for() {
        let error = said(&["--otlp-endpoint=https://collector"]).target().unwrap_err();
        assert!(matches!(error, BadTarget::NoRoots), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.crt");
        let ca = format!("--otlp-ca={}", file.display());
        let with_ca = said(&["--otlp-endpoint=https://collector", &ca]);
        assert!(matches!(with_ca.target(), Err(BadTarget::Unreadable { .. })));
        std::fs::write(&file, "no certificate").unwrap();
        assert!(matches!(with_ca.target(), Err(BadTarget::Unusable(_))));
        let root = rcgen::generate_simple_self_signed(["collector".to_owned()]).unwrap();
        std::fs::write(&file, root.cert.pem()).unwrap();
        assert!(with_ca.target().unwrap().unwrap().tls.is_some());
    }

    #[test]
    fn a_process_that_looks_up_no_names_wants_an_address() {
        let error = said(&["--otlp-endpoint=http://collector:4318"]).target_by_address().unwrap_err();
        assert!(error.to_string().contains("IP address"), "{error}");
        assert!(said(&["--otlp-endpoint=http://192.0.2.7:4318"]).target_by_address().unwrap().is_some());
        assert!(said(&[]).target_by_address().unwrap().is_none());
    }
}
