//! Rules on the extensions of a to-be-signed certificate (RFC 5280 section 4.2).

use super::Report;
use crate::asn1::{self, BasicConstraints, TbsCertificate, decode_exact};
use crate::key::PublicKey;
use crate::usage::KeyUsage;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280 as oid;
use der::asn1::{BitStringRef, OctetString};
use der::{Decode, Encode};
use std::collections::{BTreeSet, HashSet};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, CrlDistributionPoints};

/// What each extension that we issue must be marked as.
const CRITICALITY: [(ObjectIdentifier, &str, bool); 8] = [
    (oid::ID_CE_BASIC_CONSTRAINTS, "basicConstraints", true),
    (oid::ID_CE_KEY_USAGE, "keyUsage", true),
    (oid::ID_CE_NAME_CONSTRAINTS, "nameConstraints", true),
    (oid::ID_CE_EXT_KEY_USAGE, "extKeyUsage", false),
    (oid::ID_CE_SUBJECT_KEY_IDENTIFIER, "subjectKeyIdentifier", false),
    (oid::ID_CE_AUTHORITY_KEY_IDENTIFIER, "authorityKeyIdentifier", false),
    (oid::ID_CE_CRL_DISTRIBUTION_POINTS, "cRLDistributionPoints", false),
    (oid::ID_PE_AUTHORITY_INFO_ACCESS, "authorityInfoAccess", false),
];

pub(super) fn lint(tbs: &TbsCertificate<'_>, key: Option<&PublicKey>, report: &mut Report) {
    let list = tbs.extensions.as_deref().unwrap_or_default();
    report.require(!list.is_empty(), "extensions-present", "extensions", "are missing", "RFC 5280 4.1.2.9");
    let mut seen = HashSet::new();
    let once = list.iter().all(|extension| seen.insert(extension.extn_id));
    report.require(once, "extension-once", "extensions", "hold one kind of extension twice", "RFC 5280 4.2");
    lint_criticality(list, report);
    lint_encoding(list, report);
    let ca = lint_basic_constraints(list, report);
    let usages = lint_key_usage(list, key, report);
    lint_authority(list, &usages, ca, report);
    lint_key_identifiers(tbs, list, key, report);
    lint_subject(tbs, list, ca.is_some(), report);
    lint_extended_key_usage(list, report);
}

fn find(list: &[Extension], kind: ObjectIdentifier) -> Option<&Extension> {
    list.iter().find(|extension| extension.extn_id == kind)
}

fn lint_criticality(list: &[Extension], report: &mut Report) {
    for extension in list {
        let known = CRITICALITY.iter().find(|(kind, _, _)| *kind == extension.extn_id);
        match known {
            Some((_, field, critical)) => report.require(
                extension.critical == *critical,
                "criticality",
                field,
                if *critical { "must be critical" } else { "must not be critical" },
                "RFC 5280 4.2",
            ),
            None if extension.extn_id == oid::ID_CE_SUBJECT_ALT_NAME => {}
            None => report.require(
                false,
                "extension-known",
                "extensions",
                &format!("hold {}, which is never issued", extension.extn_id),
                "RFC 5280 4.2",
            ),
        }
    }
}

/// Each value is what writing it again gives; for those that no other rule reads, that it can be read at all.
fn lint_encoding(list: &[Extension], report: &mut Report) {
    for extension in list {
        let value = extension.extn_value.as_bytes();
        let canonical = match extension.extn_id {
            oid::ID_CE_BASIC_CONSTRAINTS => is_canonical::<BasicConstraints>(value),
            oid::ID_CE_KEY_USAGE => is_canonical::<BitStringRef<'_>>(value),
            oid::ID_CE_EXT_KEY_USAGE => is_canonical::<Vec<ObjectIdentifier>>(value),
            oid::ID_CE_SUBJECT_ALT_NAME => is_canonical::<Vec<GeneralName>>(value),
            oid::ID_CE_NAME_CONSTRAINTS => is_canonical::<x509_cert::ext::pkix::NameConstraints>(value),
            oid::ID_CE_SUBJECT_KEY_IDENTIFIER => is_canonical::<OctetString>(value),
            oid::ID_CE_AUTHORITY_KEY_IDENTIFIER => is_canonical::<AuthorityKeyIdentifier>(value),
            oid::ID_CE_CRL_DISTRIBUTION_POINTS => decode_exact::<CrlDistributionPoints>(value).is_ok(),
            oid::ID_PE_AUTHORITY_INFO_ACCESS => decode_exact::<AuthorityInfoAccessSyntax>(value).is_ok(),
            _ => true,
        };
        if !canonical {
            report.require(
                false,
                "extension-canonical",
                "extensions",
                &format!("hold {} in another form than DER gives it", extension.extn_id),
                "RFC 5280 4.1",
            );
        }
    }
}

