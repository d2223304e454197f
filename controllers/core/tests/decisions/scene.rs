//! One Certificate that is issued, published and current; tables change one thing in it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use keywright_controllers_core::certificate::decide::{Glance, Plan, Rival, World, decide, facts_of};
use keywright_controllers_core::certificate::effect::effect;
use keywright_controllers_core::certificate::held::read;
use keywright_controllers_core::certificate::mark;
use keywright_controllers_core::certificate::ready::Outcome;
use keywright_controllers_core::certificate::secret::publication;
use keywright_controllers_core::certificate::status::status;
use keywright_controllers_core::certificate::valid::ValidCertificate;
use keywright_controllers_core::issuer::{Authority, Limits, Standing};
use keywright_crds::{Certificate, CertificateStatus};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::{CaProfile, Certificate as X509, Serial, Template, Validity, assemble};
use keywright_pki::key::PrivateKey;
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_pki::usage::Usages;
use keywright_testkit::objects::{certificate, uid};
use std::sync::{Arc, LazyLock};

pub(crate) const MANAGER: &str = "keywright-operator";

/// An authority, and the key to sign with.
pub(crate) struct Ca {
    pub(crate) key: PrivateKey,
    pub(crate) chain: Vec<X509>,
}

static ROOT: LazyLock<Ca> = LazyLock::new(|| ca("root", None, "2029-01-01", "2039-01-01"));
pub(crate) static SERVICES: LazyLock<Ca> =
    LazyLock::new(|| ca("services", Some(&ROOT), "2029-01-01", "2035-01-01"));
pub(crate) static OTHER: LazyLock<Ca> =
    LazyLock::new(|| ca("other", Some(&ROOT), "2029-01-01", "2035-01-01"));

