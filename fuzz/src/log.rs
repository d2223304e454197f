//! The signer's log: two independent readers, the signer's and the plugin's.

use keywright_signer::log::disk::{join_bundle, split_bundle};
use keywright_signer::log::note::Verifier;
use keywright_signer::log::tile::{parse, path};
use keywright_signer::witness::{Ask, Refused, Seen, judge};
use kubectl_keywright::log::entry::Entry;
use kubectl_keywright::log::merkle::{Hash, MAX_PATH, inclusion_path, leaf_hash, root_of_path};
use kubectl_keywright::log::note::VerifierKey;
use kubectl_keywright::log::proof::Proof;
use kubectl_keywright::log::tile::{Row, Tile, node_in_tile};

/// Entries: read or refused.
pub fn log_entry(bytes: &[u8]) {
    if let Ok(entry) = Entry::parse(bytes) {
        assert!(std::str::from_utf8(bytes).is_ok_and(|text| text.contains(entry.kind())));
    }
}

/// Checkpoints: a first line with a verifier key, then the note. Where both readers take it, they read the same.
pub fn note(bytes: &[u8]) {
    let Some(at) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let (key, note) = (&bytes[..at], &bytes[at + 1..]);
    let Ok(key) = std::str::from_utf8(key) else { return };
    let theirs = VerifierKey::parse(key);
    let own = Verifier::parse(key);
    let (Ok(theirs), Some(own)) = (theirs, own) else { return };
    assert_eq!(theirs.name(), own.name());
    let (Ok(theirs), Ok(own)) = (theirs.open(note), own.open(note)) else { return };
    assert_eq!((theirs.origin, theirs.size, theirs.root), (own.origin, own.size, own.root));
}

/// Requests to a witness: a first line with the log's verifier key, then the body. Whatever is cosigned continues what was
/// seen, and is seen then: the same request has another answer afterwards.
pub fn witness(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some((key, body)) = text.split_once('\n') else { return };
    let (Some(log), Ok(ask)) = (Verifier::parse(key), Ask::parse(body)) else { return };
    let first = Seen::default();
    let Ok(checkpoint) = judge(&ask, &log, &first) else { return };
    assert_eq!(ask.old, first.size);
    let now = Seen { size: checkpoint.size, root: checkpoint.root };
    if now.size > 0 {
        assert_eq!(judge(&ask, &log, &now), Err(Refused::OtherSize(now.size)));
    }
    let again = Ask { old: now.size, proof: Vec::new(), note: ask.note };
    assert_eq!(
        judge(&again, &log, &now).as_ref(),
        Ok(&checkpoint),
        "the same checkpoint may be cosigned again"
    );
    let other = Seen { root: leaf_hash(body.as_bytes()), ..now };
    assert_eq!(
        judge(&again, &log, &other),
        Err(Refused::Inconsistent),
        "another history of that size may not"
    );
}

/// Names of tiles in a path that anyone asks for: what is taken is written the same.
fn tile_path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some((row, n, width)) = parse(text) {
        assert_eq!(path(row, n, width).to_str(), Some(text));
        assert!(!text.contains("..") && !text.contains("//"), "no way out of the folder");
    }
}

/// Tiles and paths: two numbers (16 bytes), then the bytes of a tile.
pub fn tile(bytes: &[u8]) {
    tile_path(bytes);
    let Some((index, rest)) = bytes.split_first_chunk::<8>() else { return };
    let Some((size, body)) = rest.split_first_chunk::<8>() else { return };
    let (index, size) = (u64::from_be_bytes(*index), u64::from_be_bytes(*size));
    let entries = Tile { row: Row::Entries, number: 0, width: 1 + u16::from(index.to_be_bytes()[7]) };
    if let Ok(read) = entries.entries(body) {
        let own: Vec<&[u8]> = split_bundle(body).take(read.len()).collect();
        assert_eq!(own, read, "both readers split a bundle alike");
        let mut written = Vec::new();
        for entry in read {
            join_bundle(&mut written, entry);
        }
        assert!(body.starts_with(&written), "what was read is written the same");
    }
    let hashes = Tile { row: Row::Hashes(0), ..entries }.hashes(body);
    if let Some(tile) = Tile::of_entry(index, size) {
        assert!(tile.path().starts_with("tile/entries/"));
    }
    let leaf = leaf_hash(body);
    let path = inclusion_path(index, size, |node| {
        let tile = Tile::of_node(node, size);
        assert!((1..=256).contains(&tile.width), "a node of the tree lies in a tile of it");
        let read = hashes.as_ref().ok().and_then(|hashes| node_in_tile(node, hashes));
        Ok::<Hash, ()>(read.unwrap_or(leaf))
    });
    let Ok(Some(path)) = path else {
        assert!(index >= size, "a leaf of the tree has a path");
        return;
    };
    assert!(path.len() <= MAX_PATH);
    assert!(root_of_path(index, size, &leaf, &path).is_some(), "a path leads to a root");
    assert!(
        root_of_path(index, size, &leaf, &[path.as_slice(), &[leaf]].concat()).is_none(),
        "a longer one does not"
    );
    let _ = root_of_path(index, size, &leaf, hashes.as_deref().unwrap_or_default());
}

/// Proof files: what reads is written and read again the same.
pub fn proof(bytes: &[u8]) {
    let Ok(read) = Proof::parse(bytes) else { return };
    let text = read.write().expect("a proof that was read can be written");
    let again = Proof::parse(text.as_bytes()).expect("what was written reads back");
    assert_eq!(again, read);
}
