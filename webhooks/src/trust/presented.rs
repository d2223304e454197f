//! The certificate that is served now, and when another may take its place.

use super::keys::Keys;
use super::material::{Certificate, Pair};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What is served, shared by the TLS listener, the reviews (which name the bundle to the probe) and the keeper.
#[derive(Default)]
pub struct Presented(RwLock<Option<Served>>);

struct Served {
    key: Arc<CertifiedKey>,
    certificate: Certificate,
    pem_key: Zeroizing<String>,
    bundle: String,
}

/// The Secret's certificate cannot be served.
#[derive(Debug, thiserror::Error)]
#[error(
    "the certificate in Secret keywright-webhook-tls cannot be served: {0}; delete the Secret, and it is made anew"
)]
pub struct Unservable(String);

impl Presented {
    /// The certificate that is served.
    pub fn certificate(&self) -> Option<Certificate> {
        self.read(|served| served.certificate.clone())
    }

    /// Fingerprint of the bundle that goes with it.
    pub fn bundle(&self) -> Option<String> {
        self.read(|served| served.bundle.clone())
    }

    /// The served certificate and its key, for a Secret that was lost.
    pub fn pair(&self) -> Option<Pair> {
        self.read(|served| Pair { certificate: served.certificate.clone(), key: served.pem_key.clone() })
    }

    /// From now on the certificate of `keys` is served.
    pub fn adopt(&self, keys: &Keys) -> Result<(), Unservable> {
        let broken = |error: &dyn std::fmt::Display| Unservable(error.to_string());
        let leaf = &keys.leaf;
        let chain =
            CertificateDer::from_pem_slice(leaf.certificate.pem.as_bytes()).map_err(|e| broken(&e))?;
        let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).map_err(|e| broken(&e))?;
        let provider: CryptoProvider = rustls::crypto::aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(vec![chain], key, &provider).map_err(|e| broken(&e))?;
        let served = Served {
            key: Arc::new(key),
            certificate: leaf.certificate.clone(),
            pem_key: leaf.key.clone(),
            bundle: fingerprint(&keys.bundle()),
        };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(served);
        Ok(())
    }

    /// The bundle has changed around the certificate that is served.
    pub fn rebundle(&self, bundle: &str) {
        if let Some(served) = self.0.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            served.bundle = fingerprint(bundle);
        }
    }

    fn read<T>(&self, part: impl FnOnce(&Served) -> T) -> Option<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(part)
    }
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Presented").field(&self.certificate().map(|certificate| certificate.issuer)).finish()
    }
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.read(|served| Arc::clone(&served.key))
    }
}

/// The first 16 octets of a bundle's SHA-256, hexadecimal: enough to tell bundles apart in a message.
pub fn fingerprint(bundle: &str) -> String {
    hex::encode(&digest(&SHA256, bundle.as_bytes()).as_ref()[..16])
}

/// Whether `candidate` may be served instead of `current`. `known`: every API server knows the candidate's root.
pub fn may_serve(
    current: Option<&Certificate>,
    candidate: &Certificate,
    known: bool,
    now: Timestamp,
) -> bool {
    match current {
        // There is nothing to lose.
        None => true,
        Some(current) if current == candidate => false,
        Some(current) => known || !current.is_valid(now),
    }
}

/// Since when the configurations have carried each root without a break.
#[derive(Debug, Default)]
pub struct Known(BTreeMap<String, Instant>);

impl Known {
    /// Notes the roots that all configurations carry at this instant.
    pub fn note(&mut self, carried: &[Certificate], now: Instant) {
        let before = std::mem::take(&mut self.0);
        for root in carried {
            self.0.insert(root.subject.clone(), before.get(&root.subject).copied().unwrap_or(now));
        }
    }

    /// How long until this root has been carried for `settle`: zero when it has; none when it is not carried.
    pub fn until(&self, root: &str, settle: Duration, now: Instant) -> Option<Duration> {
        let since = self.0.get(root)?;
        Some(settle.saturating_sub(now.saturating_duration_since(*since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::material;
    use jiff::SignedDuration;
    use keywright_ambient::{Clock, SystemClock, SystemEntropy};

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hour * 3_600).unwrap()
    }

    fn certificate() -> Certificate {
        material::root(&SystemEntropy, at(0), SignedDuration::from_hours(10)).unwrap().certificate
    }

    #[test]
    fn another_certificate_is_served_only_when_its_root_is_known_or_nothing_else_works() {
        let (one, other) = (certificate(), certificate());
        assert!(may_serve(None, &one, false, at(1)));
        assert!(!may_serve(Some(&one), &one, true, at(1)));
        assert!(!may_serve(Some(&one), &other, false, at(1)));
        assert!(may_serve(Some(&one), &other, true, at(1)));
        assert!(may_serve(Some(&one), &other, false, at(11)), "the served one has expired");
    }

    #[test]
    fn a_root_is_known_after_it_was_carried_without_a_break() {
        let (start, settle) = (SystemClock.monotonic(), Duration::from_secs(30));
        let root = certificate();
        let mut known = Known::default();
        let until =
            |known: &Known, second| known.until(&root.subject, settle, start + Duration::from_secs(second));
        assert_eq!(until(&known, 0), None);
        known.note(std::slice::from_ref(&root), start);
        known.note(std::slice::from_ref(&root), start + Duration::from_secs(10));
        assert_eq!(until(&known, 10), Some(Duration::from_secs(20)));
        assert_eq!(until(&known, 31), Some(Duration::ZERO));
        known.note(&[], start + Duration::from_secs(40));
        known.note(std::slice::from_ref(&root), start + Duration::from_secs(50));
        assert_eq!(until(&known, 60), Some(Duration::from_secs(20)));
    }
}
