//! PEM text (RFC 7468): a reader that takes linear time and a writer.
//!
//! Owns the armour only, never what is inside. Text outside of blocks is skipped as RFC 7468 section 2 allows. Input is
//! bounded by [`MAX_LEN`], which fits a chain of ML-DSA-87 certificates with 1,000 names each. Base64 is coded without
//! branches or look-ups that depend on the data, since private keys pass here; all copies are wiped.

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

/// The longest text [`read`] takes, in bytes: 1 MiB.
pub const MAX_LEN: usize = 1024 * 1024;

/// The labels read and written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    /// `CERTIFICATE`: X.509.
    Certificate,
    /// `CERTIFICATE REQUEST`: PKCS#10.
    CertificateRequest,
    /// `PRIVATE KEY`: PKCS#8, not encrypted.
    Pkcs8,
    /// `RSA PRIVATE KEY`: PKCS#1.
    Pkcs1,
    /// `EC PRIVATE KEY`: SEC1.
    Sec1,
    /// `EC PARAMETERS`: what OpenSSL writes before SEC1 keys; says nothing new.
    EcParameters,
}

/// One PEM block; its bytes are wiped when it is dropped.
pub struct Block {
    /// What it is.
    pub label: Label,
    /// Its DER.
    pub der: Zeroizing<Vec<u8>>,
}

/// Why text is no PEM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("PEM: line {line}: {rule}")]
pub struct PemError {
    /// Line, counted from 1.
    pub line: usize,
    /// The rule that is broken, and the fix.
    pub rule: &'static str,
}

impl Label {
    const ALL: [Self; 6] = [
        Self::Certificate,
        Self::CertificateRequest,
        Self::Pkcs8,
        Self::Pkcs1,
        Self::Sec1,
        Self::EcParameters,
    ];

    /// The words between `-----BEGIN ` and `-----`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::CertificateRequest => "CERTIFICATE REQUEST",
            Self::Pkcs8 => "PRIVATE KEY",
            Self::Pkcs1 => "RSA PRIVATE KEY",
            Self::Sec1 => "EC PRIVATE KEY",
            Self::EcParameters => "EC PARAMETERS",
        }
    }

    fn parse(words: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.as_str().as_bytes() == words)
    }
}

/// Reads all blocks, in order; none is an error.
///
/// Errors: longer than [`MAX_LEN`], no block, an unknown label, a block without its end, headers (as encrypted keys
/// have), bad base64.
pub fn read(text: &[u8]) -> Result<Vec<Block>, PemError> {
    if text.len() > MAX_LEN {
        return Err(PemError { line: 1, rule: "longer than 1 MiB; give only the chain that is needed" });
    }
    let mut blocks = Vec::new();
    let mut lines = text.split(|byte| *byte == b'\n').enumerate();
    while let Some((number, line)) = lines.next() {
        let fail = |rule| PemError { line: number + 1, rule };
        let line = line.trim_ascii();
        if !line.starts_with(b"-----") {
            continue;
        }
        let label = boundary(line, b"-----BEGIN ").ok_or_else(|| fail("expected -----BEGIN ...-----"))?;
        let label = Label::parse(label).ok_or_else(|| {
            fail("unknown label; known: CERTIFICATE, CERTIFICATE REQUEST, PRIVATE KEY, RSA PRIVATE KEY, EC PRIVATE KEY")
        })?;
        let mut body = Vec::new();
        let end = loop {
            let Some((_, line)) = lines.next() else {
                return Err(fail("this block has no end; add its -----END ...-----"));
            };
            let line = line.trim_ascii();
            if line.starts_with(b"-----") {
                break line;
            }
            body.push(line);
        };
        if boundary(end, b"-----END ") != Some(label.as_str().as_bytes()) {
            return Err(fail("this block ends with another label than it begins with"));
        }
        blocks.push(Block { label, der: decode(&body).map_err(fail)? });
    }
    if blocks.is_empty() {
        return Err(PemError { line: 1, rule: "no block found; it begins with -----BEGIN ...-----" });
    }
    Ok(blocks)
}

