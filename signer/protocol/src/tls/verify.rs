//! The two rustls configurations: the standard chain check first, then the pin.

use super::folder::{Material, Peers, Pin, Role, TlsError};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use std::sync::Arc;

const ALPN_H2: &[u8] = b"h2";

/// The server's side: TLS 1.3, a client certificate that chains to the root and is pinned, no session resumption.
///
/// Errors: `Unfit` when the key is not the certificate's.
pub fn server_config(material: &Material) -> Result<ServerConfig, TlsError> {
    let unfit = |e: Error| TlsError::Unfit(e.to_string());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&material.roots), Arc::clone(&provider))
            .build()
            .map_err(|e| TlsError::Unfit(e.to_string()))?;
    let verifier = Arc::new(PinnedClients { chain, peers: Arc::clone(&material.peers) });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(unfit)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(material.chain.clone(), material.key.clone_key())
        .map_err(unfit)?;
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(config)
}

/// The server's side towards everybody: TLS 1.3, no client certificate, HTTP/1.1. For what is public anyway.
///
/// Errors: `Unfit` when the key is not the certificate's.
pub fn public_server_config(material: &Material) -> Result<ServerConfig, TlsError> {
    let unfit = |e: Error| TlsError::Unfit(e.to_string());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(material.chain.clone(), material.key.clone_key())
        .map_err(unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The client's side: TLS 1.3, a server that chains to the root, carries the fixed name and is pinned as a signer.
///
/// Errors: `Unfit` when the key is not the certificate's.
pub fn client_config(material: &Material) -> Result<ClientConfig, TlsError> {
    let unfit = |e: Error| TlsError::Unfit(e.to_string());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain =
        WebPkiServerVerifier::builder_with_provider(Arc::clone(&material.roots), Arc::clone(&provider))
            .build()
            .map_err(|e| TlsError::Unfit(e.to_string()))?;
    let verifier = Arc::new(PinnedSigner { chain, peers: Arc::clone(&material.peers) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(unfit)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(material.chain.clone(), material.key.clone_key())
        .map_err(unfit)?;
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

fn refused() -> Error {
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

#[derive(Debug)]
struct PinnedClients {
    chain: Arc<dyn ClientCertVerifier>,
    peers: Arc<Peers>,
}

impl ClientCertVerifier for PinnedClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        match Pin::of(end_entity).as_ref().and_then(|pin| self.peers.find(pin)) {
            Some(_) => Ok(verified),
            None => Err(refused()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(refused())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

#[derive(Debug)]
struct PinnedSigner {
    chain: Arc<WebPkiServerVerifier>,
    peers: Arc<Peers>,
}

impl ServerCertVerifier for PinnedSigner {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        match Pin::of(end_entity).as_ref().and_then(|pin| self.peers.find(pin)).map(|peer| peer.role) {
            Some(Role::Signer) => Ok(verified),
            Some(Role::Operator | Role::Observer) | None => Err(refused()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(refused())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
