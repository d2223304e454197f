//! Names that certificates carry: values that are right by construction.
//!
//! Owns the syntax of DNS names, e-mail addresses, URIs and distinguished names, and their DER. Never resolves a name
//! and never decides who may have it: see [`crate::constraints`]. Text is ASCII except in distinguished names.

mod distinguished;
mod dns;
mod email;
mod sans;
mod uri;

pub use distinguished::DistinguishedName;
pub use dns::DnsName;
pub use email::EmailAddress;
pub use sans::SubjectAltNames;
pub(crate) use sans::is_mapped;
pub use uri::Uri;

/// A name that breaks a rule: which field, which value, what the rule is and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value:?} {rule}; {fix}")]
pub struct NameError {
    /// The field as in a spec, such as `dnsNames[3]`.
    pub field: String,
    /// The offending value, cut to 253 characters.
    pub value: String,
    /// The rule it breaks, as a phrase that continues the value.
    pub rule: &'static str,
    /// What to do.
    pub fix: &'static str,
}

impl NameError {
    /// Without a field yet; [`Self::at`] says it.
    pub(crate) fn new(value: &str, rule: &'static str, fix: &'static str) -> Self {
        Self { field: "name".to_owned(), value: value.chars().take(253).collect(), rule, fix }
    }

    /// The same, said of this field.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }
}
