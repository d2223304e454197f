//! A witness: remembers how far it saw each log grow, and cosigns only what continues that.
//!
//! A log that shows different people different histories needs every witness's signature on both, which an honest
//! witness never gives. This one is a small process of its own, on another machine and under other hands than the signer;
//! it shares no state and no key with it.
//!
//! ```text
//! add-checkpoint { old size, proof, checkpoint } -> judge -> remember (fsync) -> cosignature
//! ```
//! Sources: c2sp.org/tlog-witness (the request and its answers), c2sp.org/tlog-cosignature (version 1, Ed25519).

pub mod feed;
pub mod serve;

use crate::log::consistency::verify;
use crate::log::merkle::{Hash, empty_root};
use crate::log::note::{Checkpoint, NoteError, Verifier};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

const COSIGNATURE_TYPE: u8 = 4;
/// Most hashes in a proof (c2sp.org/tlog-witness).
const MAX_PROOF: usize = 63;

/// What a witness knows of a log: the newest checkpoint it cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its size.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Default for Seen {
    fn default() -> Self {
        Self { size: 0, root: empty_root() }
    }
}

/// A request to cosign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The size that the asker believes the witness saw last.
    pub old: u64,
    /// That the checkpoint continues it.
    pub proof: Vec<Hash>,
    /// The checkpoint, with the log's signature.
    pub note: &'a str,
}

/// Why a witness does not cosign; each has its HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// 400: not the form of a request.
    #[error("malformed request")]
    Malformed,
    /// 404: not a log of this witness.
    #[error("unknown origin")]
    UnknownOrigin,
    /// 403: not signed by the log's key.
    #[error("the log's signature does not verify")]
    Untrusted,
    /// 409: the witness saw another size last, this one.
    #[error("the last size seen is {0}")]
    OtherSize(u64),
    /// 422: it does not continue what the witness saw.
    #[error("the checkpoint does not continue the last one seen")]
    Inconsistent,
}

impl<'a> Ask<'a> {
    /// Reads a request's body: `old SIZE`, proof lines in base64, an empty line, the checkpoint.
    pub fn parse(body: &'a str) -> Result<Self, Refused> {
        let (head, note) = body.split_once("\n\n").ok_or(Refused::Malformed)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).ok_or(Refused::Malformed)?;
        let number = old.parse::<u64>().ok().filter(|number| number.to_string() == old);
        let proof = lines
            .map(|line| BASE64.decode(line).ok().and_then(|hash| hash.try_into().ok()))
            .collect::<Option<Vec<Hash>>>()
            .filter(|proof| proof.len() <= MAX_PROOF)
            .ok_or(Refused::Malformed)?;
        Ok(Self { old: number.ok_or(Refused::Malformed)?, proof, note })
    }
}

/// Whether to cosign, from what was seen last. Returns the checkpoint, which is to be remembered before anything leaves.
pub fn judge(ask: &Ask<'_>, log: &Verifier, seen: &Seen) -> Result<Checkpoint, Refused> {
    let checkpoint = log.open(ask.note.as_bytes()).map_err(|error| match error {
        NoteError::Malformed => Refused::Malformed,
        NoteError::Origin { .. } => Refused::UnknownOrigin,
        NoteError::Unsigned => Refused::Untrusted,
    })?;
    if ask.old > checkpoint.size {
        return Err(Refused::Malformed);
    }
    if ask.old != seen.size {
        return Err(Refused::OtherSize(seen.size));
    }
    if verify(seen.size, &seen.root, checkpoint.size, &checkpoint.root, &ask.proof) {
        Ok(checkpoint)
    } else {
        Err(Refused::Inconsistent)
    }
}

fn message(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// The signed text of a note: everything up to the empty line, with its last line feed.
fn text_of(note: &str) -> Option<String> {
    note.split_once("\n\n").map(|(text, _)| format!("{text}\n"))
}

fn key_id(name: &str, key: &[u8]) -> [u8; 4] {
    let mut text = name.as_bytes().to_vec();
    text.extend([b'\n', COSIGNATURE_TYPE]);
    text.extend(key);
    let mut id = [0; 4];
    id.copy_from_slice(digest(&SHA256, &text).as_ref().get(..4).unwrap_or(&[0; 4]));
    id
}

/// Whether a witness can have this name: it stands in signature lines, between spaces.
pub fn is_witness_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

/// A witness's key.
pub struct WitnessKey {
    name: String,
    pair: Ed25519KeyPair,
}

impl WitnessKey {
    /// From the witness's name and the 32-byte seed. `None` when the name has spaces or a plus, or the seed is refused.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok().filter(|_| is_witness_name(name))?;
        Some(Self { name: name.to_owned(), pair })
    }

    /// The verifier key in its text form, for those who trust this witness.
    pub fn text(&self) -> String {
        let public = self.pair.public_key().as_ref();
        let id = hex::encode(key_id(&self.name, public));
        let key = [&[COSIGNATURE_TYPE], public].concat();
        format!("{}+{id}+{}", self.name, BASE64.encode(key))
    }

    /// The signature line that says: at `time` this was the newest checkpoint of its log that continues all before.
    pub fn cosign(&self, note: &str, time: u64) -> Option<String> {
        let signature = self.pair.sign(&message(time, &text_of(note)?));
        let mut bytes = key_id(&self.name, self.pair.public_key().as_ref()).to_vec();
        bytes.extend(time.to_be_bytes());
        bytes.extend(signature.as_ref());
        Some(format!("\u{2014} {} {}\n", self.name, BASE64.encode(bytes)))
    }
}

