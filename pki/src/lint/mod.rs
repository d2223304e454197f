//! A linter of to-be-signed certificates against RFC 5280: the last look before a key is used.
//!
//! It reads the bytes afresh and shares no code with the encoder beyond the ASN.1 library, so that a mistake there is
//! not repeated here. It judges only what the bytes say; policy and key constraints are judged elsewhere.

mod extensions;

use crate::algorithm::SignatureAlgorithm;
use crate::asn1::{Signed, TbsCertificate, decode_exact};
use crate::key::PublicKey;
use crate::name::DistinguishedName;
use der::{Decode, Encode};
use spki::AlgorithmIdentifierOwned;
use x509_cert::name::Name;
use x509_cert::time::Time;

/// One rule that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable identifier, such as `serial-positive`.
    pub rule: &'static str,
    /// Which field of the certificate.
    pub field: &'static str,
    /// What is wrong, in words.
    pub message: String,
    /// Where the rule comes from, such as `RFC 5280 4.1.2.2`.
    pub source: &'static str,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} ({}, {})", self.field, self.message, self.rule, self.source)
    }
}

/// Gathers findings.
#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    /// Adds a finding unless `holds`.
    fn require(
        &mut self,
        holds: bool,
        rule: &'static str,
        field: &'static str,
        message: &str,
        source: &'static str,
    ) {
        if !holds {
            self.0.push(Finding { rule, field, message: message.to_owned(), source });
        }
    }
}

/// All findings on a DER TBSCertificate; empty when there is nothing to say.
pub fn lint(tbs_der: &[u8]) -> Vec<Finding> {
    let mut report = Report::default();
    read(tbs_der, None, &mut report);
    report.0
}

/// Findings on a whole DER certificate: those of [`lint`] on its signed part, and whether the signature algorithm outside
/// is the one inside.
pub fn lint_certificate(der: &[u8]) -> Vec<Finding> {
    whole(der, None)
}

/// The same, where the subject's key was read before: if the certificate holds exactly its bytes, they are not read again,
/// which is arithmetic.
pub fn lint_certificate_of(der: &[u8], key: &PublicKey) -> Vec<Finding> {
    whole(der, Some(key))
}

fn whole(der: &[u8], known: Option<&PublicKey>) -> Vec<Finding> {
    let mut report = Report::default();
    let parts =
        decode_exact::<Signed<'_>>(der).ok().and_then(|outer| Some((outer.content.to_der().ok()?, outer)));
    let Some((tbs_der, outer)) = parts else {
        report.require(false, "der-readable", "certificate", "is no DER Certificate", "RFC 5280 4.1");
        return report.0;
    };
    let inner = read(&tbs_der, known, &mut report);
    report.require(
        inner.is_some_and(|inner| inner == outer.algorithm),
        "signature-algorithms-equal",
        "signatureAlgorithm",
        "differs from the one inside the signed part",
        "RFC 5280 4.1.1.2",
    );
    report.require(
        outer.signature.as_bytes().is_some_and(|bytes| !bytes.is_empty()),
        "signature-present",
        "signatureValue",
        "is empty or no whole number of bytes",
        "RFC 5280 4.1.1.3",
    );
    report.0
}

