//! What an answer to a notice asks for.

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use std::time::Duration;

/// The longest that a receiver can ask to be left alone.
pub const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has it.
    Delivered,
    /// Later; not before this pause, if the receiver named one.
    Again {
        /// What `Retry-After` asks for.
        pause: Option<Duration>,
    },
    /// Never, as long as the Secret says the same.
    Refused,
}

/// Judges by the HTTP status (RFC 9110 section 15) and header `Retry-After` (section 10.2.3: seconds, or a date).
///
/// A redirection is a refusal: whoever can answer at an address shall not choose another one.
pub fn judge(status: u16, retry_after: Option<&str>, now: Timestamp) -> Verdict {
    match status {
        200..=299 => Verdict::Delivered,
        408 | 429 | 500..=599 => Verdict::Again { pause: retry_after.and_then(|text| pause(text, now)) },
        _ => Verdict::Refused,
    }
}

fn pause(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let asked = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        // More digits than a number has are a long time.
        text.parse().map_or(LONGEST_PAUSE, Duration::from_secs)
    } else {
        let at = rfc2822::parse(text).ok()?.timestamp();
        Duration::try_from(at.duration_since(now).max(SignedDuration::ZERO)).ok()?
    };
    Some(asked.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_pass_is_tried_again_and_what_cannot_is_not() {
        let now: Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
        let again = |seconds: u64| Verdict::Again { pause: Some(Duration::from_secs(seconds)) };
        let at_once = Verdict::Again { pause: None };
        for (status, retry_after, wanted) in [
            (200, None, Verdict::Delivered),
            (202, Some("30"), Verdict::Delivered),
            (204, None, Verdict::Delivered),
            (301, None, Verdict::Refused),
            (307, Some("5"), Verdict::Refused),
            (400, None, Verdict::Refused),
            (403, None, Verdict::Refused),
            (404, None, Verdict::Refused),
            (410, Some("1"), Verdict::Refused),
            (408, None, at_once),
            (429, None, at_once),
            (429, Some("30"), again(30)),
            (429, Some(" 30 "), again(30)),
            (429, Some("-1"), at_once),
            (429, Some("soon"), at_once),
            (429, Some(""), at_once),
            (429, Some("99999999999999999999999"), again(3600)),
            (503, Some("Sun, 06 Nov 1994 08:49:37 GMT"), again(30)),
            (503, Some("Sun, 06 Nov 1994 08:00:00 GMT"), again(0)),
            (503, Some("Sat, 06 Nov 2094 08:00:00 GMT"), again(3600)),
            (500, None, at_once),
            (100, None, Verdict::Refused),
            (0, None, Verdict::Refused),
        ] {
            assert_eq!(judge(status, retry_after, now), wanted, "{status} {retry_after:?}");
        }
    }
}
