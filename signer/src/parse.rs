//! Requests from the wire -> requests that are right in themselves. What depends on the authority is judged later.
//!
//! Runs after the caller was authorised and before anything else; total, and linear in the size of its input.

use crate::algorithm;
use crate::approval::{Brought, evidence};
use crate::ids::{RequestId, Uid};
use crate::profile::{BadName, ProfileName};
use crate::refusal::{Reason, Refusal};
use aws_lc_rs::digest::{SHA256, digest};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::fetched_urls;
use keywright_pki::csr::{Csr, CsrError};
use keywright_pki::key::PublicKey;
use keywright_pki::name::{DistinguishedName, NameError, SubjectAltNames};
use keywright_pki::usage::{KeyUsage, Usages};
use keywright_signer_protocol::v1alpha1 as wire;

/// Longest life that can be asked for, in seconds: 100 years.
const MAX_DURATION: u64 = 100 * 366 * 86_400;
/// The highest step and the highest fencing token: the largest whole number that every JSON reader keeps exactly (RFC 7493
/// section 2.2), because both stand in the log and steps in effects.
const MAX_WHOLE: u64 = (1 << 53) - 1;
/// Most URLs of one kind that an authority writes into certificates, as in the schema of issuers.
const MAX_URLS: usize = 8;
/// Most alternative names in one certificate.
const MAX_NAMES: usize = 1000;

/// A request for a leaf, or for the certificate of an authority whose key is elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidIssue {
    /// What it is for.
    pub id: RequestId,
    /// The asker's fencing token.
    pub fencing: u64,
    /// Which authority is to sign.
    pub authority: Uid,
    /// The key to certify; its possession was proved.
    pub public_key: PublicKey,
    /// Subject; may be empty when there are alternative names.
    pub subject: DistinguishedName,
    /// Alternative names.
    pub sans: SubjectAltNames,
    /// Life, in seconds.
    pub duration: u64,
    /// What the certificate shall state, fitted to the kind of key.
    pub usages: Usages,
    /// Whether it is an authority's.
    pub is_ca: bool,
    /// The profile that it names; none: it names none.
    pub profile: Option<ProfileName>,
    /// The usages as they were asked for.
    pub asked_usages: Usages,
    /// The object that it is for.
    pub object: wire::ObjectRef,
    /// The approvals that it brings.
    pub approvals: Vec<Brought>,
    /// Digest of the policies that the asker saw; empty: it does not say.
    pub policies_seen: String,
    /// What the asker says of the object.
    pub policy_facts: wire::PolicyFacts,
    /// Digest of everything asked for but the key.
    pub effect: [u8; 32],
    /// The personal fields, for the log's commitment.
    pub plain: Vec<String>,
}

/// A request for an authority whose key is here.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidEnsure {
    /// What it is for; the UID names the authority.
    pub id: RequestId,
    /// The asker's fencing token.
    pub fencing: u64,
    /// Subject, never empty.
    pub subject: DistinguishedName,
    /// Subject as asked for, to be stored.
    pub subject_wire: wire::DistinguishedName,
    /// Kind of key.
    pub algorithm: KeyAlgorithm,
    /// Life, in seconds.
    pub duration: u64,
    /// The parent; none: self-signed.
    pub parent: Option<Uid>,
    /// Constraints as asked for, without those inherited.
    pub constraints: wire::Constraints,
    /// Those in force stay, whatever was asked for.
    pub keeps: bool,
    /// The key identifier that the asker has seen; none: the authority may be made.
    pub expected_key_id: Option<Vec<u8>>,
    /// The object that it is for.
    pub object: wire::ObjectRef,
    /// Generation of that object.
    pub generation: u64,
    /// The approvals that it brings.
    pub approvals: Vec<Brought>,
    /// Digest of the policies that the asker saw; empty: it does not say.
    pub policies_seen: String,
    /// What the asker says of the object.
    pub policy_facts: wire::PolicyFacts,
    /// Digest of everything asked for but the constraints.
    pub effect: [u8; 32],
    /// The personal fields, for the log's commitment.
    pub plain: Vec<String>,
}

fn malformed(field: &str, rule: impl Into<String>, fix: impl Into<String>) -> Refusal {
    Refusal::new(Reason::Malformed, field, rule, fix)
}

fn name_error(error: &NameError) -> Refusal {
    malformed(&error.field, format!("{:?} {}", error.value, error.rule), error.fix)
}

fn effect(message: &impl prost::Message) -> [u8; 32] {
    let mut effect = [0; 32];
    effect.copy_from_slice(digest(&SHA256, &message.encode_to_vec()).as_ref());
    effect
}

/// Most requests in one batch.
const MAX_BATCH: usize = 256;

/// Requests whose certificates are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidLookUp {
    /// The asker's fencing token.
    pub fencing: u64,
    /// The requests.
    pub ids: Vec<RequestId>,
}

