//! The secret bytes of keys of every algorithm, taken apart here and not by the code under test.

use aws_lc_rs::digest::{SHA512, digest};
use aws_lc_rs::encoding::AsRawBytes as _;
use aws_lc_rs::signature::{ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::key::PrivateKey;

/// A secret and what it is called.
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// One DER element: tag, content, what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), rest.get(2..)?),
        0x80 | 0x83.. => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// The elements of a sequence, in order.
fn elements(mut der: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some((tag, content, after)) = element(der) {
        found.push((tag, content.to_vec()));
        der = after;
    }
    found
}

/// The content of the private key of a PKCS#8 document.
fn private_part(pkcs8: &[u8]) -> Vec<u8> {
    let (_, outer, _) = element(pkcs8).unwrap();
    elements(outer)[2].1.clone()
}

/// All secrets of a key: scalars, seeds, expanded keys, factors, exponents.
pub(crate) fn of(key: &PrivateKey) -> Vec<Secret> {
    let algorithm = key.algorithm();
    let part = private_part(&key.to_pkcs8_der().unwrap());
    let parts: Vec<(&str, Vec<u8>)> = match algorithm {
        KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384 | KeyAlgorithm::EcdsaP521 => {
            let (_, sequence, _) = element(&part).unwrap();
            vec![("d", elements(sequence)[1].1.clone())]
        }
        KeyAlgorithm::Ed25519 => {
            let seed = elements(&part)[0].1.clone();
            let mut expanded = digest(&SHA512, &seed).as_ref().to_vec();
            expanded[0] &= 0xf8;
            expanded[31] = expanded[31] & 0x7f | 0x40;
            vec![("seed", seed), ("scalar", expanded[..32].to_vec()), ("prefix", expanded[32..].to_vec())]
        }
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
            let (_, sequence, _) = element(&part).unwrap();
            let numbers = elements(sequence);
            ["d", "p", "q", "d mod p-1", "d mod q-1", "1/q mod p"]
                .into_iter()
                .zip(&numbers[3..9])
                .map(|(name, (_, number))| {
                    (name, number.iter().copied().skip_while(|byte| *byte == 0).collect())
                })
                .collect()
        }
        KeyAlgorithm::MlDsa44 | KeyAlgorithm::MlDsa65 | KeyAlgorithm::MlDsa87 => {
            let seed = elements(&part)[0].1.clone();
            assert_eq!(seed.len(), 32);
            let signing = match algorithm {
                KeyAlgorithm::MlDsa44 => &ML_DSA_44_SIGNING,
                KeyAlgorithm::MlDsa65 => &ML_DSA_65_SIGNING,
                _ => &ML_DSA_87_SIGNING,
            };
            let pair = PqdsaKeyPair::from_seed(signing, &seed).unwrap();
            let expanded = pair.private_key().as_raw_bytes().unwrap().as_ref().to_vec();
            // FIPS 204 section 7.2: rho (public), K, tr (a hash of the public key), s1, s2, t0.
            vec![("seed", seed), ("K", expanded[32..64].to_vec()), ("s1 s2 t0", expanded[128..].to_vec())]
        }
    };
    parts
        .into_iter()
        .map(|(name, bytes)| {
            assert!(bytes.len() >= 16, "{algorithm} {name}");
            Secret { name: format!("{algorithm} {name}"), bytes }
        })
        .collect()
}
