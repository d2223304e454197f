//! Checkpoints as signed notes.
//!
//! A note is text, an empty line, and signature lines; ours are made with Ed25519 (signature type 1). A checkpoint's
//! text is three lines: origin, size, root in base64. Cosignatures of witnesses may follow ours.

use super::merkle::Hash;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use keywright_secmem::wiping_stack;

const ED25519_TYPE: u8 = 1;

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, for ever.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree of that size.
    pub root: Hash,
}

/// Why bytes are not this log's checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not the form of a checkpoint.
    #[error("checkpoint: not a signed note of origin, size and root")]
    Malformed,
    /// Another log's.
    #[error("checkpoint: its origin is {found:?}, this log's is {wanted:?}")]
    Origin {
        /// What it says.
        found: String,
        /// What it should say.
        wanted: String,
    },
    /// No signature by the log's key verifies.
    #[error("checkpoint: no valid signature by this log's key")]
    Unsigned,
}

/// The public half of a log's key, with its name: what a verifier needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: [u8; 32],
}

impl Verifier {
    /// From the log's name and its 32-byte Ed25519 public key.
    pub fn new(name: String, key: [u8; 32]) -> Self {
        Self { name, key }
    }

    /// The log's name, which is its checkpoints' origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Ed25519 public key.
    pub fn public(&self) -> &[u8; 32] {
        &self.key
    }

    fn key_id(&self) -> [u8; 4] {
        let mut text = self.name.as_bytes().to_vec();
        text.extend([b'\n', ED25519_TYPE]);
        text.extend(self.key);
        let mut id = [0; 4];
        id.copy_from_slice(digest(&SHA256, &text).as_ref().get(..4).unwrap_or(&[0; 4]));
        id
    }

    /// The verifier key in its text form, `name+id+key`, as other tools take it.
    pub fn text(&self) -> String {
        let mut key = vec![ED25519_TYPE];
        key.extend(self.key);
        format!("{}+{}+{}", self.name, hex::encode(self.key_id()), BASE64.encode(key))
    }

    /// Reads the text form. `None` when it is not an Ed25519 verifier key.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(3, '+');
        let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let key = BASE64.decode(key).ok()?;
        let (kind, key) = key.split_first()?;
        let verifier = Self::new(name.to_owned(), key.try_into().ok()?);
        (*kind == ED25519_TYPE && hex::encode(verifier.key_id()) == id && !name.is_empty())
            .then_some(verifier)
    }

    /// Reads a checkpoint and checks the log's signature on it. Other signatures are passed over.
    pub fn open(&self, note: &[u8]) -> Result<Checkpoint, NoteError> {
        let note = std::str::from_utf8(note).map_err(|_| NoteError::Malformed)?;
        let (text, signatures) = note.split_once("\n\n").ok_or(NoteError::Malformed)?;
        let text = format!("{text}\n");
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteError::Malformed);
        };
        if origin != self.name {
            return Err(NoteError::Origin { found: origin.to_owned(), wanted: self.name.clone() });
        }
        let size = size
            .parse::<u64>()
            .ok()
            .filter(|parsed| parsed.to_string() == size)
            .ok_or(NoteError::Malformed)?;
        let root =
            BASE64.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or(NoteError::Malformed)?;
        let signed = signatures.lines().filter_map(|line| self.signature(line)).any(|signature| {
            UnparsedPublicKey::new(&ED25519, self.key).verify(text.as_bytes(), &signature).is_ok()
        });
        if signed {
            Ok(Checkpoint { origin: self.name.clone(), size, root })
        } else {
            Err(NoteError::Unsigned)
        }
    }

    fn signature(&self, line: &str) -> Option<Vec<u8>> {
        let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let bytes = BASE64.decode(encoded).ok()?;
        let (id, signature) = bytes.split_at_checked(4)?;
        (name == self.name && id == self.key_id()).then(|| signature.to_vec())
    }
}

/// A log's own key.
pub struct LogKey {
    pair: Ed25519KeyPair,
    verifier: Verifier,
}

impl LogKey {
    /// From the log's name and the 32-byte seed. `None` when the library refuses the seed.
    pub fn from_seed(name: String, seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let key = pair.public_key().as_ref().try_into().ok()?;
        Some(Self { pair, verifier: Verifier::new(name, key) })
    }

    /// The public half.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The checkpoint of a tree of this size and root, signed.
    pub fn checkpoint(&self, size: u64, root: &Hash) -> Vec<u8> {
        let name = &self.verifier.name;
        let text = format!("{name}\n{size}\n{}\n", BASE64.encode(root));
        let mut signature = self.verifier.key_id().to_vec();
        signature.extend(wiping_stack(|| self.pair.sign(text.as_bytes())).as_ref());
        format!("{text}\n\u{2014} {name} {}\n", BASE64.encode(signature)).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LogKey {
        LogKey::from_seed("keywright.dev/signer/test".into(), &[7; 32]).unwrap()
    }

    #[test]
    fn a_checkpoint_opens_under_its_own_verifier_key_and_no_other() {
        let note = key().checkpoint(42, &[9; 32]);
        let verifier = Verifier::parse(&key().verifier().text()).unwrap();
        let opened = verifier.open(&note).unwrap();
        assert_eq!((opened.size, opened.root), (42, [9; 32]));
        let other = LogKey::from_seed("keywright.dev/signer/test".into(), &[8; 32]).unwrap();
        assert_eq!(other.verifier().open(&note), Err(NoteError::Unsigned));
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let note = key().checkpoint(42, &[9; 32]);
        for at in 0..note.len() {
            let mut changed = note.clone();
            changed[at] ^= 1;
            let opened = key().verifier().open(&changed);
            assert!(opened.is_err() || changed.len() - at < 2, "byte {at} of {}", note.len());
        }
    }

    #[test]
    fn foreign_cosignatures_are_passed_over() {
        let mut note = key().checkpoint(1, &[1; 32]);
        note.extend("\u{2014} witness.example AAAAAAAA\n".as_bytes());
        assert!(key().verifier().open(&note).is_ok());
    }
}
