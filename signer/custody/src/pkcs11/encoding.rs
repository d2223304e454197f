//! What tokens say in their own way, in DER: public keys (RFC 5480, RFC 8017, RFC 8410) and ECDSA signatures.

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::{Any, BitString, Null, OctetStringRef, UintRef};
use der::{Decode as _, Encode as _, Sequence};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

#[derive(Sequence)]
struct TwoIntegers<'a> {
    first: UintRef<'a>,
    second: UintRef<'a>,
}

fn spki(oid: ObjectIdentifier, parameters: Option<Any>, key: &[u8]) -> Option<Vec<u8>> {
    let algorithm = AlgorithmIdentifierOwned { oid, parameters };
    let subject_public_key = BitString::from_bytes(key).ok()?;
    SubjectPublicKeyInfoOwned { algorithm, subject_public_key }.to_der().ok()
}

/// The point in CKA_EC_POINT: an OCTET STRING around it, or (older tokens) the bare point of `len` bytes.
fn point(attribute: &[u8], len: usize) -> Option<&[u8]> {
    let inner = <&OctetStringRef>::from_der(attribute).ok().map(OctetStringRef::as_bytes);
    inner.filter(|point| point.len() == len).or_else(|| Some(attribute).filter(|point| point.len() == len))
}

/// An ECDSA public key. `coordinate`: bytes of one coordinate. `None` when the attribute holds no uncompressed point.
pub(super) fn ec_spki(curve: ObjectIdentifier, coordinate: usize, ec_point: &[u8]) -> Option<Vec<u8>> {
    let point = point(ec_point, 1 + 2 * coordinate).filter(|point| point.first() == Some(&4))?;
    spki(rfc5912::ID_EC_PUBLIC_KEY, Some(Any::encode_from(&curve).ok()?), point)
}

/// An Ed25519 public key.
pub(super) fn ed25519_spki(ec_point: &[u8]) -> Option<Vec<u8>> {
    spki(rfc8410::ID_ED_25519, None, point(ec_point, 32)?)
}

/// An RSA public key.
pub(super) fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    let key = TwoIntegers { first: UintRef::new(modulus).ok()?, second: UintRef::new(exponent).ok()? };
    spki(rfc5912::RSA_ENCRYPTION, Some(Any::encode_from(&Null).ok()?), &key.to_der().ok()?)
}

/// `ECDSA-Sig-Value` from the two halves that a token gives.
pub(super) fn ecdsa_signature(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.is_empty() || !raw.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = raw.split_at(raw.len() / 2);
    TwoIntegers { first: UintRef::new(r).ok()?, second: UintRef::new(s).ok()? }.to_der().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_integers_without_needless_zeros_and_with_needed_ones() {
        assert_eq!(ecdsa_signature(&[0, 1, 0x80, 2]), Some(vec![0x30, 8, 2, 1, 1, 2, 3, 0, 0x80, 2]));
        assert_eq!(ecdsa_signature(&[1, 2, 3]), None);
        assert_eq!(ecdsa_signature(&[]), None);
    }

    #[test]
    fn a_point_is_taken_wrapped_or_bare_and_only_uncompressed() {
        let bare = [&[4][..], &[7; 64]].concat();
        let wrapped = [&[4, 65][..], &bare].concat();
        let wanted = ec_spki(rfc5912::SECP_256_R_1, 32, &bare).unwrap();
        assert_eq!(ec_spki(rfc5912::SECP_256_R_1, 32, &wrapped), Some(wanted));
        let compressed = [&[2][..], &[7; 64]].concat();
        assert_eq!(ec_spki(rfc5912::SECP_256_R_1, 32, &compressed), None);
        assert_eq!(ec_spki(rfc5912::SECP_256_R_1, 32, &bare[..64]), None);
        assert!(ed25519_spki(&[[4, 32].to_vec(), vec![9; 32]].concat()).is_some());
    }
}
