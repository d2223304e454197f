//! Name constraints (RFC 5280 section 4.2.1.10).
use crate::name::{DistinguishedName, NameError, SubjectAltNames};

/// Subtrees of each kind of name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Subtrees {
    dns_domains: Vec<String>,
}

/// Which names a certificate below an authority may carry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct NameConstraints {
    /// If any subtree of a kind is here, names of this kind must lie in one.
    pub permitted: Subtrees,
    /// No name may lie in one of these; stronger than permitted.
    pub excluded: Subtrees,
}

/// A name outside the constraints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {rule}")]
pub struct Violation {
    /// The name.
    pub name: String,
    /// The rule.
    pub rule: String,
}

/// A change that would allow more than before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subtree}: {rule}")]
pub struct Loosening {
    /// The subtree.
    pub subtree: String,
    /// The rule.
    pub rule: String,
}

impl Subtrees {
    /// Reads the four lists of a spec; `field` is the prefix for errors, such as `nameConstraints.permitted`.
    pub fn parse<S: AsRef<str>>(
        _field: &str,
        _dns_domains: &[S],
        _ip_ranges: &[S],
        _email_addresses: &[S],
        _uri_domains: &[S],
    ) -> Result<Self, NameError> {
        Ok(Self::default())
    }
    /// No subtree of any kind.
    pub fn is_empty(&self) -> bool {
        self.dns_domains.is_empty()
    }
}

impl NameConstraints {
    /// No constraint at all.
    pub fn is_empty(&self) -> bool {
        self.permitted.is_empty() && self.excluded.is_empty()
    }
    /// Whether a certificate with these names may exist below.
    pub fn check(&self, _subject: &DistinguishedName, _sans: &SubjectAltNames) -> Result<(), Violation> {
        Ok(())
    }
    /// Whether every name that `self` allows was allowed by `older`.
    pub fn is_no_looser_than(&self, _older: &Self) -> Result<(), Loosening> {
        Ok(())
    }
    /// DER of the extension's value. Precondition: not empty.
    pub fn to_der(&self) -> Vec<u8> {
        Vec::new()
    }
    /// Reads the extension's value.
    pub fn from_der(_der: &[u8]) -> Result<Self, NameError> {
        Ok(Self::default())
    }
}
