//! Checkpoints: signed notes of a log's name, size and root.
//!
//! Sources: c2sp.org/signed-note, c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature. Only Ed25519 keys of logs
//! (type 1) and of witnesses (type 4) are known; signatures by other keys are passed over, as the format demands.

use super::merkle::Hash;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Type of an Ed25519 key that signs notes.
const ED25519_NOTE: u8 = 1;
/// Type of an Ed25519 key that cosigns checkpoints, with the time (c2sp.org/tlog-cosignature).
const ED25519_COSIGNATURE: u8 = 4;
/// The longest checkpoint that is read, in bytes.
const MAX_LEN: usize = 64 * 1024;
/// The most signatures that are looked at.
const MAX_SIGNATURES: usize = 128;

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
}

/// A log's public key with its name: what a verifier has to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: [u8; 32],
}

/// Text that is no verifier key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// Not `name+hash+base64`.
    #[error("key: not a verifier key; it reads name+hash+base64, as in example.com/log+1b2c3d4e+AY...")]
    Malformed,
    /// Of another algorithm.
    #[error(
        "key: its algorithm has number {0}; known are Ed25519 of logs (1) and of witnesses (4), each for its purpose"
    )]
    Algorithm(u8),
    /// The hash in it is not that of the key and its name.
    #[error("key: its hash does not belong to its name and key; one of them was mistyped")]
    Hash,
}

/// Why a note is not a checkpoint of the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not the form of a signed checkpoint.
    #[error("checkpoint: {0}")]
    Malformed(&'static str),
    /// It is another log's.
    #[error("checkpoint: it is of the log {found:?} and the key is of {wanted:?}")]
    OtherLog {
        /// Its origin.
        found: String,
        /// The key's name.
        wanted: String,
    },
    /// No signature line names the key.
    #[error("checkpoint: it carries no signature by the log's key")]
    Unsigned,
    /// A signature line names the key and does not verify.
    #[error("checkpoint: the signature by the log's key does not verify")]
    BadSignature,
}

impl VerifierKey {
    /// Reads a log's `name+hash+base64`; white space around it does not count.
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        Self::parse_kind(text, ED25519_NOTE)
    }

    fn parse_kind(text: &str, wanted: u8) -> Result<Self, KeyTextError> {
        // The name has no plus sign; base64 may.
        let (name, rest) = text.trim().split_once('+').ok_or(KeyTextError::Malformed)?;
        let (hash, key) = rest.split_once('+').ok_or(KeyTextError::Malformed)?;
        let bytes = STANDARD.decode(key).map_err(|_| KeyTextError::Malformed)?;
        let (kind, key) = bytes.split_first().ok_or(KeyTextError::Malformed)?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(KeyTextError::Malformed);
        }
        if *kind != wanted {
            return Err(KeyTextError::Algorithm(*kind));
        }
        let key = <[u8; 32]>::try_from(key).map_err(|_| KeyTextError::Malformed)?;
        let id = key_id(name, *kind, &key);
        if hash.len() != 8 || !hex::encode(id).eq_ignore_ascii_case(hash) {
            return Err(KeyTextError::Hash);
        }
        Ok(Self { name: name.to_owned(), id, key })
    }

    /// The log's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads a checkpoint and checks the log's signature on it.
    pub fn open(&self, note: &[u8]) -> Result<Checkpoint, NoteError> {
        let (text, signatures) = parts(note)?;
        let checkpoint = parse(text)?;
        if checkpoint.origin != self.name {
            return Err(NoteError::OtherLog { found: checkpoint.origin, wanted: self.name.clone() });
        }
        let mut named = false;
        for line in signatures {
            let (name, id, signature) = signature(line)?;
            if name != self.name || id != self.id {
                continue;
            }
            named = true;
            if UnparsedPublicKey::new(&ED25519, self.key).verify(text.as_bytes(), &signature).is_ok() {
                return Ok(checkpoint);
            }
        }
        Err(if named { NoteError::BadSignature } else { NoteError::Unsigned })
    }
}

/// A witness's public key with its name: whoever cosigns checkpoints saw the log only ever grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessKey(VerifierKey);

impl WitnessKey {
    /// Reads a witness's `name+hash+base64`; white space around it does not count.
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        VerifierKey::parse_kind(text, ED25519_COSIGNATURE).map(Self)
    }

    /// The witness's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// When the witness cosigned this checkpoint, in seconds since the Unix epoch; `None` when no signature line of its
    /// key verifies. Errors: not the form of a signed note.
    pub fn cosigned_at(&self, note: &[u8]) -> Result<Option<u64>, NoteError> {
        let (text, signatures) = parts(note)?;
        for line in signatures {
            let (name, id, bytes) = signature(line)?;
            if name != self.0.name || id != self.0.id {
                continue;
            }
            let Some((time, signature)) = bytes.split_first_chunk::<8>() else { continue };
            let time = u64::from_be_bytes(*time);
            let message = format!("cosignature/v1\ntime {time}\n{text}");
            if UnparsedPublicKey::new(&ED25519, self.0.key).verify(message.as_bytes(), signature).is_ok() {
                return Ok(Some(time));
            }
        }
        Ok(None)
    }
}

