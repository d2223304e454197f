//! Serial numbers (RFC 5280 section 4.1.2.2): positive, at most 20 bytes.

use std::fmt;
use std::str::FromStr;

/// A certificate's serial number: positive, 1 to 20 bytes; shown in lower-case hexadecimal, two digits a byte.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Serial(Vec<u8>);

/// Not a serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "serial: not a positive number of at most 20 bytes; write it as 2 to 40 hexadecimal digits, an even count"
)]
pub struct SerialError;

impl Serial {
    /// The longest, in bytes.
    pub const MAX_LEN: usize = 20;

    /// Makes one from 20 unpredictable bytes.
    ///
    /// The top bit is cleared (the number is positive in 20 bytes) and the next one set (it always has 20 bytes and is
    /// never zero), so 158 bits are random.
    pub fn from_random(mut bytes: [u8; 20]) -> Self {
        bytes[0] = bytes[0] & 0x7f | 0x40;
        Self(bytes.to_vec())
    }

    /// Reads big-endian bytes; leading zeros do not count. Errors: zero, or over 20 bytes as an ASN.1 INTEGER.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SerialError> {
        let first = bytes.iter().position(|byte| *byte != 0).ok_or(SerialError)?;
        let bytes = bytes.get(first..).ok_or(SerialError)?;
        let needs_sign_byte = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
        if bytes.len() + usize::from(needs_sign_byte) > Self::MAX_LEN {
            return Err(SerialError);
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Big-endian, without leading zeros.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialOrd for Serial {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Serial {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl FromStr for Serial {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        if !text.len().is_multiple_of(2)
            || text.len() > 2 * Self::MAX_LEN
            || !text.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return Err(SerialError);
        }
        let mut bytes = Vec::with_capacity(text.len() / 2);
        for at in (0..text.len()).step_by(2) {
            let pair = text.get(at..at + 2).ok_or(SerialError)?;
            bytes.push(u8::from_str_radix(pair, 16).map_err(|_| SerialError)?);
        }
        Self::from_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_serial_always_has_twenty_bytes_and_is_positive() {
        for byte in [0x00, 0x7f, 0x80, 0xff] {
            let serial = Serial::from_random([byte; 20]);
            assert_eq!(serial.as_bytes().len(), 20);
            assert_eq!(serial.as_bytes()[0] & 0xc0, 0x40);
            assert_eq!(serial.to_string().len(), 40);
            assert_eq!(serial.to_string().parse(), Ok(serial));
        }
    }

    #[test]
    fn bytes_and_text_are_bounded() {
        assert_eq!(Serial::from_bytes(&[0, 0, 1]).unwrap().to_string(), "01");
        assert!(Serial::from_bytes(&[]).is_err());
        assert!(Serial::from_bytes(&[0; 20]).is_err());
        assert!(Serial::from_bytes(&[0x7f; 20]).is_ok());
        assert!(Serial::from_bytes(&[0x80; 20]).is_err());
        assert!(Serial::from_bytes(&[1; 21]).is_err());
        for text in ["", "0", "00", "zz", "é1", "123", &"11".repeat(21), "0x12", "+1"] {
            assert!(text.parse::<Serial>().is_err(), "{text}");
        }
        assert_eq!("00FF".parse::<Serial>().unwrap().to_string(), "ff");
    }

    #[test]
    fn serials_are_ordered_as_numbers() {
        assert!("ff".parse::<Serial>().unwrap() < "0100".parse().unwrap());
    }
}
