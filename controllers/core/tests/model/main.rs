//! The decisions of `Certificate` in every order, model-checked with stateright: two operators of which one leads, a
//! signer with its ledger, people who edit and delete; crashes, changes of leaders, requests that are carried out late,
//! twice or with the answer lost, and caches that show an older world.
//!
//! ```text
//! real    the real `decide`, `read` and marks on real certificates, each made once   real
//! state   what there is, in small numbers, and what can happen to it                 state
//! here    what must hold, and of how much trouble
//! ```
//! Safety: one certificate counts for each request; nothing is signed without end; what is published counts. Liveness:
//! from every state that can be reached, left alone, the leader comes to rest with what is wanted published and told,
//! and every path ends there.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail like tests")]
#![allow(dead_code, reason = "the scene is shared with the tests of the decisions")]

mod real;
#[path = "../decisions/scene.rs"]
mod scene;
mod state;

use real::Real;
use state::{Action, State, Trouble};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::collections::BTreeSet;

/// The system under so much trouble.
struct System {
    real: Real,
    trouble: Trouble,
}

impl Model for System {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.trouble)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        state.actions(actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        state.after(&self.real, action).filter(|next| next != state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one certificate counts for each request", |_, state: &State| {
                let steps: BTreeSet<u64> = state.live.iter().map(|leaf| leaf.step).collect();
                steps.len() == state.live.len()
            }),
            Property::always("each signature has a cause", |_, state: &State| {
                state.signed <= state.most_signatures()
            }),
            Property::always(
                "left alone it comes to rest with what is wanted",
                |system: &Self, state: &State| system.settled(state).is_some_and(|end| end.is_as_wanted()),
            ),
            Property::always("what is published counts", |system: &Self, state: &State| {
                system.settled(state).is_some_and(|end| end.counts())
            }),
            Property::eventually(
                "it rests when nothing can happen any more",
                |system: &Self, state: &State| {
                    system.settled(state).as_ref() == Some(state) && state.is_as_wanted()
                },
            ),
            Property::sometimes("a certificate is superseded", |_, state: &State| {
                usize::try_from(state.signed).is_ok_and(|signed| signed > state.live.len())
            }),
        ]
    }
}

impl System {
    /// What comes of it when nothing is disturbed any more: what is under way arrives, then the leader works alone with
    /// its cache up to date. `None`: it never rests.
    fn settled(&self, state: &State) -> Option<State> {
        let mut state = state.clone();
        for _ in 0..40 {
            match state.undisturbed(&self.real) {
                Some(next) => state = next,
                None => return Some(state),
            }
        }
        None
    }
}

fn check(trouble: Trouble, least: usize) {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let system = System { real: Real::new(), trouble };
    // At the first thing that is wrong: what goes wrong may go on without end.
    let checking = system.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures);
    let checked = checking.spawn_bfs().join();
    checked.assert_properties();
    let states = checked.unique_state_count();
    assert!(states > least, "only {states} states: the model has lost something that can happen");
}

const NONE: Trouble =
    Trouble { edits: 0, deletions: 0, crashes: 0, changes: 0, late: false, twice: 0, lost: 0 };

#[test]
fn with_crashes_at_any_moment() {
    check(Trouble { edits: 2, deletions: 1, crashes: 2, ..NONE }, 1000);
}

#[test]
fn with_answers_that_get_lost() {
    check(Trouble { edits: 1, deletions: 1, crashes: 1, lost: 2, ..NONE }, 500);
}

#[test]
fn with_a_change_of_leaders() {
    check(Trouble { edits: 2, deletions: 1, changes: 1, ..NONE }, 1000);
}

#[test]
fn with_requests_that_arrive_late_and_twice() {
    check(Trouble { edits: 1, changes: 1, late: true, twice: 1, ..NONE }, 1000);
}
