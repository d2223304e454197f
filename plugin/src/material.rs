//! What files and Secrets hold: chains, roots and keys, and whether they belong together.
//!
//! Reading never fails as a whole: whatever cannot be read is said where it stands. Private keys are read only to compare
//! their public half and are wiped; nothing here can show one.

use crate::facts::{CertificateFacts, subject};
use crate::page::{Page, Tone};
use jiff::Timestamp;
use keywright_pki::certificate::Certificate;
use keywright_pki::chain;
use keywright_pki::csr::Csr;
use keywright_pki::key::{PrivateKey, PublicKey};
use keywright_pki::pem::{self, Label};
use serde::Serialize;

/// What was found in one place.
#[derive(Default)]
pub(crate) struct Material {
    /// Certificates in the order in which they stand.
    pub(crate) certificates: Vec<Certificate>,
    /// Public halves of the private keys.
    pub(crate) keys: Vec<PublicKey>,
    /// Public keys of requests whose proof of possession is good.
    pub(crate) requests: Vec<PublicKey>,
    /// What could not be read.
    pub(crate) problems: Vec<String>,
}

impl Material {
    /// Reads PEM blocks, or one DER certificate. `place`: for problems, such as `tls.crt`.
    pub(crate) fn read(place: &str, bytes: &[u8]) -> Self {
        let mut all = Self::default();
        if bytes.first() == Some(&0x30) {
            all.certificate(place, bytes);
            return all;
        }
        match pem::read(bytes) {
            Ok(blocks) => {
                for (position, block) in blocks.iter().enumerate() {
                    all.block(&format!("{place}, block {}", position + 1), block);
                }
            }
            Err(error) => all.problems.push(format!("{place}: {error}")),
        }
        all
    }

    fn block(&mut self, place: &str, block: &pem::Block) {
        match block.label {
            Label::Certificate => self.certificate(place, &block.der),
            Label::CertificateRequest => match Csr::parse(&block.der) {
                Ok(request) => self.requests.push(request.public_key().clone()),
                Err(error) => self.problems.push(format!("{place}: {error}")),
            },
            Label::Pkcs8 | Label::Pkcs1 | Label::Sec1 => {
                // Written again, as the reader of keys takes PEM of either form; the text is wiped.
                match PrivateKey::from_pem(pem::write(block.label, &block.der).as_bytes()) {
                    Ok(key) => self.keys.push(key.public_key().clone()),
                    Err(error) => self.problems.push(format!("{place}: private key: {error}")),
                }
            }
            Label::EcParameters => {}
        }
    }

    fn certificate(&mut self, place: &str, der: &[u8]) {
        match Certificate::from_der(der) {
            Ok(certificate) => self.certificates.push(certificate),
            Err(error) => self.problems.push(format!("{place}: {error}")),
        }
    }
}

/// Whether a key belongs to a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum KeyFit {
    /// It does.
    Fits,
    /// It belongs to another one.
    DoesNotFit,
    /// There is no key that can be read.
    NoKey,
    /// There is no certificate that can be read.
    NoCertificate,
}

impl KeyFit {
    /// Of the first certificate and the first key.
    pub(crate) fn of(certificates: &[Certificate], keys: &[PublicKey]) -> Self {
        match (certificates.first(), keys.first()) {
            (Some(leaf), Some(key)) if leaf.public_key() == key => Self::Fits,
            (Some(_), Some(_)) => Self::DoesNotFit,
            (Some(_), None) => Self::NoKey,
            (None, _) => Self::NoCertificate,
        }
    }

    /// In words.
    pub(crate) fn words(self) -> (&'static str, Tone) {
        match self {
            Self::Fits => ("fits the certificate", Tone::Good),
            Self::DoesNotFit => ("does not belong to the certificate", Tone::Bad),
            Self::NoKey => ("no private key that can be read", Tone::Bad),
            Self::NoCertificate => ("no certificate that can be read", Tone::Bad),
        }
    }
}

