//! Durations as people write them in a spec: hours, minutes and seconds in Go's syntax, such as `2160h` or `1h30m`.
//!
//! The grammar is the subset of Go's `time.ParseDuration` that the schemas admit: whole numbers, each unit at most
//! once, largest first. Certificates count whole seconds (RFC 5280 section 4.1.2.5), so fractions have no meaning here.

use std::time::Duration;

/// The pattern that the schemas enforce; every text that matches it, but the empty one, parses.
pub const PATTERN: &str = "^([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?$";

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a duration: write hours, minutes and seconds in this order, as in 2160h, 90m or 1h30m"
)]
pub struct NotADuration {
    /// The text as it was written.
    pub text: String,
}

/// Parses a duration such as `2160h`, `90m`, `45s` or `1h30m`.
///
/// At most six digits of hours, seven of minutes, nine of seconds. Errors: `NotADuration` for anything else, the empty
/// text included. `0s` parses; whether zero makes sense is for the field to say.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    let refusal = || NotADuration { text: text.to_owned() };
    let mut rest = text;
    let mut seconds = 0_u64;
    for (unit, worth, digits) in [('h', 3600, 6), ('m', 60, 7), ('s', 1, 9)] {
        let Some((number, after)) = rest.split_once(unit) else { continue };
        if number.is_empty() || number.len() > digits || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refusal());
        }
        seconds += number.parse::<u64>().map_err(|_| refusal())? * worth;
        rest = after;
    }
    if text.is_empty() || !rest.is_empty() { Err(refusal()) } else { Ok(Duration::from_secs(seconds)) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{NotADuration, parse};

    #[test]
    fn durations_in_hours_minutes_and_seconds_are_read() {
        for (text, seconds) in [
            ("2160h", 2160 * 3600),
            ("90m", 90 * 60),
            ("1h30m", 90 * 60),
            ("1h1m1s", 3661),
            ("45s", 45),
            ("0s", 0),
            ("1h5s", 3605),
            ("999999h9999999m999999999s", 999_999 * 3600 + 9_999_999 * 60 + 999_999_999),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_own_text() {
        for text in [
            "", "h", "1", "1d", "1.5h", "-1h", "+1h", "1h ", " 1h", "30m1h", "1h1h", "1ms", "1234567h", "１h",
        ] {
            assert_eq!(parse(text), Err(NotADuration { text: text.to_owned() }), "{text:?}");
        }
    }
}
