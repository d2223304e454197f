//! Makes and reads the webhook's certificates: ECDSA P-256 throughout, names only, for TLS servers only.

use der::Decode;
use jiff::{SignedDuration, Timestamp};
use keywright_ambient::{Entropy, NoEntropy};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::time::Duration;
use zeroize::Zeroizing;

/// Clocks of API servers may be behind by this much.
const BACKDATE: SignedDuration = SignedDuration::from_mins(5);

/// A certificate and its private key, both PEM.
pub struct Pair {
    /// The certificate.
    pub certificate: Certificate,
    /// The key, PKCS#8.
    pub key: Zeroizing<String>,
}

/// A certificate, and what has to be known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// One PEM block.
    pub pem: String,
    /// Common name of its subject; each root has another one.
    pub subject: String,
    /// Common name of its issuer.
    pub issuer: String,
    /// First instant of its validity.
    pub not_before: Timestamp,
    /// Last instant of its validity.
    pub not_after: Timestamp,
}

/// A certificate could not be made. Only the random source can be mended by trying again.
#[derive(Debug, thiserror::Error)]
pub enum Unmade {
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The library refuses.
    #[error("a certificate cannot be made: {0}")]
    Library(#[from] rcgen::Error),
    /// The clock is out of the range of certificates.
    #[error("the clock is out of range: {0}")]
    Clock(#[from] jiff::Error),
    /// What was just made does not read back; a defect.
    #[error("a certificate that was just made cannot be read: {0}")]
    Unreadable(#[from] Unreadable),
}

/// PEM that is no certificate of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate with the fields that the webhook's have: {0}")]
pub struct Unreadable(String);

/// A new root, valid for `life` from now on.
pub fn root(entropy: &dyn Entropy, now: Timestamp, life: SignedDuration) -> Result<Pair, Unmade> {
    let mut tag = [0; 8];
    entropy.fill(&mut tag)?;
    let mut params = root_params(&format!("Keywright webhook root {}", hex::encode(tag)));
    valid(&mut params, entropy, now, now.checked_add(life)?)?;
    let key = KeyPair::generate()?;
    let certificate = Certificate::read(&params.self_signed(&key)?.pem())?;
    Ok(Pair { certificate, key: Zeroizing::new(key.serialize_pem()) })
}

/// A new serving certificate of `root` for these DNS names and addresses, valid for `life` but not past its root.
pub fn leaf(
    root: &Certificate,
    root_key: &str,
    names: &[String],
    entropy: &dyn Entropy,
    now: Timestamp,
    life: SignedDuration,
) -> Result<Pair, Unmade> {
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, crate::NAME);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, entropy, now, now.checked_add(life)?.min(root.not_after))?;
    let issuer = Issuer::new(root_params(&root.subject), KeyPair::from_pem(root_key)?);
    let key = KeyPair::generate()?;
    let certificate = Certificate::read(&params.signed_by(&key, &issuer)?.pem())?;
    Ok(Pair { certificate, key: Zeroizing::new(key.serialize_pem()) })
}

fn root_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn valid(
    params: &mut CertificateParams,
    entropy: &dyn Entropy,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), Unmade> {
    let mut serial = [0; 16];
    entropy.fill(&mut serial)?;
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let since_epoch = |at: Timestamp| Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0));
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(now.checked_sub(BACKDATE)?);
    params.not_after = epoch + since_epoch(until);
    Ok(())
}

impl Certificate {
    /// Reads the first certificate of a PEM text.
    pub fn read(pem: &str) -> Result<Self, Unreadable> {
        let all = Self::read_all(pem);
        all.into_iter().next().unwrap_or_else(|| Err(Unreadable("no PEM block".to_owned())))
    }

    /// Reads every certificate of a PEM text, each by itself.
    pub fn read_all(pem: &str) -> Vec<Result<Self, Unreadable>> {
        let blocks = CertificateDer::pem_slice_iter(pem.as_bytes());
        blocks
            .map(|block| block.map_err(|e| Unreadable(e.to_string())).and_then(|der| Self::of_der(&der)))
            .collect()
    }

