//! API types of group `keywright.dev`, version `v1alpha1`.
//!
//! Owns: the Rust types of every resource, the schema that kube-apiserver enforces for them (bounds, patterns, CEL
//! rules with their messages), and the generator `crdgen` of the YAML and of the API reference.
//! Never: a client, async code, time, or a decision about what to do with an object.
//!
//! ```text
//!   key, subject, usage, reference     shared parts of a spec
//!   issuer, certificate, policy        the kinds
//!   approval_class, approval_request   and those of approvals
//!   shape                              bounded strings, lists and maps as schemas
//!   rules                              CEL rules and their messages
//!   definition                         the finished CustomResourceDefinitions
//!   render, reference_page             the generated files: YAML and docs/reference/api.md
//! ```
//!
//! Conventions: camelCase on the wire, no explicit zero values (a field at its default is not serialized), and no
//! schema default but that of `status`, so that a server-side apply of a manifest is all that anyone sees.

mod approval_class;
mod approval_request;
mod certificate;
mod definition;
pub mod duration;
mod issuer;
mod key;
mod policy;
mod reference;
mod reference_page;
pub mod render;
mod rules;
mod shape;
mod subject;
mod usage;

pub use approval_class::{
    ApprovalClass, ApprovalClassSpec, ApprovalGroup, ApprovalPrincipal, ApprovalProof, NoticeForm,
    NotifyTarget, SecretEntry,
};
pub use approval_request::{
    ApprovalDecision, ApprovalDecisionSpec, ApprovalPhase, ApprovalRequest, ApprovalRequestSpec,
    ApprovalRequestStatus, ApprovalVerdict, MissingApproval, ObjectApproval, RequestRef, TargetEditor,
    TargetRef, UserIdentity, VoteSummary,
};
pub use certificate::{
    AdditionalOutputFormat, Certificate, CertificatePrivateKey, CertificateRevision, CertificateSpec,
    CertificateStatus, DeletionPolicy, KeyEncoding, OutputFormat, RotationPolicy, SecretTemplate,
};
pub use definition::definitions;
pub use issuer::{
    AllowedLeaves, AnyIssuer, AuthorityApprovals, AuthorityPrivateKey, AuthoritySpec, AuthorityStatus,
    CertificateProfile, ClusterIssuer, ClusterIssuerSpec, Issuer, IssuerMember, IssuerSpec, IssuerStatus,
    NameConstraints, NameSubtrees, ProfileApprovals,
};
pub use key::Algorithm;
pub use policy::{
    Policy, PolicyBundle, PolicyBundleKey, PolicyIssuer, PolicyKind, PolicyMode, PolicyScope, PolicySpec,
    PolicyStatus, RegoSource, bundle_bytes,
};
pub use reference::{IssuerKind, IssuerRef};
pub use subject::Subject;
pub use usage::KeyUsage;

/// API group of every resource of this crate.
pub const GROUP: &str = "keywright.dev";

/// The one API version so far.
pub const VERSION: &str = "v1alpha1";

/// Whether a value is its type's default, and therefore left out on the wire.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
