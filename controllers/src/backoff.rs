//! How long to wait after a failure that trying again may mend.
//!
//! Doubles from one second to a minute, per object, with a spread that the UID determines, so that a thousand objects
//! which failed together do not come back together. Forgotten at the first success.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_mins(1);

/// Failures in a row, by UID.
#[derive(Debug, Default)]
pub struct Backoff(Mutex<HashMap<String, u32>>);

impl Backoff {
    /// Counts one more failure of this object and says how long to wait.
    pub fn failed(&self, uid: &str) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        delay(*count, uid)
    }

    /// Whether the last look at this object did not fail.
    pub fn is_clear(&self, uid: &str) -> bool {
        !self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).contains_key(uid)
    }

    /// Forgets all objects but these.
    pub fn keep_only(&self, live: &HashSet<String>) {
        let mut failures = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        failures.retain(|uid, _| live.contains(uid));
    }

    /// The object succeeded, or is gone.
    pub fn clear(&self, uid: &str) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(uid);
    }
}

/// Waits for the `count`th failure in a row: between the full step and a quarter over it.
fn delay(count: u32, uid: &str) -> Duration {
    let step = FIRST.saturating_mul(1 << count.saturating_sub(1).min(6)).min(MOST);
    let mut hasher = DefaultHasher::new();
    (uid, count).hash(&mut hasher);
    step + step.mul_f64(f64::from(u8::try_from(hasher.finish() % 256).unwrap_or(0)) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_a_second_to_a_minute() {
        let backoff = Backoff::default();
        let waits: Vec<u64> = (0..8).map(|_| backoff.failed("a").as_secs()).collect();
        for (wait, step) in waits.iter().zip([1, 2, 4, 8, 16, 32, 60, 60]) {
            assert!((step..=step * 5 / 4).contains(wait), "{waits:?}");
        }
        backoff.clear("a");
        assert!(backoff.failed("a") < Duration::from_secs(2));
    }
}
