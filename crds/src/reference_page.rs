//! The API reference, docs/reference/api.md, written from the definitions.
//!
//! One section for each kind, one table for each object within it. What the page says is what `kubectl explain` says,
//! and besides it the bounds and the rules that kube-apiserver enforces.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use crate::render::RENEW;

/// Writes the page.
pub(crate) fn write(definitions: &[CustomResourceDefinition]) -> String {
    let mut page = format!(
        "<!-- Generated from the Rust types in crds/; `{RENEW}` renews it. -->\n# API reference\n\n\
         Group `{}`, version `{}`. The same texts are shown by `kubectl explain`, as in\n\
         `kubectl explain certificates.{}.spec`.\n",
        crate::GROUP,
        crate::VERSION,
        crate::GROUP,
    );
    for definition in definitions {
        kind(&mut page, definition);
    }
    page
}

/// One kind.
fn kind(page: &mut String, definition: &CustomResourceDefinition) {
    let spec = &definition.spec;
    let names = &spec.names;
    section(page, 2, &names.kind);
    for version in &spec.versions {
        let Some(schema) = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref())
        else {
            continue;
        };
        line(page, schema.description.as_deref().unwrap_or_default());
        let short_names = names.short_names.clone().unwrap_or_default().join("`, `");
        let categories = names.categories.clone().unwrap_or_default().join("`, `");
        line(
            page,
            &format!(
                "\nScope: {}. Plural: `{}`. Short name: `{short_names}`. Category: `{categories}`.",
                spec.scope, names.plural
            ),
        );
        for field in ["spec", "status"] {
            if let Some(schema) = schema.properties.as_ref().and_then(|fields| fields.get(field)) {
                object(page, &names.kind, field, schema);
            }
        }
    }
}

/// One object: its rules, the table of its fields, then the objects within it.
fn object(page: &mut String, kind: &str, path: &str, schema: &JSONSchemaProps) {
    let Some(fields) = schema.properties.as_ref().filter(|fields| !fields.is_empty()) else { return };
    section(page, 3, &format!("{kind} `{path}`"));
    if let Some(description) = &schema.description {
        line(page, &format!("{description}\n"));
    }
    let required = schema.required.clone().unwrap_or_default();
    line(page, "| Field | Type | Description |\n|---|---|---|");
    for (name, field) in fields {
        let needed = if required.contains(name) { ", required" } else { "" };
        let description = field.description.as_deref().unwrap_or_default();
        line(page, &format!("| `{name}` | {}{needed} | {} |", cell(&type_of(field)), cell(description)));
    }
    let messages: Vec<&str> = fields
        .values()
        .flat_map(|field| std::iter::once(field).chain(item(field)))
        .chain([schema])
        .flat_map(messages)
        .collect();
    if !messages.is_empty() {
        line(page, "\nRefused with:\n");
        for message in messages {
            line(page, &format!("- {message}"));
        }
    }
    for (name, field) in fields {
        object(page, kind, &format!("{path}.{name}"), field);
        if let Some(item) = item(field) {
            object(page, kind, &format!("{path}.{name}[]"), item);
        }
    }
}

/// The messages of a schema's own rules, without those of objects within it.
fn messages(schema: &JSONSchemaProps) -> impl Iterator<Item = &str> {
    let rules = if schema.properties.is_some() && schema.x_kubernetes_validations.is_none() {
        None
    } else {
        schema.x_kubernetes_validations.as_ref()
    };
    rules.into_iter().flatten().filter_map(|rule| rule.message.as_deref())
}

/// What a list holds, or the values of a map.
fn item(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    let listed = match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => Some(&**item),
        Some(JSONSchemaPropsOrArray::Schemas(_)) | None => None,
    };
    let mapped = match &schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(value)) => Some(&**value),
        Some(JSONSchemaPropsOrBool::Bool(_)) | None => None,
    };
    listed.or(mapped)
}

/// The type of a field in words, with its bounds.
fn type_of(schema: &JSONSchemaProps) -> String {
    let name = schema.type_.as_deref().unwrap_or("any");
    if let Some(values) = &schema.enum_ {
        return values
            .iter()
            .map(|value| format!("`{}`", value.0.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    match (name, item(schema)) {
        ("array", Some(item)) => {
            format!("list of {}{}", type_of(item), bound(" (at most ", schema.max_items))
        }
        ("object", Some(value)) => {
            format!("map of {}{}", type_of(value), bound(" (at most ", schema.max_properties))
        }
        ("string", _) if schema.format.as_deref() == Some("date-time") => "time".to_owned(),
        ("string", _) => format!("string{}", bound(" (length at most ", schema.max_length)),
        ("integer", _) => match (schema.minimum, schema.maximum) {
            (Some(low), Some(high)) => format!("integer ({low} to {high})"),
            (Some(low), None) => format!("integer (from {low})"),
            (None, Some(high)) => format!("integer (up to {high})"),
            (None, None) => "integer".to_owned(),
        },
        (other, _) => other.to_owned(),
    }
}

/// A bound in brackets, when there is one.
fn bound(words: &str, bound: Option<i64>) -> String {
    bound.map(|bound| format!("{words}{bound})")).unwrap_or_default()
}

/// A text for one cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ").replace('*', "\\*")
}

fn section(page: &mut String, depth: usize, title: &str) {
    line(page, &format!("\n{} {title}\n", "#".repeat(depth)));
}

fn line(page: &mut String, text: &str) {
    writeln!(page, "{text}").expect("writing to a String never fails");
}