/// Unreadable values are left to the rule of their extension.
fn is_canonical<'a, T: Decode<'a, Error = der::Error> + Encode>(value: &'a [u8]) -> bool {
    T::from_der(value).map_or(true, |read| read.to_der().is_ok_and(|again| again == value))
}

/// The path length when it is an authority.
#[expect(
    clippy::option_option,
    reason = "an authority without path length is something else than no authority"
)]
fn lint_basic_constraints(list: &[Extension], report: &mut Report) -> Option<Option<u32>> {
    const SOURCE: &str = "RFC 5280 4.2.1.9";
    let extension = find(list, oid::ID_CE_BASIC_CONSTRAINTS)?;
    let Ok(basic) = decode_exact::<BasicConstraints>(extension.extn_value.as_bytes()) else {
        report.require(false, "basic-constraints-readable", "basicConstraints", "is malformed", SOURCE);
        return None;
    };
    report.require(
        basic.ca || basic.path_length.is_none(),
        "path-length-only-with-ca",
        "basicConstraints",
        "has a path length without cA",
        SOURCE,
    );
    basic.ca.then_some(basic.path_length)
}

fn lint_key_usage(list: &[Extension], key: Option<&PublicKey>, report: &mut Report) -> BTreeSet<KeyUsage> {
    const SOURCE: &str = "RFC 5280 4.2.1.3";
    let Some(extension) = find(list, oid::ID_CE_KEY_USAGE) else { return BTreeSet::new() };
    let value = extension.extn_value.as_bytes();
    let Some(bits) = crate::usage::key_usage_bits(value) else {
        report.require(false, "key-usage-readable", "keyUsage", "is no DER BIT STRING", SOURCE);
        return BTreeSet::new();
    };
    let set: BTreeSet<_> =
        bits.bits().zip(KeyUsage::ALL).filter_map(|(bit, usage)| bit.then_some(usage)).collect();
    report.require(!set.is_empty(), "key-usage-not-empty", "keyUsage", "has no bit set", SOURCE);
    let highest = bits.bits().enumerate().filter(|(_, bit)| *bit).map(|(at, _)| at).last();
    report.require(
        bits.bit_len() == highest.map_or(0, |at| at + 1),
        "key-usage-trailing-zeros",
        "keyUsage",
        "has trailing zero bits, which DER forbids in a named bit list",
        "X.690 11.2.2",
    );
    report.require(
        bits.bit_len() <= KeyUsage::ALL.len(),
        "key-usage-known",
        "keyUsage",
        "has bits that do not exist",
        SOURCE,
    );
    let needs_agreement = set.contains(&KeyUsage::EncipherOnly) || set.contains(&KeyUsage::DecipherOnly);
    report.require(
        !needs_agreement || set.contains(&KeyUsage::KeyAgreement),
        "key-agreement-bits",
        "keyUsage",
        "has encipherOnly or decipherOnly without keyAgreement",
        SOURCE,
    );
    if let Some(key) = key {
        for usage in set.iter().filter(|usage| !usage.fits(key.algorithm())) {
            let message = format!("says {:?}, which a {} key cannot do", usage.name(), key.algorithm());
            report.require(
                false,
                "key-usage-fits-key",
                "keyUsage",
                &message,
                "RFC 8813 3, RFC 8410 5, RFC 9881 5",
            );
        }
    }
    set
}

#[expect(clippy::option_option, reason = "as returned by lint_basic_constraints")]
fn lint_authority(
    list: &[Extension],
    usages: &BTreeSet<KeyUsage>,
    ca: Option<Option<u32>>,
    report: &mut Report,
) {
    let signs = usages.contains(&KeyUsage::CertSign);
    match ca {
        Some(_) => report.require(
            signs,
            "ca-may-sign",
            "keyUsage",
            "an authority needs keyCertSign",
            "RFC 5280 4.2.1.3, 4.2.1.9",
        ),
        None => {
            report.require(
                !signs,
                "leaf-may-not-sign",
                "keyUsage",
                "keyCertSign needs cA",
                "RFC 5280 4.2.1.9",
            );
        }
    }
    if let Some(extension) = find(list, oid::ID_CE_NAME_CONSTRAINTS) {
        const SOURCE: &str = "RFC 5280 4.2.1.10";
        report.require(
            ca.is_some(),
            "name-constraints-only-on-ca",
            "nameConstraints",
            "stand on a leaf",
            SOURCE,
        );
        let readable = crate::constraints::NameConstraints::from_der(extension.extn_value.as_bytes());
        report.require(
            readable.is_ok_and(|constraints| !constraints.is_empty()),
            "name-constraints-readable",
            "nameConstraints",
            "are malformed, empty or of a kind that is not supported",
            SOURCE,
        );
    }
}

