//! The attributes of spans. Their values are names that the API server gave or knows, numbers, and words of closed lists:
//! never a secret, a subject, a person or what a person wrote.

/// Namespace of the object; absent for cluster-scoped kinds.
pub const NAMESPACE: &str = "k8s.namespace.name";
/// Kind of the object.
pub const KIND: &str = "k8s.object.kind";
/// Name of the object.
pub const NAME: &str = "k8s.object.name";
/// UID of the object.
pub const UID: &str = "k8s.object.uid";
/// Generation of the object.
pub const GENERATION: &str = "k8s.object.generation";
/// What is attempted at admission.
pub const OPERATION: &str = "keywright.operation";
/// The API server's identifier of the admission review, under which the decision log and the audit log have it.
pub const DECISION: &str = "keywright.decision";
/// The rule that refused at admission.
pub const RULE: &str = "keywright.rule";
/// Kind of the issuer.
pub const ISSUER_KIND: &str = "keywright.issuer.kind";
/// Name of the issuer.
pub const ISSUER_NAME: &str = "keywright.issuer.name";
/// UID of the authority at the signer.
pub const AUTHORITY: &str = "keywright.authority.uid";
/// The request key: UID of the object, `/`, step.
pub const REQUEST_KEY: &str = "keywright.request.key";
/// Serial number of the certificate, hexadecimal, as in the object's status.
pub const SERIAL: &str = "keywright.certificate.serial";
/// Index of the signature's entry in the signer's log.
pub const LOG_INDEX: &str = "keywright.log.index";
/// What came of it: a reason of the condition, of a refusal, or of the closed lists of docs/traces.md.
pub const OUTCOME: &str = "keywright.outcome";
