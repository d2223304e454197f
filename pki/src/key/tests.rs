use super::*;
use crate::algorithm::SignatureAlgorithm;
use crate::pem::{self, Label};
use der::asn1::{AnyRef, BitStringRef, OctetStringRef, UintRef};
use der::{Decode, Encode};
use pkcs8::PrivateKeyInfoRef;
use std::process::Command;

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is needed for this test");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// PKCS#8 PEM of a fresh key.
fn genpkey(options: &[&str]) -> Vec<u8> {
    openssl(&[&["genpkey"], options].concat())
}

fn refusal(pem: &[u8]) -> String {
    PrivateKey::from_pem(pem).err().expect("the key must be refused").to_string()
}

fn spki(oid: const_oid::ObjectIdentifier, parameters: Option<AnyRef<'_>>, bits: &[u8]) -> Vec<u8> {
    let algorithm = spki::AlgorithmIdentifierRef { oid, parameters };
    let subject_public_key = BitStringRef::from_bytes(bits).unwrap();
    spki::SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().unwrap()
}

fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let numbers = vec![UintRef::new(modulus).unwrap(), UintRef::new(exponent).unwrap()].to_der().unwrap();
    let null = AnyRef::from(der::asn1::Null);
    spki(const_oid::db::rfc5912::RSA_ENCRYPTION, Some(null), &numbers)
}

#[test]
fn every_algorithm_signs_reads_back_and_tells_its_own_signatures() {
    for algorithm in KeyAlgorithm::ALL {
        let key = PrivateKey::generate(algorithm).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let signature = key.sign(b"message").unwrap();
        let public = PublicKey::from_spki_der(key.public_key().spki_der()).unwrap();
        assert_eq!(&public, key.public_key());
        public.verify(b"message", &signature).unwrap();
        assert_eq!(public.verify(b"other", &signature), Err(BadSignature));
        assert_eq!(public.verify(b"message", &[]), Err(BadSignature));
        assert_eq!(public.verify(b"message", signature.get(1..).unwrap()), Err(BadSignature));
        for at in [0, signature.len() / 2, signature.len() - 1] {
            let mut flipped = signature.clone();
            flipped[at] ^= 1;
            assert_eq!(public.verify(b"message", &flipped), Err(BadSignature), "{algorithm} {at}");
            assert_eq!(key.verify_own(b"message", &flipped), Err(BadSignature), "{algorithm} {at}");
        }
        // The second time with what was kept of the first.
        for _ in 0..2 {
            key.verify_own(b"message", &signature).unwrap();
            assert_eq!(key.verify_own(b"other", &signature), Err(BadSignature));
        }
        let stranger = PrivateKey::generate(algorithm).unwrap().sign(b"message").unwrap();
        assert_eq!(key.verify_own(b"message", &stranger), Err(BadSignature));

        let der = key.to_pkcs8_der().unwrap();
        assert_eq!(PrivateKey::from_pkcs8_der(&der).unwrap().public_key(), &public);
        for encoding in [Encoding::Pkcs1, Encoding::Pkcs8] {
            let pem = key.to_pem(encoding).unwrap();
            let again = PrivateKey::from_pem(pem.as_bytes()).unwrap();
            assert_eq!(again.public_key(), &public);
            public.verify(b"again", &again.sign(b"again").unwrap()).unwrap();
        }
    }
}

#[test]
fn labels_follow_the_encoding() {
    for (algorithm, encoding, label) in [
        (KeyAlgorithm::Rsa2048, Encoding::Pkcs1, Label::Pkcs1),
        (KeyAlgorithm::EcdsaP256, Encoding::Pkcs1, Label::Sec1),
        (KeyAlgorithm::Ed25519, Encoding::Pkcs1, Label::Pkcs8),
        (KeyAlgorithm::MlDsa44, Encoding::Pkcs1, Label::Pkcs8),
        (KeyAlgorithm::Rsa2048, Encoding::Pkcs8, Label::Pkcs8),
        (KeyAlgorithm::EcdsaP256, Encoding::Pkcs8, Label::Pkcs8),
    ] {
        let pem = PrivateKey::generate(algorithm).unwrap().to_pem(encoding).unwrap();
        assert_eq!(pem::read(pem.as_bytes()).unwrap()[0].label, label);
    }
}

#[test]
fn ml_dsa_keys_are_written_as_their_seed() {
    for algorithm in [KeyAlgorithm::MlDsa44, KeyAlgorithm::MlDsa65, KeyAlgorithm::MlDsa87] {
        let der = PrivateKey::generate(algorithm).unwrap().to_pkcs8_der().unwrap();
        let info = PrivateKeyInfoRef::try_from(der.as_slice()).unwrap();
        let key = info.private_key.as_bytes();
        assert_eq!((key.len(), key[0], key[1]), (34, 0x80, 32), "RFC 9881 section 6: [0] seed");
    }
}

