//! The bill of materials of a binary as CycloneDX 1.6 in JSON (cyclonedx.org/docs/1.6/json).

use crate::binaries::Binary;
use crate::closure::Crate;
use crate::layout::sha256;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The document for one binary, which it names by its SHA-256. The same inputs give the same text.
pub(crate) fn cyclonedx(binary: &Binary, crates: &[Crate], program: &[u8], created: Timestamp) -> String {
    let digest = sha256(program);
    let components: Vec<Value> = crates.iter().map(component).collect();
    let own = format!("{}@{}", binary.name, env!("CARGO_PKG_VERSION"));
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(&digest),
        "version": 1,
        "metadata": {
            "timestamp": created.to_string(),
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": binary.name,
                "version": env!("CARGO_PKG_VERSION"),
                "description": binary.description,
                "licenses": [{ "expression": "Apache-2.0" }],
                "hashes": [{ "alg": "SHA-256", "content": digest }],
            },
        },
        "components": components,
    });
    format!("{document:#}\n")
}

fn component(found: &Crate) -> Value {
    let purl = format!("pkg:cargo/{}@{}", found.name, found.version.replace('+', "%2B"));
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": found.name,
        "version": found.version,
        "purl": purl,
    });
    if let Some(license) = &found.license {
        // Crates of before SPDX expressions say A/B for "A OR B".
        component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
    }
    if let Some(sha256) = &found.sha256 {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": sha256 }]);
    }
    component
}

/// A UUID made from the binary's digest (RFC 9562, version 8): another binary, another document.
fn serial(digest: &str) -> String {
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    format!("urn:uuid:{}-{}-8{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_names_the_binary_and_what_is_in_it() {
        let binary =
            Binary { name: "keywright-operator", package: "keywright-operator", description: "words" };
        let found = Crate {
            name: "serde".into(),
            version: "1.0.0+x".into(),
            license: Some("MIT/Apache-2.0".into()),
            sha256: Some("ab".into()),
        };
        let made = || cyclonedx(&binary, std::slice::from_ref(&found), b"program", Timestamp::UNIX_EPOCH);
        let document: Value = serde_json::from_str(&made()).unwrap();
        assert_eq!(made(), made());
        assert_eq!(document["components"][0]["purl"], "pkg:cargo/serde@1.0.0%2Bx");
        assert_eq!(document["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(document["metadata"]["component"]["hashes"][0]["content"], sha256(b"program"));
        let serial = document["serialNumber"].as_str().unwrap();
        assert_eq!(serial.len(), "urn:uuid:".len() + 36);
    }
}
