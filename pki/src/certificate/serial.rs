use std::fmt;
use std::str::FromStr;

/// A certificate's serial number: positive, at most 20 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(Vec<u8>);

/// Not a serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("serial: not a positive number of at most 20 bytes in hexadecimal")]
pub struct SerialError;

impl Serial {
    /// Makes one from 20 unpredictable bytes: the top bit is cleared and the next set, so it always has 20 bytes and
    /// 158 random bits.
    pub fn from_random(mut bytes: [u8; 20]) -> Self {
        bytes[0] = bytes[0] & 0x7f | 0x40;
        Self(bytes.to_vec())
    }
    /// Big-endian, without leading zeros, 1 to 20 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SerialError> {
        let first = bytes.iter().position(|byte| *byte != 0).ok_or(SerialError)?;
        let bytes = bytes.get(first..).ok_or(SerialError)?;
        if bytes.len() > 20 { Err(SerialError) } else { Ok(Self(bytes.to_vec())) }
    }
    /// Big-endian, without leading zeros, 1 to 20 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
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
    fn from_str(_text: &str) -> Result<Self, SerialError> {
        Err(SerialError)
    }
}