#[test]
fn an_ml_dsa_key_without_its_seed_is_refused() {
    let expanded = OctetStringRef::new(&[0; 2560]).unwrap().to_der().unwrap();
    let algorithm =
        spki::AlgorithmIdentifierRef { oid: const_oid::db::fips204::ID_ML_DSA_44, parameters: None };
    let info = PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&expanded).unwrap());
    let error = PrivateKey::from_pkcs8_der(&info.to_der().unwrap()).err().unwrap().to_string();
    assert!(error.contains("without its seed"), "{error}");
}

#[test]
fn keys_of_others_are_read_in_all_their_forms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let path = path.to_str().unwrap();
    let ecparam = openssl(&["ecparam", "-name", "prime256v1", "-genkey"]);
    assert!(ecparam.starts_with(b"-----BEGIN EC PARAMETERS-----"));
    assert_eq!(PrivateKey::from_pem(&ecparam).unwrap().algorithm(), KeyAlgorithm::EcdsaP256);
    let rsa = genpkey(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    assert_eq!(PrivateKey::from_pem(&rsa).unwrap().algorithm(), KeyAlgorithm::Rsa2048);
    std::fs::write(path, &rsa).unwrap();
    let pkcs1 = openssl(&["rsa", "-in", path, "-traditional"]);
    assert!(pkcs1.starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
    assert_eq!(PrivateKey::from_pem(&pkcs1).unwrap().algorithm(), KeyAlgorithm::Rsa2048);
    let ed25519 = genpkey(&["-algorithm", "ED25519"]);
    assert_eq!(PrivateKey::from_pem(&ed25519).unwrap().algorithm(), KeyAlgorithm::Ed25519);
}

#[test]
fn keys_that_are_not_on_the_list_are_refused_with_the_list() {
    for (options, words) in [
        (&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"][..], "PKCS#8"),
        (&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2560"], "RSA with 2560 bits"),
        (
            &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"],
            "exponent",
        ),
        (&["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"], "1.2.840.113549.1.1.10"),
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"], "1.3.132.0.10"),
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp224r1"], "1.3.132.0.33"),
        (&["-algorithm", "ED448"], "1.3.101.113"),
        (&["-algorithm", "X25519"], "1.3.101.110"),
    ] {
        let error = refusal(&genpkey(options));
        assert!(error.contains(words), "{options:?}: {error}");
    }
    let key = PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap().to_pem(Encoding::Pkcs8).unwrap();
    assert!(refusal(key.repeat(2).as_bytes()).contains("several"));
    assert!(refusal(b"").contains("PEM"));
    assert!(refusal(pem::write(Label::Certificate, &[0x30, 0]).as_bytes()).contains("something else"));
}

#[test]
fn public_keys_with_a_trap_are_refused() {
    use const_oid::db::{fips204, rfc5912, rfc8410};
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let good = key.public_key().spki_der();
    let point = good.get(good.len() - 65..).unwrap();
    let curve = AnyRef::from(&rfc5912::SECP_256_R_1);
    let ec = |bits: &[u8]| spki(rfc5912::ID_EC_PUBLIC_KEY, Some(curve), bits);
    assert_eq!(ec(point), good);
    let mut off_curve = point.to_vec();
    off_curve[64] ^= 1;
    let mut compressed = point.get(..33).unwrap().to_vec();
    compressed[0] = 2 + (point[64] & 1);
    let null = AnyRef::from(der::asn1::Null);
    let modulus = [0xff; 256];
    let mut trailing = good.to_vec();
    trailing.push(0);
    for (name, der) in [
        ("a point off its curve", ec(&off_curve)),
        ("the point at infinity", ec(&[0])),
        ("a compressed point", ec(&compressed)),
        ("a hybrid point", ec(&[&[6], point.get(1..).unwrap()].concat())),
        (
            "a point of another curve",
            spki(rfc5912::ID_EC_PUBLIC_KEY, Some(AnyRef::from(&rfc5912::SECP_384_R_1)), point),
        ),
        ("no curve", spki(rfc5912::ID_EC_PUBLIC_KEY, None, point)),
        ("RSA 1024", rsa_spki(&[0xff; 128], &[1, 0, 1])),
        ("RSA 2047", rsa_spki(&[&[0x7f], &modulus[1..]].concat(), &[1, 0, 1])),
        ("RSA 16384", rsa_spki(&[0xff; 2048], &[1, 0, 1])),
        ("RSA exponent 3", rsa_spki(&modulus, &[3])),
        ("RSA exponent 1", rsa_spki(&modulus, &[1])),
        ("RSA even modulus", rsa_spki(&[&modulus[1..], &[0xfe]].concat(), &[1, 0, 1])),
        ("RSA without NULL", spki(rfc5912::RSA_ENCRYPTION, None, &[0x30, 0])),
        ("the neutral element of Ed25519", spki(rfc8410::ID_ED_25519, None, &[&[1][..], &[0; 31]].concat())),
        ("an Ed25519 point of order 4", spki(rfc8410::ID_ED_25519, None, &[0; 32])),
        ("an Ed25519 coordinate over the prime", spki(rfc8410::ID_ED_25519, None, &[0xff; 32])),
        ("a short Ed25519 key", spki(rfc8410::ID_ED_25519, None, &[1; 31])),
        ("Ed25519 with parameters", spki(rfc8410::ID_ED_25519, Some(null), &[1; 32])),
        ("a short ML-DSA-44 key", spki(fips204::ID_ML_DSA_44, None, &[1; 1311])),
        ("ML-DSA-44 with parameters", spki(fips204::ID_ML_DSA_44, Some(null), &[1; 1312])),
        ("an ML-DSA-65 key under the name of 44", spki(fips204::ID_ML_DSA_44, None, &[1; 1952])),
        ("trailing bytes", trailing),
    ] {
        assert!(PublicKey::from_spki_der(&der).is_err(), "{name}");
    }
}

#[test]
fn ecdsa_signatures_have_one_form_and_no_trivial_values() {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let signature = key.sign(b"message").unwrap();
    let numbers = Vec::<UintRef<'_>>::from_der(&signature).unwrap();
    let (r, s) = (numbers[0].as_bytes(), numbers[1].as_bytes());
    let pair =
        |r: &[u8], s: &[u8]| vec![UintRef::new(r).unwrap(), UintRef::new(s).unwrap()].to_der().unwrap();
    let order = b"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";
    let body = signature.get(2..).unwrap();
    let length = u8::try_from(body.len()).unwrap();
    let first_len = usize::from(signature[3]);
    let mut padded = vec![0x30, length + 1, 2, signature[3] + 1, 0];
    padded.extend_from_slice(&signature[4..]);
    let negative =
        [&[0x30, length, 2, signature[3], 0xff], &signature[5..4 + first_len], &signature[4 + first_len..]]
            .concat();
    assert_eq!(pair(r, s), signature);
    for (name, forged) in [
        ("r zero", pair(&[0], s)),
        ("s zero", pair(r, &[0])),
        ("both zero", pair(&[0], &[0])),
        ("r one", pair(&[1], s)),
        ("r the order", pair(order, s)),
        ("s the order", pair(r, order)),
        ("swapped", pair(s, r)),
        ("trailing byte", [&signature[..], &[0]].concat()),
        ("trailing byte inside", [&[0x30, length + 1], body, &[0]].concat()),
        ("long form length", [&[0x30, 0x81, length], body].concat()),
        ("indefinite length", [&[0x30, 0x80], body, &[0, 0]].concat()),
        ("padded r", padded),
        ("negative r", negative),
        ("r alone", pair(r, s)[..4 + first_len].to_vec()),
        ("plain octets", [r, s].concat()),
    ] {
        assert_eq!(key.public_key().verify(b"message", &forged), Err(BadSignature), "{name}");
    }
}

#[test]
fn ed25519_signatures_cannot_be_changed_into_another_valid_one() {
    const ORDER: [u8; 32] = *b"\xed\xd3\xf5\x5c\x1a\x63\x12\x58\xd6\x9c\xf7\xa2\xde\xf9\xde\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10";
    let key = PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let mut signature = key.sign(b"message").unwrap();
    let mut carry = 0_u16;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        carry = sum >> 8;
        *byte = sum.to_le_bytes()[0];
    }
    assert_eq!(key.public_key().verify(b"message", &signature), Err(BadSignature));
}

#[test]
fn rsa_signatures_of_trivial_value_or_other_length_are_refused() {
    let key = PrivateKey::generate(KeyAlgorithm::Rsa2048).unwrap();
    let signature = key.sign(b"message").unwrap();
    let mut one = vec![0; 256];
    one[255] = 1;
    for forged in
        [vec![0; 256], one, vec![0xff; 256], [&[0], &signature[..]].concat(), signature[..255].to_vec()]
    {
        assert_eq!(key.public_key().verify(b"message", &forged), Err(BadSignature));
    }
}

#[test]
fn a_signature_algorithm_of_another_kind_of_key_never_verifies() {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP384).unwrap();
    let signature = key.sign(b"message").unwrap();
    for algorithm in SignatureAlgorithm::ALL {
        let result = key.public_key().verify_with(algorithm, b"message", &signature);
        assert_eq!(result.is_ok(), algorithm == SignatureAlgorithm::EcdsaSha384, "{algorithm:?}");
    }
}

#[test]
fn the_key_identifier_is_the_leftmost_160_bits_of_the_sha_256_of_the_bit_string() {
    // RFC 8410 section 10.1 gives this key.
    let der = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00\x19\xbf\x44\x09\x69\x84\xcd\xfe\x85\x41\xba\xc1\x67\xdc\x3b\x96\xc8\x50\x86\xaa\x30\xb6\xb6\xcb\x0c\x5c\x38\xad\x70\x31\x66\xe1";
    let key = PublicKey::from_spki_der(der).unwrap();
    let digest =
        |bytes: &[u8]| aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec();
    assert_eq!(key.key_identifier(), digest(&der[12..])[..20]);
    assert_eq!(key.spki_sha256(), digest(der)[..]);
}
