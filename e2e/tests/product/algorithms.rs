//! Every algorithm as authority and as leaf.

use crate::cluster::{certificate, create, entries, intermediate, root, until_all_ready, until_ready};
use crate::foreign::{certificates, judge, openssl};
use keywright_e2e::Suite;
use serde_json::{Value, json};

/// Name, `privateKey`, and what openssl calls the public key; `None` for those that it knows from 3.5 on only.
fn algorithms() -> [(&'static str, Value, Option<&'static str>); 10] {
    let sized = |algorithm: &str, size: u16| json!({ "algorithm": algorithm, "size": size });
    [
        ("p256", sized("ECDSA", 256), Some("prime256v1")),
        ("p384", sized("ECDSA", 384), Some("secp384r1")),
        ("p521", sized("ECDSA", 521), Some("secp521r1")),
        ("ed25519", json!({ "algorithm": "Ed25519" }), Some("ED25519 Public-Key")),
        ("rsa2048", sized("RSA", 2048), Some("(2048 bit)")),
        ("rsa3072", sized("RSA", 3072), Some("(3072 bit)")),
        ("rsa4096", sized("RSA", 4096), Some("(4096 bit)")),
        ("mldsa44", sized("ML-DSA", 44), None),
        ("mldsa65", sized("ML-DSA", 65), None),
        ("mldsa87", sized("ML-DSA", 87), None),
    ]
}

fn knows_ml_dsa() -> bool {
    openssl(std::path::Path::new("."), "list -public-key-algorithms").contains("ML-DSA")
}

#[tokio::test]
async fn every_algorithm_serves_as_root_intermediate_and_leaf() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    for (name, key, _) in algorithms() {
        create(plane, &root(name, json!({ "privateKey": key }))).await.unwrap();
        create(plane, &intermediate(name, name, json!({ "privateKey": key, "pathLength": 0 })))
            .await
            .unwrap();
        let leaf = json!({ "privateKey": key, "issuerRef": { "kind": "Issuer", "name": name } });
        create(plane, &certificate(name, name, leaf)).await.unwrap();
    }
    for (name, ..) in algorithms() {
        until_ready(plane, "ClusterIssuer", name).await;
        until_ready(plane, "Issuer", name).await;
    }
    until_all_ready(plane, "", algorithms().len()).await;
    for (name, _, called) in algorithms() {
        let entries = entries(plane, name).await;
        assert_eq!((certificates(&entries["tls.crt"]), certificates(&entries["ca.crt"])), (2, 1), "{name}");
        match called {
            Some(called) => {
                let text = judge(&entries).text;
                assert!(text.contains(called), "{name}: {called} is missing in {text}");
            }
            None if knows_ml_dsa() => {
                judge(&entries);
            }
            None => eprintln!("{name}: this openssl knows no ML-DSA; its chain was not judged from outside"),
        }
    }
}
