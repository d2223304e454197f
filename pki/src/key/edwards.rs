//! Ed25519 public keys that are no keys: points of small order, and encodings of other points than they seem to be.
//!
//! Under a point of small order anyone can sign: the neutral element and zero are a signature of every message, or of one
//! in a few. A request with such a key would prove possession of nothing. RFC 8032 section 5.1.7 verifies without looking
//! for them, and so does the library; a key that its owner made by section 5.1.5 is never one. Section 5.1.3 refuses a
//! coordinate that is not below the prime, which the library does not look for either.

/// The prime 2^255 - 19, little-endian.
const PRIME: [u8; 32] = prime();

/// The y coordinates of all eight points whose order divides the cofactor: of order 4, 1, 2, and twice of order 8.
const SMALL: [[u8; 32]; 5] = [
    [0; 32],
    number(1),
    below_prime(1),
    *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
    *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
];

const fn prime() -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed;
    bytes[31] = 0x7f;
    bytes
}

const fn number(value: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = value;
    bytes
}

/// The prime less `value`, which is at most its lowest byte.
const fn below_prime(value: u8) -> [u8; 32] {
    let mut bytes = prime();
    bytes[0] -= value;
    bytes
}

/// Whether a signature under this key can mean anything; `key` is the value of the BIT STRING, of any length.
pub(super) fn is_sound(key: &[u8]) -> bool {
    let Ok(mut y) = <[u8; 32]>::try_from(key) else { return false };
    // The top bit is the sign of x.
    y[31] &= 0x7f;
    let below = y.iter().rev().lt(PRIME.iter().rev());
    below && !SMALL.contains(&y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_unreduced_points_are_no_keys_and_others_are() {
        let with_sign = |mut key: [u8; 32]| {
            key[31] |= 0x80;
            key
        };
        for small in SMALL {
            assert!(!is_sound(&small), "{small:02x?}");
            assert!(!is_sound(&with_sign(small)), "{small:02x?}");
        }
        for above in 0..=18 {
            let mut key = PRIME;
            key[0] += above;
            assert!(!is_sound(&key), "the prime and {above}");
            assert!(!is_sound(&with_sign(key)), "the prime and {above}");
        }
        assert!(is_sound(&number(2)) && is_sound(&below_prime(2)) && is_sound(&[0x7e; 32]));
        assert!(!is_sound(&[1; 31]) && !is_sound(&[1; 33]) && !is_sound(&[]));
    }
}
