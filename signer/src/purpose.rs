//! What keys are made for, and the requests for keys of other purposes than certificates.
//!
//! A key has one purpose for ever; it is bound to the sealed bytes. Which algorithms a purpose can use is decided here,
//! so that no key is made that could never do its work.

use crate::algorithm;
use crate::ids::Uid;
use crate::ledger::{KeyState, Purpose};
use crate::parse::fencing;
use crate::refusal::{Reason, Refusal};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_signer_protocol::v1alpha1 as wire;

/// A request for a key that signs no certificates.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidKey {
    /// Its name, for ever.
    pub uid: Uid,
    /// The asker's fencing token.
    pub fencing: u64,
    /// What it is for; never [`Purpose::X509Authority`].
    pub purpose: Purpose,
    /// Kind of key.
    pub algorithm: KeyAlgorithm,
    /// Who may use it and how often; nothing else is in it.
    pub constraints: wire::Constraints,
}

/// As in the log and in refusals.
pub fn name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::X509Authority => "x509-authority",
        Purpose::Crl => "crl",
        Purpose::Ocsp => "ocsp",
        Purpose::Jwt => "jwt",
        Purpose::Ssh => "ssh",
        Purpose::Escrow => "escrow",
    }
}

/// Refuses a request that needs a key of another purpose.
pub fn must_be(field: &str, has: Purpose, wanted: Purpose) -> Result<(), Refusal> {
    if has == wanted {
        return Ok(());
    }
    let rule = format!("this key was made for {} and does nothing else", name(has));
    let fix = format!("name a key that was made for {}", name(wanted));
    Err(Refusal::new(Reason::Forbidden, field, rule, fix))
}

/// As a message names it.
pub fn to_wire(purpose: Purpose) -> wire::KeyPurpose {
    match purpose {
        Purpose::X509Authority => wire::KeyPurpose::X509Authority,
        Purpose::Crl => wire::KeyPurpose::Crl,
        Purpose::Ocsp => wire::KeyPurpose::Ocsp,
        Purpose::Jwt => wire::KeyPurpose::Jwt,
        Purpose::Ssh => wire::KeyPurpose::Ssh,
        Purpose::Escrow => wire::KeyPurpose::Escrow,
    }
}

/// As a message names it; a destroyed key is shown to nobody.
pub fn state_to_wire(state: KeyState) -> wire::KeyState {
    match state {
        KeyState::Active => wire::KeyState::Active,
        KeyState::Retiring => wire::KeyState::Retiring,
        KeyState::Disabled => wire::KeyState::Disabled,
        KeyState::Destroyed => wire::KeyState::Unspecified,
    }
}

fn malformed(field: &str, rule: impl Into<String>, fix: &str) -> Refusal {
    Refusal::new(Reason::Malformed, field, rule, fix)
}

fn purpose_of(number: i32) -> Result<Purpose, Refusal> {
    let unknown = || {
        malformed("purpose", "is required and must be a known one", "choose CRL, OCSP, JWT, SSH or ESCROW")
    };
    match wire::KeyPurpose::try_from(number).map_err(|_| unknown())? {
        wire::KeyPurpose::Unspecified => Err(unknown()),
        wire::KeyPurpose::X509Authority => Err(malformed(
            "purpose",
            "an authority's key is made together with its certificate",
            "ask with EnsureAuthority",
        )),
        wire::KeyPurpose::Crl => Ok(Purpose::Crl),
        wire::KeyPurpose::Ocsp => Ok(Purpose::Ocsp),
        wire::KeyPurpose::Jwt => Ok(Purpose::Jwt),
        wire::KeyPurpose::Ssh => Ok(Purpose::Ssh),
        wire::KeyPurpose::Escrow => Ok(Purpose::Escrow),
    }
}

/// Whether keys of this kind can do the work of this purpose (RFC 7518, RFC 8037 for tokens, RFC 5656, RFC 8709 for SSH).
fn fits(purpose: Purpose, algorithm: KeyAlgorithm) -> bool {
    let (is_rsa, is_ml_dsa) = match algorithm {
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => (true, false),
        KeyAlgorithm::MlDsa44 | KeyAlgorithm::MlDsa65 | KeyAlgorithm::MlDsa87 => (false, true),
        KeyAlgorithm::EcdsaP256
        | KeyAlgorithm::EcdsaP384
        | KeyAlgorithm::EcdsaP521
        | KeyAlgorithm::Ed25519 => (false, false),
    };
    match purpose {
        Purpose::X509Authority | Purpose::Crl | Purpose::Ocsp => true,
        Purpose::Jwt | Purpose::Ssh => !is_ml_dsa,
        // What is escrowed is encrypted to the key: of these only RSA can be.
        Purpose::Escrow => is_rsa,
    }
}

