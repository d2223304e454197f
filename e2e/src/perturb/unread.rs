//! A judge for leaves whose key openssl cannot read: before version 3.5 it knows no ML-DSA.
//!
//! openssl still judges what it can: the issuer's signature over the leaf, and the chain above it. Whether the private key
//! is the leaf's, RustCrypto's `ml-dsa` says.

use super::judge::openssl;
use super::sampler::Sample;
use ml_dsa::pkcs8::{DecodePrivateKey, EncodePublicKey};
use ml_dsa::{Keypair, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, SigningKey, VerifyingKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::pem::LineEnding;
use x509_cert::der::{Encode, EncodePem};

/// id-ml-dsa-44, 65 and 87 (RFC 9881 section 2).
const ML_DSA: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17"),
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18"),
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.19"),
];

/// Signature algorithms of issuers (RFC 5758 section 3.2) and the digest that openssl is told.
const ECDSA: [(ObjectIdentifier, &str); 3] = [
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"), "sha256"),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"), "sha384"),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"), "sha512"),
];

/// Whether this judge has to be asked: the leaf's key is ML-DSA and openssl cannot print it.
pub(super) fn has_to_judge(folder: &Path, sample: &Sample) -> bool {
    let leaf =
        Certificate::load_pem_chain(&sample.certificate).ok().and_then(|chain| chain.into_iter().next());
    leaf.is_some_and(|leaf| ML_DSA.contains(&leaf.tbs_certificate().subject_public_key_info().algorithm.oid))
        && openssl(folder, "x509 -in tls.crt -noout -pubkey").is_err()
}

/// Chain to `ca.crt` and key to certificate, of a sample that lies in `folder`.
pub(super) fn judge(folder: &Path, sample: &Sample) -> Result<(), String> {
    let read = |pem: &[u8]| Certificate::load_pem_chain(pem).map_err(|error| error.to_string());
    let chain: Vec<Certificate> = read(&sample.certificate)?.into_iter().chain(read(&sample.root)?).collect();
    let [leaf, issuer, ..] = chain.as_slice() else { return Err("tls.crt holds no certificate".into()) };
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).map_err(|error| error.to_string())
    };
    write("issuer.crt", issuer.to_pem(LineEnding::LF).map_err(|error| error.to_string())?.as_bytes())?;
    openssl(folder, "verify -x509_strict -no_check_time -CAfile ca.crt -untrusted tls.crt issuer.crt")?;
    if leaf.tbs_certificate().issuer() != issuer.tbs_certificate().subject() {
        return Err("the leaf names another issuer than the certificate that follows it".into());
    }
    let signed_with = leaf.signature_algorithm().oid;
    let Some((_, digest)) = ECDSA.iter().find(|(oid, _)| *oid == signed_with) else {
        return Err(format!("a leaf that openssl cannot read is signed by {signed_with}, not by ECDSA"));
    };
    write("tbs", &leaf.tbs_certificate().to_der().map_err(|error| error.to_string())?)?;
    write("signature", leaf.signature().raw_bytes())?;
    write("issuer.pub", openssl(folder, "x509 -in issuer.crt -noout -pubkey")?.as_bytes())?;
    openssl(folder, &format!("dgst -{digest} -verify issuer.pub -signature signature tbs"))?;
    let spki = leaf.tbs_certificate().subject_public_key_info();
    let certified = spki.to_der().map_err(|error| error.to_string())?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(&sample.key).map_err(|error| error.to_string())?;
    let key = key.secret_pkcs8_der();
    let [small, middle, _] = ML_DSA;
    let of_key = match spki.algorithm.oid {
        oid if oid == small => public::<MlDsa44>(key),
        oid if oid == middle => public::<MlDsa65>(key),
        _ => public::<MlDsa87>(key),
    };
    if of_key? == certified { Ok(()) } else { Err("tls.key is not the key of tls.crt".into()) }
}

/// SubjectPublicKeyInfo of a private key, DER.
fn public<P: MlDsaParams>(pkcs8: &[u8]) -> Result<Vec<u8>, String>
where
    SigningKey<P>: DecodePrivateKey,
    VerifyingKey<P>: EncodePublicKey,
{
    let key = SigningKey::<P>::from_pkcs8_der(pkcs8).map_err(|error| error.to_string())?;
    Ok(key.verifying_key().to_public_key_der().map_err(|error| error.to_string())?.into_vec())
}