    fn of_der(der: &CertificateDer<'_>) -> Result<Self, Unreadable> {
        let broken = |error: der::Error| Unreadable(error.to_string());
        let read = x509_cert::Certificate::from_der(der).map_err(broken)?;
        let fields = read.tbs_certificate();
        let name = |name: &x509_cert::name::Name| match name.common_name() {
            Ok(Some(text)) => Ok(text.value().into_owned()),
            Ok(None) => Err(Unreadable("a name without common name".to_owned())),
            Err(error) => Err(Unreadable(error.to_string())),
        };
        let at = |time: x509_cert::time::Time| {
            let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
            Timestamp::from_second(seconds).map_err(|error| Unreadable(error.to_string()))
        };
        Ok(Self {
            pem: pem_block("CERTIFICATE", der),
            subject: name(fields.subject())?,
            issuer: name(fields.issuer())?,
            not_before: at(fields.validity().not_before)?,
            not_after: at(fields.validity().not_after)?,
        })
    }

    /// True while more than a third of its life is left.
    pub fn lasts(&self, now: Timestamp) -> bool {
        now >= self.not_before && now < self.renew_at()
    }

    /// When two thirds of its life are over.
    pub fn renew_at(&self) -> Timestamp {
        let life = self.not_after.duration_since(self.not_before);
        self.not_before.checked_add(life / 3 * 2).unwrap_or(self.not_after)
    }

    /// Whether it is valid at an instant.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        now >= self.not_before && now <= self.not_after
    }
}

/// One PEM block, always written the same way, so that bundles compare as text (RFC 7468, 64 columns).
fn pem_block(label: &str, der: &[u8]) -> String {
    let pem = der::pem::encode_string(label, der::pem::LineEnding::LF, der);
    pem.expect("a label of letters and fewer octets than memory always encode")
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywright_ambient::SystemEntropy;

    #[test]
    fn a_leaf_names_its_root_and_never_outlives_it() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let day = SignedDuration::from_hours(24);
        let root = root(&SystemEntropy, now, day * 10).unwrap();
        let names = ["keywright-webhook.keywright-system.svc".to_owned(), "127.0.0.1".to_owned()];
        let make =
            |life| leaf(&root.certificate, &root.key, &names, &SystemEntropy, now, life).unwrap().certificate;
        let short = make(day);
        assert_eq!(
            (short.issuer.as_str(), short.subject.as_str()),
            (root.certificate.subject.as_str(), crate::NAME)
        );
        assert_eq!(short.not_after, now + day);
        assert_eq!(make(day * 30).not_after, root.certificate.not_after);
        assert!(short.lasts(now) && !short.lasts(now + SignedDuration::from_hours(17)));
    }

    #[test]
    fn a_leaf_is_accepted_by_a_client_that_trusts_its_root_and_by_no_other() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let day = SignedDuration::from_hours(24);
        let (one, other) = (root(&SystemEntropy, now, day).unwrap(), root(&SystemEntropy, now, day).unwrap());
        assert_ne!(one.certificate.subject, other.certificate.subject);
        let names = ["127.0.0.1".to_owned()];
        let leaf = leaf(&one.certificate, &one.key, &names, &SystemEntropy, now, day).unwrap();
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let accepts = |root: &Pair| {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(der(&root.certificate.pem)).unwrap();
            let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let verifier =
                rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
                    .build()
                    .unwrap();
            let name = rustls_pki_types::ServerName::try_from("127.0.0.1").unwrap();
            let at = rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_hours(500_000));
            rustls::client::danger::ServerCertVerifier::verify_server_cert(
                verifier.as_ref(),
                &der(&leaf.certificate.pem),
                &[],
                &name,
                &[],
                at,
            )
            .is_ok()
        };
        assert!(accepts(&one) && !accepts(&other));
    }
}
