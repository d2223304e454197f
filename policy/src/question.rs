//! The question that is asked before a key is used: what would be certified, in the words of the object's spec.
//!
//! The signer forms it from the request that it parsed, and the operator from the order that it is about to send, so that
//! both ask the same. Fields that are not certified are absent.

use crate::input::{Approval, Csr, Input, Issuer, User};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What would be certified, before it is known for whom and when it is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    request: &'static str,
    spec: Value,
    csr: Option<Csr>,
    profile: Option<Value>,
}

/// A certificate for a key that is not the signer's.
#[derive(Clone, Debug, Default)]
pub struct Leaf {
    /// Subject by the field names of specs, `commonName` among them; what is empty is left out.
    pub subject: Value,
    /// The lists of names by the field names of specs.
    pub names: Value,
    /// Life asked for, in seconds.
    pub seconds: u64,
    /// Usages by the names of specs, sorted.
    pub usages: Vec<String>,
    /// Whether it is an authority's.
    pub is_ca: bool,
    /// Kind of key.
    pub key: Key,
    /// Subject as RFC 4514 text; empty if there is none.
    pub subject_text: String,
    /// The key's algorithm by the name that is shown for it.
    pub key_algorithm: String,
    /// SHA-256 of the SubjectPublicKeyInfo, hex.
    pub public_key_sha256: String,
    /// The profile that it comes under; none: the authority has none.
    pub profile: Option<Profile>,
}

/// A profile of the authority that is to sign.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Longest life, in seconds.
    pub max_seconds: Option<u64>,
    /// Name constraints by the field names of specs; what is empty is left out.
    pub permitted: Map<String, Value>,
    /// As `permitted`.
    pub excluded: Map<String, Value>,
    /// Usages by the names of specs; empty: any.
    pub usages: BTreeSet<String>,
    /// Families of key algorithms by the names of specs; empty: any.
    pub algorithms: BTreeSet<&'static str>,
    /// Whether authorities may be asked for.
    pub is_ca: bool,
    /// Approval classes by the field names of specs; what is empty is left out.
    pub approvals: Map<String, Value>,
}

/// The certificate of an authority whose key is, or will be, the signer's.
#[derive(Clone, Debug, Default)]
pub struct Authority {
    /// As in [`Leaf`].
    pub subject: Value,
    /// Life asked for, in seconds.
    pub seconds: u64,
    /// Kind of key.
    pub key: Key,
}

/// Kind of key as specs name it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Key {
    /// `ECDSA`, `RSA` and so on.
    pub algorithm: &'static str,
    /// Its size, where the algorithm has several.
    pub size: Option<u32>,
}

/// The object that a certificate is for, and what is known around it.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// `Certificate`, `Issuer` or `ClusterIssuer`.
    pub kind: String,
    /// Namespace; empty: none.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Who made it.
    pub user: User,
    /// The issuer that is to sign, if that is known.
    pub issuer: Option<Issuer>,
    /// Approvals that are given and may be used.
    pub approvals: Vec<Approval>,
    /// Now, RFC 3339 in UTC, whole seconds.
    pub time: String,
}

impl Question {
    /// About a leaf, or the certificate of an authority whose key is elsewhere.
    pub fn leaf(leaf: Leaf) -> Self {
        let list = |field: &str| texts(&leaf.names[field]);
        let csr = Csr {
            subject: leaf.subject_text,
            dns_names: list("dnsNames"),
            ip_addresses: list("ipAddresses"),
            uris: list("uris"),
            email_addresses: list("emailAddresses"),
            key_algorithm: leaf.key_algorithm,
            public_key_sha256: leaf.public_key_sha256,
        };
        let mut spec = subject_fields(leaf.subject);
        spec.extend(object(leaf.names));
        spec.insert("duration".into(), json!(duration(leaf.seconds)));
        spec.insert("usages".into(), json!(leaf.usages));
        spec.insert("isCA".into(), json!(leaf.is_ca));
        spec.insert("privateKey".into(), leaf.key.spec());
        let profile = leaf.profile.map(Profile::told);
        Self { request: "IssueCertificate", spec: Value::Object(spec), csr: Some(csr), profile }
    }

