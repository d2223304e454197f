//! What is looked at next. Tenants take turns, so that one tenant's flood does not delay another; nothing is looked at
//! twice at one time; whatever is asked for while it is looked at is looked at once more afterwards.
//!
//! ```text
//! (nothing) --want--> waiting --next--> running --done--> (nothing)
//!                       ^                  | want
//!                       |                  v
//!                       +------done--- running, wanted again
//! ```
//! Who has to wait stands in a line of its own namespace, and the lines take turns. With one namespace it is first come,
//! first served. Every step takes the same time however much is waiting.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Objects by key; each belongs to a tenant.
pub(crate) struct Agenda<K> {
    states: HashMap<K, State>,
    lines: HashMap<String, VecDeque<K>>,
    /// Tenants that have something waiting, next turn first.
    turns: VecDeque<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    WantedAgain,
}

impl<K> Default for Agenda<K> {
    fn default() -> Self {
        Self { states: HashMap::new(), lines: HashMap::new(), turns: VecDeque::new() }
    }
}

impl<K: Hash + Eq + Clone> Agenda<K> {
    /// Asks for a look.
    pub(crate) fn want(&mut self, key: K, tenant: &str) {
        match self.states.get_mut(&key) {
            None => {
                self.states.insert(key.clone(), State::Waiting);
                self.queue(key, tenant);
            }
            Some(State::Waiting | State::WantedAgain) => {}
            Some(running) => *running = State::WantedAgain,
        }
    }

    /// The next one to look at, which counts as running from now on.
    pub(crate) fn next(&mut self) -> Option<K> {
        let tenant = self.turns.pop_front()?;
        let line = self.lines.get_mut(&tenant)?;
        let next = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        let next = next?;
        self.states.insert(next.clone(), State::Running);
        Some(next)
    }

    /// A look has ended. True: it was asked for once more meanwhile, and waits again.
    pub(crate) fn done(&mut self, key: &K, tenant: &str) -> bool {
        match self.states.remove(key) {
            Some(State::WantedAgain) => {
                self.want(key.clone(), tenant);
                true
            }
            Some(State::Waiting | State::Running) | None => false,
        }
    }

    fn queue(&mut self, key: K, tenant: &str) {
        if let Some(line) = self.lines.get_mut(tenant) {
            line.push_back(key);
        } else {
            self.lines.insert(tenant.to_owned(), VecDeque::from([key]));
            self.turns.push_back(tenant.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_waits_for_one_turn_however_long_the_line_of_another_is() {
        let mut agenda = Agenda::default();
        for number in 0..100 {
            agenda.want(number, "flood");
        }
        agenda.want(1000, "other");
        assert_eq!([agenda.next(), agenda.next(), agenda.next()], [Some(0), Some(1000), Some(1)]);
    }

    #[test]
    fn what_is_wanted_often_before_its_turn_is_looked_at_once() {
        let mut agenda = Agenda::default();
        agenda.want(1, "a");
        agenda.want(1, "a");
        assert_eq!(agenda.next(), Some(1));
        assert_eq!(agenda.next(), None);
        assert!(!agenda.done(&1, "a"));
    }

    #[test]
    fn what_is_wanted_while_it_is_looked_at_is_looked_at_once_more_and_not_at_the_same_time() {
        let mut agenda = Agenda::default();
        agenda.want(1, "a");
        assert_eq!(agenda.next(), Some(1));
        agenda.want(1, "a");
        agenda.want(1, "a");
        assert_eq!(agenda.next(), None, "it is being looked at");
        assert!(agenda.done(&1, "a"));
        assert_eq!(agenda.next(), Some(1));
        assert!(!agenda.done(&1, "a"));
        assert_eq!(agenda.next(), None);
    }
}
