//! Times, spans and foreign text in words for people.

use jiff::{SignedDuration, Timestamp};

/// Foreign text without anything that steers a terminal: control characters become escapes, line ends become blanks.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => out.push(' '),
            // Bidirectional overrides and isolates reorder what is read (Unicode TR 36).
            c if c.is_control()
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.extend(c.escape_unicode());
            }
            c => out.push(c),
        }
    }
    out
}

/// A span in its two largest units, such as `89d 3h`; never negative.
pub(crate) fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs().unsigned_abs();
    let units = [("y", 31_536_000), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
    let Some(first) = units.iter().position(|(_, worth)| seconds >= *worth) else { return "0s".to_owned() };
    let mut left = seconds;
    let mut parts = Vec::new();
    for (unit, worth) in units.iter().skip(first).take(2) {
        if left / worth > 0 {
            parts.push(format!("{}{unit}", left / worth));
        }
        left %= worth;
    }
    parts.join(" ")
}

/// An instant and how far it is: `2030-01-31T00:00:00Z (in 26d)`.
pub(crate) fn instant(at: Timestamp, now: Timestamp) -> String {
    format!("{at} ({})", distance(at, now))
}

/// How far an instant is: `in 26d`, `3h ago`, `now`.
pub(crate) fn distance(at: Timestamp, now: Timestamp) -> String {
    let away = at.duration_since(now);
    if away.as_secs() == 0 {
        "now".to_owned()
    } else if away.is_negative() {
        format!("{} ago", span(away))
    } else {
        format!("in {}", span(away))
    }
}

/// A life as a bar of 40 characters: spent part, what is left, and a `|` where renewal is due.
pub(crate) fn bar(from: Timestamp, to: Timestamp, renewal: Option<Timestamp>, now: Timestamp) -> String {
    const WIDTH: i64 = 40;
    let life = to.duration_since(from).as_secs().max(1);
    let place = |at: Timestamp| {
        let spent = i128::from(at.duration_since(from).as_secs().clamp(0, life));
        i64::try_from(spent * i128::from(WIDTH) / i128::from(life)).unwrap_or(WIDTH)
    };
    let spent = place(now);
    let mark = renewal.map(|at| place(at).min(WIDTH - 1));
    let cells = (0..WIDTH).map(|cell| {
        if Some(cell) == mark {
            '|'
        } else if cell < spent {
            '#'
        } else {
            '.'
        }
    });
    format!("[{}]", cells.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn text_that_steers_terminals_is_made_visible() {
        assert_eq!(clean("a\u{1b}[31mred\u{202e}"), "a\\u{1b}[31mred\\u{202e}");
        assert_eq!(clean("two\nlines, é"), "two lines, é");
    }

    #[test]
    fn spans_show_two_units() {
        for (seconds, wanted) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m 1s"),
            (3600, "1h"),
            (90_061, "1d 1h"),
            (86_400 * 400, "1y 35d"),
            (-7200, "2h"),
        ] {
            assert_eq!(span(SignedDuration::from_secs(seconds)), wanted);
        }
    }

    #[test]
    fn instants_say_how_far_they_are() {
        assert_eq!(instant(at(3600), at(0)), "1970-01-01T01:00:00Z (in 1h)");
        assert_eq!(distance(at(0), at(60)), "1m ago");
        assert_eq!(distance(at(5), at(5)), "now");
    }

    #[test]
    fn the_bar_shows_what_is_spent_and_when_renewal_is_due() {
        let shown = |now| bar(at(0), at(400), Some(at(300)), at(now));
        assert_eq!(shown(0), format!("[{}|{}]", ".".repeat(30), ".".repeat(9)));
        assert_eq!(shown(100), format!("[{}{}|{}]", "#".repeat(10), ".".repeat(20), ".".repeat(9)));
        assert_eq!(shown(500), format!("[{}|{}]", "#".repeat(30), "#".repeat(9)));
        assert_eq!(bar(at(0), at(400), None, at(-5)), format!("[{}]", ".".repeat(40)));
    }
}
