//! A proof in one file: checked with nothing but the log's verifier key.
//!
//! The form is that of c2sp.org/tlog-proof, so that other tools can check the inclusion too. What such a proof leaves
//! to applications, the entry and what it is about, is in its `extra` line: JSON with the certificate and the entry, both
//! in base64. Nothing in the file is trusted: the entry has to lead to the signed root, and the certificate to the entry.

use super::merkle::{Hash, MAX_PATH};
use super::note::{decimal, hash};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// The longest proof that is read, in bytes.
pub const MAX_LEN: usize = 1024 * 1024;

/// A proof, read or about to be written; nothing in it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The certificate in DER.
    pub certificate: Vec<u8>,
    /// The entry, byte for byte.
    pub entry: Vec<u8>,
    /// Index of the entry.
    pub index: u64,
    /// Inclusion path, from the leaf's sibling up.
    pub path: Vec<Hash>,
    /// The signed checkpoint, byte for byte.
    pub checkpoint: Vec<u8>,
}

/// Text that is no proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("proof: {0}")]
pub struct ProofError(&'static str);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extra {
    certificate: String,
    entry: String,
}

impl Proof {
    /// Reads a proof.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > MAX_LEN {
            return Err(ProofError("longer than 1 MiB"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ProofError("not UTF-8"))?;
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or(ProofError("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(ProofError("its first line is not c2sp.org/tlog-proof@v1"));
        }
        let extra = lines
            .next()
            .and_then(|line| line.strip_prefix("extra "))
            .ok_or(ProofError("no extra line, so it does not say which certificate it is about"))?;
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(decimal)
            .ok_or(ProofError("no line \"index\" with a decimal number without leading zeros"))?;
        let path: Vec<Hash> = lines
            .map(|line| hash(line).ok_or(ProofError("a line of the path is no 32 bytes in base64")))
            .collect::<Result<_, _>>()?;
        if path.len() > MAX_PATH {
            return Err(ProofError("its path is longer than 64 hashes"));
        }
        let extra = STANDARD.decode(extra).map_err(|_| ProofError("its extra line is not base64"))?;
        let extra: Extra = serde_json::from_slice(&extra)
            .map_err(|_| ProofError("its extra line is not one of Keywright's"))?;
        let decode = |text: &str| {
            STANDARD.decode(text).map_err(|_| ProofError("a part of its extra line is not base64"))
        };
        Ok(Self {
            certificate: decode(&extra.certificate)?,
            entry: decode(&extra.entry)?,
            index,
            path,
            checkpoint: checkpoint.as_bytes().to_vec(),
        })
    }

    /// The file. Errors: the checkpoint is not UTF-8, which an opened one always is.
    pub fn write(&self) -> Result<String, ProofError> {
        let extra =
            Extra { certificate: STANDARD.encode(&self.certificate), entry: STANDARD.encode(&self.entry) };
        let extra = serde_json::to_vec(&extra).map_err(|_| ProofError("its extra line cannot be written"))?;
        let checkpoint =
            std::str::from_utf8(&self.checkpoint).map_err(|_| ProofError("its checkpoint is not UTF-8"))?;
        let mut text = format!("{HEADER}\nextra {}\nindex {}\n", STANDARD.encode(extra), self.index);
        for hash in &self.path {
            text.push_str(&STANDARD.encode(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(checkpoint);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proof() -> Proof {
        Proof {
            certificate: b"der".to_vec(),
            entry: b"{}".to_vec(),
            index: 5,
            path: vec![[1; 32], [2; 32]],
            checkpoint: b"example.com/log\n8\nroot\n\n\xe2\x80\x94 example.com/log sig\n".to_vec(),
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_has_the_form_of_the_specification() {
        let text = proof().write().unwrap();
        assert_eq!(Proof::parse(text.as_bytes()), Ok(proof()));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "c2sp.org/tlog-proof@v1");
        assert!(lines[1].starts_with("extra "));
        assert_eq!(lines[2], "index 5");
        assert_eq!(lines[3].len(), 44);
        assert_eq!(lines[5], "");
        assert_eq!(lines[6], "example.com/log");
        let short = Proof { path: Vec::new(), index: 0, ..proof() };
        assert_eq!(Proof::parse(short.write().unwrap().as_bytes()), Ok(short));
    }

    #[test]
    fn what_is_no_proof_is_refused() {
        let good = proof().write().unwrap();
        for (from, to) in [
            ("@v1", "@v2"),
            ("extra ", "extra"),
            ("extra ", "other "),
            ("index 5", "index 05"),
            ("index 5", "index -5"),
            ("AQEB", "AQE"),
            ("\n\n", "\n"),
        ] {
            let bad = good.replacen(from, to, 1);
            let bad = if from == "\n\n" { bad.replace("\n\n", "\n") } else { bad };
            assert!(Proof::parse(bad.as_bytes()).is_err(), "{from:?} as {to:?}");
        }
        assert!(Proof::parse(&[0xff]).is_err());
        assert!(Proof::parse(b"").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(text: String, index: u64) {
            let _ = Proof::parse(text.as_bytes());
            let _ = Proof::parse(format!("{HEADER}\nextra {text}\nindex {index}\n\n{text}").as_bytes());
        }
    }
}
