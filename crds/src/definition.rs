//! The finished CustomResourceDefinitions: what the derives say, and what they cannot.
//!
//! Added here, on the typed definition: the printer columns, the default of `status` that lets kstatus see an unseen
//! object as in progress, and the removal of what schemars says about Rust rather than about the API (`nullable`,
//! which would let an explicit null live on in an object, and defaults, which show as drift in a client-side diff).

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool, ValidationRule,
};
use kube::CustomResourceExt as _;
use serde_json::json;

use crate::{
    ApprovalClass, ApprovalDecision, ApprovalRequest, Certificate, ClusterIssuer, Issuer, Policy, rules,
};

/// Every resource definition of this crate, in the order in which they are documented and installed.
///
/// Invariant: the derives yield one version with a schema for each; a test of this crate walks them all.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![
        finish(Issuer::crd(), &issuer_columns()),
        finish(ClusterIssuer::crd(), &issuer_columns()),
        finish(Certificate::crd(), &certificate_columns()),
        finish(Policy::crd(), &policy_columns()),
        finish(ApprovalClass::crd(), &class_columns()),
        frozen(finish(ApprovalRequest::crd(), &request_columns())),
        finish(ApprovalDecision::crd(), &decision_columns()),
    ]
}

/// Completes a definition that a derive made.
fn finish(
    mut definition: CustomResourceDefinition,
    columns: &[CustomResourceColumnDefinition],
) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        version.additional_printer_columns = Some(columns.to_vec());
        let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        describe_the_api(schema);
        if let Some(status) = schema.properties.as_mut().and_then(|fields| fields.get_mut("status")) {
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
        }
    }
    definition
}

/// Adds the rules by which what is final stays final: on the whole object, where no update gets around them.
fn frozen(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let rules =
        [rules::terminal_phase_stays(), rules::consumed_is_not_forgotten(), rules::filed_under_stays()];
    for version in &mut definition.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            let rules = rules.iter().map(|(rule, message)| ValidationRule {
                rule: (*rule).to_owned(),
                message: Some((*message).to_owned()),
                ..ValidationRule::default()
            });
            schema.x_kubernetes_validations = Some(rules.collect());
        }
    }
    definition
}

/// Removes what a schema says about the Rust type only, at every depth.
fn describe_the_api(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.default = None;
    schema.title = None;
    schema.description = schema.description.take().map(|text| text.replace('\n', " "));
    // Widths of Rust integers; the bounds that matter are written as minimum and maximum.
    if schema.format.as_deref().is_some_and(|format| format.starts_with("uint")) {
        schema.format = None;
    }
    for field in schema.properties.iter_mut().flat_map(|fields| fields.values_mut()) {
        describe_the_api(field);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => describe_the_api(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(describe_the_api),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &mut schema.additional_properties {
        describe_the_api(value);
    }
}

/// A column of `kubectl get`. Columns of priority 1 show with `-o wide` only.
fn column(
    name: &str,
    path: &str,
    priority: Option<i32>,
    description: &str,
) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: name.into(),
        // Not `date`, which kubectl renders as an age: `<invalid>` for a time to come.
        type_: "string".into(),
        json_path: path.into(),
        description: Some(description.into()),
        priority,
        ..CustomResourceColumnDefinition::default()
    }
}

const READY_STATUS: &str = ".status.conditions[?(@.type==\"Ready\")].status";
const READY_REASON: &str = ".status.conditions[?(@.type==\"Ready\")].reason";

/// The age of an object.
fn age() -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        type_: "date".into(),
        ..column("Age", ".metadata.creationTimestamp", None, "Time since the object was created.")
    }
}

fn certificate_columns() -> Vec<CustomResourceColumnDefinition> {
    vec![
        column(
            "Ready",
            READY_STATUS,
            None,
            "Whether the Secret holds a valid certificate that matches the spec.",
        ),
        column("Reason", READY_REASON, Some(1), "Why the certificate is ready or not."),
        column("Secret", ".spec.secretName", None, "Secret that receives the certificate."),
        column("Issuer", ".spec.issuerRef.name", None, "Issuer that signs."),
        column("Expires", ".status.notAfter", None, "Last second in which the certificate is valid (UTC)."),
        column("Renews", ".status.renewalTime", None, "When the certificate is renewed (UTC)."),
        CustomResourceColumnDefinition {
            type_: "integer".into(),
            ..column("Revision", ".status.revision", Some(1), "Number of the last issuance.")
        },
        age(),
    ]
}

fn policy_columns() -> Vec<CustomResourceColumnDefinition> {
    vec![
        column("Ready", READY_STATUS, None, "Whether the policy compiles; if not, it denies."),
        column("Reason", READY_REASON, Some(1), "Why the policy is ready or not."),
        column("Mode", ".spec.mode", None, "Audit: it is only told what it says. Empty: Enforce."),
        column("Kinds", ".spec.appliesTo.kinds[*]", None, "Kinds it is asked about; empty: all."),
        age(),
    ]
}

fn issuer_columns() -> Vec<CustomResourceColumnDefinition> {
    vec![
        column("Ready", READY_STATUS, None, "Whether the issuer can sign."),
        column("Reason", READY_REASON, Some(1), "Why the issuer is ready or not."),
        column("Parent", ".spec.authority.issuerRef.name", None, "Issuer above this one; empty for a root."),
        column(
            "Expires",
            ".status.authority.notAfter",
            None,
            "Last second in which the authority is valid (UTC).",
        ),
        column("Renews", ".status.authority.renewalTime", None, "When the authority is renewed (UTC)."),
        age(),
    ]
}

fn class_columns() -> Vec<CustomResourceColumnDefinition> {
    vec![
        column("Groups", ".spec.groups[*].name", None, "Groups that must agree."),
        column("Proof", ".spec.proof", None, "What an approval must carry; empty: nothing."),
        column("Waits", ".spec.requestTTL", Some(1), "How long a request waits; empty: 24h."),
        column("Grant", ".spec.grantTTL", Some(1), "How long a grant lasts; empty: 1h."),
        age(),
    ]
}

fn request_columns() -> Vec<CustomResourceColumnDefinition> {
    vec![
        column("Phase", ".status.phase", None, "Where the request stands."),
        column("Ready", READY_STATUS, Some(1), "Whether the effect was or may be carried out."),
        column("Reason", READY_REASON, Some(1), "Why."),
        column("Action", ".spec.action", None, "What is to happen."),
        column("Target", ".spec.targetRef.name", None, "Object that it is about."),
        column("Class", ".spec.approvalClass", None, "ApprovalClass that says who must agree."),
        column("Missing", ".status.missing[*].group", None, "Groups that must still agree."),
        column("Expires", ".status.expiresAt", None, "Until when the quorum must be complete (UTC)."),
        age(),
    ]
}

fn decision_columns() -> Vec<CustomResourceColumnDefinition> {
    vec![
        column("Request", ".spec.requestRef.name", None, "Request that the vote is for."),
        column("Verdict", ".spec.verdict", None, "Approve or Deny."),
        column("Approver", ".spec.approver.username", None, "Who voted."),
        age(),
    ]
}