pub(crate) fn day(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

fn ca(name: &str, by: Option<&Ca>, from: &str, to: &str) -> Ca {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let subject = DistinguishedName::with_common_name(name).unwrap();
    let own = sign(
        by,
        &key,
        &subject,
        &SubjectAltNames::default(),
        (Usages::authority(), true),
        (day(from), day(to)),
    );
    let above = by.map(|by| by.chain.clone()).unwrap_or_default();
    Ca { key, chain: std::iter::once(own).chain(above).collect() }
}

fn sign(
    by: Option<&Ca>,
    key: &PrivateKey,
    subject: &DistinguishedName,
    sans: &SubjectAltNames,
    (usages, is_ca): (Usages, bool),
    (from, to): (Timestamp, Timestamp),
) -> X509 {
    let template = Template {
        serial: Serial::from_bytes(&key.public_key().spki_sha256()[..16]).unwrap(),
        subject: subject.clone(),
        sans: sans.clone(),
        public_key: key.public_key().clone(),
        issuer_name: by.map_or_else(|| subject.to_der().unwrap(), |by| by.chain[0].subject_der().to_vec()),
        authority_key_identifier: by.and_then(|by| by.chain[0].subject_key_identifier().map(<[u8]>::to_vec)),
        validity: Validity::new(from, to).unwrap(),
        usages,
        ca: is_ca.then(CaProfile::default),
        crl_distribution_points: Vec::new(),
        ocsp_servers: Vec::new(),
        issuing_certificate_urls: Vec::new(),
    };
    let signer = by.map_or(key, |by| &by.key);
    let tbs = template.tbs_der(signer.algorithm()).unwrap();
    assemble(&tbs, &signer.sign(tbs.as_bytes()).unwrap()).unwrap()
}

/// The certificate of this authority's key, ending at another time.
pub(crate) fn until(ca: &Ca, to: Timestamp) -> X509 {
    let own = &ca.chain[0];
    let life = (own.validity().not_before(), to);
    sign(Some(&ROOT), &ca.key, own.subject(), &SubjectAltNames::default(), (Usages::authority(), true), life)
}

/// The authority as an issuer object shows it.
pub(crate) fn authority(ca: &Ca, name: &str, limits: Limits) -> Authority {
    Authority {
        generation: 1,
        uid: uid("Issuer", name),
        shown: format!("Issuer {name:?}"),
        key_id: ca.chain[0].subject_key_identifier().map(hex::encode).unwrap(),
        chain: ca.chain.clone(),
        limits,
        agreed: None,
    }
}

pub(crate) fn valid(cert: &Certificate) -> ValidCertificate {
    ValidCertificate::parse(cert).unwrap()
}

/// What a decision looks at, in forms that a table can change.
pub(crate) struct Scene {
    pub(crate) cert: Certificate,
    pub(crate) now: Timestamp,
    pub(crate) issuer: Standing,
    pub(crate) rivals: Vec<Rival>,
    pub(crate) secret: Option<Secret>,
    pub(crate) revision: u64,
    pub(crate) superseded: Option<String>,
}

impl Scene {
    /// Issued on 2030-01-01 for 90 days, seen on 2030-01-10. `change`: of the spec before it was issued.
    pub(crate) fn published(change: impl FnOnce(&mut Certificate)) -> Self {
        let mut cert = certificate("web");
        change(&mut cert);
        let v = valid(&cert);
        let services = authority(&SERVICES, "services", Limits::default());
        let key = PrivateKey::generate(v.algorithm).unwrap();
        let life = (day("2030-01-01"), day("2030-04-01"));
        let leaf = sign(Some(&SERVICES), &key, &v.subject, &v.sans, (v.usages.clone(), v.is_ca), life);
        let facts = facts_of(&v, &leaf, 1, Some(7), Some(services.uid.clone()));
        let effect = effect(&v, &services);
        let mut secret = publication(&v, &services, &leaf, &key, &facts, &effect, None).unwrap().secret();
        secret.metadata.resource_version = Some("41".into());
        secret.metadata.managed_fields = Some(vec![writer(MANAGER, "Apply", "tls.crt")]);
        let outcome = Outcome::Current { leaf: facts, renewed: true };
        let mut told = status(&CertificateStatus::default(), &outcome, 1, 3, day("2030-01-01"));
        told.secret_resource_version = Some("41".into());
        cert.status = Some(told);
        Self {
            cert,
            now: day("2030-01-10"),
            issuer: Standing::Ready(Arc::new(services)),
            rivals: Vec::new(),
            secret: Some(secret),
            revision: 1,
            superseded: None,
        }
    }

    pub(crate) fn issuer(&mut self, ca: &Ca, name: &str, limits: Limits) {
        self.issuer = Standing::Ready(Arc::new(authority(ca, name, limits)));
    }

    pub(crate) fn secret(&mut self) -> &mut Secret {
        self.secret.as_mut().unwrap()
    }

    pub(crate) fn put(&mut self, entry: &str, text: &[u8]) {
        self.secret().data.as_mut().unwrap().insert(entry.into(), ByteString(text.to_vec()));
    }

    pub(crate) fn annotate(&mut self, name: &str, value: &str) {
        self.secret().metadata.annotations.as_mut().unwrap().insert(name.into(), value.into());
    }

    pub(crate) fn label(&mut self, name: &str, value: &str) {
        self.secret().metadata.labels.as_mut().unwrap().insert(name.into(), value.into());
    }

    pub(crate) fn glance(&self) -> Glance {
        let metadata = &self.secret.as_ref().unwrap().metadata;
        let mark = |name| metadata.annotations.as_ref().unwrap().get(name).cloned().unwrap_or_default();
        Glance {
            version: metadata.resource_version.clone().unwrap(),
            made_from: mark(mark::PUBLICATION),
            leaf: mark(mark::LEAF),
        }
    }

    pub(crate) fn decide(&self) -> Plan {
        let world = World {
            now: self.now,
            issuer: self.issuer.clone(),
            rivals: self.rivals.clone(),
            found: read(self.secret.clone(), MANAGER),
            revision: self.revision,
            published: self.cert.status.as_ref().and_then(|status| {
                Some((status.serial_number.clone()?, u64::try_from(status.log_index?).ok()?))
            }),
            superseded: self.superseded.clone(),
        };
        decide(&valid(&self.cert), &world)
    }
}

pub(crate) fn rival(name: &str, older: bool) -> Rival {
    Rival { name: name.into(), uid: uid("Certificate", name), older }
}

/// An entry of `managedFields` that owns one entry of `data`.
pub(crate) fn writer(manager: &str, operation: &str, entry: &str) -> ManagedFieldsEntry {
    ManagedFieldsEntry {
        manager: Some(manager.into()),
        operation: Some(operation.into()),
        fields_v1: Some(FieldsV1(serde_json::json!({"f:data": {format!("f:{entry}"): {}}}))),
        ..ManagedFieldsEntry::default()
    }
}

pub(crate) fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}
