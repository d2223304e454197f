//! What every definition of this crate must be, whatever its kind, and that the generated files are current.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, iter};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use keywright_crds::{definitions, render};

/// A schema within a definition, with the path that leads to it.
struct Place<'a> {
    path: String,
    schema: &'a JSONSchemaProps,
    /// Whether it is a field of an object, rather than what a list or map holds.
    is_field: bool,
}

fn root(definition: &CustomResourceDefinition) -> &JSONSchemaProps {
    let version = definition.spec.versions.first().expect("a version");
    version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()).expect("a schema")
}

/// Classes and decisions are read and never acted on by themselves: nothing has to be said of them.
fn has_status(definition: &CustomResourceDefinition) -> bool {
    !["ApprovalClass", "ApprovalDecision"].contains(&definition.spec.names.kind.as_str())
}

/// Every schema of every definition.
fn places(definitions: &[CustomResourceDefinition]) -> Vec<Place<'_>> {
    let mut found = Vec::new();
    for definition in definitions {
        let start =
            Place { path: definition.spec.names.kind.clone(), schema: root(definition), is_field: true };
        walk(start, &mut found);
    }
    found
}

fn walk<'a>(place: Place<'a>, found: &mut Vec<Place<'a>>) {
    let Place { path, schema, .. } = &place;
    for (name, field) in schema.properties.iter().flatten() {
        walk(Place { path: format!("{path}.{name}"), schema: field, is_field: true }, found);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items {
        walk(Place { path: format!("{path}[]"), schema: item, is_field: false }, found);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &schema.additional_properties {
        walk(Place { path: format!("{path}{{}}"), schema: value, is_field: false }, found);
    }
    found.push(place);
}

/// Asserts that no place breaks a rule, and names all that do.
fn no_place(what: &str, breaks: impl Fn(&Place<'_>) -> bool) {
    let definitions = definitions();
    let broken: Vec<String> =
        places(&definitions).into_iter().filter(|place| breaks(place)).map(|place| place.path).collect();
    assert!(broken.is_empty(), "{what}: {broken:#?}");
}

fn is(schema: &JSONSchemaProps, name: &str) -> bool {
    schema.type_.as_deref() == Some(name)
}

/// The documents of a policy are JSON of any shape.
fn is_free(place: &Place<'_>) -> bool {
    place.path == "Policy.spec.data{}"
}

#[test]
fn every_string_is_bounded() {
    no_place("strings without maxLength, enum or date-time", |place| {
        is(place.schema, "string")
            && place.schema.max_length.is_none()
            && place.schema.enum_.is_none()
            && place.schema.format.as_deref() != Some("date-time")
    });
}

#[test]
fn every_list_and_every_map_is_bounded() {
    no_place("lists without maxItems", |place| is(place.schema, "array") && place.schema.max_items.is_none());
    no_place("maps without maxProperties", |place| {
        place.schema.additional_properties.is_some() && place.schema.max_properties.is_none()
    });
    no_place("objects that keep unknown fields", |place| {
        place.schema.x_kubernetes_preserve_unknown_fields.is_some() && !is_free(place)
    });
}

#[test]
fn every_field_has_a_type_and_a_short_description() {
    no_place("places without a type", |place| place.schema.type_.is_none() && !is_free(place));
    no_place("fields without a description, or with one that is long or broken into lines", |place| {
        let description = place.schema.description.as_deref().unwrap_or_default();
        place.is_field && (description.len() < 10 || description.len() > 450 || description.contains('\n'))
    });
}

#[test]
fn conditions_are_a_map_keyed_by_type() {
    let definitions = definitions();
    let conditions: Vec<_> =
        places(&definitions).into_iter().filter(|place| place.path.ends_with(".status.conditions")).collect();
    let with_status = definitions.iter().filter(|definition| has_status(definition)).count();
    assert_eq!(conditions.len(), with_status, "each kind with a status has conditions");
    for Place { path, schema, .. } in conditions {
        assert_eq!(schema.x_kubernetes_list_type.as_deref(), Some("map"), "{path}");
        assert_eq!(schema.x_kubernetes_list_map_keys.as_deref(), Some(&["type".to_owned()][..]), "{path}");
    }
}

#[test]
fn only_status_has_a_default_and_nothing_is_nullable() {
    no_place("defaults besides that of status", |place| {
        let is_status = place.path.matches('.').count() == 1 && place.path.ends_with(".status");
        place.schema.default.is_some() != is_status
    });
    no_place("nullable places", |place| place.schema.nullable.is_some());
    for definition in definitions().into_iter().filter(has_status) {
        let status =
            root(&definition).properties.as_ref().and_then(|fields| fields.get("status")).expect("a status");
        let default = status.default.as_ref().expect("a default of status");
        assert_eq!(default.0, serde_json::json!({ "observedGeneration": -1 }));
    }
}

#[test]
fn every_rule_has_a_message_of_one_line() {
    no_place("rules without a message, or with one that is long or broken into lines", |place| {
        place.schema.x_kubernetes_validations.iter().flatten().any(|rule| {
            let message = rule.message.as_deref().unwrap_or_default();
            message.len() < 20 || message.len() > 300 || message.contains('\n')
        })
    });
}

#[test]
fn transition_rules_sit_where_an_update_cannot_remove_them() {
    no_place("transition rules on optional fields", |place| {
        let compares =
            place.schema.x_kubernetes_validations.iter().flatten().any(|rule| rule.rule.contains("oldSelf"));
        // The removal of `spec.authority` itself is refused by a rule on `spec`, which is required.
        let required = place.path.rsplit_once('.').is_none_or(|(_, last)| last == "spec");
        compares && !(required || place.path.ends_with("Issuer.spec.authority"))
    });
    for definition in definitions() {
        let required = root(&definition).required.clone().unwrap_or_default();
        assert!(required.contains(&"spec".to_owned()), "{}", definition.spec.names.kind);
    }
}

#[test]
fn names_do_not_clash_with_those_of_cert_manager_and_every_kind_has_a_status() {
    let taken = BTreeSet::from(["cert", "certs", "cr", "crs", "issuer", "clusterissuer", "all"]);
    for definition in definitions() {
        let names = &definition.spec.names;
        let short_names = names.short_names.clone().unwrap_or_default();
        assert!(
            !short_names.is_empty() && short_names.iter().all(|name| !taken.contains(name.as_str())),
            "{names:?}"
        );
        assert_eq!(names.categories.as_deref(), Some(&["keywright".to_owned()][..]));
        let version = definition.spec.versions.first().expect("a version");
        let subresources = version.subresources.clone().unwrap_or_default();
        assert!(subresources.scale.is_none() && subresources.status.is_some() == has_status(&definition));
        let columns = version.additional_printer_columns.clone().unwrap_or_default();
        let shown: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let wanted: &[&str] = match names.kind.as_str() {
            "Policy" => &["Ready", "Reason", "Age"],
            "ApprovalClass" | "ApprovalDecision" => &["Age"],
            "ApprovalRequest" => &["Phase", "Ready", "Reason", "Expires", "Age"],
            _ => &["Ready", "Reason", "Expires", "Renews", "Age"],
        };
        for column in wanted {
            assert!(shown.contains(column), "{column} of {}", names.kind);
        }
    }
}

#[test]
fn the_generated_files_are_current() {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a folder of the repository");
    for file in render::files().expect("definitions are plain data") {
        let found = fs::read_to_string(root.join(&file.path)).unwrap_or_default();
        assert!(found == file.text, "{} is not current: run `{}`", file.path.display(), render::RENEW);
        // What cannot be applied client-side is over 256 KiB; half of it leaves room for the last-applied annotation.
        assert!(file.text.len() < 128 * 1024, "{} is too long", file.path.display());
    }
}

#[test]
fn no_file_of_an_earlier_kind_is_left_behind() {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a folder of the repository");
    let made: BTreeSet<_> = render::files()
        .expect("definitions are plain data")
        .into_iter()
        .map(|file| root.join(file.path))
        .collect();
    let folder =
        fs::read_dir(root.join("charts/keywright/files/crds")).expect("the folder of the definitions");
    let left: Vec<_> =
        folder.map(|entry| entry.expect("an entry").path()).filter(|path| !made.contains(path)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_the_server_returns_for_the_definitions_reads_back_as_the_same() {
    for (definition, file) in iter::zip(definitions(), render::files().expect("definitions are plain data")) {
        let read: CustomResourceDefinition =
            serde_saphyr::from_str(&file.text).expect("YAML of a definition");
        assert_eq!(read, definition, "{}", file.path.display());
    }
}