/// First four bytes of SHA-256 over name, line feed, type and key.
fn key_id(name: &str, kind: u8, key: &[u8; 32]) -> [u8; 4] {
    let mut text = name.as_bytes().to_vec();
    text.extend([b'\n', kind]);
    text.extend(key);
    let mut id = [0; 4];
    for (to, from) in id.iter_mut().zip(digest(&SHA256, &text).as_ref()) {
        *to = *from;
    }
    id
}

/// Signed text, with its last line feed, and signature lines.
fn parts(note: &[u8]) -> Result<(&str, Vec<&str>), NoteError> {
    if note.len() > MAX_LEN {
        return Err(NoteError::Malformed("longer than 64 KiB"));
    }
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Malformed("not UTF-8"))?;
    if note.chars().any(|c| c < ' ' && c != '\n') {
        return Err(NoteError::Malformed("has control characters"));
    }
    // The last empty line divides: the text itself may have some.
    let at = note.rfind("\n\n").ok_or(NoteError::Malformed("no empty line before the signatures"))?;
    let (text, signatures) = (note.get(..=at).unwrap_or_default(), note.get(at + 2..).unwrap_or_default());
    let signatures =
        signatures.strip_suffix('\n').ok_or(NoteError::Malformed("does not end with a line feed"))?;
    let lines: Vec<&str> = signatures.split('\n').collect();
    if lines.len() > MAX_SIGNATURES {
        return Err(NoteError::Malformed("more than 128 signatures"));
    }
    Ok((text, lines))
}

fn parse(text: &str) -> Result<Checkpoint, NoteError> {
    let mut lines = text.lines();
    let mut line = |what| lines.next().filter(|line| !line.is_empty()).ok_or(NoteError::Malformed(what));
    let origin = line("no line with the log's name")?;
    let size = line("no line with the log's size")?;
    let root = line("no line with the root")?;
    if lines.any(str::is_empty) {
        return Err(NoteError::Malformed("an extension line is empty"));
    }
    let size =
        decimal(size).ok_or(NoteError::Malformed("its size is no decimal number without leading zeros"))?;
    let root = hash(root).ok_or(NoteError::Malformed("its root is no 32 bytes in base64"))?;
    Ok(Checkpoint { origin: origin.to_owned(), size, root })
}

fn signature(line: &str) -> Result<(&str, [u8; 4], Vec<u8>), NoteError> {
    const MALFORMED: NoteError = NoteError::Malformed("a signature line is malformed");
    let (name, encoded) =
        line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')).ok_or(MALFORMED)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| MALFORMED)?;
    let (id, signature) = bytes.split_first_chunk::<4>().ok_or(MALFORMED)?;
    Ok((name, *id, signature.to_vec()))
}

/// A decimal number without sign or leading zeros.
pub(super) fn decimal(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}

