//! The client that operator, plugin and benches share: connects when first used, and again whenever the connection broke.

use crate::tls::{SERVER_NAME, TlsError, TlsFolder};
use crate::v1alpha1::signer_client;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

/// The generated client over a pinned connection. Cheap to clone; clones share the connection.
pub type SignerClient = signer_client::SignerClient<Channel>;

/// Bytes of all headers of an answer.
const LONGEST_HEADERS: u32 = 128 << 10;

/// How long to wait. Chosen by the caller, who knows what waits behind it.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For TCP and TLS together.
    pub connect: Duration,
    /// For one request, its answer included.
    pub request: Duration,
}

/// Why no client could be made. A signer that is down is not among these: that shows with the first request.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address does not parse.
    #[error("signer endpoint {endpoint:?}: must be HOST:PORT or https://HOST:PORT; correct it")]
    Endpoint {
        /// What was given.
        endpoint: String,
    },
    /// The TLS folder cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A client for the signer at `endpoint` (`HOST:PORT` or `https://HOST:PORT`), with identity and pins from `tls_dir`.
///
/// Connects lazily and reconnects by itself; the TLS folder is read again for each connection. The server must chain to
/// `ca.crt`, carry the DNS name `keywright-signer` whatever its address, and be pinned with the role `signer`.
/// Errors: a malformed endpoint, an unusable TLS folder. Must be called within a tokio runtime.
pub fn connect(endpoint: &str, tls_dir: &Path, timeouts: Timeouts) -> Result<SignerClient, ConnectError> {
    let address =
        address_of(endpoint).ok_or_else(|| ConnectError::Endpoint { endpoint: endpoint.to_owned() })?;
    let folder = TlsFolder::open(tls_dir)?;
    let connector = tower::service_fn(move |_: Uri| {
        let (address, folder) = (address.clone(), folder.clone());
        async move {
            let tcp = TcpStream::connect(&address).await?;
            tcp.set_nodelay(true)?;
            let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
            let stream = TlsConnector::from(folder.client()).connect(name, tcp).await?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    // The scheme only names the origin inside HTTP/2; TLS is the connector's, always.
    let channel = Endpoint::from_static("http://keywright-signer")
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.request)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        // A refusal travels in a header, and may show an effect.
        .http2_max_header_list_size(LONGEST_HEADERS)
        .connect_with_connector_lazy(connector);
    Ok(SignerClient::new(channel))
}

fn address_of(endpoint: &str) -> Option<String> {
    let authority = endpoint.strip_prefix("https://").unwrap_or(endpoint).trim_end_matches('/');
    let authority: http::uri::Authority = authority.parse().ok()?;
    authority.port_u16()?;
    (!authority.as_str().contains('@')).then(|| authority.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_host_and_port_with_or_without_the_scheme() {
        for (given, wanted) in [
            ("127.0.0.1:8443", Some("127.0.0.1:8443")),
            ("https://signer.keywright.svc:8443", Some("signer.keywright.svc:8443")),
            ("https://[::1]:8443/", Some("[::1]:8443")),
            ("signer", None),
            ("http://signer:1", None),
            ("https://user@signer:1", None),
            ("signer:99999", None),
            ("", None),
        ] {
            assert_eq!(address_of(given).as_deref(), wanted, "{given}");
        }
    }
}
