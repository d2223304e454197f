//! A certificate that people have to agree to: its effect, and its key until then.
//!
//! ```text
//! the signer names classes --> the key is kept in a Secret --> status.approval --> ApprovalRequest, one for each class
//! all agreed               --> the same key is asked for   --> published, the kept key is wiped
//! ```
//! The effect names the key, so the key has to be there before anybody is asked.

use super::decide::Order;
use super::effect::hours;
use super::valid::ValidCertificate;
use crate::approval::diff::changes;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use keywright_approvals::Effect;
use keywright_approvals::effect::{Authority, IssueCertificate, Names, Target, usage_names};
use keywright_crds::{CertificateStatus, ObjectApproval, TargetRef};
use keywright_pki::certificate::Certificate;
use keywright_pki::key::{Encoding, KeyError, PrivateKey, PublicKey};
use kube::Resource;
use kube::api::ObjectMeta;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Type of the Secret that keeps a key while people decide.
pub const PENDING_KEY_TYPE: &str = "keywright.dev/pending-key";
/// Annotation: which issuance, and of what, the key is for.
const KEPT_FOR: &str = "keywright.dev/kept-for";
/// Entry of the key; PKCS#8 PEM.
const ENTRY: &str = "tls.key";

/// The exact effect of an order with this key, under the policies with this digest.
pub fn effect(cert: &ValidCertificate, order: &Order, key: &PublicKey, policies: &str) -> Effect {
    Effect::IssueCertificate(Box::new(IssueCertificate {
        certificate: Target {
            uid: cert.uid.clone(),
            namespace: cert.namespace.clone(),
            name: cert.name.clone(),
        },
        step: order.step,
        subject: (&cert.subject).into(),
        sans: (&cert.sans).into(),
        public_key_sha256: hex::encode(key.spki_sha256()),
        duration_seconds: order.life.as_secs().unsigned_abs(),
        usages: usage_names(&cert.usages),
        is_ca: cert.is_ca,
        issuer: Authority { uid: order.authority.uid.clone(), generation: order.authority.generation },
        profile: order.profile.clone(),
        policy_digest: policies.to_owned(),
    }))
}

/// The Certificate, as a request names it.
pub fn target(cert: &ValidCertificate) -> TargetRef {
    TargetRef {
        group: keywright_crds::GROUP.to_owned(),
        kind: "Certificate".to_owned(),
        namespace: cert.namespace.clone(),
        name: cert.name.clone(),
        uid: cert.uid.clone(),
    }
}

/// What changes, for people: lines that begin with `+` come, with `-` go, with a blank stay. `before`: the certificate
/// that lies in the Secret.
pub fn diff(cert: &ValidCertificate, order: &Order, before: Option<&Certificate>) -> String {
    let mut text = format!(
        "Issue revision {} of Certificate {}/{}, signed by {}.\n",
        order.step, cert.namespace, cert.name, order.authority.shown
    );
    let subject = |name: String| if name.is_empty() { Vec::new() } else { vec![name] };
    let new = lines(subject(cert.subject.to_string()), &(&cert.sans).into());
    let old = before.map(|leaf| lines(subject(leaf.subject().to_string()), &leaf.sans().into()));
    let old = old.unwrap_or_default();
    text.push_str(&changes(&new, &old));
    let usages: Vec<String> = usage_names(&cert.usages).into_iter().collect();
    // Writing to a String does not fail.
    let _ = writeln!(text, "  usages: {}", usages.join(", "));
    let _ = writeln!(text, "  life: {}", hours(order.life));
    if let Some(profile) = &order.profile {
        let _ = writeln!(text, "  profile: {profile}");
    }
    let key = if order.keep_key { "the same as before" } else { "a new one" };
    let _ = writeln!(text, "  key: {}, {key}", cert.algorithm);
    if cert.is_ca {
        text.push_str("+ it is an authority: it may sign other certificates\n");
    }
    text
}

