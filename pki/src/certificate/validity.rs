//! From when to when (RFC 5280 section 4.1.2.5): whole seconds, both ends inclusive, UTC.

use der::DateTime;
use der::asn1::{GeneralizedTime, UtcTime};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use x509_cert::time::Time;

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

/// 1970-01-01T00:00:00Z: the first instant that the encoding can hold.
const FIRST_SECOND: i64 = 0;
/// 9999-12-31T23:59:59Z: the last (RFC 5280 section 4.1.2.5).
const LAST_SECOND: i64 = 253_402_300_799;

impl Validity {
    /// Both are cut down to whole seconds. Errors: the end lies before the begin, before 1970 or after 9999.
    pub fn new(not_before: Timestamp, not_after: Timestamp) -> Result<Self, ValidityError> {
        let (first, last) = (whole_second(not_before), whole_second(not_after));
        if first > last {
            return Err(ValidityError("notAfter lies before notBefore; put it behind"));
        }
        if first < FIRST_SECOND || last > LAST_SECOND {
            return Err(ValidityError("lies before 1970 or after 9999; X.509 cannot say that"));
        }
        let at = |second| Timestamp::from_second(second).map_err(|_| ValidityError("is no instant"));
        Ok(Self { not_before: at(first)?, not_after: at(last)? })
    }

    /// First valid second.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Last valid second; the certificate is valid until this second ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether the instant lies within, the whole last second included.
    pub fn contains(&self, at: Timestamp) -> bool {
        let second = whole_second(at);
        self.not_before.as_second() <= second && second <= self.not_after.as_second()
    }

    /// `not_after - not_before`, without the inclusive last second.
    pub fn duration(&self) -> SignedDuration {
        self.not_after.duration_since(self.not_before)
    }

    /// Whether all of `self` lies within `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        self.not_before >= other.not_before && self.not_after <= other.not_after
    }

    /// Reads the X.509 form, whichever of the two encodings each time has.
    pub(crate) fn from_asn1(validity: crate::asn1::Validity) -> Result<Self, ValidityError> {
        Self::new(timestamp(validity.not_before)?, timestamp(validity.not_after)?)
    }

    /// The X.509 form: UTCTime until 2049, GeneralizedTime from 2050.
    pub(crate) fn to_asn1(self) -> der::Result<crate::asn1::Validity> {
        Ok(crate::asn1::Validity { not_before: time(self.not_before)?, not_after: time(self.not_after)? })
    }
}

/// Seconds since 1970, rounded towards the past.
fn whole_second(at: Timestamp) -> i64 {
    at.as_second() - i64::from(at.subsec_nanosecond() < 0)
}

fn timestamp(time: Time) -> Result<Timestamp, ValidityError> {
    let seconds =
        i64::try_from(time.to_unix_duration().as_secs()).map_err(|_| ValidityError("is no instant"))?;
    Timestamp::from_second(seconds).map_err(|_| ValidityError("is no instant"))
}

fn time(at: Timestamp) -> der::Result<Time> {
    let seconds = u64::try_from(at.as_second()).map_err(|_| der::ErrorKind::DateTime)?;
    let date = DateTime::from_unix_duration(Duration::from_secs(seconds))?;
    if date.year() <= UtcTime::MAX_YEAR {
        Ok(Time::UtcTime(UtcTime::from_date_time(date)?))
    } else {
        Ok(Time::GeneralTime(GeneralizedTime::from_date_time(date)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use der::Encode;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn both_ends_are_inclusive_whole_seconds() {
        let validity = Validity::new(at("2030-01-01T00:00:00.9Z"), at("2030-01-02T00:00:00.9Z")).unwrap();
        for (instant, inside) in [
            ("2029-12-31T23:59:59.999Z", false),
            ("2030-01-01T00:00:00Z", true),
            ("2030-01-02T00:00:00Z", true),
            ("2030-01-02T00:00:00.999999999Z", true),
            ("2030-01-02T00:00:01Z", false),
        ] {
            assert_eq!(validity.contains(at(instant)), inside, "{instant}");
        }
        assert_eq!(validity.duration(), SignedDuration::from_hours(24));
    }

    #[test]
    fn what_x509_cannot_say_is_refused() {
        for (from, to) in [
            ("2030-01-02T00:00:00Z", "2030-01-01T00:00:00Z"),
            ("1969-12-31T23:59:59.5Z", "2030-01-01T00:00:00Z"),
            ("-000001-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ] {
            assert!(Validity::new(at(from), at(to)).is_err(), "{from} {to}");
        }
        assert!(Validity::new(at("1970-01-01T00:00:00Z"), at("9999-12-30T22:00:00Z")).is_ok());
    }

    #[test]
    fn the_encoding_changes_in_2050() {
        let validity = Validity::new(at("2049-12-31T23:59:59Z"), at("2050-01-01T00:00:00Z")).unwrap();
        let der = validity.to_asn1().unwrap().to_der().unwrap();
        assert_eq!(der, b"\x30\x20\x17\x0d491231235959Z\x18\x0f20500101000000Z");
        assert_eq!(Validity::from_asn1(validity.to_asn1().unwrap()).unwrap(), validity);
    }
}