/// Reads a look-up. Errors: `Malformed` naming the field.
pub fn look_up(request: &wire::LookUpRequest) -> Result<ValidLookUp, Refusal> {
    batch("requestKeys", request.request_keys.len())?;
    let ids = request.request_keys.iter().map(|key| request_id(Some(key))).collect::<Result<_, _>>()?;
    Ok(ValidLookUp { fencing: fencing(request.fencing_token)?, ids })
}

/// Whether a batch has a good size. `field`: where it stands. Errors: `Malformed`.
pub fn batch(field: &str, size: usize) -> Result<(), Refusal> {
    if (1..=MAX_BATCH).contains(&size) {
        return Ok(());
    }
    let rule = format!("a batch holds 1 to {MAX_BATCH} requests, this one {size}");
    Err(malformed(field, rule, "send several batches"))
}

/// A fencing token. Errors: `Malformed` when no lease counts that far.
pub fn fencing(token: u64) -> Result<u64, Refusal> {
    if token <= MAX_WHOLE {
        return Ok(token);
    }
    Err(malformed("fencingToken", "is over 2^53 - 1", "send spec.leaseTransitions of the leader Lease"))
}

fn request_id(key: Option<&wire::RequestKey>) -> Result<RequestId, Refusal> {
    let key =
        key.ok_or_else(|| malformed("requestKey", "is required", "name the object's UID and revision"))?;
    let uid = uid("requestKey.objectUid", &key.object_uid)?;
    if key.step == 0 {
        return Err(malformed("requestKey.step", "counts from 1", "send the object's revision"));
    }
    if key.step > MAX_WHOLE {
        return Err(malformed("requestKey.step", "is over 2^53 - 1", "send the object's revision"));
    }
    Ok(RequestId { uid, step: key.step })
}

fn uid(field: &str, text: &str) -> Result<Uid, Refusal> {
    text.parse().map_err(|_| {
        malformed(field, "must be a UUID in its RFC 4122 text form", "send metadata.uid of the object")
    })
}

fn duration(seconds: u64) -> Result<u64, Refusal> {
    if (1..=MAX_DURATION).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(malformed(
            "durationSeconds",
            format!("must be 1 to {MAX_DURATION}"),
            "choose a life in that range",
        ))
    }
}

/// The subject of a message. Errors: an attribute that breaks a rule.
pub fn subject(wire: Option<&wire::DistinguishedName>) -> Result<DistinguishedName, Refusal> {
    let Some(wire) = wire else { return Ok(DistinguishedName::default()) };
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    let name = DistinguishedName {
        common_name: some(&wire.common_name),
        organizations: wire.organizations.clone(),
        organizational_units: wire.organizational_units.clone(),
        countries: wire.countries.clone(),
        localities: wire.localities.clone(),
        provinces: wire.provinces.clone(),
        street_addresses: wire.street_addresses.clone(),
        postal_codes: wire.postal_codes.clone(),
        serial_number: some(&wire.serial_number),
    };
    name.validate().map_err(|error| name_error(&error))?;
    Ok(name)
}

fn plain(
    object: Option<&wire::ObjectRef>,
    subject: &DistinguishedName,
    sans: Option<&wire::SubjectAltNames>,
) -> Vec<String> {
    let mut fields = Vec::new();
    if let Some(object) = object {
        fields.push(format!("object={}/{}/{}", object.kind, object.namespace, object.name));
    }
    fields.push(format!("subject={subject}"));
    if let Some(sans) = sans {
        fields.extend(sans.dns_names.iter().map(|name| format!("dns={name}")));
        fields.extend(sans.ip_addresses.iter().map(|name| format!("ip={name}")));
        fields.extend(sans.email_addresses.iter().map(|name| format!("email={name}")));
        fields.extend(sans.uris.iter().map(|name| format!("uri={name}")));
    }
    fields
}

