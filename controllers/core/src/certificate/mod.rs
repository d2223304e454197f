//! `Certificate`: from a spec and what is in the cluster to the next step.
//!
//! ```text
//! approval its effect as people agree to it, and its key until then
//! valid    all that can be wrong with a spec
//! effect   what an issuance is for, as one digest
//! held     what lies in the Secret
//! decide   the next step
//! ready    what the object says of itself
//! secret   the Secret to publish
//! status   the status to publish
//! ```

pub mod approval;
pub mod decide;
pub mod effect;
pub mod held;
pub mod ready;
pub mod secret;
pub mod status;
pub mod valid;

/// Annotations and labels that Keywright puts on the Secrets it writes.
pub mod mark {
    /// Label: UID of the Certificate; its presence selects our Secrets.
    pub const CERTIFICATE_UID: &str = "keywright.dev/certificate-uid";
    /// Annotation: name of the Certificate.
    pub const CERTIFICATE_NAME: &str = "keywright.dev/certificate-name";
    /// Annotation: UID of the issuer that signed.
    pub const ISSUER_UID: &str = "keywright.dev/issuer-uid";
    /// Annotation: kind and name of the issuer that the spec named then, as in `Issuer/services`.
    pub const ISSUER: &str = "keywright.dev/issuer";
    /// Annotation: number of the issuance.
    pub const REVISION: &str = "keywright.dev/revision";
    /// Annotation: index of the signature's entry in the signer's log.
    pub const LOG_INDEX: &str = "keywright.dev/log-index";
    /// Annotation: digest of what the status says of the certificate, so that neither has to be trusted alone.
    pub const LEAF: &str = "keywright.dev/leaf";
    /// Annotation: digest of what was issued for; another digest wanted means another issuance.
    pub const EFFECT: &str = "keywright.dev/effect";
    /// Annotation: digest of all that the Secret was made from; another one wanted means another write.
    pub const PUBLICATION: &str = "keywright.dev/publication";
    /// Annotation on the Secret: the renewal request that was served last.
    pub const RENEWED_FOR: &str = "keywright.dev/renewed-for";
    /// Annotation on the Certificate: any value that was not there before asks for one renewal.
    pub const RENEW: &str = "keywright.dev/renew";
}
