//! An image as an OCI image layout in a tar archive (opencontainers/image-spec v1.1: image-layout, manifest, config).
//!
//! One layer, not compressed: what compresses differs between versions of a compressor, and registries compress anyway.

use crate::binaries::{Binary, USER};
use crate::error::Error;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// What goes into one image.
pub(crate) struct Image<'a> {
    /// Name with tag.
    pub(crate) reference: String,
    /// As OCI calls it.
    pub(crate) architecture: &'static str,
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) command: &'a Binary,
    /// The static binary.
    pub(crate) program: &'a [u8],
    /// Its bill of materials.
    pub(crate) bom: &'a [u8],
    pub(crate) created: Timestamp,
}

impl Image<'_> {
    /// The archive, and the digest of its manifest as `sha256:...`. Errors: `Archive`.
    pub(crate) fn archive(&self) -> Result<(Vec<u8>, String), Error> {
        let layer = self.layer()?;
        let labels: Map<String, Value> =
            self.labels.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        let config = text(&json!({
            "created": self.created.to_string(),
            "architecture": self.architecture,
            "os": "linux",
            "config": {
                "User": format!("{USER}:{USER}"),
                "Entrypoint": [format!("/{}", self.command.name)],
                "WorkingDir": "/",
                "Labels": labels,
            },
            "rootfs": { "type": "layers", "diff_ids": [named(&layer)] },
            "history": [{ "created": self.created.to_string(), "created_by": "keywright-images" }],
        }));
        let manifest = text(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config),
            "layers": [descriptor(LAYER, &layer)],
            "annotations": labels,
        }));
        let mut listed = descriptor(MANIFEST, &manifest);
        listed["platform"] = json!({ "architecture": self.architecture, "os": "linux" });
        // The first name is of the specification, the second what containerd's import looks for.
        listed["annotations"] = json!({
            "org.opencontainers.image.ref.name": self.reference.rsplit(':').next().unwrap_or_default(),
            "io.containerd.image.name": self.reference,
        });
        let index = text(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [listed],
        }));
        let mut archive = self.tar();
        archive.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
        archive.file("index.json", &index, 0o644)?;
        for blob in [&config, &layer, &manifest] {
            archive.file(&format!("blobs/sha256/{}", sha256(blob)), blob, 0o644)?;
        }
        Ok((archive.end()?, named(&manifest)))
    }

    fn layer(&self) -> Result<Vec<u8>, Error> {
        let mut layer = self.tar();
        layer.file(self.command.name, self.program, 0o555)?;
        for folder in ["usr/", "usr/share/", "usr/share/doc/", "usr/share/doc/keywright/"] {
            layer.folder(folder)?;
        }
        layer.file(&format!("usr/share/doc/keywright/{}.cdx.json", self.command.name), self.bom, 0o444)?;
        layer.end()
    }

    fn tar(&self) -> Tar {
        Tar { inner: Builder::new(Vec::new()), seconds: self.created.as_second().try_into().unwrap_or(0) }
    }
}

/// A tar archive whose bytes depend on nothing but what is put in.
struct Tar {
    inner: Builder<Vec<u8>>,
    seconds: u64,
}

impl Tar {
    fn header(&self, kind: EntryType, size: u64, mode: u32) -> Header {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.seconds);
        header
    }

    fn file(&mut self, name: &str, bytes: &[u8], mode: u32) -> Result<(), Error> {
        let mut header = self.header(EntryType::Regular, bytes.len() as u64, mode);
        Ok(self.inner.append_data(&mut header, name, bytes)?)
    }

    fn folder(&mut self, name: &str) -> Result<(), Error> {
        let mut header = self.header(EntryType::Directory, 0, 0o755);
        Ok(self.inner.append_data(&mut header, name, std::io::empty())?)
    }

    fn end(self) -> Result<Vec<u8>, Error> {
        Ok(self.inner.into_inner()?)
    }
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn descriptor(kind: &str, blob: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": named(blob), "size": blob.len() })
}

fn named(blob: &[u8]) -> String {
    format!("sha256:{}", sha256(blob))
}

/// SHA-256 in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Read;

    fn image(program: &[u8]) -> Image<'_> {
        Image {
            reference: "keywright.dev/keywright-operator:1".into(),
            architecture: "amd64",
            labels: vec![("org.opencontainers.image.title", "keywright-operator".into())],
            command: &Binary {
                name: "keywright-operator",
                package: "keywright-operator",
                description: "words",
            },
            program,
            bom: b"{}",
            created: Timestamp::from_second(1_700_000_000).unwrap(),
        }
    }

    fn unpack(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let (path, mut content) = (entry.path().unwrap().display().to_string(), Vec::new());
            entry.read_to_end(&mut content).unwrap();
            (path, content)
        });
        entries.collect()
    }

    #[test]
    fn every_digest_in_an_archive_is_that_of_a_blob_in_it() {
        let (archive, digest) = image(b"program").archive().unwrap();
        let files = unpack(&archive);
        let blob = |descriptor: &Value| {
            let named = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
            let blob = &files[&format!("blobs/sha256/{named}")];
            assert_eq!((sha256(blob).as_str(), &json!(blob.len())), (named, &descriptor["size"]));
            blob.clone()
        };
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        assert_eq!(index["manifests"][0]["digest"], digest.as_str());
        let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
        let layer = blob(&manifest["layers"][0]);
        assert_eq!(config["rootfs"]["diff_ids"][0], named(&layer).as_str());
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(unpack(&layer)["keywright-operator"], b"program");
    }

    #[test]
    fn the_same_inputs_give_the_same_archive_and_others_another() {
        assert_eq!(image(b"program").archive().unwrap(), image(b"program").archive().unwrap());
        assert_ne!(image(b"program").archive().unwrap().1, image(b"other").archive().unwrap().1);
    }
}
