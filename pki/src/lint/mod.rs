//! A linter of to-be-signed certificates against RFC 5280.

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

/// All findings on a DER TBSCertificate; empty when there is nothing to say.
pub fn lint(_tbs_der: &[u8]) -> Vec<Finding> {
    Vec::new()
}
