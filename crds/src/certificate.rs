//! `Certificate`: a leaf (or a subordinate authority for others) wanted in a Secret.
//!
//! Fields that mean the same as in cert-manager have the same names and the same values.

#![expect(unreachable_pub, reason = "KubeSchema copies each public struct into a function body")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Algorithm, IssuerRef, KeyUsage, ObjectApproval, Subject, is_default, rules, shape};

/// What a certificate is to say, which issuer signs it and which Secret receives it.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "keywright.dev",
    version = "v1alpha1",
    kind = "Certificate",
    namespaced,
    status = "CertificateStatus",
    derive = "PartialEq",
    shortname = "kwcert",
    category = "keywright",
    doc = "A certificate wanted in a Secret: Keywright issues it, renews it in time and replaces it when its description \
           changes."
)]
#[x_kube(
    validation = rules::certificate_names_something(),
    validation = rules::renew_before_or_percentage(),
    validation = rules::renew_before_is_under_duration(),
    validation = rules::authority_usages_need_is_ca()
)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSpec {
    /// Name of the Secret of type kubernetes.io/tls in the same namespace that receives tls.crt, tls.key and ca.crt.
    /// A Secret of that name that another Certificate or another manager writes is left alone.
    #[schemars(schema_with = "shape::object_name")]
    pub secret_name: String,

    /// Issuer that signs. A change issues the certificate anew.
    pub issuer_ref: IssuerRef,

    /// Common name (CN) of the subject, at most 64 characters. Clients look at dnsNames, not here.
    #[schemars(schema_with = "shape::common_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,

    /// Other attributes of the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,

    /// DNS names of the subject alternative name extension, without a trailing dot; a wildcard may stand for the first
    /// label as in *.example.com. At most 1000.
    #[schemars(schema_with = "shape::dns_names")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,

    /// IPv4 and IPv6 addresses of the subject alternative name extension. At most 256.
    #[schemars(schema_with = "shape::ip_addresses")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,

    /// Absolute URIs of the subject alternative name extension, such as a SPIFFE ID. At most 256.
    #[schemars(schema_with = "shape::uris")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uris: Vec<String>,

    /// E-mail addresses of the subject alternative name extension. At most 256.
    #[schemars(schema_with = "shape::email_addresses")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub email_addresses: Vec<String>,

    /// Lifetime to ask for, such as 2160h, 90m or 1h30m; at least 5m. Default: 2160h (90 days), or the maxLeafDuration of
    /// the authority or of one above it, or the maxDuration of the profile, when that is less; one that is written and over it is refused. A certificate
    /// never outlives its authority.
    #[schemars(schema_with = "shape::certificate_duration")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,

    /// How long before expiry to renew, such as 360h; at least 1m and less than duration. Not together with
    /// renewBeforePercentage. Default: renewal at two thirds of the lifetime, a little earlier for some so that not
    /// all renew at once.
    #[schemars(schema_with = "shape::renew_before")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<String>,

    /// Share of the lifetime, in percent from 1 to 99, that is left when renewal begins. Not together with renewBefore.
    #[schemars(range(min = 1, max = 99))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before_percentage: Option<i32>,

    /// Key usages and extended key usages. Default: digital signature, and for RSA keys key encipherment; with isCA also
    /// cert sign and crl sign.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usages: Vec<KeyUsage>,

    /// Asks for a certificate that may itself sign certificates. The issuer must allow it. Default: false.
    #[serde(default, rename = "isCA", skip_serializing_if = "is_default")]
    pub is_ca: bool,

    /// Profile of the issuer that the certificate comes under. It must be one that the issuer has; an issuer that has
    /// none takes no name. Default: the profile called default, if the issuer has profiles. A change issues the certificate
    /// anew.
    #[schemars(schema_with = "shape::profile_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,

    /// The private key to make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<CertificatePrivateKey>,

    /// Annotations and labels for the Secret. Nothing else is ever copied to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_template: Option<SecretTemplate>,

    /// How many past issuances status.revisions lists, from 1 to 20. Default: 3.
    #[schemars(range(min = 1, max = 20))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i32>,

    /// Further forms of the same key and certificate to put in the Secret.
    #[schemars(length(max = 2))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_output_formats: Vec<AdditionalOutputFormat>,

    /// What happens to the Secret when this Certificate is deleted. Retain, the default, leaves it; Delete makes this
    /// object its owner, so that both go together.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deletion_policy: DeletionPolicy,
}

impl CertificateSpec {
    /// What an absent `duration` means: 90 days, or what the authority or the profile allows when that is less.
    pub const DEFAULT_DURATION: &str = "2160h";

    /// What an absent `revisionHistoryLimit` means.
    pub const DEFAULT_REVISION_HISTORY: usize = 3;

    /// The duration in force, as text: the written one, else [`Self::DEFAULT_DURATION`].
    pub fn duration_text(&self) -> &str {
        self.duration.as_deref().unwrap_or(Self::DEFAULT_DURATION)
    }

    /// How many past issuances `status.revisions` is to list, from 1 to 20 whatever is written.
    pub fn revision_history(&self) -> usize {
        self.revision_history_limit
            .and_then(|limit| usize::try_from(limit).ok())
            .map_or(Self::DEFAULT_REVISION_HISTORY, |limit| limit.clamp(1, 20))
    }
}

