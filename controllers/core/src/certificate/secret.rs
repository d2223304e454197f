//! The Secret that a certificate is published in: all of it, as one server-side apply.

use super::decide::LeafFacts;
use super::effect::sha256;
use super::held::{Entries, Held, TLS_TYPE};
use super::mark;
use super::valid::ValidCertificate;
use crate::issuer::Authority;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use keywright_crds::{DeletionPolicy, IssuerRef, OutputFormat};
use keywright_pki::certificate::Certificate;
use keywright_pki::key::{KeyError, PrivateKey};
use keywright_pki::pem;
use kube::Resource;
use kube::api::ObjectMeta;
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// What the Secret is to be.
#[derive(PartialEq)]
pub struct Publication {
    namespace: String,
    name: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    entries: Entries,
    owner: Option<OwnerReference>,
    over: Option<String>,
}

/// Names what is published and shows none of it.
impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publication")
            .field("secret", &format_args!("{}/{}", self.namespace, self.name))
            .field("annotations", &self.annotations)
            .field("entries", &self.entries.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Puts key and chain into the form the spec wants. `over`: resourceVersion of the Secret to write over.
///
/// Errors: the key has no form in the wanted encoding, which the spec's rules exclude.
pub fn publication(
    cert: &ValidCertificate,
    authority: &Authority,
    leaf: &Certificate,
    key: &PrivateKey,
    facts: &LeafFacts,
    effect: &str,
    over: Option<String>,
) -> Result<Publication, KeyError> {
    let pem = key.to_pem(cert.encoding)?;
    let chain = chain(leaf, authority);
    let mut entries = Entries::from([
        ("tls.crt".to_owned(), Zeroizing::new(chain.clone().into_bytes())),
        ("tls.key".to_owned(), Zeroizing::new(pem.as_bytes().to_vec())),
        ("ca.crt".to_owned(), Zeroizing::new(authority.root().to_pem().into_bytes())),
    ]);
    for format in &cert.formats {
        match format {
            OutputFormat::CombinedPem => {
                let mut combined = Zeroizing::new(Vec::with_capacity(pem.len() + chain.len() + 1));
                combined.extend_from_slice(pem.as_bytes());
                combined.extend_from_slice(chain.as_bytes());
                entries.insert("tls-combined.pem".to_owned(), combined);
            }
            OutputFormat::Der => {
                entries.insert("key.der".to_owned(), inside(&pem));
            }
        }
    }
    let mut annotations = cert.template.annotations.clone();
    annotations.extend(marks(cert, facts, effect));
    annotations.insert(mark::PUBLICATION.to_owned(), made_from(cert, authority, effect));
    let mut labels = cert.template.labels.clone();
    labels.insert(mark::CERTIFICATE_UID.to_owned(), cert.uid.clone());
    let owner = owner(cert);
    Ok(Publication {
        namespace: cert.namespace.clone(),
        name: cert.secret_name.clone(),
        labels,
        annotations,
        entries,
        owner,
        over,
    })
}

/// Digest, lower-case hexadecimal, of all that a Secret is made from but the key and the certificate themselves. It
/// stands on the Secret: another one wanted means another write.
pub fn made_from(cert: &ValidCertificate, authority: &Authority, effect: &str) -> String {
    let canonical = serde_json::json!({
        "certificate": cert.name, "uid": cert.uid, "effect": effect, "renew": cert.renew_request,
        "labels": cert.template.labels, "annotations": cert.template.annotations,
        "owned": cert.deletion == DeletionPolicy::Delete,
        "encoding": format!("{:?}", cert.encoding), "formats": cert.formats,
        "chain": authority.chain.iter().map(Certificate::to_pem).collect::<String>(),
    });
    sha256(canonical.to_string().as_bytes())
}

/// The DER within the PEM that was just written.
fn inside(pem: &str) -> Zeroizing<Vec<u8>> {
    pem::read(pem.as_bytes())
        .ok()
        .and_then(|mut blocks| blocks.pop())
        .map(|block| block.der)
        .unwrap_or_default()
}

/// The leaf, then its intermediates; the root is not among them (RFC 8446 section 4.4.2 lets it be left out).
fn chain(leaf: &Certificate, authority: &Authority) -> String {
    let intermediates = authority.chain.iter().filter(|c| !c.is_self_signed());
    std::iter::once(leaf).chain(intermediates).map(Certificate::to_pem).collect()
}

fn marks(cert: &ValidCertificate, facts: &LeafFacts, effect: &str) -> BTreeMap<String, String> {
    let mut marks = BTreeMap::from([
        (mark::CERTIFICATE_NAME.to_owned(), cert.name.clone()),
        (mark::ISSUER.to_owned(), named(&cert.issuer)),
        (mark::REVISION.to_owned(), facts.revision.to_string()),
        (mark::EFFECT.to_owned(), effect.to_owned()),
        (mark::LEAF.to_owned(), facts.digest()),
    ]);
    let optional = [
        (mark::ISSUER_UID, facts.issuer_uid.clone()),
        (mark::LOG_INDEX, facts.log_index.map(|index| index.to_string())),
        (mark::RENEWED_FOR, cert.renew_request.clone()),
    ];
    marks.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    marks
}

/// An issuer as the mark [`mark::ISSUER`] names it.
pub(super) fn named(issuer: &IssuerRef) -> String {
    format!("{}/{}", issuer.kind.name(), issuer.name)
}

fn owner(cert: &ValidCertificate) -> Option<OwnerReference> {
    match cert.deletion {
        DeletionPolicy::Retain => None,
        DeletionPolicy::Delete => Some(OwnerReference {
            api_version: keywright_crds::Certificate::api_version(&()).into_owned(),
            kind: keywright_crds::Certificate::kind(&()).into_owned(),
            name: cert.name.clone(),
            uid: cert.uid.clone(),
            controller: Some(true),
            block_owner_deletion: None,
        }),
    }
}

impl Publication {
    /// Why the Secret has to be written again; `None` when it is as it should be.
    pub fn differs_from(&self, held: &Held) -> Option<&'static str> {
        let same_entries = self.entries.iter().all(|(name, bytes)| held.entries.get(name) == Some(bytes));
        let same_mark = |name| held.mark(name) == self.annotations.get(name).map(String::as_str);
        if !same_mark(mark::PUBLICATION) {
            Some("what the Secret is made from changed")
        } else if !same_entries {
            Some("an entry of the Secret was changed")
        } else if !same_mark(mark::LEAF)
            || held.mark(mark::CERTIFICATE_UID) != self.labels.get(mark::CERTIFICATE_UID).map(String::as_str)
        {
            Some("a mark of the Secret was changed")
        } else {
            None
        }
    }

    /// Namespace and name of the Secret.
    pub fn target(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    /// Whether it is written over a Secret that was looked at; otherwise there was none.
    pub fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// The object to apply.
    pub fn secret(&self) -> Secret {
        Secret {
            metadata: ObjectMeta {
                namespace: Some(self.namespace.clone()),
                name: Some(self.name.clone()),
                labels: Some(self.labels.clone()),
                annotations: Some(self.annotations.clone()),
                owner_references: self.owner.clone().map(|owner| vec![owner]),
                resource_version: self.over.clone(),
                ..ObjectMeta::default()
            },
            type_: Some(TLS_TYPE.to_owned()),
            data: Some(
                self.entries.iter().map(|(n, bytes)| (n.clone(), ByteString(bytes.to_vec()))).collect(),
            ),
            ..Secret::default()
        }
    }
}