/// Reads a request for a key. Errors: `Malformed`, naming the field.
pub fn parse(request: &wire::EnsureKeyRequest) -> Result<ValidKey, Refusal> {
    let uid = request.key_uid.parse().map_err(|_| {
        malformed("keyUid", "must be a UUID in its RFC 4122 text form", "send metadata.uid of the object")
    })?;
    let purpose = purpose_of(request.purpose)?;
    let algorithm = algorithm::from_wire(request.key_algorithm).ok_or_else(|| {
        malformed(
            "keyAlgorithm",
            "is required and must be a known one",
            "choose ECDSA, Ed25519, RSA or ML-DSA",
        )
    })?;
    if !fits(purpose, algorithm) {
        let rule = format!("{} keys cannot be used for {}", algorithm.name(), name(purpose));
        let fix = if purpose == Purpose::Escrow { "choose RSA" } else { "choose ECDSA, Ed25519 or RSA" };
        return Err(malformed("keyAlgorithm", rule, fix));
    }
    let asked = request.constraints.clone().unwrap_or_default();
    let constraints = wire::Constraints {
        allowed_callers: asked.allowed_callers.clone(),
        rate_per_second: asked.rate_per_second,
        burst: asked.burst,
        ..wire::Constraints::default()
    };
    if constraints != asked {
        let rule = "only allowedCallers, ratePerSecond and burst constrain a key that signs no certificates";
        return Err(malformed("constraints", rule, "leave the others out"));
    }
    Ok(ValidKey { uid, fencing: fencing(request.fencing_token)?, purpose, algorithm, constraints })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(purpose: i32, key_algorithm: i32) -> wire::EnsureKeyRequest {
        wire::EnsureKeyRequest {
            fencing_token: 1,
            key_uid: "0f8fad5b-d9cb-469f-a165-000000000001".into(),
            purpose,
            key_algorithm,
            constraints: None,
        }
    }

    #[test]
    fn every_purpose_takes_the_algorithms_it_can_use_and_no_other_number_is_one() {
        let takes =
            |purpose: i32| (1..=10).filter(|n| parse(&request(purpose, *n)).is_ok()).collect::<Vec<_>>();
        assert_eq!(takes(2), (1..=10).collect::<Vec<_>>(), "CRL");
        assert_eq!(takes(3), (1..=10).collect::<Vec<_>>(), "OCSP");
        assert_eq!(takes(4), (1..=7).collect::<Vec<_>>(), "JWT");
        assert_eq!(takes(5), (1..=7).collect::<Vec<_>>(), "SSH");
        assert_eq!(takes(6), [5, 6, 7], "escrow");
        for purpose in [-1, 0, 1, 7, 99] {
            let refusal = parse(&request(purpose, 1)).unwrap_err();
            assert_eq!((refusal.reason, refusal.field.as_str()), (Reason::Malformed, "purpose"));
        }
        assert_eq!(parse(&request(4, 0)).unwrap_err().field, "keyAlgorithm");
        let far = wire::EnsureKeyRequest { fencing_token: 1 << 53, ..request(4, 1) };
        assert_eq!(parse(&far).unwrap_err().field, "fencingToken");
        let unnamed = wire::EnsureKeyRequest { key_uid: "x".into(), ..request(4, 1) };
        assert_eq!(parse(&unnamed).unwrap_err().field, "keyUid");
    }

    #[test]
    fn constraints_on_certificates_are_refused_and_not_passed_over() {
        let with = |constraints| wire::EnsureKeyRequest { constraints: Some(constraints), ..request(4, 1) };
        let wrong = wire::Constraints { max_leaf_seconds: Some(1), ..Default::default() };
        assert_eq!(parse(&with(wrong)).unwrap_err().field, "constraints");
        let right = wire::Constraints { rate_per_second: Some(1), ..Default::default() };
        assert_eq!(parse(&with(right.clone())).unwrap().constraints, right);
    }
}
