//! How often a caller may ask for signatures of one key: a token bucket for each pair, in whole thousandths.
//!
//! Counted before a request is parsed, so that what is over the rate costs next to nothing. All keys that the signer does not
//! know share one bucket, so that names made up by a caller take no memory. Pure: the time comes in.

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
    /// It is not; this is the so-manieth of a row.
    Over(u64),
}

impl Verdict {
    /// Whether a refusal of a row is worth an entry in the log: the first, the second, the fourth and so on, so that a flood
    /// does not fill the disk and the log is never wrong by more than half.
    pub fn is_told(count: u64) -> bool {
        count.is_power_of_two()
    }
}

impl Rate {
    /// The lower of both in each respect.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self { per_second: self.per_second.min(other.per_second), burst: self.burst.min(other.burst) }
    }

    /// A full bucket, in thousandths of a request.
    fn full(self) -> u64 {
        u64::from(self.burst.max(1)) * 1000
    }
}

struct Bucket {
    rate: Rate,
    /// Thousandths of a request that may be asked now.
    level: u64,
    at: Duration,
    /// Refusals since the last request that was within.
    over: u64,
}

/// The buckets of all pairs.
#[derive(Default)]
pub struct Buckets {
    pairs: HashMap<(String, Uid), Bucket>,
}

impl Buckets {
    /// Counts one request of `caller` for `key`, which has this rate, at `now`, a time that only goes forward.
    pub fn take(&mut self, caller: &str, key: Uid, rate: Rate, now: Duration) -> Verdict {
        if self.pairs.len() >= MOST {
            self.pairs.retain(|_, bucket| bucket.refilled(now) < bucket.rate.full());
        }
        let full = Bucket { rate, level: rate.full(), at: now, over: 0 };
        let bucket = self.pairs.entry((caller.to_owned(), key)).or_insert(full);
        bucket.rate = rate;
        bucket.level = bucket.refilled(now);
        bucket.at = now;
        if bucket.level >= 1000 {
            bucket.level -= 1000;
            bucket.over = 0;
            return Verdict::Within;
        }
        bucket.over += 1;
        Verdict::Over(bucket.over)
    }
}

impl Bucket {
    fn refilled(&self, now: Duration) -> u64 {
        let passed = u64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(u64::MAX);
        self.level.saturating_add(passed.saturating_mul(self.rate.per_second.into())).min(self.rate.full())
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
    fn a_burst_passes_then_the_rate_holds_and_a_row_is_counted() {
        let (mut buckets, rate) = (Buckets::default(), Rate { per_second: 10, burst: 3 });
        let verdicts: Vec<_> = (0..5).map(|_| buckets.take("a", KEY, rate, at(0))).collect();
        assert_eq!(
            verdicts,
            [Verdict::Within, Verdict::Within, Verdict::Within, Verdict::Over(1), Verdict::Over(2)]
        );
        assert_eq!(buckets.take("a", KEY, rate, at(99)), Verdict::Over(3));
        assert_eq!(buckets.take("a", KEY, rate, at(200)), Verdict::Within);
        assert_eq!(buckets.take("a", KEY, rate, at(200)), Verdict::Within);
        assert_eq!(buckets.take("a", KEY, rate, at(200)), Verdict::Over(1), "a new row");
    }

    #[test]
    fn callers_and_keys_do_not_share_and_a_pause_gives_no_more_than_the_burst() {
        let (mut buckets, rate) = (Buckets::default(), Rate { per_second: 1, burst: 1 });
        for (caller, key) in [("a", KEY), ("b", KEY), ("a", Uid([2; 16]))] {
            assert_eq!(buckets.take(caller, key, rate, at(0)), Verdict::Within);
            assert_eq!(buckets.take(caller, key, rate, at(0)), Verdict::Over(1));
        }
        assert_eq!(buckets.take("a", KEY, rate, at(3_600_000)), Verdict::Within);
        assert_eq!(buckets.take("a", KEY, rate, at(3_600_000)), Verdict::Over(1));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut buckets, rate) = (Buckets::default(), Rate { per_second: 1000, burst: 1 });
        for n in 0..25_000_u64 {
            buckets.take(&n.to_string(), KEY, rate, at(n * 10));
        }
        assert!(buckets.pairs.len() <= MOST);
    }
}
