//! `Issuer` and `ClusterIssuer`: an authority whose key is in the signer; later also outside ones.
//!
//! Both kinds have the same spec and status, and [`AnyIssuer`] treats them alike. The constraints of an authority are
//! fixed in the signer when its key is made; the rules here refuse every later edit that would loosen one, unless the
//! authority names a class of people who may agree to that.

#![expect(unreachable_pub, reason = "KubeSchema copies each public struct into a function body")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{Algorithm, IssuerKind, IssuerRef, KeyUsage, ObjectApproval, Subject, is_default, rules, shape};

/// An issuer is a union: exactly one member is set, and it never changes to another.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "keywright.dev",
    version = "v1alpha1",
    kind = "Issuer",
    namespaced,
    status = "IssuerStatus",
    derive = "PartialEq",
    shortname = "kwissuer",
    category = "keywright",
    doc = "An authority that signs certificates of its own namespace."
)]
#[x_kube(validation = rules::exactly_one_member(), validation = rules::member_stays())]
#[serde(rename_all = "camelCase")]
pub struct IssuerSpec {
    /// An authority whose key is made in the signer and never leaves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<AuthoritySpec>,
}

impl IssuerSpec {
    /// The one member that is set; `None` when none is, which the schema refuses.
    pub fn member(&self) -> Option<IssuerMember<'_>> {
        self.authority.as_ref().map(IssuerMember::Authority)
    }
}

/// The member that an issuer's spec sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum IssuerMember<'a> {
    /// An authority in the signer.
    Authority(&'a AuthoritySpec),
}

/// The spec of a `ClusterIssuer`: that of an `Issuer`, but its parent must be a `ClusterIssuer`.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "keywright.dev",
    version = "v1alpha1",
    kind = "ClusterIssuer",
    status = "IssuerStatus",
    derive = "PartialEq",
    shortname = "kwcissuer",
    category = "keywright",
    doc = "An authority that signs certificates of every namespace."
)]
#[x_kube(validation = rules::cluster_parent())]
#[serde(transparent)]
pub struct ClusterIssuerSpec {
    /// What an `Issuer` says too.
    pub issuer: IssuerSpec,
}

impl From<IssuerSpec> for ClusterIssuerSpec {
    fn from(issuer: IssuerSpec) -> Self {
        Self { issuer }
    }
}

/// An `Issuer` or a `ClusterIssuer`.
pub trait AnyIssuer: kube::Resource<DynamicType = ()> {
    /// The kind, as references name it.
    const KIND: IssuerKind;

    /// The spec that both kinds share.
    fn issuer_spec(&self) -> &IssuerSpec;

    /// The status that both kinds share.
    fn issuer_status(&self) -> Option<&IssuerStatus>;
}

impl AnyIssuer for Issuer {
    const KIND: IssuerKind = IssuerKind::Issuer;

    fn issuer_spec(&self) -> &IssuerSpec {
        &self.spec
    }

    fn issuer_status(&self) -> Option<&IssuerStatus> {
        self.status.as_ref()
    }
}

impl AnyIssuer for ClusterIssuer {
    const KIND: IssuerKind = IssuerKind::ClusterIssuer;

    fn issuer_spec(&self) -> &IssuerSpec {
        &self.spec.issuer
    }

    fn issuer_status(&self) -> Option<&IssuerStatus> {
        self.status.as_ref()
    }
}

/// An authority in the signer. Its name, key and parent are fixed; its constraints may only be tightened.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(
    validation = rules::authority_names_something(),
    validation = rules::common_name_stays(),
    validation = rules::subject_stays(),
    validation = rules::private_key_stays(),
    validation = rules::parent_stays(),
    validation = rules::urls_stay("crlDistributionPoints"),
    validation = rules::urls_stay("ocspServers"),
    validation = rules::urls_stay("issuingCertificateURLs"),
    validation = rules::duration_shrinks(),
    validation = rules::path_length_shrinks(),
    validation = rules::max_leaf_duration_shrinks(),
    validation = rules::is_ca_is_not_granted(),
    validation = rules::allowed_shrinks("usages"),
    validation = rules::allowed_shrinks("privateKeyAlgorithms"),
    validation = rules::permitted_narrows(rules::Subtree::DnsDomains),
    validation = rules::permitted_narrows(rules::Subtree::IpRanges),
    validation = rules::permitted_narrows(rules::Subtree::EmailAddresses),
    validation = rules::permitted_narrows(rules::Subtree::UriDomains),
    validation = rules::excluded_grows(rules::Subtree::DnsDomains),
    validation = rules::excluded_grows(rules::Subtree::IpRanges),
    validation = rules::excluded_grows(rules::Subtree::EmailAddresses),
    validation = rules::excluded_grows(rules::Subtree::UriDomains),
    validation = rules::approval_stays("firstIssuanceOfName"),
    validation = rules::approval_stays("anyIssuance"),
    validation = rules::approval_stays("caCertificates"),
    validation = rules::loosening_is_not_added(),
    validation = rules::profiles_are_not_added(),
    validation = rules::profile_max_duration_shrinks(),
    validation = rules::profile_is_ca_is_not_granted(),
    validation = rules::profile_allowed_shrinks("usages"),
    validation = rules::profile_allowed_shrinks("privateKeyAlgorithms"),
    validation = rules::profile_approval_stays("firstIssuanceOfName"),
    validation = rules::profile_approval_stays("anyIssuance"),
    validation = rules::profile_approval_stays("caCertificates")
)]
#[serde(rename_all = "camelCase")]
pub struct AuthoritySpec {
    /// Common name (CN) of the authority, at most 64 characters. Immutable. This, subject or both must be set.
    #[schemars(schema_with = "shape::common_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,

