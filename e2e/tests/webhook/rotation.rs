//! A new root under load: no API server ever meets a certificate that it cannot check.

use crate::cluster::PATIENCE;
use k8s_openapi::api::core::v1::Secret;
use keywright_e2e::load::Load;
use keywright_e2e::{Error, Suite, wait_for};
use kube::Api;
use kube::api::DeleteParams;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const SECRET: &str = "keywright-webhook-tls";

fn entry(secret: &Secret, name: &str) -> Vec<u8> {
    secret.data.as_ref().and_then(|data| data.get(name)).map(|bytes| bytes.0.clone()).unwrap_or_default()
}

fn roots(secret: &Secret) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(&entry(secret, "ca.crt")).map(Result::unwrap).collect()
}

/// Whether what is served at a port is signed by this root.
async fn serves_under(port: u16, root: &CertificateDer<'static>) -> bool {
    let mut store = RootCertStore::empty();
    store.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return false };
    let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.is_ok()
}

#[tokio::test]
async fn a_new_root_costs_no_admission() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    let secrets: Api<Secret> = Api::namespaced(plane.client(), "keywright-system");
    let before = secrets.get(SECRET).await.unwrap();
    let (old, port) = (roots(&before).remove(0), plane.site().ports.webhook);
    assert!(serves_under(port, &old).await);

    let load = Load::start(plane.client(), 50);
    tokio::time::sleep(Duration::from_secs(2)).await;
    secrets.delete(SECRET, &DeleteParams::default()).await.unwrap();
    let announced = wait_for("a new root is announced beside the old one", PATIENCE, async || {
        Ok(secrets.get_opt(SECRET).await?.filter(|secret| roots(secret).len() == 2))
    });
    let announced = announced.await.unwrap();
    assert_eq!(entry(&announced, "tls.crt"), entry(&before, "tls.crt"), "what is served stays");
    assert_eq!(roots(&announced)[1], old);
    assert!(serves_under(port, &old).await);

    let new = roots(&announced).remove(0);
    wait_for("the webhook serves under the new root", PATIENCE, async || {
        Ok::<_, Error>(serves_under(port, &new).await.then_some(()))
    })
    .await
    .unwrap();
    assert!(!serves_under(port, &old).await);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (sent, failed) = load.end().await.unwrap();
    assert!(sent > 1_000, "{sent}");
    assert!(failed.is_empty(), "{} of {sent}: {}", failed.len(), failed[0]);
    for kind in ["mutating", "validating"] {
        let jsonpath = "jsonpath={.webhooks[*].clientConfig.caBundle}";
        let configuration = format!("{kind}webhookconfiguration/keywright-webhook");
        let bundles = plane.kubectl(&["get", &configuration, "-o", jsonpath]).unwrap();
        let distinct: std::collections::BTreeSet<&str> = bundles.split(' ').collect();
        assert_eq!(distinct.len(), 1, "{kind}");
    }
}
