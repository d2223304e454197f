//! What evidence comes to: pure, one step after the other, each with its reason.

use super::read::Later;
use super::report::Step;
use crate::facts::CertificateFacts;
use crate::log::entry::Entry;
use crate::log::merkle::{Hash, leaf_hash, root_of_path};
use crate::log::note::{Checkpoint, VerifierKey, WitnessKey};
use crate::second_opinion::{Opinion, ask};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use keywright_pki::certificate::Certificate;
use std::collections::BTreeSet;

/// The certificate in question, as entries speak of it.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// What people call it.
    pub(crate) name: String,
    /// Its serial number in lower-case hexadecimal.
    pub(crate) serial: String,
    /// SHA-256 of its DER.
    pub(crate) sha256: Hash,
    tbs: String,
    spki: String,
}

impl Subject {
    /// Of a certificate.
    pub(crate) fn of(certificate: &Certificate) -> Self {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, certificate.der()).as_ref());
        Self {
            name: CertificateFacts::of(certificate).title().to_owned(),
            serial: certificate.serial().to_string(),
            sha256,
            tbs: hex::encode(digest(&SHA256, certificate.tbs_der())),
            spki: hex::encode(certificate.public_key().spki_sha256()),
        }
    }
}

/// What is said to prove that an entry is in a log.
pub(crate) struct Evidence<'a> {
    /// Its index.
    pub(crate) index: u64,
    /// The entry.
    pub(crate) entry: &'a [u8],
    /// Its inclusion path.
    pub(crate) path: &'a [Hash],
    /// The signed checkpoint.
    pub(crate) checkpoint: &'a [u8],
}

/// What was learnt on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The checkpoint, once its signature was good.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// When the certificate was signed, by the signer's clock.
    pub(crate) signed_at: Option<Timestamp>,
    /// Index of the intent that came before.
    pub(crate) intent: Option<u64>,
}

impl Facts {
    /// Only the checkpoint.
    pub(crate) fn of(checkpoint: &Checkpoint) -> Self {
        Self { checkpoint: Some(checkpoint.clone()), ..Self::default() }
    }
}

/// Checks checkpoint, entry and inclusion, up to the first step that fails.
pub(crate) fn check(subject: &Subject, evidence: &Evidence<'_>, key: &VerifierKey) -> (Vec<Step>, Facts) {
    let mut steps = Vec::new();
    let mut facts = Facts::default();
    let checkpoint = match key.open(evidence.checkpoint) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            steps.push(Step::of(false, "checkpoint", &error.to_string()));
            return (steps, facts);
        }
    };
    let words = format!(
        "signed by the key of {}: {} entries, root {}",
        key.name(),
        checkpoint.size,
        hex::encode(checkpoint.root)
    );
    steps.push(Step::of(true, "checkpoint", &words));
    facts.checkpoint = Some(checkpoint.clone());

    let index = evidence.index;
    let (good, words) = match Entry::parse(evidence.entry) {
        Ok(Entry::Signature(signature)) if signature.is_of(&subject.sha256, &subject.serial) => {
            facts.signed_at = instant(signature.at);
            facts.intent = Some(signature.intent);
            let at = facts.signed_at.map_or("an unknown time".to_owned(), |at| at.to_string());
            (true, format!("entry {index} tells of the signature on this very certificate, made at {at}"))
        }
        Ok(Entry::Signature(other)) => {
            (false, format!("entry {index} is about another certificate, serial {}", other.serial))
        }
        Ok(other @ (Entry::Intent(_) | Entry::Superseded { .. } | Entry::Other { .. })) => {
            (false, format!("entry {index} is of kind {:?} and not \"signature\"", other.kind()))
        }
        Err(error) => (false, format!("entry {index}: {error}")),
    };
    steps.push(Step::of(good, "entry", &words));
    if good {
        steps.push(inclusion(evidence, &checkpoint));
    }
    (steps, facts)
}

fn inclusion(evidence: &Evidence<'_>, checkpoint: &Checkpoint) -> Step {
    let hashes = evidence.path.len();
    if leads_to(evidence, checkpoint) {
        Step::of(
            true,
            "inclusion",
            &format!("the entry and {hashes} hashes beside it lead to the signed root"),
        )
    } else {
        let words = format!("the entry and {hashes} hashes beside it do not lead to the signed root");
        Step::of(false, "inclusion", &words)
    }
}

fn leads_to(evidence: &Evidence<'_>, checkpoint: &Checkpoint) -> bool {
    let leaf = leaf_hash(evidence.entry);
    root_of_path(evidence.index, checkpoint.size, &leaf, evidence.path) == Some(checkpoint.root)
}

