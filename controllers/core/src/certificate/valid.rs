//! All that can be wrong with a Certificate's spec is found here; what is left cannot be wrong.
//!
//! The schema refuses most of it at admission. It is checked again because objects outlive schemas, and because the
//! finer rules (what is a DNS name, which usages exist) have one home, `keywright-pki`.

use crate::renewal::RenewWhen;
use crate::wire;
use jiff::SignedDuration;
use keywright_crds::{
    Certificate, CertificatePrivateKey, DeletionPolicy, IssuerRef, KeyEncoding, OutputFormat, RotationPolicy,
    SecretTemplate, duration,
};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::key::Encoding;
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_pki::usage::{KeyUsage, Usages};

/// The shortest life worth asking for: under it a renewal would be due before it is seen.
pub const SHORTEST: SignedDuration = SignedDuration::from_mins(5);

/// A Certificate whose spec makes sense.
#[derive(Debug, Clone)]
pub struct ValidCertificate {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// Secret to publish in.
    pub secret_name: String,
    /// Who is to sign.
    pub issuer: IssuerRef,
    /// Subject, common name included; may be empty.
    pub subject: DistinguishedName,
    /// Subject alternative names; may be empty if the subject is not.
    pub sans: SubjectAltNames,
    /// Life to ask for; `None`: the default, or less if the authority allows less.
    pub duration: Option<SignedDuration>,
    /// When to renew.
    pub renew: RenewWhen,
    /// Usages as they will stand in the certificate.
    pub usages: Usages,
    /// Asks for an authority's certificate.
    pub is_ca: bool,
    /// Profile of the issuer that is named.
    pub profile: Option<String>,
    /// Key to make.
    pub algorithm: KeyAlgorithm,
    /// Encoding of `tls.key`.
    pub encoding: Encoding,
    /// Whether each issuance has a key of its own.
    pub rotation: RotationPolicy,
    /// Further labels and annotations of the Secret.
    pub template: SecretTemplate,
    /// Further entries of the Secret.
    pub formats: Vec<OutputFormat>,
    /// What becomes of the Secret.
    pub deletion: DeletionPolicy,
    /// How many past issuances the status lists.
    pub history: usize,
    /// A renewal that a person asked for, by the value of the annotation.
    pub renew_request: Option<String>,
}

/// What is wrong with a spec: the field, the rule, the fix. Trying again does not help before the spec changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("spec.{field}: {problem}")]
pub struct SpecProblem {
    /// Path below `spec`.
    pub field: String,
    /// Rule and fix, in words.
    pub problem: String,
}

impl SpecProblem {
    /// A problem of `field`.
    pub fn new(field: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self { field: field.into(), problem: format!("{problem}") }
    }
}

impl ValidCertificate {
    /// Reads an object as the API server gave it. Errors: the first problem, in the order of the spec's fields.
    pub fn parse(object: &Certificate) -> Result<Self, SpecProblem> {
        let spec = &object.spec;
        let meta = &object.metadata;
        let key = spec.private_key.clone().unwrap_or_default();
        let algorithm = algorithm(&key)?;
        let subject = wire::subject(spec.common_name.as_deref(), spec.subject.as_ref())?;
        let sans =
            SubjectAltNames::parse(&spec.dns_names, &spec.ip_addresses, &spec.email_addresses, &spec.uris)
                .map_err(|e| {
                    SpecProblem::new(e.field.clone(), format!("{:?}: {}; {}", e.value, e.rule, e.fix))
                })?;
        if subject.is_empty() && sans.is_empty() {
            return Err(SpecProblem::new(
                "dnsNames",
                "nothing is named: set at least one of commonName, subject, dnsNames, ipAddresses, uris, emailAddresses",
            ));
        }
        let duration = spec.duration.as_deref().map(|text| positive("duration", text)).transpose()?;
        Ok(Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            secret_name: spec.secret_name.clone(),
            issuer: issuer(&spec.issuer_ref)?,
            subject,
            sans,
            duration,
            renew: renew(spec.renew_before.as_deref(), spec.renew_before_percentage, duration)?,
            usages: usages(&wire::usage_names(&spec.usages), spec.is_ca, algorithm)?,
            is_ca: spec.is_ca,
            profile: spec.profile.clone(),
            algorithm,
            encoding: encoding(&key, algorithm)?,
            rotation: key.rotation_policy,
            template: spec.secret_template.clone().unwrap_or_default(),
            formats: spec.additional_output_formats.iter().map(|f| f.type_).collect(),
            deletion: spec.deletion_policy,
            history: spec.revision_history(),
            renew_request: meta.annotations.as_ref().and_then(|a| a.get(super::mark::RENEW)).cloned(),
        })
    }
}

