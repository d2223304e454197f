//! Read your writes: an object is not looked at again before the cache has seen what was last written to it.
//!
//! A watch cache lags. Deciding from an object that is older than our own last write would write, or issue, a second
//! time. So each write leaves its resourceVersion here, by UID, until the cache has passed it (as KEP-5647 does for the
//! built-in controllers). Nothing here survives a restart, and nothing needs to: a new process fills its caches first.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An echo that has not come by then never comes: the API server went back to an older state.
const LOST: Duration = Duration::from_mins(1);

/// The newest resourceVersion written by this process, for objects whose echo has not come back yet.
#[derive(Debug, Default)]
pub struct OwnWrites(Mutex<HashMap<String, (u64, Instant)>>);

impl OwnWrites {
    /// Remembers a write. `version`: `metadata.resourceVersion` of the answer; one that is no number is not comparable
    /// and is left out.
    pub fn record(&self, uid: &str, version: Option<&str>, now: Instant) {
        let Some(version) = version.and_then(|v| v.parse().ok()) else { return };
        let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = writes.entry(uid.to_owned()).or_insert((version, now));
        *newest = (newest.0.max(version), now);
    }

    /// True when the cached object is older than our last write to it; forgets the write once it has been seen, or can
    /// no longer be.
    pub fn outrun(&self, uid: &str, cached: Option<&str>, now: Instant) -> bool {
        let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((written, at)) = writes.get(uid) else { return false };
        let seen = cached.and_then(|v| v.parse().ok()).is_none_or(|cached: u64| cached >= *written);
        let over = seen || now.saturating_duration_since(*at) > LOST;
        if over {
            writes.remove(uid);
        }
        !over
    }

    /// Forgets all objects but these.
    pub fn keep_only(&self, live: &HashSet<String>) {
        let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writes.retain(|uid, _| live.contains(uid));
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywright_ambient::{Clock, SystemClock};

    #[test]
    fn an_object_waits_until_the_cache_has_passed_our_write() {
        let writes = OwnWrites::default();
        let now = SystemClock.monotonic();
        assert!(!writes.outrun("a", Some("5"), now), "never written");
        writes.record("a", Some("9"), now);
        writes.record("a", Some("7"), now);
        assert!(writes.outrun("a", Some("8"), now));
        assert!(!writes.outrun("a", Some("9"), now));
        assert!(!writes.outrun("a", Some("1"), now), "once seen it is forgotten");
    }

    #[test]
    fn an_echo_that_never_comes_is_not_waited_for_for_ever() {
        let writes = OwnWrites::default();
        let now = SystemClock.monotonic();
        writes.record("a", Some("9"), now);
        assert!(writes.outrun("a", Some("8"), now + LOST));
        assert!(!writes.outrun("a", Some("8"), now + LOST + Duration::from_secs(1)));
    }
}
