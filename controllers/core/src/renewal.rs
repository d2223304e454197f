//! When a certificate is due for renewal.
//!
//! Two thirds of the life, minus a jitter that the object's UID determines: a fleet made in one minute is not renewed in
//! one minute, and every look at one certificate gives the same instant. An explicit `renewBefore` is kept exactly.

use jiff::{SignedDuration, Timestamp};

/// The jitter takes at most this part of the life.
const JITTER_PART: i64 = 20;

/// What the owner of a certificate asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenewWhen {
    /// Two thirds of the life, minus the jitter.
    TwoThirds,
    /// So long before the end.
    Before(SignedDuration),
    /// When this share of the life is left, in percent, 1 to 99 (cert-manager's `renewBeforePercentage`).
    LeftPercent(i32),
}

/// The instant from which a new certificate is wanted, strictly between both ends.
///
/// `not_before` and `not_after` are the certificate's own (RFC 5280 section 4.1.2.5), not the ones asked for: an
/// authority near its end shortens a leaf, and then a `renewBefore` at or over the real life gives way to two thirds,
/// as it would be due for ever otherwise. `uid`: of the object, for the jitter.
pub fn renew_at(not_before: Timestamp, not_after: Timestamp, when: RenewWhen, uid: &str) -> Timestamp {
    let life = not_after.as_second().saturating_sub(not_before.as_second()).max(1);
    let two_thirds = || life * 2 / 3 - jitter(life, uid);
    let spent = match when {
        RenewWhen::TwoThirds => two_thirds(),
        RenewWhen::Before(left) => {
            let spent = life - left.as_secs();
            if spent <= 0 { two_thirds() } else { spent }
        }
        RenewWhen::LeftPercent(percent) => life - life * i64::from(percent.clamp(1, 99)) / 100,
    };
    Timestamp::from_second(not_before.as_second() + spent).unwrap_or(not_after)
}

/// Whole seconds, from zero up to a twentieth of the life.
fn jitter(life: i64, uid: &str) -> i64 {
    let most = life / JITTER_PART;
    if most == 0 {
        return 0;
    }
    i64::try_from(fnv1a(uid.as_bytes()) % most.unsigned_abs()).unwrap_or(0)
}

/// FNV-1a, 64 bit: spreads, promises nothing else.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn two_thirds_minus_at_most_a_twentieth_of_the_life() {
        for uid in ["a", "b", "c", "0f3c"] {
            let due = renew_at(at(0), at(90 * DAY), RenewWhen::TwoThirds, uid).as_second();
            assert!((60 * DAY - 90 * DAY / 20..=60 * DAY).contains(&due), "{uid}: {due}");
        }
    }

    #[test]
    fn the_same_uid_always_gives_the_same_instant_and_others_spread() {
        let due = |uid: &str| renew_at(at(0), at(90 * DAY), RenewWhen::TwoThirds, uid);
        assert_eq!(due("x"), due("x"));
        let distinct: std::collections::BTreeSet<_> = (0..100).map(|i| due(&format!("uid-{i}"))).collect();
        assert!(distinct.len() > 90);
    }

    #[test]
    fn an_explicit_renew_before_is_kept_to_the_second() {
        let when = RenewWhen::Before(SignedDuration::from_secs(10 * DAY));
        assert_eq!(renew_at(at(5), at(5 + 90 * DAY), when, "x"), at(5 + 80 * DAY));
        assert_eq!(renew_at(at(0), at(100), RenewWhen::LeftPercent(25), "x"), at(75));
    }

    #[test]
    fn a_life_cut_short_by_the_authority_does_not_make_it_due_for_ever() {
        let when = RenewWhen::Before(SignedDuration::from_secs(10 * DAY));
        let due = renew_at(at(0), at(DAY), when, "x");
        assert!(due > at(0) && due < at(DAY));
    }
}
