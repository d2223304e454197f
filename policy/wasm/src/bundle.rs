//! What people hand over: a bundle as `opa build -t wasm` writes it, or the module of one alone.
//!
//! Owns the reading of the archive and the limits of its sizes. Total: whatever the bytes, it reads or says why not. Who
//! made a bundle is not looked at here: a policy names it by its digest.

use flate2::read::GzDecoder;
use serde_json::{Map, Value};
use std::io::Read;
use std::path::Path;
use tar::{Archive, EntryType};

/// Bytes of a bundle as it is handed over: what a ConfigMap can hold.
pub const PACKED: usize = 1024 * 1024;

/// Bytes of a module. One with all that OPA can put into it takes 450 KiB and what the policy itself is.
pub const MODULE: usize = 2 * 1024 * 1024;

/// Bytes of all that is in a bundle.
pub const UNPACKED: usize = 4 * 1024 * 1024;

/// Files of a bundle.
const FILES: usize = 256;

/// A bundle, unpacked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bundle {
    /// `/policy.wasm`.
    pub module: Vec<u8>,
    /// `/data.json`: the documents that its rules read; empty where it has none.
    pub data: Map<String, Value>,
    /// Sources that lie beside the module, by path: OPA leaves in them the rules that are no entry points.
    pub sources: Vec<(String, String)>,
}

/// Why bytes are no bundle. Trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Larger than a ConfigMap, or than a policy may unpack to.
    #[error("{what} has more than {most} bytes; take data or rules out of it")]
    TooLarge {
        /// What is.
        what: String,
        /// What it may have.
        most: usize,
    },
    /// More files than any policy needs.
    #[error("the bundle has more than {FILES} files; build it from one folder with the policy alone")]
    TooMany,
    /// Neither gzip nor WebAssembly.
    #[error("it is neither a bundle (.tar.gz) nor a module (.wasm); make one with `opa build -t wasm`")]
    Unknown,
    /// The archive is broken.
    #[error("the archive does not read: {0}")]
    Archive(String),
    /// A file that bundles of policies do not have, or have once.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Bundle {
    /// Reads a bundle, or a module alone.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > PACKED {
            return Err(too_large("the bundle", PACKED));
        }
        match bytes {
            [0x1f, 0x8b, ..] => unpack(bytes),
            [0, b'a', b's', b'm', ..] => Ok(Self { module: bytes.to_vec(), ..Self::default() }),
            _ => Err(BundleError::Unknown),
        }
    }
}

fn unpack(bytes: &[u8]) -> Result<Bundle, BundleError> {
    // One byte more than may be there, so that too much is told from the end.
    let limit = u64::try_from(UNPACKED + 1).unwrap_or(u64::MAX);
    let mut tar = Vec::new();
    GzDecoder::new(bytes).take(limit).read_to_end(&mut tar).map_err(|error| broken(&error))?;
    if tar.len() > UNPACKED {
        return Err(too_large("what the bundle unpacks to", UNPACKED));
    }
    let mut bundle = Bundle::default();
    let mut seen = Vec::new();
    for entry in Archive::new(tar.as_slice()).entries().map_err(|error| broken(&error))? {
        let mut entry = entry.map_err(|error| broken(&error))?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = path.trim_start_matches("./").trim_start_matches('/').to_owned();
        match entry.header().entry_type() {
            EntryType::Directory => continue,
            EntryType::Regular => {}
            _ => return Err(file(&path, "links and devices have no place in a bundle")),
        }
        if seen.len() == FILES {
            return Err(BundleError::TooMany);
        }
        if seen.contains(&path) {
            return Err(file(&path, "it is there twice"));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|error| broken(&error))?;
        put(&mut bundle, &path, content)?;
        seen.push(path);
    }
    if bundle.module.is_empty() {
        return Err(file("policy.wasm", "it is missing; make the bundle with `opa build -t wasm`"));
    }
    Ok(bundle)
}

fn put(bundle: &mut Bundle, path: &str, content: Vec<u8>) -> Result<(), BundleError> {
    match path {
        "policy.wasm" if content.len() > MODULE => return Err(too_large(path, MODULE)),
        "policy.wasm" => bundle.module = content,
        "data.json" => {
            bundle.data = serde_json::from_slice(&content).map_err(|error| file(path, &error.to_string()))?;
        }
        ".manifest" => manifest(path, &content)?,
        // Whose bundle it is follows from the digest that a policy names it by.
        ".signatures.json" => {}
        _ if Path::new(path).extension().is_some_and(|extension| extension == "rego") => {
            let text = String::from_utf8(content).map_err(|_| file(path, "it is no UTF-8"))?;
            bundle.sources.push((path.to_owned(), text));
        }
        _ => return Err(file(path, "bundles of policies have no such file; build from a folder without it")),
    }
    Ok(())
}

