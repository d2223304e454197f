//! What this process remembers of deliveries. All of it only saves work: a new process tries what is not recorded anew.

use crate::backoff::Backoff;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A class and the name of one of its targets.
pub(super) type Target = (String, String);

/// Remembers which targets are left alone for a while, what was refused, and what was delivered but is not recorded.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    backoff: Backoff,
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    pauses: HashMap<Target, Instant>,
    /// UID of the request and mark, with the versions of the Secrets that were not good.
    refused: HashMap<(String, String), String>,
    delivered: HashMap<String, BTreeSet<String>>,
}

impl Memory {
    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long this target is still to be left alone.
    pub(super) fn pause(&self, target: &Target, now: Instant) -> Option<Duration> {
        let left = self.all().pauses.get(target)?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// It did not answer well, and asked for this pause or none. Returns how long it is left alone.
    pub(super) fn failed(&self, target: &Target, asked: Option<Duration>, now: Instant) -> Duration {
        let own = self.backoff.failed(&key(target));
        let pause = asked.unwrap_or_default().max(own);
        self.all().pauses.insert(target.clone(), now + pause);
        pause
    }

    /// It answered: whatever it said, it is there.
    pub(super) fn answered(&self, target: &Target) {
        self.backoff.clear(&key(target));
        self.all().pauses.remove(target);
    }

    /// Whether this notice was refused with Secrets of these versions.
    pub(super) fn is_refused(&self, uid: &str, mark: &str, versions: &str) -> bool {
        let known = (uid.to_owned(), mark.to_owned());
        self.all().refused.get(&known).is_some_and(|refused| refused == versions)
    }

    /// It is refused. False: that was known.
    pub(super) fn refuse(&self, uid: &str, mark: &str, versions: &str) -> bool {
        let known = (uid.to_owned(), mark.to_owned());
        self.all().refused.insert(known, versions.to_owned()).is_none_or(|before| before != versions)
    }

    /// It was delivered.
    pub(super) fn deliver(&self, uid: &str, mark: String) {
        let mut all = self.all();
        all.refused.remove(&(uid.to_owned(), mark.clone()));
        all.delivered.entry(uid.to_owned()).or_default().insert(mark);
    }

    /// What was delivered of a request and is not known to be recorded.
    pub(super) fn delivered(&self, uid: &str) -> BTreeSet<String> {
        self.all().delivered.get(uid).cloned().unwrap_or_default()
    }

    /// All that was delivered is recorded.
    pub(super) fn recorded(&self, uid: &str) {
        self.all().delivered.remove(uid);
    }

    /// Forgets all requests but these.
    pub(crate) fn keep_only(&self, live: &HashSet<String>, now: Instant) {
        let mut all = self.all();
        all.refused.retain(|(uid, _), _| live.contains(uid));
        all.delivered.retain(|uid, _| live.contains(uid));
        all.pauses.retain(|_, until| *until > now);
    }
}

fn key((class, target): &Target) -> String {
    format!("{class}/{target}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_target_that_fails_is_left_alone_longer_each_time_and_as_long_as_it_asks() {
        let now = tokio::time::Instant::now().into_std();
        let (memory, ops) = (Memory::default(), ("production".to_owned(), "ops".to_owned()));
        assert_eq!(memory.pause(&ops, now), None);
        let first = memory.failed(&ops, None, now);
        assert!((1..2).contains(&first.as_secs()), "{first:?}");
        assert!(memory.failed(&ops, None, now) > first);
        assert_eq!(memory.failed(&ops, Some(Duration::from_mins(9)), now), Duration::from_mins(9));
        assert_eq!(memory.pause(&ops, now + Duration::from_mins(8)), Some(Duration::from_mins(1)));
        assert_eq!(memory.pause(&ops, now + Duration::from_mins(9)), None);
        memory.answered(&ops);
        assert_eq!(memory.pause(&ops, now), None);
        assert!(memory.failed(&ops, None, now) < Duration::from_secs(2), "it begins anew");
    }

    #[test]
    fn a_refusal_holds_for_the_versions_it_was_met_with() {
        let memory = Memory::default();
        assert!(memory.refuse("u", "ops/Filed", "7"));
        assert!(!memory.refuse("u", "ops/Filed", "7"), "known");
        assert!(memory.is_refused("u", "ops/Filed", "7"));
        assert!(!memory.is_refused("u", "ops/Filed", "8") && !memory.is_refused("u", "ops/Granted", "7"));
        assert!(memory.refuse("u", "ops/Filed", "8"));
        memory.deliver("u", "ops/Filed".into());
        assert!(!memory.is_refused("u", "ops/Filed", "8"));
    }
}
