//! The decisions of `Certificate` in every order: two operators of which one leads, a signer with its ledger, people who
//! edit and delete, crashes, lost leadership and old caches, explored to the end.
//!
//! The states are small numbers; `decide`, `read` and the marks are the real ones, on real certificates that are made
//! once for each content. From every state that can be reached, the leader working alone must come to rest with what is
//! wanted published, and what is published must be the certificate that counts.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail like tests")]
#![allow(dead_code, reason = "the scene is shared with the tests of the decisions")]
#![allow(clippy::match_same_arms, reason = "two reasons to give up, each with its own words")]

#[path = "../decisions/scene.rs"]
mod scene;

use k8s_openapi::api::core::v1::Secret;
use keywright_controllers_core::certificate::decide::{Plan, World, decide, leaf_facts};
use keywright_controllers_core::certificate::held::{Found, read};
use keywright_controllers_core::certificate::mark;
use scene::{MANAGER, Scene, valid};
use std::collections::{HashMap, HashSet, VecDeque};

/// What lies in the Secret, or was signed: for which names, under which number, as which of all signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Leaf {
    names: u8,
    step: u64,
    index: u64,
}

/// Where an operator is in its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Work {
    Idle,
    Asking { names: u8, step: u64, over: Option<u8> },
    Writing { leaf: Leaf, over: Option<u8> },
    Telling { leaf: Leaf },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    /// Which names the spec wants.
    names: u8,
    secret: Option<Leaf>,
    /// resourceVersion of the Secret; counts deletions too.
    version: u8,
    status: Option<Leaf>,
    /// Signatures that count, at most one for each step.
    live: Vec<Leaf>,
    signed: u64,
    leader: usize,
    /// What each operator does, and what its cache shows: names and status.
    work: [Work; 2],
    cache: [(u8, Option<Leaf>); 2],
    edits: u8,
    deletions: u8,
    crashes: u8,
    changes: u8,
}

/// Real Secrets by what they hold.
struct Made(HashMap<Leaf, Secret>, [Scene; 2]);

impl Made {
    fn new() -> Self {
        Self(HashMap::new(), [0, 1].map(spec))
    }

    fn secret(&mut self, leaf: Leaf) -> Secret {
        self.0.entry(leaf).or_insert_with(|| made(leaf)).clone()
    }
}

fn spec(names: u8) -> Scene {
    Scene::published(|cert| cert.spec.dns_names = vec![format!("{}.example.com", char::from(b'a' + names))])
}

/// A Secret as it is published for this leaf.
fn made(leaf: Leaf) -> Secret {
    let mut scene = spec(leaf.names);
    scene.annotate(mark::REVISION, &leaf.step.to_string());
    scene.annotate(mark::LOG_INDEX, &leaf.index.to_string());
    let Found::Ours(held) = read(scene.secret.clone(), MANAGER) else { unreachable!("it was published") };
    let facts = leaf_facts(&valid(&scene.cert), &held).expect("it was published");
    scene.annotate(mark::LEAF, &facts.digest());
    scene.secret.expect("it was published")
}

fn start(crashes: u8, changes: u8) -> State {
    State {
        names: 0,
        secret: None,
        version: 0,
        status: None,
        live: Vec::new(),
        signed: 0,
        leader: 0,
        work: [Work::Idle; 2],
        cache: [(0, None); 2],
        edits: 2,
        deletions: 1,
        crashes,
        changes,
    }
}

/// The real decision on what operator `who` sees: its cache, and the Secret of now.
fn plan(state: &State, made: &mut Made, who: usize) -> Plan {
    let (names, status) = state.cache[who];
    let secret = state.secret.map(|leaf| made.secret(leaf));
    let published = status.map(|leaf| {
        let Found::Ours(held) = read(Some(made.secret(leaf)), MANAGER) else {
            unreachable!("it was published")
        };
        (held.leaf.expect("it was published").serial().to_string(), leaf.index)
    });
    let scene = &made.1[usize::from(names)];
    let world = World {
        now: scene.now,
        issuer: scene.issuer.clone(),
        rivals: Vec::new(),
        found: read(secret, MANAGER),
        revision: status.map_or(0, |leaf| leaf.step),
        published,
    };
    decide(&valid(&scene.cert), &world)
}