    /// About the certificate of an authority whose key is the signer's.
    pub fn authority(asked: Authority) -> Self {
        let mut spec = subject_fields(asked.subject);
        spec.insert("duration".into(), json!(duration(asked.seconds)));
        spec.insert("privateKey".into(), asked.key.spec());
        Self { request: "CertifyAuthority", spec: json!({ "authority": spec }), csr: None, profile: None }
    }

    /// The document that policies read.
    pub fn about(self, about: About) -> Input {
        let mut metadata = json!({ "name": about.name, "uid": about.uid });
        if !about.namespace.is_empty() {
            metadata["namespace"] = json!(about.namespace);
        }
        if !about.labels.is_empty() {
            metadata["labels"] = json!(about.labels);
        }
        if !about.annotations.is_empty() {
            metadata["annotations"] = json!(about.annotations);
        }
        let mut spec = self.spec;
        if let Some(issuer) = &about.issuer {
            let place = if about.kind == "Certificate" { &mut spec } else { &mut spec["authority"] };
            place["issuerRef"] = json!({ "kind": issuer.kind, "name": issuer.name });
        }
        Input {
            request: self.request.to_owned(),
            object: json!({
                "apiVersion": "keywright.dev/v1alpha1", "kind": about.kind, "metadata": metadata, "spec": spec,
            }),
            old_object: None,
            user: about.user,
            csr: self.csr,
            issuer: about.issuer,
            profile: self.profile,
            approvals: about.approvals,
            time: about.time,
        }
    }
}

impl Profile {
    /// In the words of the issuer's spec.
    fn told(self) -> Value {
        let mut names = Map::new();
        put(&mut names, "permitted", self.permitted);
        put(&mut names, "excluded", self.excluded);
        let mut allowed = Map::new();
        if !self.usages.is_empty() {
            allowed.insert("usages".into(), json!(self.usages));
        }
        if !self.algorithms.is_empty() {
            allowed.insert("privateKeyAlgorithms".into(), json!(self.algorithms));
        }
        if self.is_ca {
            allowed.insert("isCA".into(), json!(true));
        }
        let mut fields = Map::new();
        fields.insert("name".into(), json!(self.name));
        if let Some(seconds) = self.max_seconds {
            fields.insert("maxDuration".into(), json!(duration(seconds)));
        }
        put(&mut fields, "nameConstraints", names);
        put(&mut fields, "allowed", allowed);
        put(&mut fields, "approvals", self.approvals);
        Value::Object(fields)
    }
}

fn put(fields: &mut Map<String, Value>, name: &str, inner: Map<String, Value>) {
    if !inner.is_empty() {
        fields.insert(name.to_owned(), Value::Object(inner));
    }
}

impl Key {
    fn spec(self) -> Value {
        match self.size {
            Some(size) => json!({ "algorithm": self.algorithm, "size": size }),
            None => json!({ "algorithm": self.algorithm }),
        }
    }
}

/// The texts of a list; none where it is absent.
fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// `commonName` and `subject`, as specs have them.
fn subject_fields(subject: Value) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut rest = object(subject);
    if let Some(common_name) = rest.remove("commonName") {
        fields.insert("commonName".into(), common_name);
    }
    if !rest.is_empty() {
        fields.insert("subject".into(), Value::Object(rest));
    }
    fields
}

