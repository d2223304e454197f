//! The question to policies: what the signer would certify, in the words of the object's spec.

use crate::ids::Uid;
use crate::parse::{ValidEnsure, ValidIssue};
use keywright_approvals::effect::{Names, Subject, usage_names};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_policy::{Csr, Input, Issuer, User};
use keywright_signer_cluster::{ObjectFacts, ObjectName};
use keywright_signer_protocol::v1alpha1 as wire;
use serde_json::{Map, Value, json};

/// A question, before the facts that an API server knows.
#[derive(Debug, Clone)]
pub struct Question {
    request: &'static str,
    /// The object that it is for, as the asker names it.
    pub object: ObjectName,
    /// Its UID.
    pub uid: String,
    /// The authority that is to sign; none: a root signs itself.
    pub authority: Option<Uid>,
    /// Digest of the policies that the asker saw; empty: it does not say.
    pub seen: String,
    facts: wire::PolicyFacts,
    spec: Value,
    csr: Option<Csr>,
}

impl Question {
    /// About a leaf, or the certificate of an authority whose key is elsewhere.
    pub fn of_leaf(ask: &ValidIssue) -> Self {
        let (subject, names) = (Subject::from(&ask.subject), Names::from(&ask.sans));
        let mut spec = subject_fields(&subject);
        fill(&mut spec, &serde_json::to_value(&names).unwrap_or_default());
        spec.insert("duration".into(), json!(duration(ask.duration)));
        spec.insert("usages".into(), json!(usage_names(&ask.asked_usages)));
        spec.insert("isCA".into(), json!(ask.is_ca));
        spec.insert("privateKey".into(), private_key(ask.public_key.algorithm()));
        let list = |all: &std::collections::BTreeSet<String>| all.iter().cloned().collect();
        let csr = Csr {
            subject: ask.subject.to_string(),
            dns_names: list(&names.dns_names),
            ip_addresses: list(&names.ip_addresses),
            uris: list(&names.uris),
            email_addresses: list(&names.email_addresses),
            key_algorithm: ask.public_key.algorithm().to_string(),
            public_key_sha256: hex::encode(ask.public_key.spki_sha256()),
        };
        Self {
            request: "IssueCertificate",
            object: name(&ask.object),
            uid: ask.id.uid.to_string(),
            authority: Some(ask.authority),
            seen: ask.policies_seen.clone(),
            facts: ask.policy_facts.clone(),
            spec: Value::Object(spec),
            csr: Some(csr),
        }
    }

    /// About the certificate of an authority whose key is here.
    pub fn of_authority(ask: &ValidEnsure) -> Self {
        let mut authority = subject_fields(&Subject::from(&ask.subject));
        authority.insert("duration".into(), json!(duration(ask.duration)));
        authority.insert("privateKey".into(), private_key(ask.algorithm));
        Self {
            request: "CertifyAuthority",
            object: name(&ask.object),
            uid: ask.id.uid.to_string(),
            authority: ask.parent,
            seen: ask.policies_seen.clone(),
            facts: ask.policy_facts.clone(),
            spec: json!({ "authority": authority }),
            csr: None,
        }
    }

    /// The facts as the asker says them, where nobody else can be asked.
    pub fn told(&self) -> ObjectFacts {
        let labels = self.facts.labels.iter().map(|label| (label.key.clone(), label.value.clone()));
        let creator = self.facts.requester.as_ref().map(|who| keywright_approvals::Identity {
            username: who.username.clone(),
            uid: who.uid.clone(),
            groups: who.groups.iter().cloned().collect(),
            ..keywright_approvals::Identity::default()
        });
        ObjectFacts { labels: labels.collect(), creator, ..ObjectFacts::default() }
    }

    /// The input document.
    pub fn input(self, facts: ObjectFacts, issuer: Option<ObjectName>, now: jiff::Timestamp) -> Input {
        let ObjectName { kind, namespace, name } = self.object;
        let mut metadata = json!({ "name": name, "uid": self.uid });
        if !namespace.is_empty() {
            metadata["namespace"] = json!(namespace);
        }
        if !facts.labels.is_empty() {
            metadata["labels"] = json!(facts.labels);
        }
        if !facts.annotations.is_empty() {
            metadata["annotations"] = json!(facts.annotations);
        }
        let mut spec = self.spec;
        let issuer = issuer.map(|one| Issuer {
            namespace: Some(one.namespace).filter(|namespace| !namespace.is_empty()),
            kind: one.kind,
            name: one.name,
        });
        if let Some(issuer) = &issuer {
            let place = if kind == "Certificate" { &mut spec } else { &mut spec["authority"] };
            place["issuerRef"] = json!({ "kind": issuer.kind, "name": issuer.name });
        }
        let user = facts.creator.unwrap_or_default();
        Input {
            request: self.request.to_owned(),
            object: json!({
                "apiVersion": "keywright.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec,
            }),
            user: User {
                username: user.username,
                uid: user.uid,
                groups: user.groups.into_iter().collect(),
                extra: user.extra,
            },
            csr: self.csr,
            issuer,
            time: now.round(jiff::Unit::Second).unwrap_or(now).to_string(),
            ..Input::default()
        }
    }
}

fn name(object: &wire::ObjectRef) -> ObjectName {
    ObjectName { kind: object.kind.clone(), namespace: object.namespace.clone(), name: object.name.clone() }
}

/// `commonName` and `subject`, as specs have them.
fn subject_fields(subject: &Subject) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Ok(Value::Object(mut rest)) = serde_json::to_value(subject) {
        if let Some(common_name) = rest.remove("commonName") {
            fields.insert("commonName".into(), common_name);
        }
        if !rest.is_empty() {
            fields.insert("subject".into(), Value::Object(rest));
        }
    }
    fields
}

fn fill(fields: &mut Map<String, Value>, more: &Value) {
    fields.extend(more.as_object().cloned().unwrap_or_default());
}

fn private_key(algorithm: KeyAlgorithm) -> Value {
    match algorithm.spec() {
        (name, Some(size)) => json!({ "algorithm": name, "size": size }),
        (name, None) => json!({ "algorithm": name }),
    }
}

/// A life as specs write it: whole hours where it is some, else minutes or seconds.
fn duration(seconds: u64) -> String {
    match seconds {
        whole if whole % 3600 == 0 => format!("{}h", whole / 3600),
        whole if whole % 60 == 0 => format!("{}m", whole / 60),
        other => format!("{other}s"),
    }
}
