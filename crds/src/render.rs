//! The files that are made from the definitions: one YAML file for each kind, and the API reference.

use std::path::PathBuf;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use crate::{definitions, reference_page};

/// The command that renews every generated file.
pub const RENEW: &str = "make generate";

/// A generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Path from the root of the repository.
    pub path: PathBuf,
    /// The whole text, in UTF-8.
    pub text: String,
}

/// A definition that could not be written as YAML.
#[derive(Debug, thiserror::Error)]
#[error("definition {name} cannot be written as YAML")]
pub struct RenderError {
    /// Name of the definition.
    name: String,
    /// What the serializer said.
    source: Box<serde_saphyr::SerializeError>,
}

/// Every generated file, the same bytes for the same types.
pub fn files() -> Result<Vec<GeneratedFile>, RenderError> {
    let definitions = definitions();
    let mut files = definitions.iter().map(yaml).collect::<Result<Vec<_>, _>>()?;
    files.push(GeneratedFile {
        path: "docs/reference/api.md".into(),
        text: reference_page::write(&definitions),
    });
    Ok(files)
}

/// One definition as YAML.
fn yaml(definition: &CustomResourceDefinition) -> Result<GeneratedFile, RenderError> {
    let name = definition.metadata.name.clone().unwrap_or_default();
    let body = serde_saphyr::to_string(definition)
        .map_err(|source| RenderError { name: name.clone(), source: Box::new(source) })?;
    Ok(GeneratedFile {
        path: PathBuf::from("charts/keywright/files/crds").join(format!("{name}.yaml")),
        text: format!("# Generated from the Rust types in crds/; `{RENEW}` renews it.\n{body}"),
    })
}