/// A hash in base64.
pub(super) fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use proptest::prelude::*;

    /// A log's key pair for tests.
    pub(crate) struct Signer {
        pair: Ed25519KeyPair,
        name: String,
    }

    impl Signer {
        pub(crate) fn new(name: &str, seed: u8) -> Self {
            Self { pair: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap(), name: name.to_owned() }
        }

        fn public(&self) -> [u8; 32] {
            self.pair.public_key().as_ref().try_into().unwrap()
        }

        pub(crate) fn vkey(&self) -> String {
            let id = hex::encode(key_id(&self.name, 1, &self.public()));
            let key: Vec<u8> = [1].into_iter().chain(self.public()).collect();
            format!("{}+{id}+{}", self.name, STANDARD.encode(key))
        }

        pub(crate) fn sign(&self, text: &str) -> String {
            let mut bytes = key_id(&self.name, 1, &self.public()).to_vec();
            bytes.extend(self.pair.sign(text.as_bytes()).as_ref());
            format!("\u{2014} {} {}\n", self.name, STANDARD.encode(bytes))
        }

        /// The key's text as a witness's, and the line that cosigns `text` at `time`.
        pub(crate) fn cosign(&self, text: &str, time: u64) -> (String, String) {
            let id = key_id(&self.name, 4, &self.public());
            let key: Vec<u8> = [4].into_iter().chain(self.public()).collect();
            let message = format!("cosignature/v1\ntime {time}\n{text}");
            let mut bytes = id.to_vec();
            bytes.extend(time.to_be_bytes());
            bytes.extend(self.pair.sign(message.as_bytes()).as_ref());
            let vkey = format!("{}+{}+{}", self.name, hex::encode(id), STANDARD.encode(key));
            (vkey, format!("\u{2014} {} {}\n", self.name, STANDARD.encode(bytes)))
        }

        pub(crate) fn checkpoint(&self, size: u64, root: &Hash) -> Vec<u8> {
            let text = format!("{}\n{size}\n{}\n", self.name, STANDARD.encode(root));
            format!("{text}\n{}", self.sign(&text)).into_bytes()
        }
    }

    /// The example of golang.org/x/mod/sumdb/note, whose key and signature others made.
    #[test]
    fn a_key_that_others_made_is_read() {
        let key =
            VerifierKey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
        assert_eq!(key.name(), "PeterNeumann");
        let text = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
        let line = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
        let (_, id, signature) = signature(line).unwrap();
        assert_eq!(id, key.id);
        assert!(UnparsedPublicKey::new(&ED25519, key.key).verify(text.as_bytes(), &signature).is_ok());
    }

    #[test]
    fn keys_that_are_not_keys_are_refused_by_name() {
        let good = Signer::new("example.com/log", 1).vkey();
        assert!(VerifierKey::parse(&format!(" {good}\n")).is_ok());
        let (name, rest) = good.split_once('+').unwrap();
        for (text, wanted) in [
            (String::new(), KeyTextError::Malformed),
            ("a+b".to_owned(), KeyTextError::Malformed),
            (format!("+{rest}"), KeyTextError::Malformed),
            (format!("other+{rest}"), KeyTextError::Hash),
            (format!("{name}+00000000+{}", &rest[9..]), KeyTextError::Hash),
            (format!("{name}+00000000+{}", STANDARD.encode([2; 33])), KeyTextError::Algorithm(2)),
            (format!("{name}+00000000+{}", STANDARD.encode([1; 32])), KeyTextError::Malformed),
        ] {
            assert_eq!(VerifierKey::parse(&text), Err(wanted), "{text}");
        }
    }

    #[test]
    fn a_checkpoint_opens_under_its_own_key_only() {
        let (log, other) = (Signer::new("example.com/log", 1), Signer::new("example.com/log", 2));
        let key = VerifierKey::parse(&log.vkey()).unwrap();
        let note = log.checkpoint(42, &[9; 32]);
        let wanted = Checkpoint { origin: "example.com/log".into(), size: 42, root: [9; 32] };
        assert_eq!(key.open(&note), Ok(wanted.clone()));
        assert_eq!(key.open(&other.checkpoint(42, &[9; 32])), Err(NoteError::Unsigned));
        let third = Signer::new("example.com/other", 1).checkpoint(42, &[9; 32]);
        assert!(matches!(key.open(&third), Err(NoteError::OtherLog { .. })));
        let mut cosigned = note.clone();
        cosigned.extend("\u{2014} witness.example AAAAAAAAAAAA\n".as_bytes());
        assert_eq!(key.open(&cosigned), Ok(wanted));
    }

    #[test]
    fn a_cosignature_is_the_witness_s_for_this_text_and_time() {
        let (log, witness) = (Signer::new("example.com/log", 1), Signer::new("witness.example/w", 2));
        let note = String::from_utf8(log.checkpoint(42, &[9; 32])).unwrap();
        let text = &note[..=note.find("\n\n").unwrap()];
        let (vkey, line) = witness.cosign(text, 1_900_000_000);
        let key = WitnessKey::parse(&vkey).unwrap();
        let cosigned = format!("{note}{line}");
        assert_eq!(key.cosigned_at(cosigned.as_bytes()), Ok(Some(1_900_000_000)));
        assert_eq!(key.cosigned_at(note.as_bytes()), Ok(None));
        assert!(VerifierKey::parse(&log.vkey()).unwrap().open(cosigned.as_bytes()).is_ok());
        let (_, other) = witness.cosign("another text\n", 1_900_000_000);
        assert_eq!(key.cosigned_at(format!("{note}{other}").as_bytes()), Ok(None));
        assert_eq!(VerifierKey::parse(&vkey), Err(KeyTextError::Algorithm(4)));
        assert_eq!(WitnessKey::parse(&log.vkey()), Err(KeyTextError::Algorithm(1)));
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let log = Signer::new("example.com/log", 1);
        let key = VerifierKey::parse(&log.vkey()).unwrap();
        let note = log.checkpoint(42, &[9; 32]);
        for at in 0..note.len() {
            for bit in [1, 0x20, 0x80] {
                let mut changed = note.clone();
                changed[at] ^= bit;
                assert!(key.open(&changed).is_err(), "byte {at}, bit {bit}");
            }
        }
        for end in 0..note.len() {
            assert!(key.open(&note[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn sizes_have_one_spelling() {
        let log = Signer::new("example.com/log", 1);
        let key = VerifierKey::parse(&log.vkey()).unwrap();
        for size in ["042", "+42", " 42", "4_2", "", "-1", "18446744073709551616"] {
            let text = format!("example.com/log\n{size}\n{}\n", STANDARD.encode([9; 32]));
            let note = format!("{text}\n{}", log.sign(&text));
            assert!(matches!(key.open(note.as_bytes()), Err(NoteError::Malformed(_))), "{size:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes: Vec<u8>, text: String) {
            let key = VerifierKey::parse(&Signer::new("example.com/log", 1).vkey()).unwrap();
            let _ = key.open(&bytes);
            let _ = key.open(text.as_bytes());
            let _ = VerifierKey::parse(&text);
            let _ = WitnessKey::parse(&text);
        }
    }
}
