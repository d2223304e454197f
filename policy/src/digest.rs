//! Digests over the one form a document has: RFC 8785.

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

/// `sha256:<hex>` over the canonical JSON of a document.
pub(crate) fn of(document: &impl Serialize) -> Result<String, serde_json::Error> {
    let canonical = serde_json_canonicalizer::to_vec(document)?;
    Ok(of_bytes(&canonical))
}

/// `sha256:<hex>` over bytes as they are.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(digest(&SHA256, bytes)))
}

/// `sha256:<hex>` over texts that hold no line breaks.
pub(crate) fn of_texts(texts: &[&str]) -> String {
    of_bytes(texts.join("\n").as_bytes())
}

/// The id of a decision: it follows from what was asked and who was asked.
pub(crate) fn decision_id(input: &str, policies: &str) -> String {
    let both = digest(&SHA256, format!("{input}\n{policies}").as_bytes());
    let mut id = hex::encode(both);
    id.truncate(32);
    id
}