/// All that counts of a manifest is that its module is the one that is run.
fn manifest(path: &str, content: &[u8]) -> Result<(), BundleError> {
    let manifest: Value = serde_json::from_slice(content).map_err(|error| file(path, &error.to_string()))?;
    let modules = manifest.get("wasm").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let other = modules.iter().any(|entry| {
        entry.get("module").and_then(Value::as_str).map(|module| module.trim_start_matches('/'))
            != Some("policy.wasm")
    });
    if other { Err(file(path, "it names another module than /policy.wasm")) } else { Ok(()) }
}

fn too_large(what: &str, most: usize) -> BundleError {
    BundleError::TooLarge { what: what.to_owned(), most }
}

fn file(path: &str, problem: &str) -> BundleError {
    BundleError::File { path: path.to_owned(), problem: problem.to_owned() }
}

fn broken(error: &std::io::Error) -> BundleError {
    BundleError::Archive(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;
    use tar::{Builder, Header};

    const MODULE_BYTES: &[u8] = b"\0asm\x01\0\0\0";

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
        for (path, content) in files {
            let mut header = Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            // As OPA writes them; the usual way takes the slash away.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            tar.append(&header, *content).expect("appended");
        }
        tar.into_inner().expect("a tar").finish().expect("a gzip")
    }

    #[test]
    fn a_bundle_of_opa_and_a_module_alone_read() {
        let manifest = br#"{"revision":"","roots":[""],"wasm":[{"entrypoint":"keywright/deny","module":"/policy.wasm"}]}"#;
        let bundle = packed(&[
            ("/data.json", br#"{"domains":["shop.test"]}"#),
            ("/keywright/rest.rego", b"package keywright\nx := 1\n"),
            ("/policy.wasm", MODULE_BYTES),
            ("/.manifest", manifest),
        ]);
        let bundle = Bundle::read(&bundle).expect("reads");
        assert_eq!(bundle.module, MODULE_BYTES);
        assert_eq!(bundle.data["domains"][0], "shop.test");
        assert_eq!(bundle.sources[0].0, "keywright/rest.rego");
        assert_eq!(Bundle::read(MODULE_BYTES).expect("reads").module, MODULE_BYTES);
    }

    #[test]
    fn what_is_no_bundle_says_why() {
        let module = ("/policy.wasm", MODULE_BYTES);
        let mut cut = packed(&[module]);
        cut.truncate(cut.len() - 9);
        let many: Vec<String> = (0..=FILES).map(|n| format!("/{n}.rego")).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|path| (path.as_str(), &b""[..])).collect();
        for (bytes, says) in [
            (b"nonsense".to_vec(), "neither a bundle"),
            (Vec::new(), "neither a bundle"),
            (vec![0; PACKED + 1], "more than 1048576 bytes"),
            (b"\x1f\x8bnonsense".to_vec(), "the archive does not read"),
            (cut, "the archive does not read"),
            (packed(&[("/data.json", b"{}")]), "policy.wasm: it is missing"),
            (packed(&[module, module]), "policy.wasm: it is there twice"),
            (packed(&[module, ("/data.json", b"[]")]), "data.json: invalid type"),
            (packed(&[module, ("/data.json", b"{")]), "data.json: EOF"),
            (packed(&[module, ("/a/data.json", b"{}")]), "no such file"),
            (packed(&[module, ("/x.rego", b"\xff")]), "no UTF-8"),
            (packed(&[module, ("/.manifest", br#"{"wasm":[{"module":"/other.wasm"}]}"#)]), "another module"),
            (packed(&many), "more than 256 files"),
        ] {
            let said = Bundle::read(&bytes).expect_err(says).to_string();
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn what_unpacks_to_more_than_it_may_is_refused_before_it_is_all_there() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..64 {
            gzip.write_all(&vec![0; 1024 * 1024]).expect("written");
        }
        let bomb = gzip.finish().expect("a gzip");
        assert!(bomb.len() < PACKED);
        assert_eq!(
            Bundle::read(&bomb),
            Err(BundleError::TooLarge { what: "what the bundle unpacks to".to_owned(), most: UNPACKED })
        );
        let large = vec![1; MODULE + 1];
        let said = Bundle::read(&packed(&[("/policy.wasm", &large)])).expect_err("large").to_string();
        assert!(said.contains("policy.wasm has more than"), "{said}");
    }
}