fn issuer(reference: &IssuerRef) -> Result<IssuerRef, SpecProblem> {
    if reference.group() == keywright_crds::GROUP {
        return Ok(IssuerRef { group: None, ..reference.clone() });
    }
    Err(SpecProblem::new(
        "issuerRef.group",
        format!(
            "{:?} is not a group of ours; leave it out or write {}",
            reference.group(),
            keywright_crds::GROUP
        ),
    ))
}

fn algorithm(key: &CertificatePrivateKey) -> Result<KeyAlgorithm, SpecProblem> {
    wire::algorithm(key.algorithm, key.effective_size()).map_err(|e| SpecProblem::new("privateKey.size", e))
}

fn encoding(key: &CertificatePrivateKey, algorithm: KeyAlgorithm) -> Result<Encoding, SpecProblem> {
    match (key.encoding, algorithm) {
        (KeyEncoding::Pkcs8, _) => Ok(Encoding::Pkcs8),
        (
            KeyEncoding::Pkcs1,
            KeyAlgorithm::Ed25519 | KeyAlgorithm::MlDsa44 | KeyAlgorithm::MlDsa65 | KeyAlgorithm::MlDsa87,
        ) => Err(SpecProblem::new(
            "privateKey.encoding",
            format!("PKCS1 has no form for {algorithm} keys; write PKCS8 or leave it out"),
        )),
        (
            KeyEncoding::Pkcs1,
            KeyAlgorithm::Rsa2048
            | KeyAlgorithm::Rsa3072
            | KeyAlgorithm::Rsa4096
            | KeyAlgorithm::EcdsaP256
            | KeyAlgorithm::EcdsaP384
            | KeyAlgorithm::EcdsaP521,
        ) => Ok(Encoding::Pkcs1),
    }
}

fn usages(names: &[&str], is_ca: bool, algorithm: KeyAlgorithm) -> Result<Usages, SpecProblem> {
    let mut usages = Usages::parse(names).map_err(|e| SpecProblem::new("usages", e))?.for_leaf(algorithm);
    let authority = Usages::authority();
    if is_ca {
        usages.key.extend(authority.key);
    } else if let Some(usage) = usages.key.intersection(&authority.key).next() {
        return Err(SpecProblem::new(
            "usages",
            format!("{:?} is for authorities; remove it or set isCA: true", KeyUsage::name(*usage)),
        ));
    }
    Ok(usages)
}

fn positive(field: &str, text: &str) -> Result<SignedDuration, SpecProblem> {
    let parsed = duration::parse(text).map_err(|e| SpecProblem::new(field, e))?;
    let parsed = SignedDuration::try_from(parsed).map_err(|e| SpecProblem::new(field, e))?;
    if parsed < SHORTEST {
        return Err(SpecProblem::new(
            field,
            format!("{text} is under the shortest life of 5m; write 5m or more"),
        ));
    }
    Ok(parsed)
}

fn renew(
    before: Option<&str>,
    percentage: Option<i32>,
    life: Option<SignedDuration>,
) -> Result<RenewWhen, SpecProblem> {
    match (before, percentage) {
        (None, None) => Ok(RenewWhen::TwoThirds),
        (Some(_), Some(_)) => Err(SpecProblem::new(
            "renewBeforePercentage",
            "renewBefore says the same in another way; keep one of the two",
        )),
        (None, Some(percent)) if (1..100).contains(&percent) => Ok(RenewWhen::LeftPercent(percent)),
        (None, Some(percent)) => {
            Err(SpecProblem::new("renewBeforePercentage", format!("{percent} is not within 1 to 99")))
        }
        (Some(text), None) => {
            let before = duration::parse(text).map_err(|e| SpecProblem::new("renewBefore", e))?;
            let before = SignedDuration::try_from(before).map_err(|e| SpecProblem::new("renewBefore", e))?;
            let life = life.unwrap_or(super::effect::DEFAULT_LIFE);
            if before >= life || before.is_zero() {
                return Err(SpecProblem::new(
                    "renewBefore",
                    format!(
                        "{text} must be over zero and under the life of {}h; write less",
                        life.as_hours()
                    ),
                ));
            }
            Ok(RenewWhen::Before(before))
        }
    }
}
