//! Certificates, requests and keys.

use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::Certificate;
use keywright_pki::chain;
use keywright_pki::csr::Csr;
use keywright_pki::key::{Encoding, PrivateKey, PublicKey};
use keywright_pki::lint::lint_certificate;
use keywright_pki::name::DistinguishedName;
use keywright_pki::pem::{self, Label};

/// PKCS#10: what reads as DER reads the same from PEM, and its key reads back.
pub fn csr(bytes: &[u8]) {
    let _ = Csr::from_pem(bytes);
    let Ok(read) = Csr::parse(bytes) else { return };
    let text = pem::write(Label::CertificateRequest, bytes);
    assert_eq!(Csr::from_pem(text.as_bytes()).as_ref(), Ok(&read), "PEM of the same bytes");
    let spki = read.public_key().spki_der();
    assert_eq!(PublicKey::from_spki_der(spki).as_ref(), Ok(read.public_key()), "the key reads back");
}

/// X.509: the bytes are kept, PEM says the same, chains over it and checks of its names end.
pub fn certificate(bytes: &[u8]) {
    let Ok(read) = Certificate::from_der(bytes) else { return };
    assert_eq!(read.der(), bytes, "the bytes are those that were read");
    assert_eq!(Certificate::from_pem(read.to_pem().as_bytes()).as_ref(), Ok(&read), "PEM of the same bytes");
    if read.unsupported_subject_attributes() == 0 {
        let again = DistinguishedName::from_der(read.subject_der());
        assert_eq!(again.as_ref(), Ok(read.subject()), "the subject reads the same alone");
    }
    let at = read.validity().not_before();
    let one = std::slice::from_ref(&read);
    let _ = chain::verify(&read, &[], &read, at);
    let _ = chain::verify(&read, one, &read, at);
    if let Some(constraints) = read.name_constraints() {
        let _ = constraints.check(read.subject(), read.sans());
        assert_eq!(constraints.is_no_looser_than(constraints), Ok(()), "nothing is looser than itself");
    }
    let _ = read.is_self_signed();
}

/// The linter: a certificate without findings is one that the reader takes and that has nothing left out.
pub fn lint(bytes: &[u8]) {
    let _ = keywright_pki::lint::lint(bytes);
    if !lint_certificate(bytes).is_empty() {
        return;
    }
    let read = Certificate::from_der(bytes).expect("what has no findings can be read");
    assert_eq!(read.unsupported_sans(), 0, "every alternative name is known");
    assert_eq!(read.unsupported_subject_attributes(), 0, "every attribute is known");
    assert!(read.unhandled_critical_extensions().is_empty(), "every critical extension is known");
}

/// PEM: what was read is written and read again the same; the readers of one kind agree with it.
pub fn pem(bytes: &[u8]) {
    let _ = Certificate::from_pem(bytes);
    let _ = Csr::from_pem(bytes);
    let _ = PrivateKey::from_pem(bytes);
    let certificates = pem::read_certificates(bytes);
    let Ok(blocks) = pem::read(bytes) else {
        assert!(certificates.is_err(), "no PEM holds no certificates");
        return;
    };
    let only_certificates = blocks.iter().all(|block| block.label == Label::Certificate);
    assert_eq!(certificates.is_ok(), only_certificates, "only certificates or none");
    let text: String = blocks.iter().map(|block| pem::write(block.label, &block.der).to_string()).collect();
    if text.len() <= pem::MAX_LEN {
        let again = pem::read(text.as_bytes()).expect("what was written reads back");
        assert_eq!(again.len(), blocks.len(), "as many blocks");
        for (one, other) in blocks.iter().zip(&again) {
            assert!(one.label == other.label && one.der == other.der, "the same blocks");
        }
    }
}

/// Private keys: what reads signs for its own public key, and is written and read again the same.
pub fn private_key(bytes: &[u8]) {
    for key in [PrivateKey::from_pkcs8_der(bytes), PrivateKey::from_pem(bytes)].into_iter().flatten() {
        let signature = key.sign(b"message").expect("a key that was read signs");
        key.public_key().verify(b"message", &signature).expect("both halves belong together");
        let der = key.to_pkcs8_der().expect("a key that was read can be written");
        let again = PrivateKey::from_pkcs8_der(&der).expect("what was written reads back");
        assert_eq!(again.public_key(), key.public_key());
        let text = key.to_pem(Encoding::Pkcs1).expect("a key that was read can be written");
        let again = PrivateKey::from_pem(text.as_bytes()).expect("what was written reads back");
        assert_eq!(again.public_key(), key.public_key());
    }
}

/// Public keys: the bytes are kept and have one form; no key takes nothing for a signature.
pub fn public_key(bytes: &[u8]) {
    let Ok(key) = PublicKey::from_spki_der(bytes) else { return };
    assert_eq!(key.spki_der(), bytes);
    assert!(KeyAlgorithm::ALL.contains(&key.algorithm()));
    for signature in [&[][..], &[0; 64], &[0x30, 6, 2, 1, 0, 2, 1, 0]] {
        assert!(key.verify(b"message", signature).is_err(), "a signature that nobody made");
    }
    // The neutral element and zero: it verifies under every Ed25519 key of small order.
    let mut neutral = [0; 64];
    neutral[0] = 1;
    assert!(key.verify(b"message", &neutral).is_err(), "a signature that needs no private key");
}