/// Reads a request for a leaf and checks its proof of possession.
///
/// Errors: `Malformed` naming the field, `ProofOfPossession`.
pub fn issue(request: &wire::IssueRequest) -> Result<ValidIssue, Refusal> {
    let id = request_id(request.request_key.as_ref())?;
    let authority = uid("authorityUid", &request.authority_uid)?;
    let duration = duration(request.duration_seconds)?;
    let subject = subject(request.subject.as_ref())?;
    let names = request.sans.clone().unwrap_or_default();
    let sans =
        SubjectAltNames::parse(&names.dns_names, &names.ip_addresses, &names.email_addresses, &names.uris)
            .map_err(|error| name_error(&error))?;
    if subject.is_empty() && sans.is_empty() {
        return Err(malformed(
            "subject",
            "a certificate needs a subject or an alternative name",
            "set commonName, subject, dnsNames, ipAddresses, emailAddresses or uris",
        ));
    }
    if sans.len() > MAX_NAMES {
        return Err(malformed(
            "sans",
            format!("{} alternative names are over the limit of {MAX_NAMES}", sans.len()),
            "spread them over several certificates",
        ));
    }
    let usages = Usages::parse(&request.usages).map_err(|error| {
        malformed("usages", error.to_string(), "name usages as in Certificate.spec.usages")
    })?;
    let csr = Csr::parse(&request.pkcs10).map_err(|error| match error {
        CsrError::NoProofOfPossession => Refusal::new(
            Reason::ProofOfPossession,
            "pkcs10",
            "its signature must be made with the private key that belongs to its public key",
            "make the request again with that key pair",
        ),
        CsrError::Name(name) => name_error(&name),
        CsrError::Key(key) => malformed("pkcs10", key.to_string(), "use a supported key"),
        CsrError::Malformed(_) | CsrError::Signature(_) => {
            malformed("pkcs10", error.to_string(), "send a PKCS#10 request in DER")
        }
    })?;
    let public_key = csr.public_key().clone();
    let asked_usages = usages.clone();
    let mut usages = usages.for_leaf(public_key.algorithm());
    let signs = [KeyUsage::CertSign, KeyUsage::CrlSign];
    if request.is_ca {
        usages.key.extend(signs);
    } else if signs.iter().any(|usage| usages.key.contains(usage)) {
        return Err(malformed(
            "usages",
            "cert sign and crl sign belong to authorities",
            "take them out, or set isCA",
        ));
    }
    let profile = match request.profile.as_str() {
        "" => None,
        name => Some(name.parse().map_err(|error: BadName| {
            malformed("profile", error.to_string(), "name a profile of the authority, or none")
        })?),
    };
    let asked = wire::IssueRequest {
        fencing_token: 0,
        request_key: None,
        object: None,
        pkcs10: Vec::new(),
        approvals: Vec::new(),
        policy_digest: String::new(),
        policy_facts: None,
        ..request.clone()
    };
    Ok(ValidIssue {
        id,
        fencing: fencing(request.fencing_token)?,
        authority,
        public_key,
        plain: plain(request.object.as_ref(), &subject, Some(&names)),
        subject,
        sans,
        duration,
        usages,
        is_ca: request.is_ca,
        profile,
        asked_usages,
        object: request.object.clone().unwrap_or_default(),
        approvals: evidence::parse(&request.approvals)?,
        policies_seen: request.policy_digest.clone(),
        policy_facts: request.policy_facts.clone().unwrap_or_default(),
        effect: effect(&asked),
    })
}

/// The URLs that every certificate of a key states, for ever: one that cannot be written would keep the key from signing
/// anything. Errors: `Malformed` naming the field.
fn authority_urls(constraints: &wire::Constraints) -> Result<(), Refusal> {
    let lists = [
        ("crlDistributionPoints", &constraints.crl_distribution_points),
        ("ocspServers", &constraints.ocsp_servers),
        ("issuingCertificateURLs", &constraints.issuing_certificate_urls),
    ];
    for (field, urls) in lists {
        if urls.len() > MAX_URLS {
            let rule = format!("{} URLs are over the limit of {MAX_URLS}", urls.len());
            return Err(malformed(field, rule, "name fewer"));
        }
        fetched_urls(field, urls).map_err(|error| name_error(&error))?;
    }
    Ok(())
}

/// Reads a request for an authority. Errors: `Malformed` naming the field.
pub fn ensure(request: &wire::EnsureAuthorityRequest) -> Result<ValidEnsure, Refusal> {
    let id = request_id(request.request_key.as_ref())?;
    let subject = subject(request.subject.as_ref())?;
    if subject.is_empty() {
        return Err(malformed("subject", "an authority needs a subject", "set commonName or subject"));
    }
    let algorithm = algorithm::from_wire(request.key_algorithm).ok_or_else(|| {
        malformed(
            "privateKey.algorithm",
            "is required and must be a known one",
            "choose ECDSA, Ed25519, RSA or ML-DSA",
        )
    })?;
    let parent = match request.parent_uid.as_str() {
        "" => None,
        text => Some(uid("parentUid", text)?),
    };
    if parent == Some(id.uid) {
        return Err(malformed(
            "issuerRef",
            "an authority cannot be its own parent",
            "leave it out for a root",
        ));
    }
    if let Some(constraints) = &request.constraints {
        authority_urls(constraints)?;
    }
    let asked = wire::EnsureAuthorityRequest {
        fencing_token: 0,
        request_key: None,
        object: None,
        constraints: None,
        expected_key_id: Vec::new(),
        generation: 0,
        approvals: Vec::new(),
        policy_digest: String::new(),
        policy_facts: None,
        keep_constraints: false,
        ..request.clone()
    };
    Ok(ValidEnsure {
        id,
        fencing: fencing(request.fencing_token)?,
        plain: plain(request.object.as_ref(), &subject, None),
        subject,
        subject_wire: request.subject.clone().unwrap_or_default(),
        algorithm,
        duration: duration(request.duration_seconds)?,
        parent,
        constraints: request.constraints.clone().unwrap_or_default(),
        keeps: request.keep_constraints,
        expected_key_id: (!request.expected_key_id.is_empty()).then(|| request.expected_key_id.clone()),
        object: request.object.clone().unwrap_or_default(),
        generation: request.generation,
        approvals: evidence::parse(&request.approvals)?,
        policies_seen: request.policy_digest.clone(),
        policy_facts: request.policy_facts.clone().unwrap_or_default(),
        effect: effect(&asked),
    })
}