/// One step of one operator's work; `None` where it has nothing to do.
fn step(state: &State, made: &mut Made, who: usize) -> Option<State> {
    let mut next = state.clone();
    match state.work[who] {
        Work::Idle if state.leader != who => return None,
        Work::Idle => match plan(state, made, who) {
            Plan::Sign { order } => {
                let over = state.secret.map(|_| state.version);
                next.work[who] = Work::Asking { names: state.cache[who].0, step: order.step, over };
            }
            Plan::Rest { .. } | Plan::Republish { .. } => {
                let leaf = state.secret?;
                if state.cache[who].1 == Some(leaf) {
                    return None;
                }
                next.work[who] = Work::Telling { leaf };
            }
            Plan::Wait { .. } | Plan::Stop { .. } => {
                unreachable!("the issuer is good and the Secret is ours")
            }
        },
        // The signer refuses a leader of before.
        Work::Asking { .. } if state.leader != who => next.work[who] = Work::Idle,
        Work::Asking { names, step, over } => {
            let leaf = Leaf { names, step, index: state.signed };
            next.signed += 1;
            next.live.retain(|other| other.step != step);
            next.live.push(leaf);
            next.work[who] = Work::Writing { leaf, over };
        }
        // Written over nothing it is an apply by the same manager, which has no precondition.
        Work::Writing { leaf, over } if over.is_none() || over == state.secret.map(|_| state.version) => {
            next.secret = Some(leaf);
            next.version += 1;
            next.work[who] = Work::Telling { leaf };
        }
        Work::Writing { .. } => next.work[who] = Work::Idle,
        // It ends when it finds the lease taken; what it had sent before may still arrive.
        Work::Telling { .. } if state.leader != who => next.work[who] = Work::Idle,
        Work::Telling { leaf } => {
            next.status = Some(leaf);
            // An operator waits for the echo of its own write.
            next.cache[who] = (state.cache[who].0, next.status);
            next.work[who] = Work::Idle;
        }
    }
    Some(next)
}

/// All that can happen next.
fn successors(state: &State, made: &mut Made) -> Vec<State> {
    let mut all: Vec<State> = [0, 1].into_iter().filter_map(|who| step(state, made, who)).collect();
    let mut change = |change: fn(&mut State)| {
        let mut next = state.clone();
        change(&mut next);
        if next != *state {
            all.push(next);
        }
    };
    change(|s| (s.cache[0].0, s.cache[0].1) = (s.names, s.status));
    change(|s| (s.cache[1].0, s.cache[1].1) = (s.names, s.status));
    if state.edits > 0 {
        change(|s| (s.names, s.edits) = (1 - s.names, s.edits - 1));
    }
    if state.deletions > 0 && state.secret.is_some() {
        change(|s| (s.secret, s.version, s.deletions) = (None, s.version + 1, s.deletions - 1));
    }
    if state.crashes > 0 {
        change(|s| (s.work[s.leader], s.crashes) = (Work::Idle, s.crashes - 1));
    }
    if state.changes > 0 {
        change(|s| {
            let next = 1 - s.leader;
            (s.leader, s.work[next], s.cache[next], s.changes) =
                (next, Work::Idle, (s.names, s.status), s.changes - 1);
        });
    }
    all
}

/// The leader works alone, its cache up to date, until it rests.
fn settled(state: &State, made: &mut Made) -> Result<State, String> {
    let mut state = state.clone();
    for _ in 0..20 {
        let who = state.leader;
        if state.work[who] == Work::Idle {
            state.cache[who] = (state.names, state.status);
        }
        match step(&state, made, who) {
            Some(next) => state = next,
            None => return Ok(state),
        }
    }
    Err(format!("it does not come to rest: {state:?}"))
}

#[test]
fn with_one_leader_every_state_comes_to_rest_with_what_counts_published() {
    explore(start(2, 0), true);
}

/// Which of two certificates of one request counts is known to the signer alone. So after a change of leaders in the
/// middle of a write the superseded one may stay published until its renewal: that is not asked for here.
#[test]
fn after_a_change_of_leaders_every_state_comes_to_rest_with_what_is_wanted() {
    explore(start(0, 1), false);
}

fn explore(start: State, counts: bool) {
    let mut made = Made::new();
    let mut seen = HashSet::from([start.clone()]);
    let mut waiting = VecDeque::from([start]);
    while let Some(state) = waiting.pop_front() {
        let mut steps: Vec<u64> = state.live.iter().map(|leaf| leaf.step).collect();
        steps.sort_unstable();
        steps.dedup();
        assert_eq!(steps.len(), state.live.len(), "two certificates count for one request: {state:?}");
        let end = settled(&state, &mut made).unwrap_or_else(|words| unreachable!("{words}"));
        let published = end.secret.expect("something is published");
        assert_eq!(published.names, end.names, "from {state:?}");
        assert_eq!(end.status, Some(published), "from {state:?}");
        assert!(
            !counts || end.live.contains(&published),
            "{published:?} is published and does not count; from {state:?}"
        );
        for next in successors(&state, &mut made) {
            if seen.insert(next.clone()) {
                waiting.push_back(next);
            }
        }
    }
    assert!(seen.len() > 1000, "only {} states", seen.len());
}