/// Reads a DER TBSCertificate; gives its signature algorithm, unless it cannot be read.
fn read(tbs_der: &[u8], known: Option<&PublicKey>, report: &mut Report) -> Option<AlgorithmIdentifierOwned> {
    let Ok(tbs) = TbsCertificate::from_der(tbs_der) else {
        report.require(false, "der-readable", "tbsCertificate", "is no DER TBSCertificate", "RFC 5280 4.1");
        return None;
    };
    report.require(
        tbs.to_der().is_ok_and(|again| again == tbs_der),
        "der-canonical",
        "tbsCertificate",
        "is not what writing it again gives, so it is no DER",
        "RFC 5280 4.1",
    );
    lint_serial(&tbs, report);
    lint_signature(&tbs, report);
    lint_names(&tbs, report);
    lint_validity(&tbs, report);
    report.require(tbs.version == 2, "version-3", "version", "is not 3", "RFC 5280 4.1.2.1");
    report.require(
        tbs.issuer_unique_id.is_none() && tbs.subject_unique_id.is_none(),
        "no-unique-identifiers",
        "issuerUniqueID",
        "issuer and subject unique identifiers must not be generated",
        "RFC 5280 4.1.2.8",
    );
    let spki = tbs.subject_public_key_info.to_der().unwrap_or_default();
    let known = known.filter(|known| known.spki_der() == spki);
    let fresh = if known.is_none() { PublicKey::from_spki_der(&spki).ok() } else { None };
    let key = known.or(fresh.as_ref());
    report.require(
        key.is_some(),
        "key-supported",
        "subjectPublicKeyInfo",
        "is malformed, weak or of a kind that is not supported",
        "RFC 5280 4.1.2.7",
    );
    extensions::lint(&tbs, key, report);
    Some(tbs.signature)
}

fn lint_serial(tbs: &TbsCertificate<'_>, report: &mut Report) {
    const SOURCE: &str = "RFC 5280 4.1.2.2";
    let bytes = tbs.serial_number.as_bytes();
    let positive = bytes.iter().any(|byte| *byte != 0);
    report.require(positive, "serial-positive", "serialNumber", "is zero", SOURCE);
    let sign_byte = usize::from(bytes.first().is_some_and(|byte| byte & 0x80 != 0));
    report.require(
        bytes.len() + sign_byte <= 20,
        "serial-length",
        "serialNumber",
        "is longer than 20 octets",
        SOURCE,
    );
    report.require(
        bytes.len() >= 8,
        "serial-entropy",
        "serialNumber",
        "is shorter than 64 bits and so cannot be unpredictable",
        "CA/Browser Forum BR 7.1",
    );
}

fn lint_signature(tbs: &TbsCertificate<'_>, report: &mut Report) {
    report.require(
        SignatureAlgorithm::from_identifier(&tbs.signature).is_ok(),
        "signature-algorithm",
        "signature",
        "is not on the list of signature algorithms or has wrong parameters",
        "RFC 5280 4.1.2.3",
    );
}

fn lint_names(tbs: &TbsCertificate<'_>, report: &mut Report) {
    let issuer = tbs.issuer.to_der().unwrap_or_default();
    report.require(
        decode_exact::<Name>(&issuer)
            .is_ok_and(|name| !name.is_empty() && DistinguishedName::from_name_lossy(&name).is_some()),
        "issuer-present",
        "issuer",
        "is no DER Name or is empty",
        "RFC 5280 4.1.2.4",
    );
    let subject = tbs.subject.to_der().unwrap_or_default();
    report.require(
        decode_exact::<Name>(&subject).is_ok_and(|name| {
            DistinguishedName::from_name_lossy(&name).is_some_and(|(_, unsupported)| unsupported == 0)
        }),
        "subject-attributes",
        "subject",
        "is no DER Name, or has attributes that are unknown, doubled, too long or of wrong characters",
        "RFC 5280 4.1.2.6, A.1",
    );
}

fn lint_validity(tbs: &TbsCertificate<'_>, report: &mut Report) {
    const SOURCE: &str = "RFC 5280 4.1.2.5";
    for (field, time) in [("notBefore", tbs.validity.not_before), ("notAfter", tbs.validity.not_after)] {
        let fits = match time {
            Time::UtcTime(_) => true,
            Time::GeneralTime(time) => time.to_date_time().year() >= 2050,
        };
        report.require(fits, "time-encoding", field, "is before 2050 and must be a UTCTime", SOURCE);
    }
    let (from, to) = (tbs.validity.not_before.to_unix_duration(), tbs.validity.not_after.to_unix_duration());
    report.require(from <= to, "validity-order", "validity", "ends before it begins", SOURCE);
}

#[cfg(test)]
mod tests;
