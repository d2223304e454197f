//! How often a caller may ask for signatures of one key: a token bucket for each pair, in whole thousandths.
//!
//! Counted before a request is parsed, so that what is over the rate costs next to nothing. Pure: the time comes in.

use crate::ids::Uid;
use std::collections::HashMap;
use std::time::Duration;

/// Most pairs that are remembered; the fullest buckets, which say nothing, are forgotten first.
const MOST: usize = 10_000;

/// A rate with its burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second, in the long run.
    pub per_second: u32,
    /// Requests at once, after a pause.
    pub burst: u32,
}

/// Whether a request is within its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Within,
    /// It is not, and it is the first of a row: worth an entry in the log.
    Over,
    /// It is not, and neither was the one before.
    StillOver,
}

struct Bucket {
    /// Thousandths of a request that may be asked now.
    level: u64,
    at: Duration,
    over: bool,
}

/// The buckets of all pairs.
pub struct Buckets {
    rate: Rate,
    pairs: HashMap<(String, Uid), Bucket>,
}

impl Buckets {
    /// Empty books under this rate.
    pub fn new(rate: Rate) -> Self {
        Self { rate, pairs: HashMap::new() }
    }

    fn full(&self) -> u64 {
        u64::from(self.rate.burst.max(1)) * 1000
    }

    /// Counts one request of `caller` for `key` at `now`, a time that only goes forward.
    pub fn take(&mut self, caller: &str, key: Uid, now: Duration) -> Verdict {
        let (full, per_second) = (self.full(), u64::from(self.rate.per_second));
        if self.pairs.len() >= MOST {
            self.pairs.retain(|_, bucket| bucket.refilled(full, per_second, now) < full);
        }
        let bucket = self.pairs.entry((caller.to_owned(), key)).or_insert(Bucket {
            level: full,
            at: now,
            over: false,
        });
        bucket.level = bucket.refilled(full, per_second, now);
        bucket.at = now;
        if bucket.level >= 1000 {
            bucket.level -= 1000;
            bucket.over = false;
            return Verdict::Within;
        }
        if std::mem::replace(&mut bucket.over, true) { Verdict::StillOver } else { Verdict::Over }
    }
}

impl Bucket {
    fn refilled(&self, full: u64, per_second: u64, now: Duration) -> u64 {
        let passed = u64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(u64::MAX);
        self.level.saturating_add(passed.saturating_mul(per_second)).min(full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Uid = Uid([1; 16]);

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds_and_a_row_is_told_once() {
        let mut buckets = Buckets::new(Rate { per_second: 10, burst: 3 });
        let verdicts: Vec<_> = (0..5).map(|_| buckets.take("a", KEY, at(0))).collect();
        assert_eq!(
            verdicts,
            [Verdict::Within, Verdict::Within, Verdict::Within, Verdict::Over, Verdict::StillOver]
        );
        assert_eq!(buckets.take("a", KEY, at(99)), Verdict::StillOver);
        assert_eq!(buckets.take("a", KEY, at(200)), Verdict::Within);
        assert_eq!(buckets.take("a", KEY, at(200)), Verdict::Within);
        assert_eq!(buckets.take("a", KEY, at(200)), Verdict::Over, "a new row");
    }

    #[test]
    fn callers_and_keys_do_not_share_and_a_pause_gives_no_more_than_the_burst() {
        let mut buckets = Buckets::new(Rate { per_second: 1, burst: 1 });
        for (caller, key) in [("a", KEY), ("b", KEY), ("a", Uid([2; 16]))] {
            assert_eq!(buckets.take(caller, key, at(0)), Verdict::Within);
            assert_eq!(buckets.take(caller, key, at(0)), Verdict::Over);
        }
        assert_eq!(buckets.take("a", KEY, at(3_600_000)), Verdict::Within);
        assert_eq!(buckets.take("a", KEY, at(3_600_000)), Verdict::Over);
    }

    #[test]
    fn memory_is_bounded() {
        let mut buckets = Buckets::new(Rate { per_second: 1000, burst: 1 });
        for n in 0..25_000_u64 {
            buckets.take(&n.to_string(), KEY, at(n * 10));
        }
        assert!(buckets.pairs.len() <= MOST);
    }
}