/// What checking a chain came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "result")]
pub(crate) enum ChainCheck {
    /// Everything holds up to a root that is at hand.
    Holds {
        /// Subject of the root.
        root: String,
    },
    /// Everything holds up to the last authority given, whose own issuer is not at hand.
    HoldsWithoutRoot {
        /// Subject of the last authority.
        up_to: String,
    },
    /// One certificate that signed itself.
    SelfSigned,
    /// One certificate, and nothing to check it against.
    Alone,
    /// It does not hold.
    Broken {
        /// Where and why.
        fault: String,
    },
}

impl ChainCheck {
    /// Checks leaf and intermediates against the roots at hand, at one instant; `None` without a leaf.
    ///
    /// A self-signed certificate at the end of the chain counts as a root too.
    pub(crate) fn of(chain: &[Certificate], roots: &[Certificate], now: Timestamp) -> Option<Self> {
        let (leaf, above) = chain.split_first()?;
        if above.is_empty() && leaf.is_self_signed() {
            let valid = leaf.validity().contains(now);
            let fault = "chain: the self-signed certificate is not valid now".to_owned();
            return Some(if valid { Self::SelfSigned } else { Self::Broken { fault } });
        }
        let (own_root, between) = match above.split_last() {
            Some((last, between)) if last.is_self_issued() => (Some(last), between),
            Some(_) | None => (None, above),
        };
        let top = between.last().unwrap_or(leaf);
        let candidates: Vec<&Certificate> =
            roots.iter().chain(own_root).filter(|root| root.subject_der() == top.issuer_der()).collect();
        let mut broken = None;
        for root in candidates {
            match chain::verify(leaf, between, root, now) {
                Ok(()) => return Some(Self::Holds { root: subject(root) }),
                Err(error) => broken = broken.or(Some(error)),
            }
        }
        if let Some(error) = broken {
            return Some(Self::Broken { fault: error.to_string() });
        }
        if !roots.is_empty() || own_root.is_some() {
            let fault = format!("chain: no root at hand has the name of the issuer of {}", subject(top));
            return Some(Self::Broken { fault });
        }
        Some(match between.split_last() {
            None => Self::Alone,
            Some((last, rest)) => match chain::verify(leaf, rest, last, now) {
                Ok(()) => Self::HoldsWithoutRoot { up_to: subject(last) },
                Err(error) => Self::Broken { fault: error.to_string() },
            },
        })
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_fine(&self) -> bool {
        match self {
            Self::Holds { .. } | Self::HoldsWithoutRoot { .. } | Self::SelfSigned | Self::Alone => true,
            Self::Broken { .. } => false,
        }
    }

    /// In words.
    pub(crate) fn words(&self) -> (String, Tone) {
        match self {
            Self::Holds { root } => (format!("holds up to the root {root}"), Tone::Good),
            Self::HoldsWithoutRoot { up_to } => {
                (format!("holds up to {up_to}; the root is not at hand"), Tone::Warn)
            }
            Self::SelfSigned => ("signed by itself; trust it or do not".to_owned(), Tone::Warn),
            Self::Alone => ("no authority at hand to check it against".to_owned(), Tone::Warn),
            Self::Broken { fault } => (fault.clone(), Tone::Bad),
        }
    }
}

/// Writes a chain: one line for each certificate, then whether it holds.
pub(crate) fn write_chain(
    page: &mut Page,
    chain: &[CertificateFacts],
    check: Option<&ChainCheck>,
    now: Timestamp,
) {
    for (position, one) in chain.iter().enumerate() {
        let until = if one.is_valid_at(now) {
            format!("until {}", one.not_after)
        } else {
            format!("NOT VALID NOW: {} to {}", one.not_before, one.not_after)
        };
        let title = one.title();
        let line = format!("{position} {title} ({}, {}, {until})", one.role(), one.key_algorithm);
        page.row(if position == 0 { "Chain" } else { "" }, &line);
    }
    if let Some(check) = check {
        let (words, tone) = check.words();
        page.row_toned("", &words, tone);
    }
}