    /// Other attributes of the authority's subject. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,

    /// The key to make in the signer. Immutable. Default: ECDSA 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<AuthorityPrivateKey>,

    /// Lifetime of the authority's own certificate, such as 87600h; at least 5m. May only be shortened. Default: 87600h
    /// (ten years). A parent shortens it when it would outlive the parent.
    #[schemars(schema_with = "shape::authority_duration")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,

    /// The parent that signs this authority's certificate; absent for a self-signed root. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,

    /// How many further authorities may follow below this one. 0: it signs leaves only. Absent: any number. May only be
    /// set or lowered.
    #[schemars(range(min = 0, max = 32))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_length: Option<i32>,

    /// Names that certificates below this authority may and may not carry (RFC 5280 section 4.2.1.10). May only be
    /// narrowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_constraints: Option<NameConstraints>,

    /// The longest lifetime of a certificate that this authority signs for a Certificate, such as 2160h; at least 5m.
    /// Absent: the authority's own remaining life. May only be set or lowered.
    #[schemars(schema_with = "shape::max_leaf_duration")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_leaf_duration: Option<String>,

    /// What certificates that this authority signs may be. May only be tightened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<AllowedLeaves>,

    /// Who must agree before this authority signs. May only be added to, but where loosening names a class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<AuthorityApprovals>,

    /// Narrower sets of what this authority signs for a Certificate, one of which the Certificate names in spec.profile. With
    /// any, every Certificate comes under the one that it names, else under the one called default, else it is refused. The
    /// authority's own constraints hold as well. Not inherited by child authorities. At most 16. Profiles may be set where
    /// there were none, removed but for the last one, and narrowed; the rest is a loosening.
    #[schemars(schema_with = "shape::profiles")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<CertificateProfile>,

    /// URLs (http or https) of the revocation list, written into every certificate. Immutable. At most 8.
    #[schemars(schema_with = "shape::urls")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crl_distribution_points: Vec<String>,

    /// URLs (http or https) of OCSP responders, written into every certificate. Immutable. At most 8.
    #[schemars(schema_with = "shape::urls")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ocsp_servers: Vec<String>,

    /// URLs (http or https) of this authority's own certificate, written into every certificate. Immutable. At most 8.
    #[schemars(schema_with = "shape::urls")]
    #[serde(default, rename = "issuingCertificateURLs", skip_serializing_if = "Vec::is_empty")]
    pub issuing_certificate_urls: Vec<String>,
}

impl AuthoritySpec {
    /// What an absent `duration` means: ten years.
    pub const DEFAULT_DURATION: &str = "87600h";

    /// The duration in force, as text: the written one, else [`Self::DEFAULT_DURATION`].
    pub fn duration_text(&self) -> &str {
        self.duration.as_deref().unwrap_or(Self::DEFAULT_DURATION)
    }
}

/// The private key of an authority.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = rules::key_size_fits())]
#[serde(rename_all = "camelCase")]
pub struct AuthorityPrivateKey {
    /// RSA, ECDSA, Ed25519 or ML-DSA. Default: ECDSA.
    #[serde(default, skip_serializing_if = "is_default")]
    pub algorithm: Algorithm,

    /// RSA: 2048 (default), 3072 or 4096 bits. ECDSA: 256 (default), 384 or 521. ML-DSA: 44, 65 (default) or 87.
    /// Ed25519: not written.
    #[schemars(range(min = 1, max = 8192))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i32>,
}

impl AuthorityPrivateKey {
    /// The size in force: the written one, else the algorithm's default. `None` only for Ed25519.
    pub fn effective_size(&self) -> Option<i32> {
        self.size.or(self.algorithm.default_size())
    }
}

/// Names below an authority. A kind of name without entries is not constrained.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NameConstraints {
    /// Names must lie within these. A list with entries may only lose entries or have them replaced by narrower ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permitted: Option<NameSubtrees>,

    /// Names must not lie within these, whatever is permitted. Lists may only grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excluded: Option<NameSubtrees>,
}

