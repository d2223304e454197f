//! From the words of a spec to the types of `keywright-pki` and to the messages of the signer.
//!
//! The one place where the API's names, the library's types and the wire's enums meet, so that each is matched once.

use crate::certificate::valid::SpecProblem;
use keywright_crds::{Algorithm, KeyUsage, NameSubtrees, Subject};
use keywright_pki::algorithm::{KeyAlgorithm, UnsupportedAlgorithm};
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_signer_protocol::v1alpha1 as wire;

/// The subject that a spec's `commonName` and `subject` describe.
pub fn subject(
    common_name: Option<&str>,
    subject: Option<&Subject>,
) -> Result<DistinguishedName, SpecProblem> {
    let s = subject.cloned().unwrap_or_default();
    let name = DistinguishedName {
        common_name: common_name.filter(|n| !n.is_empty()).map(str::to_owned),
        organizations: s.organizations,
        organizational_units: s.organizational_units,
        countries: s.countries,
        localities: s.localities,
        provinces: s.provinces,
        street_addresses: s.street_addresses,
        postal_codes: s.postal_codes,
        serial_number: s.serial_number,
    };
    name.validate()
        .map_err(|e| SpecProblem::new(e.field.clone(), format!("{:?}: {}; {}", e.value, e.rule, e.fix)))?;
    Ok(name)
}

/// The key algorithm that a spec's `algorithm` and `size` name.
pub fn algorithm(algorithm: Algorithm, size: Option<i32>) -> Result<KeyAlgorithm, UnsupportedAlgorithm> {
    // A negative size is as unsupported as any other that is not on the list.
    KeyAlgorithm::from_spec(algorithm.name(), size.map(|s| u32::try_from(s).unwrap_or(0)))
}

/// The names that usages have in specs and on the wire.
pub fn usage_names(usages: &[KeyUsage]) -> Vec<&'static str> {
    usages.iter().map(|usage| usage.name()).collect()
}

/// A subject for the signer.
pub fn distinguished_name(name: &DistinguishedName) -> wire::DistinguishedName {
    wire::DistinguishedName {
        common_name: name.common_name.clone().unwrap_or_default(),
        organizations: name.organizations.clone(),
        organizational_units: name.organizational_units.clone(),
        countries: name.countries.clone(),
        localities: name.localities.clone(),
        provinces: name.provinces.clone(),
        street_addresses: name.street_addresses.clone(),
        postal_codes: name.postal_codes.clone(),
        serial_number: name.serial_number.clone().unwrap_or_default(),
    }
}

/// Names for the signer.
pub fn sans(sans: &SubjectAltNames) -> wire::SubjectAltNames {
    wire::SubjectAltNames {
        dns_names: sans.dns.iter().map(|n| n.as_str().to_owned()).collect(),
        ip_addresses: sans.ips.iter().map(ToString::to_string).collect(),
        email_addresses: sans.emails.iter().map(|n| n.as_str().to_owned()).collect(),
        uris: sans.uris.iter().map(|n| n.as_str().to_owned()).collect(),
    }
}

/// Subtrees for the signer; absent and empty are the same.
pub fn subtrees(subtrees: Option<&NameSubtrees>) -> Option<wire::Subtrees> {
    subtrees.filter(|s| !s.is_empty()).map(|s| wire::Subtrees {
        dns_domains: s.dns_domains.clone(),
        ip_ranges: s.ip_ranges.clone(),
        email_addresses: s.email_addresses.clone(),
        uri_domains: s.uri_domains.clone(),
    })
}

/// An algorithm for the signer.
pub fn key_algorithm(algorithm: KeyAlgorithm) -> wire::KeyAlgorithm {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => wire::KeyAlgorithm::EcdsaP256,
        KeyAlgorithm::EcdsaP384 => wire::KeyAlgorithm::EcdsaP384,
        KeyAlgorithm::EcdsaP521 => wire::KeyAlgorithm::EcdsaP521,
        KeyAlgorithm::Ed25519 => wire::KeyAlgorithm::Ed25519,
        KeyAlgorithm::Rsa2048 => wire::KeyAlgorithm::Rsa2048,
        KeyAlgorithm::Rsa3072 => wire::KeyAlgorithm::Rsa3072,
        KeyAlgorithm::Rsa4096 => wire::KeyAlgorithm::Rsa4096,
        KeyAlgorithm::MlDsa44 => wire::KeyAlgorithm::MlDsa44,
        KeyAlgorithm::MlDsa65 => wire::KeyAlgorithm::MlDsa65,
        KeyAlgorithm::MlDsa87 => wire::KeyAlgorithm::MlDsa87,
    }
}

/// Every algorithm of a family, in every size.
pub fn family(family: Algorithm) -> Vec<KeyAlgorithm> {
    KeyAlgorithm::ALL.into_iter().filter(|a| a.spec().0 == family.name()).collect()
}
