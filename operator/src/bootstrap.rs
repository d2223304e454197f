//! Makes the suite's own root and the mutual TLS identities of operator and signer, in the cluster.
//!
//! Level-triggered as everything else: each run starts from the Secrets that are there and completes them, so a crash
//! between two writes costs nothing, and running it every week renews identities in time. The pins of the other side's
//! former key stay in `peers.json` until its certificate has expired, so that both ends may change in any order.
//!
//! ```text
//! keywright-root          the root's certificate and key; read by nobody but this
//! keywright-operator-tls  ca.crt tls.crt tls.key peers.json, mounted by the operator
//! keywright-signer-tls    the same, mounted by the signer
//! ```

mod identity;

use crate::arguments::Bootstrap;
use crate::client::{NoClient, connect};
use identity::{Identity, Pin, Unmade};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use keywright_ambient::{Clock, SystemClock, SystemEntropy};
use kube::api::{Api, ObjectMeta, Patch, PatchParams};
use std::collections::BTreeMap;

const FIELD_MANAGER: &str = "keywright-bootstrap";
const ROOT: &str = "keywright-root";
/// The two ends: the name in the certificate, the role the other end pins it as, the Secret.
const ENDS: [(&str, &str, &str); 2] = [
    ("keywright-operator", "operator", "keywright-operator-tls"),
    ("keywright-signer", "signer", "keywright-signer-tls"),
];

/// Why the identities are not complete. Running it again continues where it ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    NoClient(#[from] NoClient),
    #[error("Secret {name:?}: {source}; check the rights of this ServiceAccount, then run it again")]
    Api { name: String, source: Box<kube::Error> },
    #[error(transparent)]
    Unmade(#[from] Unmade),
}

/// Completes the three Secrets.
pub(crate) async fn run(options: Bootstrap) -> Result<(), Error> {
    let client = connect("keywright-bootstrap").await?;
    let secrets: Api<Secret> = Api::namespaced(client, &options.namespace);
    let now = SystemClock.now();
    let root = match read(&secrets, ROOT).await?.as_ref().and_then(Identity::of_secret) {
        Some(root) if root.lasts(now) => root,
        Some(_) | None => {
            let root = Identity::root(&SystemEntropy, now)?;
            write(&secrets, ROOT, root.entries()?).await?;
            tracing::info!(secret = ROOT, "made the suite's root");
            root
        }
    };
    let mut ends = Vec::new();
    for (name, role, secret) in ENDS {
        let there = read(&secrets, secret).await?;
        let kept =
            there.as_ref().and_then(Identity::of_secret).filter(|i| i.lasts(now) && i.is_signed_by(&root));
        let identity = if let Some(identity) = kept {
            identity
        } else {
            tracing::info!(secret, "making an identity");
            Identity::end(name, &root, &SystemEntropy, now)?
        };
        let peers = there.as_ref().map(Pin::of_secret).unwrap_or_default();
        ends.push((secret, identity, peers, name, role, there));
    }
    let pins: Vec<Pin> = ends.iter().map(|(_, i, _, name, role, _)| Pin::new(name, role, i)).collect();
    for (position, (secret, identity, before, _, _, there)) in ends.iter().enumerate() {
        let others = pins.iter().enumerate().filter(|(at, _)| *at != position).map(|(_, pin)| pin.clone());
        let mut entries = identity.entries()?;
        entries.insert("ca.crt".to_owned(), ByteString(root.certificate_pem().into_bytes()));
        entries.extend(Pin::entries(&Pin::merge(before, others, now)));
        let same = there.as_ref().is_some_and(|s| s.data.as_ref() == Some(&entries));
        if !same {
            write(&secrets, secret, entries).await?;
            tracing::info!(secret, "wrote the identity and the pins of the other end");
        }
    }
    Ok(())
}

async fn read(secrets: &Api<Secret>, name: &str) -> Result<Option<Secret>, Error> {
    secrets
        .get_opt(name)
        .await
        .map_err(|source| Error::Api { name: name.to_owned(), source: Box::new(source) })
}

async fn write(
    secrets: &Api<Secret>,
    name: &str,
    entries: BTreeMap<String, ByteString>,
) -> Result<(), Error> {
    let secret = Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(entries),
        ..Secret::default()
    };
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let written = secrets.patch(name, &params, &Patch::Apply(secret)).await;
    written.map(|_| ()).map_err(|source| Error::Api { name: name.to_owned(), source: Box::new(source) })
}