/// Sets of names, each kind on its own.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NameSubtrees {
    /// DNS domains in lower case; example.com stands for itself and everything below it. At most 64.
    #[schemars(schema_with = "shape::constraint_dns_domains")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_domains: Vec<String>,

    /// IP ranges in CIDR form without host bits, such as 10.0.0.0/8 or 2001:db8::/32. At most 64.
    #[schemars(schema_with = "shape::constraint_ip_ranges")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_ranges: Vec<String>,

    /// A mailbox (ops@example.com), all mailboxes of one host (example.com), or of all hosts below a domain
    /// (.example.com). At most 64.
    #[schemars(schema_with = "shape::constraint_email_addresses")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub email_addresses: Vec<String>,

    /// Hosts of URIs: one host (api.example.com) or all hosts below a domain (.example.com). At most 64.
    #[schemars(schema_with = "shape::constraint_uri_domains")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uri_domains: Vec<String>,
}

impl NameSubtrees {
    /// Whether no kind of name has an entry, which means the same as an absent value.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What an authority, or a profile of it, allows to be signed for a Certificate.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AllowedLeaves {
    /// Key usages and extended key usages that may be asked for. Empty: any. Once set, entries may only be removed, and
    /// not the last one.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usages: Vec<KeyUsage>,

    /// Algorithms that the certified keys may have. Empty: any. Once set, entries may only be removed, and not the last
    /// one.
    #[schemars(length(max = 8))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub private_key_algorithms: Vec<Algorithm>,

    /// Whether a Certificate may ask for isCA. Default: false, in a profile too. It may be withdrawn but not granted later.
    #[serde(default, rename = "isCA", skip_serializing_if = "is_default")]
    pub is_ca: bool,
}

/// Names of the ApprovalClasses that must agree. The signer fixes them with the key and asks for the grant itself.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityApprovals {
    /// For a certificate whose set of names this authority has not certified before.
    #[schemars(schema_with = "shape::object_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_issuance_of_name: Option<String>,

    /// For every certificate, renewals too.
    #[schemars(schema_with = "shape::object_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any_issuance: Option<String>,

    /// For certificates of authorities.
    #[schemars(schema_with = "shape::object_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<String>,

    /// For loosening what was fixed with the key. Only from the beginning: it cannot be added later. With it, edits that
    /// loosen are accepted, and take effect when the class has agreed.
    #[schemars(schema_with = "shape::object_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loosening: Option<String>,
}

/// A narrower set of what an authority signs. What it leaves out is not narrowed, but isCA, which has to be allowed.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CertificateProfile {
    /// Name, as Certificates name it: a lower-case DNS label. The one called default is for Certificates that name none.
    #[schemars(schema_with = "shape::profile_name")]
    pub name: String,

    /// What it is for, for people. Nothing depends on it.
    #[schemars(schema_with = "shape::profile_description")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,

    /// The longest lifetime of a certificate, such as 24h; at least 5m. Absent: as the authority says.
    #[schemars(schema_with = "shape::profile_max_duration")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<String>,

    /// Names that a certificate may and may not carry. With allowed.isCA they also stand in the certificates of authorities,
    /// and have to lie within the authority's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_constraints: Option<NameConstraints>,

    /// What certificates may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<AllowedLeaves>,

    /// Who must agree beside those that the authority names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<ProfileApprovals>,
}

/// Names of the ApprovalClasses that must agree to what comes under a profile.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ProfileApprovals {
    /// For a certificate with a name that was not certified under this profile before.
    #[schemars(schema_with = "shape::object_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_issuance_of_name: Option<String>,

    /// For every certificate, renewals too.
    #[schemars(schema_with = "shape::object_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any_issuance: Option<String>,

    /// For certificates of authorities, which are Certificates with isCA.
    #[schemars(schema_with = "shape::object_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<String>,
}

/// What is so about an issuer.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IssuerStatus {
    /// Generation of the spec that this status speaks of; -1 until the controller has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Conditions: Ready, and while they hold Reconciling or Stalled.
    #[schemars(schema_with = "shape::conditions")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,

    /// The authority's own certificate, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<AuthorityStatus>,

    /// The approval that the authority waits for, or that its last change used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ObjectApproval>,
}

/// The certificate of an authority.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityStatus {
    /// PEM: the authority's certificate, then its parents' up to and with the root.
    #[schemars(schema_with = "shape::pem_chain")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,

    /// Serial number of the certificate in lower-case hexadecimal.
    #[schemars(schema_with = "shape::hex_serial")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,

    /// Subject key identifier in lower-case hexadecimal.
    #[schemars(schema_with = "shape::hex_key_id")]
    #[serde(default, rename = "subjectKeyID", skip_serializing_if = "Option::is_none")]
    pub subject_key_id: Option<String>,

    /// First second in which the certificate is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,

    /// Last second in which the certificate is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,

    /// When the certificate is to be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_time: Option<Time>,

    /// Longest lifetime of a leaf that this authority and those above it allow; absent when none of them sets one.
    #[schemars(schema_with = "shape::longest_leaf")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_leaf_duration: Option<String>,

    /// Number of the last issuance, counted from 1.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,

    /// Index of the signature's entry in the signer's log.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_index: Option<i64>,
}
