//! Who leads, decided from what the Lease says: pure, so that each race can be put on a table.
//!
//! A Lease alone gives no fencing: a leader that was paused wakes up and still believes. So each taking of the lease
//! counts `leaseTransitions` up, also when the same identity takes it again after a restart, and the count goes with
//! every request to the signer, which refuses an older one than the last it saw.
//! Expiry is judged by how long this process has seen the Lease unchanged, on its own forward-only clock: clocks of
//! other machines do not matter (as client-go does it).

#![allow(missing_docs, reason = "the fields of a variant are described by the variant")]

use std::time::Duration;

/// How long a lease is valid after its last renewal.
pub const DURATION: Duration = Duration::from_secs(15);
/// A leader that could not renew for this long stops at once.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks or renewals.
pub const RETRY: Duration = Duration::from_secs(2);

/// What the API server says about the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Empty: released.
    pub holder: String,
    /// `spec.leaseTransitions`: the fencing token of the holder.
    pub transitions: i32,
    /// The Lease's own duration, which the holder set.
    pub duration: Duration,
    /// How long it has been seen with no renewal.
    pub unchanged_for: Duration,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is none: create it with this count.
    Create { transitions: i32 },
    /// It is free, expired, or was ours in an earlier life: take it with this count.
    Take { transitions: i32 },
    /// It is ours: renew.
    Renew,
    /// Another leads: look again after a while.
    StandBy,
}

/// The next step of `me`, who holds the lease with the count `held`, or does not.
pub fn decide(seen: Option<&Seen>, me: &str, held: Option<i32>) -> Step {
    let Some(seen) = seen else {
        return Step::Create { transitions: held.map_or(1, |count| count.saturating_add(1)) };
    };
    let next = seen.transitions.max(held.unwrap_or(0)).saturating_add(1);
    let free = seen.holder == me || seen.holder.is_empty() || seen.unchanged_for > seen.duration;
    match held {
        Some(count) if seen.holder == me && seen.transitions == count => Step::Renew,
        None if free => Step::Take { transitions: next },
        Some(_) | None => Step::StandBy,
    }
}

/// Whether the store was set back: a Lease that was seen has an older resourceVersion than it had (as after etcd was
/// restored to a snapshot). What the watches have brought is then from a future that did not come, and they may tell
/// nothing until the store has counted as far again. Versions that are no numbers tell nothing.
pub fn set_back(before: Option<&str>, now: Option<&str>) -> bool {
    let number = |version: Option<&str>| version.and_then(|version| version.parse::<u64>().ok());
    matches!((number(before), number(now)), (Some(before), Some(now)) if now < before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(holder: &str, transitions: i32, unchanged: u64) -> Seen {
        Seen {
            holder: holder.into(),
            transitions,
            duration: DURATION,
            unchanged_for: Duration::from_secs(unchanged),
        }
    }

    #[test]
    fn each_situation_has_one_next_step() {
        let table = [
            ("nobody ever led", None, None, Step::Create { transitions: 1 }),
            ("released", Some(seen("", 4, 0)), None, Step::Take { transitions: 5 }),
            ("another leads", Some(seen("b", 4, 3)), None, Step::StandBy),
            ("another fell silent", Some(seen("b", 4, 16)), None, Step::Take { transitions: 5 }),
            ("we led before a restart", Some(seen("a", 4, 0)), None, Step::Take { transitions: 5 }),
            ("we lead", Some(seen("a", 4, 2)), Some(4), Step::Renew),
            ("we led and were overtaken", Some(seen("b", 5, 0)), Some(4), Step::StandBy),
            ("our own name took it again elsewhere", Some(seen("a", 5, 0)), Some(4), Step::StandBy),
            ("the lease was deleted under us", None, Some(4), Step::Create { transitions: 5 }),
        ];
        for (what, seen, held, step) in table {
            assert_eq!(decide(seen.as_ref(), "a", held), step, "{what}");
        }
    }

    #[test]
    fn only_an_older_version_of_the_store_is_a_step_back() {
        for (before, now, back) in [
            (Some("41"), Some("40"), true),
            (Some("41"), Some("41"), false),
            (Some("9"), Some("10"), false),
            (None, Some("1"), false),
            (Some("a"), Some("1"), false),
        ] {
            assert_eq!(set_back(before, now), back, "{before:?} {now:?}");
        }
    }
}
