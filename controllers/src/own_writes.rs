//! Read your writes: an object is not looked at again before the cache has seen what was last written to it.
//!
//! A watch cache lags. Deciding from an object that is older than our own last write would write, or issue, a second
//! time. So each write leaves its resourceVersion here, by UID, until the cache has passed it (as KEP-5647 does for the
//! built-in controllers). Nothing here survives a restart, and nothing needs to: a new process fills its caches first.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

/// The newest resourceVersion written by this process, for objects whose echo has not come back yet.
#[derive(Debug, Default)]
pub struct OwnWrites(Mutex<HashMap<String, u64>>);

impl OwnWrites {
    /// Remembers a write. `version`: `metadata.resourceVersion` of the answer; one that is no number is not comparable
    /// and is left out.
    pub fn record(&self, uid: &str, version: Option<&str>) {
        let Some(version) = version.and_then(|v| v.parse().ok()) else { return };
        let mut writes = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let newest = writes.entry(uid.to_owned()).or_insert(version);
        *newest = (*newest).max(version);
    }

    /// True when the cached object is older than our last write to it; forgets the write once it has been seen.
    pub fn outrun(&self, uid: &str, cached: Option<&str>) -> bool {
        let mut writes = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(written) = writes.get(uid) else { return false };
        let seen = cached.and_then(|v| v.parse().ok()).is_none_or(|cached: u64| cached >= *written);
        if seen {
            writes.remove(uid);
        }
        !seen
    }

    /// Forgets all objects but these.
    pub fn keep_only(&self, live: &HashSet<String>) {
        let mut writes = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        writes.retain(|uid, _| live.contains(uid));
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_waits_until_the_cache_has_passed_our_write() {
        let writes = OwnWrites::default();
        assert!(!writes.outrun("a", Some("5")), "never written");
        writes.record("a", Some("9"));
        writes.record("a", Some("7"));
        assert!(writes.outrun("a", Some("8")));
        assert!(!writes.outrun("a", Some("9")));
        assert!(
            !writes.outrun("a", Some("1")),
            "once seen it is forgotten, a cache never goes back in one process"
        );
    }
}