/// A witness's public key: what judges its cosignatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessVerifier {
    name: String,
    key: [u8; 32],
}

impl WitnessVerifier {
    /// Reads `NAME+ID+KEY`. `None` when it is not a witness's Ed25519 key.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(3, '+');
        let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let key = BASE64.decode(key).ok()?;
        let (kind, key) = key.split_first()?;
        let fits = *kind == COSIGNATURE_TYPE && hex::encode(key_id(name, key)) == id && !name.is_empty();
        let key = key.try_into().ok().filter(|_| fits)?;
        Some(Self { name: name.to_owned(), key })
    }

    /// When this witness cosigned the note, by one of these signature lines; `None` when it did not.
    pub fn time_of(&self, note: &str, lines: &str) -> Option<u64> {
        let text = text_of(note)?;
        lines.lines().find_map(|line| {
            let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
            let bytes = BASE64.decode(encoded).ok()?;
            let (id, rest) = bytes.split_first_chunk::<4>()?;
            let (time, signature) = rest.split_first_chunk::<8>()?;
            let time = u64::from_be_bytes(*time);
            let verified =
                UnparsedPublicKey::new(&ED25519, self.key).verify(&message(time, &text), signature);
            (name == self.name && *id == key_id(name, &self.key) && verified.is_ok()).then_some(time)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::merkle::{Frontier, leaf_hash};
    use crate::log::note::LogKey;

    fn log() -> LogKey {
        LogKey::from_seed("keywright.dev/signer/test".into(), &[3; 32]).unwrap()
    }

    fn root(size: u32) -> Hash {
        let mut frontier = Frontier::default();
        (0..size).for_each(|n| frontier.push(leaf_hash(&n.to_be_bytes())));
        frontier.root()
    }

    fn note(size: u32, root: &Hash) -> String {
        String::from_utf8(log().checkpoint(u64::from(size), root)).unwrap()
    }

    #[test]
    fn a_first_checkpoint_is_cosigned_and_one_that_does_not_continue_it_never() {
        let key = log();
        let body = format!("old 0\n\n{}", note(4, &root(4)));
        let ask = Ask::parse(&body).unwrap();
        let checkpoint = judge(&ask, key.verifier(), &Seen::default()).unwrap();
        let seen = Seen { size: checkpoint.size, root: checkpoint.root };
        let fork = note(4, &[9; 32]);
        let cases = [
            (format!("old 4\n\n{}", note(4, &root(4))), Ok(())),
            (format!("old 4\n\n{fork}"), Err(Refused::Inconsistent)),
            (format!("old 0\n\n{}", note(8, &root(8))), Err(Refused::OtherSize(4))),
            (format!("old 4\n\n{}", note(8, &root(8))), Err(Refused::Inconsistent)),
            (format!("old 4\n\n{}", note(3, &root(3))), Err(Refused::Malformed)),
            (format!("old 4\n\n{}", fork.replace("\n4\n", "\n5\n")), Err(Refused::Untrusted)),
            (format!("old 4\n\n{}", fork.replace("signer/test", "signer/rest")), Err(Refused::UnknownOrigin)),
        ];
        for (body, wanted) in cases {
            let judged = judge(&Ask::parse(&body).unwrap(), key.verifier(), &seen).map(|_| ());
            assert_eq!(judged, wanted, "{body}");
        }
        // Four entries double to eight: the proof is the root of the right half.
        let right = {
            let mut frontier = Frontier::default();
            (4_u32..8).for_each(|n| frontier.push(leaf_hash(&n.to_be_bytes())));
            BASE64.encode(frontier.root())
        };
        let body = format!("old 4\n{right}\n\n{}", note(8, &root(8)));
        assert!(judge(&Ask::parse(&body).unwrap(), key.verifier(), &seen).is_ok());
    }

    #[test]
    fn a_cosignature_is_of_this_text_and_time_and_witness() {
        let witness = WitnessKey::from_seed("witness.example/w", &[5; 32]).unwrap();
        let verifier = WitnessVerifier::parse(&witness.text()).unwrap();
        let one = note(4, &root(4));
        let line = witness.cosign(&one, 1_900_000_000).unwrap();
        assert_eq!(verifier.time_of(&one, &line), Some(1_900_000_000));
        assert_eq!(verifier.time_of(&note(5, &root(5)), &line), None);
        let other = WitnessKey::from_seed("witness.example/w", &[6; 32]).unwrap();
        assert_eq!(WitnessVerifier::parse(&other.text()).unwrap().time_of(&one, &line), None);
        assert!(log().verifier().open(format!("{one}{line}").as_bytes()).is_ok());
    }

    #[test]
    fn malformed_requests_are_told_apart_from_all_else() {
        let many = "A".repeat(43) + "=";
        let long = format!("old 1\n{}\n\nnote", vec![many; 64].join("\n"));
        for body in ["", "old 1", "old -1\n\nx", "old 01\n\nx", "new 1\n\nx", "old 1\nAAAA\n\nx", &long] {
            assert_eq!(Ask::parse(body), Err(Refused::Malformed), "{body}");
        }
        assert!(WitnessKey::from_seed("a b", &[1; 32]).is_none());
        assert!(WitnessKey::from_seed("a+b", &[1; 32]).is_none());
    }
}
