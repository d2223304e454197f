//! Identities of the suite's own parts. Pure but for the key generator.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use keywright_ambient::{Entropy, NoEntropy};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::{
    AssembleError, CaProfile, Certificate, Serial, Template, TemplateError, Validity, ValidityError, assemble,
};
use keywright_pki::key::{Encoding, KeyError, PrivateKey};
use keywright_pki::name::{DistinguishedName, NameError, SubjectAltNames};
use keywright_pki::pem;
use keywright_pki::usage::{UnknownUsage, Usages};
use std::collections::BTreeMap;

/// Life of the root.
const ROOT_LIFE: SignedDuration = SignedDuration::from_hours(24 * 3650);
/// Life of an end's identity.
const END_LIFE: SignedDuration = SignedDuration::from_hours(24 * 365);
/// Clocks of other machines may be behind by this much.
const BACKDATE: SignedDuration = SignedDuration::from_mins(5);

/// The entries of a Secret.
pub(crate) type Entries = BTreeMap<String, ByteString>;

/// A key and its certificate.
pub(crate) struct Identity {
    key: PrivateKey,
    certificate: Certificate,
}

/// An identity could not be made. Only the random source can be mended by trying again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unmade {
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Usage(#[from] UnknownUsage),
    #[error(transparent)]
    Validity(#[from] ValidityError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error("the clock is out of range: {0}")]
    Clock(#[from] jiff::Error),
}

impl Identity {
    /// A new root.
    pub(crate) fn root(entropy: &dyn Entropy, now: Timestamp) -> Result<Self, Unmade> {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP384)?;
        let subject = DistinguishedName::with_common_name("Keywright suite root")?;
        let template = Template {
            ca: Some(CaProfile { path_length: Some(0), ..CaProfile::default() }),
            issuer_name: subject.to_der()?,
            subject,
            usages: Usages::authority(),
            ..blank(&key, entropy, now, ROOT_LIFE)?
        };
        let certificate = signed(&template, &key)?;
        Ok(Self { key, certificate })
    }

    /// A new identity for one end, signed by `root`; `name` is its DNS name.
    pub(crate) fn end(
        name: &str,
        root: &Self,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<Self, Unmade> {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256)?;
        let none: [&str; 0] = [];
        let template = Template {
            issuer_name: root.certificate.subject_der().to_vec(),
            authority_key_identifier: root.certificate.subject_key_identifier().map(<[u8]>::to_vec),
            subject: DistinguishedName::with_common_name(name)?,
            sans: SubjectAltNames::parse(&[name], &none, &none, &none)?,
            usages: Usages::parse(&["digital signature", "server auth", "client auth"])?,
            ..blank(&key, entropy, now, END_LIFE)?
        };
        let certificate = signed(&template, &root.key)?;
        Ok(Self { key, certificate })
    }

    /// The identity in `NAME.crt` and `NAME.key` of a Secret; `None` if there is none that reads and fits together.
    pub(crate) fn read(data: &Entries, name: &str) -> Option<Self> {
        let certificates = pem::read_certificates(&data.get(&format!("{name}.crt"))?.0).ok()?;
        let certificate = Certificate::from_der(certificates.first()?).ok()?;
        let key = PrivateKey::from_pem(&data.get(&format!("{name}.key"))?.0).ok()?;
        (key.public_key() == certificate.public_key()).then_some(Self { key, certificate })
    }

    /// True while more than a third of its life is left.
    pub(crate) fn lasts(&self, now: Timestamp) -> bool {
        self.is_valid(now) && now < self.renewal()
    }

    /// True within its life.
    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        self.certificate.validity().contains(now)
    }

    /// When a third of its life is left.
    pub(crate) fn renewal(&self) -> Timestamp {
        let validity = self.certificate.validity();
        validity.not_after().saturating_sub(validity.duration() / 3).unwrap_or(Timestamp::MIN)
    }

    /// True if `root` signed it.
    pub(crate) fn is_signed_by(&self, root: &Self) -> bool {
        self.certificate.verify_signed_by(root.certificate.public_key()).is_ok()
    }

    /// Its certificate.
    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// What the other end pins: SHA-256 of its SubjectPublicKeyInfo, hex.
    pub(crate) fn pin(&self) -> String {
        hex::encode(self.certificate.public_key().spki_sha256())
    }

    /// `NAME.crt` and `NAME.key`.
    pub(crate) fn entries(&self, name: &str) -> Result<[(String, ByteString); 2], Unmade> {
        let key = self.key.to_pem(Encoding::Pkcs8)?;
        Ok([
            (format!("{name}.crt"), ByteString(self.certificate.to_pem().into_bytes())),
            (format!("{name}.key"), ByteString(key.as_bytes().to_vec())),
        ])
    }
}

fn blank(
    key: &PrivateKey,
    entropy: &dyn Entropy,
    now: Timestamp,
    life: SignedDuration,
) -> Result<Template, Unmade> {
    let mut random = [0; 20];
    entropy.fill(&mut random)?;
    let start = Timestamp::from_second(now.checked_sub(BACKDATE)?.as_second())?;
    Ok(Template {
        serial: Serial::from_random(random),
        subject: DistinguishedName::default(),
        sans: SubjectAltNames::default(),
        public_key: key.public_key().clone(),
        issuer_name: Vec::new(),
        authority_key_identifier: None,
        validity: Validity::new(start, start.checked_add(life)?)?,
        usages: Usages::default(),
        ca: None,
        crl_distribution_points: Vec::new(),
        ocsp_servers: Vec::new(),
        issuing_certificate_urls: Vec::new(),
    })
}

fn signed(template: &Template, key: &PrivateKey) -> Result<Certificate, Unmade> {
    let tbs = template.tbs_der(key.algorithm())?;
    Ok(assemble(&tbs, &key.sign(tbs.as_bytes())?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywright_ambient::SystemEntropy;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const DAY: i64 = 86_400;

    #[test]
    fn an_identity_survives_its_secret_and_is_signed_by_its_root() {
        let root = Identity::root(&SystemEntropy, at(1_800_000_000)).unwrap();
        let end = Identity::end("keywright-signer", &root, &SystemEntropy, at(1_800_000_000)).unwrap();
        let read = Identity::read(&end.entries("tls").unwrap().into(), "tls").unwrap();
        assert!(read.is_signed_by(&root));
        assert!(read.lasts(at(1_800_000_000 + 200 * DAY)));
        assert!(!read.lasts(at(1_800_000_000 + 300 * DAY)), "a third of the life is left for renewal");
        let other = Identity::root(&SystemEntropy, at(1_800_000_000)).unwrap();
        assert!(!read.is_signed_by(&other));
    }
}
