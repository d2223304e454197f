//! The Secret of a Certificate: what lies there, and whether it holds together.

use crate::exit::causes;
use crate::facts::CertificateFacts;
use crate::material::{ChainCheck, KeyFit, Material, write_chain};
use crate::page::{Page, Tone};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use keywright_controllers_core::certificate::mark;
use kube::api::Api;
use kube::{Client, ResourceExt};
use serde::Serialize;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Type of Secrets that hold a certificate and its key.
const TLS_TYPE: &str = "kubernetes.io/tls";

/// A Secret, or why it cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "found")]
pub(crate) enum SecretSeen {
    /// There is none of that name.
    Missing,
    /// It could not be read.
    Unread {
        /// Why.
        problem: String,
    },
    /// What it holds.
    Read(Box<SecretFacts>),
}

/// What a Secret holds; never a private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecretFacts {
    /// Its type.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// UID of the Certificate that it is marked for.
    #[serde(rename = "certificateUID", skip_serializing_if = "Option::is_none")]
    pub(crate) certificate_uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_index: Option<u64>,
    /// `tls.crt`, leaf first, then what `ca.crt` adds.
    pub(crate) chain: Vec<CertificateFacts>,
    pub(crate) key: KeyFit,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_algorithm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chain_check: Option<ChainCheck>,
    /// Names of the entries.
    pub(crate) entries: Vec<String>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) problems: Vec<String>,
}

/// Reads it.
pub(crate) async fn read(client: &Client, namespace: &str, name: &str, now: Timestamp) -> SecretSeen {
    match Api::<Secret>::namespaced(client.clone(), namespace).get_opt(name).await {
        Ok(Some(secret)) => SecretSeen::Read(Box::new(facts(secret, now))),
        Ok(None) => SecretSeen::Missing,
        Err(error) => SecretSeen::Unread { problem: causes(&error) },
    }
}

/// What it holds. The Secret's bytes are wiped afterwards.
pub(crate) fn facts(mut secret: Secret, now: Timestamp) -> SecretFacts {
    let entries: BTreeMap<String, Zeroizing<Vec<u8>>> = secret
        .data
        .take()
        .unwrap_or_default()
        .into_iter()
        .map(|(name, ByteString(bytes))| (name, Zeroizing::new(bytes)))
        .collect();
    let material =
        |name: &str| entries.get(name).map(|bytes| Material::read(name, bytes)).unwrap_or_default();
    let (tls, root, key) = (material("tls.crt"), material("ca.crt"), material("tls.key"));
    let mut problems = [tls.problems, root.problems, key.problems].concat();
    let kind = secret.type_.clone().unwrap_or_default();
    if kind != TLS_TYPE {
        problems.push(format!("its type is {kind:?} and not {TLS_TYPE:?}"));
    }
    for name in ["tls.crt", "tls.key"] {
        if entries.get(name).is_none_or(|bytes| bytes.is_empty()) {
            problems.push(format!("it has no entry {name}"));
        }
    }
    let leaf_facts = |list: &[_]| list.iter().map(CertificateFacts::of).collect::<Vec<_>>();
    let mut chain = leaf_facts(&tls.certificates);
    chain.extend(leaf_facts(&root.certificates).into_iter().filter(|one| !chain_has(&tls.certificates, one)));
    let number = |name: &str| secret.annotations().get(name).and_then(|text| text.parse().ok());
    SecretFacts {
        kind,
        certificate_uid: secret.labels().get(mark::CERTIFICATE_UID).cloned(),
        revision: number(mark::REVISION),
        log_index: number(mark::LOG_INDEX),
        key: KeyFit::of(&tls.certificates, &key.keys),
        key_algorithm: key.keys.first().map(|key| key.algorithm().name().to_owned()),
        chain_check: ChainCheck::of(&tls.certificates, &root.certificates, now),
        chain,
        entries: entries.keys().cloned().collect(),
        problems,
    }
}

fn chain_has(certificates: &[keywright_pki::certificate::Certificate], one: &CertificateFacts) -> bool {
    certificates.iter().any(|known| CertificateFacts::of(known).sha256 == one.sha256)
}

impl SecretFacts {
    /// Whether key, certificate and chain are good now.
    pub(crate) fn is_fine(&self) -> bool {
        self.problems.is_empty()
            && self.key == KeyFit::Fits
            && self.chain_check.as_ref().is_some_and(ChainCheck::is_fine)
    }

    /// Writes it. `renewal`: when the certificate is to be renewed.
    pub(crate) fn write(&self, page: &mut Page, renewal: Option<Timestamp>, now: Timestamp) {
        let number = |n: Option<u64>| n.map_or("unknown".to_owned(), |n| n.to_string());
        if self.revision.is_some() || self.log_index.is_some() {
            page.row("Revision", &format!("{}, log index {}", number(self.revision), number(self.log_index)));
        }
        if let Some(leaf) = self.chain.first() {
            page.row("Serial", &leaf.serial_number);
            page.rows("Names", &leaf.names);
            leaf.write_life(page, renewal, now);
        }
        let (words, tone) = self.key.words();
        let algorithm = self.key_algorithm.as_ref().map_or(String::new(), |name| format!("{name}, "));
        page.row_toned("Key", &format!("{algorithm}{words}"), tone);
        write_chain(page, &self.chain, self.chain_check.as_ref(), now);
        for problem in &self.problems {
            page.row_toned("Problem", problem, Tone::Bad);
        }
    }
}
