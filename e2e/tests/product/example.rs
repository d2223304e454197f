//! The example that `make demo` applies, and what a person does with it by kubectl.

use crate::cluster::{api, entries, until_ready};
use crate::foreign::judge;
use keywright_e2e::Suite;

#[tokio::test]
async fn the_quickstart_becomes_a_tls_secret_that_openssl_accepts() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    let example = plane.site().assets.checkout.join("docs/examples/quickstart.yaml").display().to_string();
    plane.kubectl(&["apply", "--server-side", "-f", &example]).unwrap();
    plane.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "-f", &example]).unwrap();

    let opinion = judge(&entries(plane, "web-tls").await);
    assert_eq!(opinion.chain, 2, "leaf and intermediate; the root is in ca.crt alone");
    assert!(opinion.text.contains("DNS:web.example.test"), "{}", opinion.text);

    // Nothing that the server defaulted or the operator wrote shows as a difference to what is in Git.
    plane.kubectl(&["diff", "--server-side", "-f", &example]).unwrap();

    let table = plane.kubectl(&["get", "certificates", "web"]).unwrap();
    let header = table.lines().next().unwrap();
    for column in ["READY", "ISSUER", "AGE"] {
        assert!(header.contains(column), "{header}");
    }
    let explained = plane.kubectl(&["explain", "certificates.spec.issuerRef"]).unwrap();
    assert!(explained.contains("DESCRIPTION"), "{explained}");
}

#[tokio::test]
async fn deleting_a_certificate_leaves_its_secret_and_a_lost_secret_is_made_again() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    let example = plane.site().assets.checkout.join("docs/examples/quickstart.yaml").display().to_string();
    plane.kubectl(&["apply", "--server-side", "-f", &example]).unwrap();
    until_ready(plane, "Certificate", "web").await;
    let first = judge(&entries(plane, "web-tls").await);

    plane.kubectl(&["delete", "secret", "web-tls"]).unwrap();
    plane.kubectl(&["wait", "--for=create", "secret/web-tls", "--timeout=60s"]).unwrap();
    until_ready(plane, "Certificate", "web").await;
    let second = judge(&entries(plane, "web-tls").await);
    assert_ne!(first.serial, second.serial);

    api(plane, "Certificate").delete("web", &kube::api::DeleteParams::default()).await.unwrap();
    plane.kubectl(&["wait", "--for=delete", "certificate/web", "--timeout=60s"]).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(judge(&entries(plane, "web-tls").await).serial, second.serial);
}
