use jiff::{SignedDuration, Timestamp};

/// From when to when a certificate is valid: whole seconds, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Validity {
    not_before: Timestamp,
    not_after: Timestamp,
}

/// Not a validity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("validity: {0}")]
pub struct ValidityError(&'static str);

impl Validity {
    /// Both are cut to whole seconds.
    pub fn new(not_before: Timestamp, not_after: Timestamp) -> Result<Self, ValidityError> {
        if not_before > not_after {
            return Err(ValidityError("notAfter lies before notBefore"));
        }
        Ok(Self { not_before, not_after })
    }
    /// First valid second.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }
    /// Last valid second.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
    /// Whether the instant lies within.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.not_before <= at && at.as_second() <= self.not_after.as_second()
    }
    /// `not_after - not_before`, without the inclusive last second.
    pub fn duration(&self) -> SignedDuration {
        self.not_after.duration_since(self.not_before)
    }
    /// Whether all of `self` lies within `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        self.not_before >= other.not_before && self.not_after <= other.not_after
    }
}
