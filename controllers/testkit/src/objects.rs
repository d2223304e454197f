//! Objects as the API server would show them, each in one line; tests change what they are about.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use keywright_crds::{
    AuthoritySpec, Certificate, CertificateSpec, ClusterIssuer, ClusterIssuerSpec, Issuer, IssuerKind,
    IssuerRef, IssuerSpec,
};
use kube::Resource;
use kube::api::ObjectMeta;

/// The namespace of every namespaced object made here.
pub const NAMESPACE: &str = "shop";

/// When everything here was created: midnight before the tests' first day.
pub fn created() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap_or_default()
}

/// Metadata as the API server fills it in.
pub fn meta(kind: &str, namespace: Option<&str>, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: namespace.map(str::to_owned),
        uid: Some(uid(kind, name)),
        generation: Some(1),
        resource_version: Some("1".to_owned()),
        creation_timestamp: Some(Time(created())),
        ..ObjectMeta::default()
    }
}

/// A UID that kind and name determine, in RFC 4122 form.
pub fn uid(kind: &str, name: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in kind.bytes().chain([b'/']).chain(name.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{:08x}-0000-4000-8000-{:012x}", hash >> 32, hash & 0xffff_ffff_ffff)
}

/// A Certificate for `<name>.example.com` from Issuer `services`, in a Secret named `<name>-tls`.
pub fn certificate(name: &str) -> Certificate {
    Certificate {
        metadata: meta("Certificate", Some(NAMESPACE), name),
        spec: CertificateSpec {
            secret_name: format!("{name}-tls"),
            issuer_ref: reference(IssuerKind::Issuer, "services"),
            dns_names: vec![format!("{name}.example.com")],
            ..CertificateSpec::default()
        },
        status: None,
    }
}

/// An authority's description with this common name, and a parent or none.
pub fn authority(common_name: &str, parent: Option<IssuerRef>) -> AuthoritySpec {
    AuthoritySpec {
        common_name: Some(common_name.to_owned()),
        issuer_ref: parent,
        ..AuthoritySpec::default()
    }
}

/// An Issuer below ClusterIssuer `root`.
pub fn issuer(name: &str) -> Issuer {
    Issuer {
        metadata: meta("Issuer", Some(NAMESPACE), name),
        spec: IssuerSpec {
            authority: Some(authority(name, Some(reference(IssuerKind::ClusterIssuer, "root")))),
        },
        status: None,
    }
}

/// A self-signed ClusterIssuer.
pub fn cluster_issuer(name: &str) -> ClusterIssuer {
    ClusterIssuer {
        metadata: meta("ClusterIssuer", None, name),
        spec: ClusterIssuerSpec::from(IssuerSpec { authority: Some(authority(name, None)) }),
        status: None,
    }
}

/// A reference to an issuer of ours.
pub fn reference(kind: IssuerKind, name: &str) -> IssuerRef {
    IssuerRef { kind, name: name.to_owned(), group: None }
}

/// The same object with another generation, as after an edit of its spec.
#[must_use]
pub fn generation<K: Resource>(mut object: K, generation: i64) -> K {
    object.meta_mut().generation = Some(generation);
    object
}
