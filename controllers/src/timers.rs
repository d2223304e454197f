//! When to look again at what nothing else will tell of: at most one timer for each object.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;
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

/// Timers by key.
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
    /// As the last look says, whatever was set before.
    pub(crate) fn set(&mut self, key: K, action: Action) {
        self.cancel(&key);
        if let Action(Some(wait)) = action {
            let timer = self.queue.insert(key.clone(), wait);
            self.set.insert(key, timer);
        }
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
