//! Certification path validation (RFC 5280 section 6.1) of a chain that is given in order.
//!
//! Checks every level: signature, validity, names that meet, key identifiers that meet, CA flag, key usage, path length,
//! name constraints, and that no critical extension is left unprocessed. The last certificate is trusted because the
//! caller says so, but must still be one that could sign. Never builds a path, never asks whether something is revoked.

use crate::certificate::Certificate;
use crate::constraints::Violation;
use crate::name::DistinguishedName;
use crate::usage::KeyUsage;
use const_oid::ObjectIdentifier;
use jiff::Timestamp;

/// The longest chain that is checked, leaf and root included.
pub const MAX_DEPTH: usize = 10;

/// Why a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("chain: certificate {position} ({subject}): {fault}")]
pub struct ChainError {
    /// Position from the leaf, which is 0.
    pub position: usize,
    /// Subject of that certificate, as in RFC 4514.
    pub subject: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with one certificate of a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The chain is longer than [`MAX_DEPTH`].
    #[error("the chain is longer than 10 certificates")]
    TooLong,
    /// Not valid at the instant asked for.
    #[error("is valid from {not_before} to {not_after}, not at {at}")]
    NotValid {
        /// First valid second.
        not_before: Timestamp,
        /// Last valid second.
        not_after: Timestamp,
        /// The instant asked for.
        at: Timestamp,
    },
    /// Its issuer name is not the subject of the next certificate.
    #[error("names another issuer than the next certificate's subject")]
    WrongIssuer,
    /// Its authority key identifier is not the subject key identifier of the next certificate.
    #[error("names another issuer key than the next certificate's")]
    WrongIssuerKey,
    /// Its signature does not verify under the next certificate's key.
    #[error("was not signed by the next certificate's key")]
    BadSignature,
    /// It stands above another certificate but is no CA.
    #[error("is no certificate authority")]
    NotAuthority,
    /// It stands above another certificate but its key may not sign certificates.
    #[error("has no key usage \"cert sign\"")]
    MayNotSign,
    /// There are more authorities below it than it allows.
    #[error("allows {allowed} authorities below, and there are {found}")]
    PathTooLong {
        /// Its path length.
        allowed: u32,
        /// Authorities below that are not self-issued.
        found: u32,
    },
    /// A name that an authority above forbids.
    #[error("has a name that the authority at position {authority} forbids: {violation}")]
    Name {
        /// Position of the authority.
        authority: usize,
        /// Which name and why.
        violation: Violation,
    },
    /// Names of a kind or form that constraints of an authority above cannot be applied to.
    #[error("has names that the constraints of the authority at position {authority} cannot be applied to")]
    UnjudgedNames {
        /// Position of the authority.
        authority: usize,
    },
    /// A critical extension that cannot be processed.
    #[error("has the critical extension {0}, which is not supported")]
    UnhandledCritical(ObjectIdentifier),
}

/// Checks the chain leaf, intermediates (issuer of the leaf first), root, at one instant.
///
/// `root` is trusted; `leaf` may be an authority itself. Errors: [`ChainError`] for the first fault from the leaf up.
pub fn verify(
    leaf: &Certificate,
    intermediates: &[Certificate],
    root: &Certificate,
    at: Timestamp,
) -> Result<(), ChainError> {
    let chain: Vec<&Certificate> = [leaf].into_iter().chain(intermediates).chain([root]).collect();
    let fail = |position: usize, fault| {
        let subject = chain.get(position).map_or_else(String::new, |one| one.subject().to_string());
        ChainError { position, subject, fault }
    };
    if chain.len() > MAX_DEPTH {
        return Err(fail(0, Fault::TooLong));
    }
    for (position, certificate) in chain.iter().enumerate() {
        check_alone(certificate, at).map_err(|fault| fail(position, fault))?;
        if position > 0 {
            let below = chain.get(1..position).unwrap_or_default();
            check_authority(certificate, below).map_err(|fault| fail(position, fault))?;
        }
        if let Some(issuer) = chain.get(position + 1) {
            check_issued(certificate, issuer).map_err(|fault| fail(position, fault))?;
        } else if certificate.is_self_issued() {
            certificate
                .verify_signed_by(certificate.public_key())
                .map_err(|_| fail(position, Fault::BadSignature))?;
        }
        for (authority, above) in chain.iter().enumerate().skip(position + 1) {
            // Self-issued intermediates carry their issuer's name and are exempt (RFC 5280 section 6.1.3 b).
            if position == 0 || !certificate.is_self_issued() {
                check_names(certificate, above, authority).map_err(|fault| fail(position, fault))?;
            }
        }
    }
    Ok(())
}

fn check_alone(certificate: &Certificate, at: Timestamp) -> Result<(), Fault> {
    if let Some(oid) = certificate.unhandled_critical_extensions().first() {
        return Err(Fault::UnhandledCritical(*oid));
    }
    let validity = certificate.validity();
    if !validity.contains(at) {
        let (not_before, not_after) = (validity.not_before(), validity.not_after());
        return Err(Fault::NotValid { not_before, not_after, at });
    }
    Ok(())
}

/// `below`: the authorities between this one and the leaf.
fn check_authority(certificate: &Certificate, below: &[&Certificate]) -> Result<(), Fault> {
    if !certificate.is_ca() {
        return Err(Fault::NotAuthority);
    }
    if !certificate.usages().key.contains(&KeyUsage::CertSign) {
        return Err(Fault::MayNotSign);
    }
    let counted = below.iter().filter(|one| !one.is_self_issued()).count();
    let found = u32::try_from(counted).unwrap_or(u32::MAX);
    match certificate.path_length() {
        Some(allowed) if found > allowed => Err(Fault::PathTooLong { allowed, found }),
        Some(_) | None => Ok(()),
    }
}

fn check_issued(certificate: &Certificate, issuer: &Certificate) -> Result<(), Fault> {
    if certificate.issuer_der() != issuer.subject_der() {
        return Err(Fault::WrongIssuer);
    }
    if let (Some(wanted), Some(found)) =
        (certificate.authority_key_identifier(), issuer.subject_key_identifier())
        && wanted != found
    {
        return Err(Fault::WrongIssuerKey);
    }
    certificate.verify_signed_by(issuer.public_key()).map_err(|_| Fault::BadSignature)
}

fn check_names(certificate: &Certificate, above: &Certificate, authority: usize) -> Result<(), Fault> {
    let Some(constraints) = above.name_constraints().filter(|constraints| !constraints.is_empty()) else {
        return Ok(());
    };
    if certificate.unsupported_sans() > 0 {
        return Err(Fault::UnjudgedNames { authority });
    }
    constraints
        .check(certificate.subject(), certificate.sans())
        .map_err(|violation| Fault::Name { authority, violation })?;
    // A subject may hold several common names or an emailAddress; then what our type left out counts too.
    let has_more = certificate.unsupported_subject_attributes() > 0
        && DistinguishedName::has_judged_attributes(certificate.subject_der());
    if has_more { Err(Fault::UnjudgedNames { authority }) } else { Ok(()) }
}