/// A life as specs write it: whole hours where it is some, else minutes or seconds.
fn duration(seconds: u64) -> String {
    match seconds {
        whole if whole % 3600 == 0 => format!("{}h", whole / 3600),
        whole if whole % 60 == 0 => format!("{}m", whole / 60),
        other => format!("{other}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_told_in_the_words_of_a_spec_and_what_is_not_known_is_absent() {
        let leaf = Leaf {
            subject: json!({ "commonName": "web", "organizations": ["shop"] }),
            names: json!({ "dnsNames": ["web.example.test"] }),
            seconds: 5400,
            usages: vec!["server auth".to_owned()],
            is_ca: false,
            key: Key { algorithm: "ECDSA", size: Some(256) },
            key_algorithm: "ECDSA P-256".to_owned(),
            ..Leaf::default()
        };
        let input = Question::leaf(leaf).about(About {
            kind: "Certificate".to_owned(),
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            uid: "1".to_owned(),
            issuer: Some(Issuer { kind: "ClusterIssuer".into(), name: "root".into(), namespace: None }),
            time: "2030-01-01T00:00:00Z".to_owned(),
            ..About::default()
        });
        assert_eq!(input.request, "IssueCertificate");
        let csr = input.csr.unwrap_or_default();
        assert_eq!((csr.dns_names, csr.uris), (vec!["web.example.test".to_owned()], Vec::new()));
        assert_eq!(csr.key_algorithm, "ECDSA P-256");
        assert_eq!(
            input.object,
            json!({
                "apiVersion": "keywright.dev/v1alpha1", "kind": "Certificate",
                "metadata": { "name": "web", "namespace": "shop", "uid": "1" },
                "spec": {
                    "commonName": "web", "subject": { "organizations": ["shop"] }, "dnsNames": ["web.example.test"],
                    "duration": "90m", "usages": ["server auth"], "isCA": false,
                    "privateKey": { "algorithm": "ECDSA", "size": 256 },
                    "issuerRef": { "kind": "ClusterIssuer", "name": "root" },
                },
            })
        );
    }

    #[test]
    fn a_profile_is_told_in_the_words_of_a_spec_and_what_it_does_not_narrow_is_absent() {
        let told = |profile| {
            let leaf = Leaf { profile: Some(profile), ..Leaf::default() };
            Question::leaf(leaf).about(About::default()).profile
        };
        let any = Profile { name: "any".into(), ..Profile::default() };
        assert_eq!(told(any), Some(json!({ "name": "any" })));
        let of = |value: Value| object(value);
        let web = Profile {
            name: "web".into(),
            max_seconds: Some(86_400),
            permitted: of(json!({ "dnsDomains": ["example.test"] })),
            excluded: Map::new(),
            usages: ["server auth".to_owned(), "client auth".to_owned()].into(),
            algorithms: ["RSA", "ECDSA"].into(),
            is_ca: true,
            approvals: of(json!({ "anyIssuance": "production" })),
        };
        assert_eq!(
            told(web),
            Some(json!({
                "name": "web", "maxDuration": "24h",
                "nameConstraints": { "permitted": { "dnsDomains": ["example.test"] } },
                "allowed": {
                    "usages": ["client auth", "server auth"], "privateKeyAlgorithms": ["ECDSA", "RSA"], "isCA": true,
                },
                "approvals": { "anyIssuance": "production" },
            }))
        );
    }

    #[test]
    fn an_authority_is_told_below_its_own_field_and_names_its_parent_there() {
        let asked = Authority {
            subject: json!({ "commonName": "root" }),
            seconds: 61,
            key: Key { algorithm: "Ed25519", size: None },
        };
        let about = About {
            kind: "ClusterIssuer".to_owned(),
            issuer: Some(Issuer { kind: "ClusterIssuer".into(), name: "top".into(), namespace: None }),
            ..About::default()
        };
        let input = Question::authority(asked).about(about);
        assert_eq!(
            input.object["spec"],
            json!({ "authority": {
                "commonName": "root", "duration": "61s", "privateKey": { "algorithm": "Ed25519" },
                "issuerRef": { "kind": "ClusterIssuer", "name": "top" },
            } })
        );
        assert_eq!((input.csr, input.profile), (None, None));
    }
}