fn lint_key_identifiers(
    tbs: &TbsCertificate<'_>,
    list: &[Extension],
    key: Option<&PublicKey>,
    report: &mut Report,
) {
    let subject = find(list, oid::ID_CE_SUBJECT_KEY_IDENTIFIER)
        .and_then(|extension| OctetString::from_der(extension.extn_value.as_bytes()).ok());
    report.require(
        subject.as_ref().is_some_and(|identifier| !identifier.as_bytes().is_empty()),
        "subject-key-identifier",
        "subjectKeyIdentifier",
        "is missing, empty or malformed",
        "RFC 5280 4.2.1.2",
    );
    if let (Some(identifier), Some(key)) = (&subject, key) {
        report.require(
            identifier.as_bytes() == key.key_identifier(),
            "subject-key-identifier-method",
            "subjectKeyIdentifier",
            "is not the leftmost 160 bits of the SHA-256 of the key",
            "RFC 7093 2",
        );
    }
    let self_issued = tbs.issuer.to_der().ok() == tbs.subject.to_der().ok();
    let Some(extension) = find(list, oid::ID_CE_AUTHORITY_KEY_IDENTIFIER) else {
        report.require(
            self_issued,
            "authority-key-identifier",
            "authorityKeyIdentifier",
            "is missing; only a self-signed certificate may leave it out",
            "RFC 5280 4.2.1.1",
        );
        return;
    };
    let only_identifier =
        AuthorityKeyIdentifier::from_der(extension.extn_value.as_bytes()).is_ok_and(|value| {
            value.key_identifier.is_some_and(|identifier| !identifier.as_bytes().is_empty())
                && value.authority_cert_issuer.is_none()
                && value.authority_cert_serial_number.is_none()
        });
    report.require(
        only_identifier,
        "authority-key-identifier-form",
        "authorityKeyIdentifier",
        "must hold a key identifier and neither issuer nor serial number",
        "RFC 5280 4.2.1.1",
    );
}

fn lint_subject(tbs: &TbsCertificate<'_>, list: &[Extension], is_ca: bool, report: &mut Report) {
    const SOURCE: &str = "RFC 5280 4.1.2.6, 4.2.1.6";
    let empty = tbs.subject.value().is_empty();
    report.require(!(empty && is_ca), "ca-subject-present", "subject", "of an authority is empty", SOURCE);
    let Some(extension) = find(list, oid::ID_CE_SUBJECT_ALT_NAME) else {
        report.require(
            !empty,
            "subject-or-san",
            "subject",
            "is empty and there are no alternative names",
            SOURCE,
        );
        return;
    };
    report.require(
        extension.critical == empty,
        "san-criticality",
        "subjectAltName",
        "must be critical exactly when the subject is empty",
        SOURCE,
    );
    let names = Vec::<GeneralName>::from_der(extension.extn_value.as_bytes()).unwrap_or_default();
    report.require(!names.is_empty(), "san-not-empty", "subjectAltName", "is empty or malformed", SOURCE);
    let (_, unsupported) = crate::name::SubjectAltNames::from_general_names(&names);
    report.require(
        unsupported == 0,
        "san-names",
        "subjectAltName",
        "holds names of another kind than DNS, IP, e-mail, URI, or ones that are not valid",
        "RFC 5280 4.2.1.6",
    );
}

fn lint_extended_key_usage(list: &[Extension], report: &mut Report) {
    const SOURCE: &str = "RFC 5280 4.2.1.12";
    let Some(extension) = find(list, oid::ID_CE_EXT_KEY_USAGE) else { return };
    let purposes = Vec::<ObjectIdentifier>::from_der(extension.extn_value.as_bytes()).unwrap_or_default();
    report.require(
        !purposes.is_empty() && purposes.iter().copied().all(asn1::is_canonical),
        "extended-key-usage",
        "extKeyUsage",
        "is empty or malformed",
        SOURCE,
    );
    let unique: HashSet<_> = purposes.iter().collect();
    report.require(
        unique.len() == purposes.len(),
        "extended-key-usage-once",
        "extKeyUsage",
        "names a purpose twice",
        SOURCE,
    );
}