/// Reads a chain: the DER of every `CERTIFICATE`, in order; any other label is an error, and so is none at all.
pub fn read_certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    read(text)?
        .into_iter()
        .map(|block| match block.label {
            Label::Certificate => Ok(block.der.to_vec()),
            Label::CertificateRequest | Label::Pkcs8 | Label::Pkcs1 | Label::Sec1 | Label::EcParameters => {
                Err(PemError { line: 1, rule: "only CERTIFICATE blocks belong here" })
            }
        })
        .collect()
}

/// Writes one block, 64 characters a line, with a trailing newline.
pub fn write(label: Label, der: &[u8]) -> Zeroizing<String> {
    const WIDTH: usize = 64;
    let base64 = Zeroizing::new(Base64::encode_string(der));
    let label = label.as_str();
    let mut text = String::with_capacity(base64.len() + base64.len() / WIDTH + 2 * label.len() + 40);
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = base64.as_str();
    while let Some((line, after)) = rest.split_at_checked(WIDTH) {
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        text.push_str(rest);
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    Zeroizing::new(text)
}

/// The label of a boundary line.
fn boundary<'a>(line: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(prefix)?.strip_suffix(b"-----")
}

fn decode(lines: &[&[u8]]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    // Reserved in full, so that no copy of a key is left behind by growing.
    let mut base64 = Zeroizing::new(Vec::with_capacity(lines.iter().map(|line| line.len()).sum()));
    for line in lines {
        if line.contains(&b':') {
            return Err("this block has headers, as encrypted keys do; give it without encryption");
        }
        base64.extend_from_slice(line);
    }
    let mut der = Zeroizing::new(vec![0; base64.len() / 4 * 3 + 3]);
    let len =
        Base64::decode(base64.as_slice(), &mut der).map_err(|_| "this block is not valid base64")?.len();
    der.truncate(len);
    Ok(der)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(text: &str) -> &'static str {
        read(text.as_bytes()).err().unwrap().rule
    }

    #[test]
    fn what_is_written_reads_back() {
        for label in Label::ALL {
            for len in [0, 1, 2, 3, 47, 48, 49, 96, 5000] {
                let der: Vec<u8> = (0..=255).cycle().take(len).collect();
                let text = write(label, &der);
                let blocks = read(text.as_bytes()).unwrap();
                assert_eq!(blocks.len(), 1);
                assert_eq!((blocks[0].label, blocks[0].der.as_slice()), (label, der.as_slice()));
                assert!(text.lines().all(|line| line.len() <= 64));
            }
        }
    }

    #[test]
    fn carriage_returns_blank_lines_and_text_between_blocks_do_not_matter() {
        let text = "subject=CN = web\r\n-----BEGIN CERTIFICATE-----\r\n\r\nAQ\r\nID\r\n-----END CERTIFICATE-----\r\nbye";
        assert_eq!(read_certificates(text.as_bytes()).unwrap(), [vec![1, 2, 3]]);
    }

    #[test]
    fn broken_blocks_are_refused() {
        for (text, words) in [
            ("", "no block"),
            ("-----BEGIN CERTIFICATE-----\nAQID\n", "no end"),
            ("-----BEGIN CERTIFICATE-----\nAQID\n-----END PRIVATE KEY-----\n", "another label"),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAQID\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "unknown label",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nAQID\n-----END RSA PRIVATE KEY-----\n",
                "headers",
            ),
            ("-----BEGIN CERTIFICATE-----\nAQI\n-----END CERTIFICATE-----\n", "base64"),
            ("-----BEGIN CERTIFICATE-----\nA QID\n-----END CERTIFICATE-----\n", "base64"),
            ("-----END CERTIFICATE-----\n", "expected -----BEGIN"),
        ] {
            assert!(refusal(text).contains(words), "{text}");
        }
        assert!(refusal(&" ".repeat(MAX_LEN + 1)).contains("1 MiB"));
    }

    #[test]
    fn many_small_blocks_take_linear_time() {
        let one = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
        let many = one.repeat(MAX_LEN / one.len());
        assert_eq!(read_certificates(many.as_bytes()).unwrap().len(), MAX_LEN / one.len());
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "(-----(BEGIN|END) (CERTIFICATE|PRIVATE KEY)-----|[A-Za-z0-9+/=: ]{0,70}|\n){0,12}") {
            let _ = read(text.as_bytes());
        }

        #[test]
        fn reading_random_bytes_never_panics(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
