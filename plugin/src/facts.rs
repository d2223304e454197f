//! A certificate as plain data: what `inspect` and `status` show of it, in text and in JSON alike.

use crate::page::{Page, Tone};
use crate::words::{bar, distance, instant, span};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use keywright_pki::certificate::Certificate;
use keywright_pki::constraints::{NameConstraints, Subtrees};
use keywright_pki::lint::lint_certificate;
use keywright_pki::name::DistinguishedName;
use serde::{Serialize, Serializer};

/// What a certificate says. Hexadecimal is lower case; instants are RFC 3339, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CertificateFacts {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) serial_number: String,
    /// Each with its kind, such as `DNS www.example.com`.
    pub(crate) names: Vec<String>,
    #[serde(serialize_with = "text")]
    pub(crate) not_before: Timestamp,
    #[serde(serialize_with = "text")]
    pub(crate) not_after: Timestamp,
    pub(crate) key_algorithm: String,
    pub(crate) usages: Vec<String>,
    #[serde(rename = "isCA")]
    pub(crate) is_ca: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path_length: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) permitted: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) excluded: Vec<String>,
    #[serde(rename = "subjectKeyID", skip_serializing_if = "Option::is_none")]
    pub(crate) subject_key_id: Option<String>,
    #[serde(rename = "authorityKeyID", skip_serializing_if = "Option::is_none")]
    pub(crate) authority_key_id: Option<String>,
    pub(crate) sha256: String,
    pub(crate) self_signed: bool,
    /// What the linter says of it.
    pub(crate) findings: Vec<String>,
}

/// An instant in RFC 3339.
pub(crate) fn text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// The same for one that may be absent.
#[expect(clippy::ref_option, reason = "serde asks for a reference")]
pub(crate) fn text_if<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

impl CertificateFacts {
    /// Of this certificate.
    pub(crate) fn of(certificate: &Certificate) -> Self {
        let validity = certificate.validity();
        let mut usages: Vec<String> = certificate.usages().names().into_iter().map(str::to_owned).collect();
        if certificate.unknown_extended_usages() > 0 {
            usages.push(format!("{} more that have no name here", certificate.unknown_extended_usages()));
        }
        let constraints = certificate.name_constraints().cloned().unwrap_or_default();
        let NameConstraints { permitted, excluded } = constraints;
        Self {
            subject: subject(certificate),
            issuer: DistinguishedName::from_der(certificate.issuer_der()).map_or_else(
                |_| "a name with attributes that are not known here".to_owned(),
                |name| shown(&name),
            ),
            serial_number: certificate.serial().to_string(),
            names: names(certificate),
            not_before: validity.not_before(),
            not_after: validity.not_after(),
            key_algorithm: certificate.public_key().algorithm().name().to_owned(),
            usages,
            is_ca: certificate.is_ca(),
            path_length: certificate.path_length(),
            permitted: subtrees(&permitted),
            excluded: subtrees(&excluded),
            subject_key_id: certificate.subject_key_identifier().map(hex::encode),
            authority_key_id: certificate.authority_key_identifier().map(hex::encode),
            sha256: hex::encode(digest(&SHA256, certificate.der())),
            self_signed: certificate.is_self_signed(),
            findings: lint_certificate(certificate.der()).iter().map(ToString::to_string).collect(),
        }
    }

    /// What people call it: its subject, or else its first name.
    pub(crate) fn title(&self) -> &str {
        let first = self.names.first().map_or("(no name)", String::as_str);
        if self.subject.is_empty() { first } else { &self.subject }
    }

    /// What it is, in a few words: `root`, `authority` or `leaf`.
    pub(crate) fn role(&self) -> &'static str {
        match (self.is_ca, self.self_signed) {
            (true, true) => "root",
            (true, false) => "authority",
            (false, true) => "self-signed leaf",
            (false, false) => "leaf",
        }
    }

    /// Whether the instant lies within its life.
    pub(crate) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now.as_second() <= self.not_after.as_second()
    }

    /// Writes its life as a bar and in words.
    pub(crate) fn write_life(&self, page: &mut Page, renewal: Option<Timestamp>, now: Timestamp) {
        let (from, to) = (self.not_before, self.not_after);
        let (words, tone) = if now < from {
            (format!("not valid before {}", instant(from, now)), Tone::Bad)
        } else if self.is_valid_at(now) {
            let late = renewal.is_some_and(|at| at < now);
            let words = format!("{} left of {}", span(to.duration_since(now)), span(to.duration_since(from)));
            (words, if late { Tone::Warn } else { Tone::Good })
        } else {
            (format!("expired {}", distance(to, now)), Tone::Bad)
        };
        page.row_toned("Validity", &format!("{} {words}", bar(from, to, renewal, now)), tone);
        page.row("", &format!("{from} to {to}"));
        if let Some(renewal) = renewal {
            page.row("Renewal", &instant(renewal, now));
        }
    }

    /// Writes all of it.
    pub(crate) fn write(&self, page: &mut Page, now: Timestamp) {
        page.row("Subject", or_none(&self.subject));
        page.row("Issuer", or_none(&self.issuer));
        page.row("Serial", &self.serial_number);
        page.rows("Names", &self.names);
        self.write_life(page, None, now);
        page.row("Key", &self.key_algorithm);
        page.row("Usages", or_none(&self.usages.join(", ")));
        if self.is_ca {
            let below = self.path_length.map_or("any number of authorities below".to_owned(), |length| {
                format!("{length} authorities below")
            });
            page.row("Authority", &format!("yes, {below}"));
        }
        page.rows("Permitted", &self.permitted);
        page.rows("Excluded", &self.excluded);
        page.row_if("Key ID", self.subject_key_id.as_deref());
        page.row_if("Issuer key ID", self.authority_key_id.as_deref());
        page.row("SHA-256", &self.sha256);
        if self.findings.is_empty() {
            page.row_toned("Linter", "no findings", Tone::Good);
        }
        for (position, finding) in self.findings.iter().enumerate() {
            page.row_toned(if position == 0 { "Linter" } else { "" }, finding, Tone::Warn);
        }
    }
}

/// The subject as in RFC 4514.
pub(crate) fn subject(certificate: &Certificate) -> String {
    let mut text = shown(certificate.subject());
    if certificate.unsupported_subject_attributes() > 0 {
        let more = certificate.unsupported_subject_attributes();
        text = format!("{text} (and {more} attributes that are not known here)");
    }
    text
}

fn shown(name: &DistinguishedName) -> String {
    name.to_string()
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn names(certificate: &Certificate) -> Vec<String> {
    let sans = certificate.sans();
    let dns = sans.dns.iter().map(|name| format!("DNS {name}"));
    let ips = sans.ips.iter().map(|ip| format!("IP {ip}"));
    let emails = sans.emails.iter().map(|email| format!("e-mail {email}"));
    let uris = sans.uris.iter().map(|uri| format!("URI {uri}"));
    let more = (certificate.unsupported_sans() > 0)
        .then(|| format!("{} more of kinds that are not known here", certificate.unsupported_sans()));
    dns.chain(ips).chain(emails).chain(uris).chain(more).collect()
}

fn subtrees(trees: &Subtrees) -> Vec<String> {
    let of =
        |kind: &'static str, list: Vec<String>| list.into_iter().map(move |name| format!("{kind} {name}"));
    of("DNS", trees.dns_domains())
        .chain(of("IP", trees.ip_ranges()))
        .chain(of("e-mail", trees.email_addresses()))
        .chain(of("URI", trees.uri_domains()))
        .collect()
}
