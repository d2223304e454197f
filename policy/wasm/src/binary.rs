//! The binary format of WebAssembly, as far as a module is taken apart and put together here.

/// It is no module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) &'static str);

const ENDS: Malformed = Malformed("it ends too early");

/// Bytes that are still to be read.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(ENDS)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        self.take(1).map(|byte| byte[0])
    }

    /// A number in LEB128.
    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Malformed("a number is too large"));
            }
        }
        Err(Malformed("a number does not end"))
    }

    /// Bytes with their number before them.
    pub(crate) fn sized(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| ENDS)?)
    }

    /// Things with their number before them. Each takes a byte at least, so no more memory is taken than there are bytes.
    pub(crate) fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.u32()?;
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(one(self)?);
        }
        Ok(all)
    }

    /// The least and, if there is one, the most of a memory or table.
    pub(crate) fn limits(&mut self) -> Result<(), Malformed> {
        let flags = self.byte()?;
        self.u32()?;
        if flags & 1 == 1 {
            self.u32()?;
        }
        Ok(())
    }
}

/// Writes a number in LEB128.
pub(crate) fn write_u32(to: &mut Vec<u8>, mut value: u32) {
    loop {
        let byte = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            to.push(byte);
            return;
        }
        to.push(byte | 0x80);
    }
}

/// Writes a section, or a subsection.
pub(crate) fn section(to: &mut Vec<u8>, id: u8, content: &[u8]) {
    to.push(id);
    write_u32(to, u32::try_from(content.len()).unwrap_or(u32::MAX));
    to.extend(content);
}
