//! Identities of the suite's own parts and the pins that one end holds of the other. Pure but for the key generator.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use keywright_ambient::{Entropy, NoEntropy};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::{
    AssembleError, CaProfile, Certificate, Serial, Template, TemplateError, Validity, ValidityError, assemble,
};
use keywright_pki::key::{Encoding, KeyError, PrivateKey};
use keywright_pki::name::{DistinguishedName, NameError, SubjectAltNames};
use keywright_pki::pem;
use keywright_pki::usage::{UnknownUsage, Usages};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Life of the root.
const ROOT_LIFE: SignedDuration = SignedDuration::from_hours(24 * 3650);
/// Life of an end's identity.
const END_LIFE: SignedDuration = SignedDuration::from_hours(24 * 365);
/// Clocks of other machines may be behind by this much.
const BACKDATE: SignedDuration = SignedDuration::from_mins(5);

/// Entry of the Secrets that remembers until when each pin holds.
const PINS: &str = "pins.json";

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

    /// The identity that a Secret holds; `None` if there is none that reads and fits together.
    pub(crate) fn of_secret(secret: &Secret) -> Option<Self> {
        let data = secret.data.as_ref()?;
        let certificates = pem::read_certificates(&data.get("tls.crt")?.0).ok()?;
        let certificate = Certificate::from_der(certificates.first()?).ok()?;
        let key = PrivateKey::from_pem(&data.get("tls.key")?.0).ok()?;
        (key.public_key() == certificate.public_key()).then_some(Self { key, certificate })
    }

    /// True while more than a third of its life is left.
    pub(crate) fn lasts(&self, now: Timestamp) -> bool {
        let validity = self.certificate.validity();
        let left = validity.not_after().duration_since(now);
        validity.contains(now) && left > validity.duration() / 3
    }

    /// True if `root` signed it.
    pub(crate) fn is_signed_by(&self, root: &Self) -> bool {
        self.certificate.verify_signed_by(root.certificate.public_key()).is_ok()
    }

    /// Its certificate.
    pub(crate) fn certificate_pem(&self) -> String {
        self.certificate.to_pem()
    }

    /// `tls.crt` and `tls.key`.
    pub(crate) fn entries(&self) -> Result<BTreeMap<String, ByteString>, Unmade> {
        Ok(BTreeMap::from([
            ("tls.crt".to_owned(), ByteString(self.certificate_pem().into_bytes())),
            ("tls.key".to_owned(), ByteString(self.key.to_pem(Encoding::Pkcs8)?.as_bytes().to_vec())),
        ]))
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

/// The key that one end expects of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    name: String,
    role: String,
    spki_sha256: String,
    /// Seconds since the epoch; after it the pin is dropped.
    until: i64,
}

impl Pin {
    /// The pin of an identity.
    pub(crate) fn new(name: &str, role: &str, identity: &Identity) -> Self {
        Self {
            name: name.to_owned(),
            role: role.to_owned(),
            spki_sha256: hex::encode(identity.certificate.public_key().spki_sha256()),
            until: identity.certificate.validity().not_after().as_second(),
        }
    }

    /// The pins that a Secret holds; none if they do not read.
    pub(crate) fn of_secret(secret: &Secret) -> Vec<Self> {
        let file = secret.data.as_ref().and_then(|data| data.get(PINS));
        let parsed: Option<Value> = file.and_then(|bytes| serde_json::from_slice(&bytes.0).ok());
        let peers = parsed.as_ref().and_then(Value::as_array).into_iter().flatten();
        peers
            .filter_map(|peer| {
                let text = |name: &str| peer[name].as_str().map(str::to_owned);
                Some(Self {
                    name: text("name")?,
                    role: text("role")?,
                    spki_sha256: text("spkiSha256")?,
                    until: peer["until"].as_i64()?,
                })
            })
            .collect()
    }

    /// The pins of now, and those of before that are still within their life.
    pub(crate) fn merge(
        before: &[Self],
        now_pinned: impl Iterator<Item = Self>,
        now: Timestamp,
    ) -> Vec<Self> {
        let mut pins: Vec<Self> = now_pinned.collect();
        for old in before {
            if old.until > now.as_second() && pins.iter().all(|pin| pin.spki_sha256 != old.spki_sha256) {
                pins.push(old.clone());
            }
        }
        pins
    }

    /// `peers.json`, which the ends read, and `pins.json`, which says until when each pin holds.
    pub(crate) fn entries(pins: &[Self]) -> [(String, ByteString); 2] {
        let peer = |p: &Self| json!({"name": p.name, "role": p.role, "spkiSha256": p.spki_sha256});
        let pin =
            |p: &Self| json!({"name": p.name, "role": p.role, "spkiSha256": p.spki_sha256, "until": p.until});
        let peers = json!({ "peers": pins.iter().map(peer).collect::<Vec<_>>() });
        let kept = Value::Array(pins.iter().map(pin).collect());
        [
            ("peers.json".to_owned(), ByteString(peers.to_string().into_bytes())),
            (PINS.to_owned(), ByteString(kept.to_string().into_bytes())),
        ]
    }
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
        let secret = Secret { data: Some(end.entries().unwrap()), ..Secret::default() };
        let read = Identity::of_secret(&secret).unwrap();
        assert!(read.is_signed_by(&root));
        assert!(read.lasts(at(1_800_000_000 + 200 * DAY)));
        assert!(!read.lasts(at(1_800_000_000 + 300 * DAY)), "a third of the life is left for renewal");
        let other = Identity::root(&SystemEntropy, at(1_800_000_000)).unwrap();
        assert!(!read.is_signed_by(&other));
    }

    #[test]
    fn an_old_pin_stays_until_its_certificate_has_expired() {
        let pin = |key: &str, until| Pin {
            name: "keywright-signer".into(),
            role: "signer".into(),
            spki_sha256: key.into(),
            until,
        };
        let shown = |now| {
            let pins = Pin::merge(&[pin("old", 100)], [pin("new", 900)].into_iter(), at(now));
            let secret = Secret { data: Some(Pin::entries(&pins).into()), ..Secret::default() };
            Pin::of_secret(&secret).into_iter().map(|p| p.spki_sha256).collect::<Vec<_>>()
        };
        assert_eq!(shown(50), ["new", "old"]);
        assert_eq!(shown(150), ["new"]);
    }
}
