//! The strings of RFC 4251 section 5.

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// `n` octets.
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    /// One octet.
    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|octets| octets[0])
    }

    /// `uint32`.
    pub(super) fn number(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// `string`: a length and as many octets.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?;
        self.take(usize::try_from(len).ok()?)
    }

    /// `mpint` that is positive and written without needless zeros: its octets without the sign's.
    pub(super) fn positive(&mut self) -> Option<&'a [u8]> {
        match self.string()? {
            [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => Some(rest),
            octets if octets.first().is_some_and(|first| (1..0x80).contains(first)) => Some(octets),
            _ => None,
        }
    }

    /// The value, if nothing is left behind it.
    pub(super) fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

/// Appends a `string`.
pub(super) fn put(out: &mut Vec<u8>, octets: &[u8]) {
    // What is written here are hashes and names, far below 4 GiB.
    out.extend_from_slice(&u32::try_from(octets.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(octets);
}