fn lines(subject: Vec<String>, names: &Names) -> BTreeSet<String> {
    let of = |kind: &'static str, names: &BTreeSet<String>| {
        names.iter().map(move |name| format!("{kind}: {name}")).collect::<Vec<_>>()
    };
    let mut lines: BTreeSet<String> = subject.into_iter().map(|name| format!("subject: {name}")).collect();
    lines.extend(of("DNS name", &names.dns_names));
    lines.extend(of("IP address", &names.ip_addresses));
    lines.extend(of("mail address", &names.email_addresses));
    lines.extend(of("URI", &names.uris));
    lines
}

/// Whether a status waits for an approval that was not used yet: then a key may lie in the pending Secret.
pub fn is_waiting(status: &CertificateStatus) -> bool {
    status.approval.as_ref().is_some_and(|approval| approval.used_at.is_none())
}

/// The approval as the status shows it while it is waited for.
pub fn shown(order: &Order, request: &str, class: &str, digest: String) -> ObjectApproval {
    ObjectApproval {
        request: request.to_owned(),
        class: class.to_owned(),
        effect_digest: digest,
        revision: i64::try_from(order.step).unwrap_or(i64::MAX),
        log_index: None,
        used_at: None,
    }
}

/// Name of the Secret that keeps the key of a Certificate while people decide.
pub fn pending_name(cert_uid: &str) -> String {
    format!("pending-key-{cert_uid}")
}

/// What a kept key is for: another issuance, another effect or another renewal asked for has another key.
fn kept_for(cert: &ValidCertificate, order: &Order) -> String {
    let again = cert.renew_request.as_deref().unwrap_or_default();
    super::effect::sha256(format!("{}\n{}\n{again}", order.step, order.effect).as_bytes())
}

/// The key that was kept for exactly this order, if it reads.
pub fn kept_key(cert: &ValidCertificate, order: &Order, secret: Option<&Secret>) -> Option<PrivateKey> {
    let secret = secret.filter(|secret| secret.type_.as_deref() == Some(PENDING_KEY_TYPE))?;
    let marked = secret.metadata.annotations.as_ref()?.get(KEPT_FOR)?;
    if *marked != kept_for(cert, order) {
        return None;
    }
    let key = PrivateKey::from_pem(&secret.data.as_ref()?.get(ENTRY)?.0).ok()?;
    (key.algorithm() == cert.algorithm).then_some(key)
}

/// Whether a Secret holds a kept key.
pub fn holds_key(secret: &Secret) -> bool {
    secret.type_.as_deref() == Some(PENDING_KEY_TYPE)
        && secret.data.as_ref().is_some_and(|data| data.contains_key(ENTRY))
}

/// The Secret to apply: with the key, or wiped. It goes with its Certificate.
pub fn pending_secret(
    cert: &ValidCertificate,
    kept: Option<(&Order, &PrivateKey)>,
) -> Result<Secret, KeyError> {
    let mut annotations = BTreeMap::new();
    let mut data = BTreeMap::new();
    if let Some((order, key)) = kept {
        annotations.insert(KEPT_FOR.to_owned(), kept_for(cert, order));
        data.insert(ENTRY.to_owned(), ByteString(key.to_pem(Encoding::Pkcs8)?.as_bytes().to_vec()));
    }
    Ok(Secret {
        metadata: ObjectMeta {
            namespace: Some(cert.namespace.clone()),
            name: Some(pending_name(&cert.uid)),
            annotations: Some(annotations),
            owner_references: Some(vec![OwnerReference {
                api_version: keywright_crds::Certificate::api_version(&()).into_owned(),
                kind: keywright_crds::Certificate::kind(&()).into_owned(),
                name: cert.name.clone(),
                uid: cert.uid.clone(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        },
        type_: Some(PENDING_KEY_TYPE.to_owned()),
        data: Some(data),
        ..Secret::default()
    })
}