/// Checks that the intent stands before the signature and means the same certificate.
pub(crate) fn check_intent(
    subject: &Subject,
    signature_index: u64,
    evidence: &Evidence<'_>,
    checkpoint: &Checkpoint,
) -> Step {
    let index = evidence.index;
    let (good, words) = match Entry::parse(evidence.entry) {
        Ok(Entry::Intent(intent)) => {
            let same =
                intent.serial == subject.serial && intent.tbs == subject.tbs && intent.spki == subject.spki;
            if index >= signature_index {
                (false, format!("entry {index} does not stand before the signature"))
            } else if !same {
                (false, format!("entry {index} announces another certificate"))
            } else if !leads_to(evidence, checkpoint) {
                (false, format!("entry {index} does not lead to the signed root"))
            } else {
                let under = intent.profile.map_or(String::new(), |name| format!(", under profile {name}"));
                let by = intent.caller;
                (
                    true,
                    format!("entry {index} announced it before the key was used, asked for by {by}{under}"),
                )
            }
        }
        Ok(other @ (Entry::Signature(_) | Entry::Superseded { .. } | Entry::Other { .. })) => {
            (false, format!("entry {index} is of kind {:?} and not \"intent\"", other.kind()))
        }
        Err(error) => (false, format!("entry {index}: {error}")),
    };
    Step::of(good, "intent", &words)
}

/// Whether a later entry says that the certificate counts no longer; only all entries up to the root can deny it.
pub(crate) fn check_superseded(subject: &Subject, later: Later, checkpoint: &Checkpoint) -> Step {
    const NAME: &str = "superseded";
    let (entries, root) = match later {
        Later::Read { superseded, root } => (superseded, root),
        Later::TooMany { entries } => {
            let words = format!("{entries} later entries were not fetched; copy the log to have them read");
            return Step::skipped(NAME, &words);
        }
    };
    let found = entries.iter().find_map(|entry| match entry {
        Entry::Superseded { serial, why, at } if *serial == subject.serial => Some((why, at)),
        Entry::Superseded { .. } | Entry::Signature(_) | Entry::Intent(_) | Entry::Other { .. } => None,
    });
    match found {
        Some((why, at)) => {
            let at = instant(*at).map_or(String::new(), |at| format!(" at {at}"));
            Step::of(false, NAME, &format!("another certificate took its place{at}: {why}"))
        }
        None if root != checkpoint.root => Step::of(
            false,
            NAME,
            "the entries after it do not lead to the signed root: some were left out or edited",
        ),
        None => Step::of(true, NAME, "no later entry says that another certificate took its place"),
    }
}

/// Checks the certificate's own signature by the issuer among those at hand, with two implementations where there are two.
///
/// `None` when the issuer is not at hand.
pub(crate) fn check_signature(certificate: &Certificate, at_hand: &[Certificate]) -> Option<Step> {
    const NAME: &str = "signature";
    let named: Vec<&Certificate> =
        at_hand.iter().filter(|one| one.subject_der() == certificate.issuer_der()).collect();
    let first = named.first()?;
    let signer = named.iter().find(|one| certificate.verify_signed_by(one.public_key()).is_ok());
    let issuer = CertificateFacts::of(signer.unwrap_or(first));
    let title = issuer.title();
    let opinion = ask(certificate, signer.unwrap_or(first).public_key());
    Some(match (signer, opinion) {
        (Some(_), Opinion::Signed(second)) => {
            Step::of(true, NAME, &format!("{title} signed the certificate, say aws-lc and {second}"))
        }
        (Some(_), Opinion::NotAsked) => {
            Step::of(true, NAME, &format!("{title} signed the certificate, says aws-lc"))
        }
        (Some(_), Opinion::NotSigned(second)) => Step::of(
            false,
            NAME,
            &format!("aws-lc says that {title} signed the certificate, {second} denies it"),
        ),
        (None, Opinion::Signed(second)) => Step::of(
            false,
            NAME,
            &format!("{second} says that {title} signed the certificate, aws-lc denies it"),
        ),
        (None, Opinion::NotSigned(_) | Opinion::NotAsked) => {
            Step::of(false, NAME, &format!("{title} has the issuer's name and did not sign the certificate"))
        }
    })
}

/// Checks that enough of these witnesses cosigned the checkpoint; nothing when none is named.
pub(crate) fn check_witnesses(note: &[u8], witnesses: &[WitnessKey], quorum: Option<usize>) -> Vec<Step> {
    const NAME: &str = "witness";
    if witnesses.is_empty() {
        return Vec::new();
    }
    let wanted = quorum.unwrap_or(witnesses.len());
    let mut steps = Vec::new();
    // Two keys of one name are one witness.
    let mut seen = BTreeSet::new();
    for witness in witnesses {
        let name = witness.name();
        match witness.cosigned_at(note) {
            Ok(Some(time)) => {
                seen.insert(name);
                let at = instant(time).map_or("an unknown time".to_owned(), |at| at.to_string());
                steps.push(Step::of(true, NAME, &format!("{name} cosigned the checkpoint at {at}")));
            }
            Ok(None) => steps.push(Step::skipped(NAME, &format!("{name} did not cosign the checkpoint"))),
            Err(error) => steps.push(Step::of(false, NAME, &error.to_string())),
        }
    }
    let words = format!("{} of {wanted} witnesses that are needed cosigned", seen.len());
    steps.push(Step::of(seen.len() >= wanted, NAME, &words));
    steps
}

/// Seconds since the Unix epoch as an instant; `None` when they are out of range.
fn instant(second: u64) -> Option<Timestamp> {
    i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok())
}
