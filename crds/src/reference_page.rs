//! The API reference, docs/reference/api.md, written from the definitions.
//!
//! One section for each kind, one table for each object within it. What the page says is what `kubectl explain` says,
//! and besides it the bounds and the rules that kube-apiserver enforces.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::iter;

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
    let mut described = Vec::new();
    for definition in definitions {
        kind(&mut page, definition, &mut described);
    }
    page
}

/// An object that the page has described already, with its kind and path.
type Described<'a> = Vec<(&'a str, String, &'a JSONSchemaProps)>;

/// One kind.
fn kind<'a>(page: &mut String, definition: &'a CustomResourceDefinition, described: &mut Described<'a>) {
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
                object(page, &names.kind, field, schema, described);
            }
        }
    }
}

/// One object: the table of its fields and what it is refused with, then the objects within it.
fn object<'a>(
    page: &mut String,
    kind: &'a str,
    path: &str,
    schema: &'a JSONSchemaProps,
    described: &mut Described<'a>,
) {
    let Some(fields) = schema.properties.as_ref().filter(|fields| !fields.is_empty()) else { return };
    section(page, 3, &format!("{kind} `{path}`"));
    if let Some((kind, path, _)) = described.iter().find(|(_, _, known)| *known == schema) {
        line(page, &format!("The same as {kind} `{path}`."));
        return;
    }
    described.push((kind, path.to_owned(), schema));
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
    refusals(page, schema, fields);
    for (name, field) in fields {
        object(page, kind, &format!("{path}.{name}"), field, described);
        if let Some(item) = item(field) {
            object(page, kind, &format!("{path}.{name}[]"), item, described);
        }
    }
}

/// What kube-apiserver says to an object that breaks a rule; rules of the objects within stand with those.
fn refusals(page: &mut String, schema: &JSONSchemaProps, fields: &BTreeMap<String, JSONSchemaProps>) {
    let mut found: Vec<String> = messages(schema).map(str::to_owned).collect();
    for (name, field) in fields {
        for value in iter::once(field).chain(item(field)).filter(|value| value.properties.is_none()) {
            found.extend(messages(value).map(|message| format!("`{name}`: {message}")));
        }
    }
    if found.is_empty() {
        return;
    }
    line(page, "\nRefused with:\n");
    for message in found {
        line(page, &format!("- {}", message.replace('*', "\\*")));
    }
}

/// The messages of a schema's own rules.
fn messages(schema: &JSONSchemaProps) -> impl Iterator<Item = &str> {
    schema.x_kubernetes_validations.iter().flatten().filter_map(|rule| rule.message.as_deref())
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
        ("array", Some(item)) => format!("list of {}{}", at_most(schema.max_items), type_of(item)),
        ("object", Some(value)) => format!("map of {}{}", at_most(schema.max_properties), type_of(value)),
        ("string", _) if schema.format.as_deref() == Some("date-time") => "time".to_owned(),
        ("string", _) => match schema.max_length {
            Some(most) => format!("string of at most {most} characters"),
            None => "string".to_owned(),
        },
        ("integer", _) => match (schema.minimum, schema.maximum) {
            (Some(low), Some(high)) => format!("integer ({low} to {high})"),
            (Some(low), None) => format!("integer (from {low})"),
            (None, Some(high)) => format!("integer (up to {high})"),
            (None, None) => "integer".to_owned(),
        },
        (other, _) => other.to_owned(),
    }
}

/// A bound on the number of entries, when there is one.
fn at_most(bound: Option<i64>) -> String {
    bound.map(|bound| format!("at most {bound}: ")).unwrap_or_default()
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