/// The private key of a certificate.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = rules::key_size_fits(), validation = rules::pkcs1_fits())]
#[serde(rename_all = "camelCase")]
pub struct CertificatePrivateKey {
    /// RSA, ECDSA, Ed25519 or ML-DSA. Default: ECDSA.
    #[serde(default, skip_serializing_if = "is_default")]
    pub algorithm: Algorithm,

    /// RSA: 2048 (default), 3072 or 4096 bits. ECDSA: 256 (default), 384 or 521. ML-DSA: 44, 65 (default) or 87.
    /// Ed25519: not written.
    #[schemars(range(min = 1, max = 8192))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i32>,

    /// Encoding of tls.key. PKCS8 (default) suits every algorithm; PKCS1 means RSAPrivateKey for RSA and the SEC 1
    /// form for ECDSA, and is refused for the others.
    #[serde(default, skip_serializing_if = "is_default")]
    pub encoding: KeyEncoding,

    /// Always (default) makes a new key for each issuance; Never keeps the key that the Secret already holds when it fits.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rotation_policy: RotationPolicy,
}

impl CertificatePrivateKey {
    /// The size in force: the written one, else the algorithm's default. `None` only for Ed25519.
    pub fn effective_size(&self) -> Option<i32> {
        self.size.or(self.algorithm.default_size())
    }
}

/// Encoding of a private key within its PEM block.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeyEncoding {
    /// PKCS#1 for RSA, SEC 1 for ECDSA.
    #[serde(rename = "PKCS1")]
    Pkcs1,
    /// PKCS#8, for every algorithm.
    #[default]
    #[serde(rename = "PKCS8")]
    Pkcs8,
}

/// Whether re-issuance makes a new private key.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RotationPolicy {
    /// Keep the key in the Secret as long as it fits the spec.
    Never,
    /// A new key for each issuance.
    #[default]
    Always,
}

/// What to put on the Secret besides its data.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretTemplate {
    /// Annotations for the Secret. Keys under keywright.dev, kubernetes.io, kubectl.kubernetes.io and
    /// applyset.kubernetes.io are refused.
    #[schemars(schema_with = "shape::annotations")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,

    /// Labels for the Secret. Keys under keywright.dev, kubernetes.io, kubectl.kubernetes.io and applyset.kubernetes.io
    /// are refused.
    #[schemars(schema_with = "shape::labels")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// One further form of key and certificate in the Secret.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct AdditionalOutputFormat {
    /// CombinedPEM: the entry tls-combined.pem with the private key and then the chain. DER: the entry key.der with the
    /// private key alone.
    #[serde(rename = "type")]
    pub type_: OutputFormat,
}

/// A form of key and certificate.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// `tls-combined.pem`: private key, then chain.
    #[serde(rename = "CombinedPEM")]
    CombinedPem,
    /// `key.der`: the private key in DER.
    #[serde(rename = "DER")]
    Der,
}

/// What becomes of the Secret when its Certificate is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeletionPolicy {
    /// The Secret stays.
    #[default]
    Retain,
    /// The Secret has the Certificate as owner and goes with it.
    Delete,
}

/// What is so about the certificate that was last issued.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// Generation of the spec that this status speaks of; -1 until the controller has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Conditions: Ready, and while they hold Reconciling or Stalled.
    #[schemars(schema_with = "shape::conditions")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,

    /// First second in which the certificate is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,

    /// Last second in which the certificate is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,

    /// When the certificate is to be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_time: Option<Time>,

    /// Number of the last issuance, counted from 1.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,

    /// Serial number of the certificate in lower-case hexadecimal.
    #[schemars(schema_with = "shape::hex_serial")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,

    /// Index of the signature's entry in the signer's log.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_index: Option<i64>,

    /// UID of the issuer object that signed.
    #[schemars(schema_with = "shape::uid")]
    #[serde(default, rename = "issuerUID", skip_serializing_if = "Option::is_none")]
    pub issuer_uid: Option<String>,

    /// Key identifier of the authority's key that signed, in lower-case hexadecimal.
    #[schemars(schema_with = "shape::hex_key_id")]
    #[serde(default, rename = "authorityKeyID", skip_serializing_if = "Option::is_none")]
    pub authority_key_id: Option<String>,

    /// resourceVersion of the Secret as it was last published: while the Secret still has it, nobody has touched it.
    #[schemars(schema_with = "shape::resource_version")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_resource_version: Option<String>,

    /// The approval that the next issuance waits for, or that the last one used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ObjectApproval>,

    /// The last issuances, newest first, as many as spec.revisionHistoryLimit says and never more than 20.
    #[schemars(length(max = 20))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<CertificateRevision>,
}

/// One past issuance.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRevision {
    /// Number of the issuance, counted from 1.
    #[schemars(range(min = 0))]
    pub revision: i64,

    /// Serial number of the certificate in lower-case hexadecimal.
    #[schemars(schema_with = "shape::hex_serial")]
    pub serial_number: String,

    /// First second in which the certificate is valid.
    pub not_before: Time,

    /// Last second in which the certificate is valid.
    pub not_after: Time,

    /// Index of the signature's entry in the signer's log.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_index: Option<i64>,
}
