//! Who is worked on next: tenants take turns, so that one tenant's flood does not delay another.
//!
//! A look first passes the gate. It lets through as many as there are places; who has to wait stands in a line of its
//! own namespace, and the lines take turns. With one namespace it is first come, first served.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Admits a bounded number at one time.
pub struct Gate(Arc<Mutex<Lines>>);

struct Lines {
    free: usize,
    waiting: HashMap<String, VecDeque<oneshot::Sender<Place>>>,
    /// Namespaces that have somebody waiting, next turn first.
    turns: VecDeque<String>,
}

/// A place that was given; dropping it passes it on.
pub struct Place(Arc<Mutex<Lines>>);

impl Gate {
    /// A gate with this many places.
    pub fn new(places: u16) -> Self {
        let lines =
            Lines { free: usize::from(places.max(1)), waiting: HashMap::new(), turns: VecDeque::new() };
        Self(Arc::new(Mutex::new(lines)))
    }

    /// Waits for a place. `None` never happens while the gate exists.
    pub async fn enter(&self, namespace: &str) -> Option<Place> {
        let called = {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.free > 0 {
                lines.free -= 1;
                return Some(Place(Arc::clone(&self.0)));
            }
            let (call, called) = oneshot::channel();
            if !lines.waiting.contains_key(namespace) {
                lines.turns.push_back(namespace.to_owned());
            }
            lines.waiting.entry(namespace.to_owned()).or_default().push_back(call);
            called
        };
        called.await.ok()
    }
}

impl Lines {
    /// The next one to be let in, taken out of its line; its namespace goes to the end of the turns.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        let namespace = self.turns.pop_front()?;
        let line = self.waiting.get_mut(&namespace)?;
        let next = line.pop_front();
        if line.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
        next
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let next = {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let next = lines.next();
            if next.is_none() {
                lines.free += 1;
            }
            next
        };
        if let Some(call) = next {
            // Whoever stopped waiting gives the place back at once, by dropping it.
            let _ = call.send(Self(Arc::clone(&self.0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_tenant_waits_for_one_turn_however_long_the_line_of_another_is() {
        let gate = Gate::new(1);
        let first = gate.enter("flood").await.unwrap();
        let mut flood: Vec<_> = (0..100).map(|_| Box::pin(gate.enter("flood"))).collect();
        for waiting in &mut flood {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        let mut other = Box::pin(gate.enter("other"));
        assert!(other.as_mut().now_or_never().is_none());
        drop(first);
        let second = flood[0].as_mut().now_or_never().flatten().unwrap();
        drop(second);
        assert!(other.as_mut().now_or_never().flatten().is_some(), "the second turn is the other tenant's");
    }

    #[tokio::test]
    async fn a_place_goes_on_when_the_one_called_has_left() {
        let gate = Gate::new(1);
        let first = gate.enter("a").await.unwrap();
        let mut gone = Box::pin(gate.enter("a"));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        let mut stays = Box::pin(gate.enter("a"));
        assert!(stays.as_mut().now_or_never().is_none());
        drop(first);
        assert!(stays.as_mut().now_or_never().flatten().is_some());
    }
}
