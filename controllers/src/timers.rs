//! When to look again at what nothing else will tell of: at most one timer for each object.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::time::{DelayQueue, delay_queue};

/// When a look at an object has ended: when the next one is due, if nothing happens before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action(Option<Duration>);

impl Action {
    /// After this time at the latest.
    pub const fn requeue(wait: Duration) -> Self {
        Self(Some(wait))
    }

    /// A watch will tell.
    pub const fn await_change() -> Self {
        Self(None)
    }
}

/// How long the events of one burst may be apart: a watch that is taken up again tells every version of an object within
/// milliseconds, and only the last one is worth a certificate.
const BURST: Duration = Duration::from_millis(20);

/// Timers by key. A look that begins cancels the one of its object.
pub(crate) struct Timers<K> {
    queue: DelayQueue<K>,
    set: HashMap<K, delay_queue::Key>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { queue: DelayQueue::new(), set: HashMap::new() }
    }
}

impl<K: Hash + Eq + Clone> Timers<K> {
    /// As the look that has just ended says, unless something happened during it that is due earlier.
    pub(crate) fn set(&mut self, key: K, action: Action) {
        let Action(Some(wait)) = action else { return };
        match self.set.get(&key) {
            Some(timer) if self.queue.deadline(timer) <= Instant::now() + wait => {}
            Some(timer) => self.queue.reset(timer, wait),
            None => {
                let timer = self.queue.insert(key.clone(), wait);
                self.set.insert(key, timer);
            }
        }
    }

    /// In a moment: whatever happens to an object in one burst is looked at once.
    pub(crate) fn soon(&mut self, key: K) {
        self.set(key, Action::requeue(BURST));
    }

    /// The object is looked at now.
    pub(crate) fn cancel(&mut self, key: &K) {
        if let Some(timer) = self.set.remove(key) {
            self.queue.remove(&timer);
        }
    }

    /// The next one that is due; `None` while there is no timer.
    pub(crate) async fn next(&mut self) -> Option<K> {
        let due = std::future::poll_fn(|cx| self.queue.poll_expired(cx)).await?.into_inner();
        self.set.remove(&due);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_happens_during_a_look_is_looked_at_after_it_whatever_the_look_says() {
        for said in [Action::await_change(), Action::requeue(Duration::from_mins(1))] {
            let mut timers = Timers::default();
            let begun = Instant::now();
            timers.soon("a");
            timers.set("a", said);
            assert_eq!(timers.next().await, Some("a"));
            assert!(begun.elapsed() < BURST * 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_looked_at_once_and_its_end_waits_for_no_more_than_its_beginning() {
        let mut timers = Timers::default();
        let begun = Instant::now();
        for _ in 0..5 {
            timers.soon("a");
            tokio::time::advance(BURST / 5).await;
        }
        assert_eq!(timers.next().await, Some("a"));
        assert!(begun.elapsed() <= BURST * 2);
        assert_eq!(timers.next().await, None, "once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_begins_takes_its_timer_along() {
        let mut timers = Timers::default();
        timers.set("a", Action::requeue(Duration::from_secs(1)));
        timers.soon("b");
        timers.cancel(&"a");
        assert_eq!((timers.next().await, timers.next().await), (Some("b"), None));
    }
}
