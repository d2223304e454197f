//! The writer thread: judges what waits, commits it, hands it on.

use super::scene::{Course, Scene};
use super::{Answer, Asked, Job, Parts, Refused, Reply, Shared, Step, Steps, Told};
use crate::authority::Keyring;
use crate::authority_key::KeyStore;
use crate::ids::{RequestId, Uid};
use crate::path::{Committed, Failed, Recorded, Released, Signed, Turn};
use crate::refusal::Refusal;
use crate::seal::Kek;
use crate::store::Store;
use keywright_ambient::{Clock, Entropy};
use keywright_secmem::give_back_free_memory;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Most jobs that one commit takes in.
const MOST: usize = 512;
/// How long the engine rests before it looks whether the log's files can still be written.
const IDLE: Duration = Duration::from_millis(500);
/// Least time between two tries to open a failed state folder again.
const REOPEN: Duration = Duration::from_secs(1);

/// Seconds since the Unix epoch.
pub(super) fn seconds(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.now().as_second()).unwrap_or(0)
}

/// An answer that waits for its signature.
struct Waiting {
    reply: Reply,
    parents: Vec<Vec<u8>>,
    created: bool,
    steps: Steps,
}

pub(super) struct Writer {
    state: PathBuf,
    kek: Arc<Kek>,
    keys: KeyStore,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    shared: Arc<Shared>,
    store: Result<Store, String>,
    tried: Instant,
    /// Counts how often the state folder failed; outcomes of an earlier opening count no longer.
    generation: u64,
    to_sign: Sender<(u64, Recorded)>,
    waiting: HashMap<u64, Waiting>,
    next_ticket: u64,
    /// Objects with a request under way, and the jobs that wait for its outcome.
    busy: HashMap<Uid, VecDeque<Job>>,
    /// Jobs whose object became free.
    free: VecDeque<Job>,
    /// Whether there was a turn since memory was last given back.
    worked: bool,
    stopping: bool,
}

impl Writer {
    pub(super) fn new(
        parts: Parts,
        shared: Arc<Shared>,
        store: Store,
        to_sign: Sender<(u64, Recorded)>,
    ) -> Self {
        let Parts { state, kek, keys, clock, entropy, .. } = parts;
        let writer = Self {
            tried: clock.monotonic(),
            state,
            kek,
            keys,
            clock,
            entropy,
            shared,
            store: Ok(store),
            generation: 0,
            to_sign,
            waiting: HashMap::new(),
            next_ticket: 0,
            busy: HashMap::new(),
            free: VecDeque::new(),
            worked: true,
            stopping: false,
        };
        writer.show();
        writer
    }

    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        loop {
            let mut jobs: Vec<Job> = self.free.drain(..).collect();
            if jobs.is_empty() {
                if self.stopping && self.busy.is_empty() {
                    break;
                }
                match queue.recv_timeout(IDLE) {
                    Ok(job) => jobs.push(job),
                    Err(RecvTimeoutError::Timeout) => {
                        self.rest();
                        if std::mem::take(&mut self.worked) {
                            give_back_free_memory();
                        }
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            jobs.extend(queue.try_iter().take(MOST));
            self.worked = true;
            self.reopen_if_failed();
            self.take_turn(jobs);
            self.show();
        }
        if let Ok(Store { mut ledger, publisher, .. }) = self.store
            && let Err(error) = ledger.settle(publisher.finish())
        {
            tracing::warn!(%error, "the last commit of a stopping signer failed; nothing is lost");
        }
    }

    /// In a quiet moment: notes how far the log is published, so that a later cut is noticed; sees to a failed disk.
    fn rest(&mut self) {
        if let Ok(store) = &mut self.store {
            let published = store.publisher.progress().published();
            if let Err(error) = store.ledger.settle(published) {
                self.fail(error.to_string());
            }
        }
        self.reopen_if_failed();
        self.show();
    }

    fn show(&self) {
        let authorities = self.shared.keyring().len() as u64;
        let mut status = self.shared.status.write().unwrap_or_else(PoisonError::into_inner);
        match &self.store {
            Ok(store) => {
                status.ready = !self.stopping;
                status.problem = if self.stopping { "the signer is stopping".into() } else { String::new() };
                status.log_size = store.ledger.head().size;
                status.log_published = store.publisher.progress().published();
                status.authorities = authorities;
                status.fencing = store.ledger.head().fencing;
                if status.verifier.is_empty() {
                    status.verifier = store.verifier.text();
                }
            }
            Err(why) => {
                status.ready = false;
                status.problem.clone_from(why);
            }
        }
    }

    fn fail(&mut self, why: String) {
        tracing::error!(%why, "state folder failed; nothing is signed until it opens again");
        self.generation += 1;
        self.store = Err(why);
        self.tried = self.clock.monotonic();
        self.show();
    }

    fn reopen_if_failed(&mut self) {
        let stopped = self.store.as_ref().ok().and_then(|store| store.publisher.progress().stopped());
        if let Some(why) = stopped {
            self.fail(why);
        }
        if self.store.is_ok() || self.clock.monotonic().duration_since(self.tried) < REOPEN {
            return;
        }
        self.tried = self.clock.monotonic();
        let opened = Store::open(&self.state, &self.kek, &*self.entropy, seconds(&*self.clock));
        match opened.and_then(|(store, rows)| Ok((store, Keyring::open(rows, &self.kek, &self.keys)?))) {
            Ok((store, keyring)) => {
                self.shared.set_keyring(keyring);
                self.store = Ok(store);
                tracing::info!("state folder opened again; signing goes on");
            }
            Err(error) => {
                tracing::warn!(%error, "state folder does not open yet");
                self.store = Err(error.to_string());
            }
        }
    }

    fn take_turn(&mut self, jobs: Vec<Job>) {
        let now = seconds(&*self.clock);
        let prepared = match &self.store {
            Ok(store) => store
                .ledger
                .read()
                .map(|view| (Turn::new(&store.ledger, now), view, store.ledger.head().fencing))
                .map_err(|error| (error.to_string(), true)),
            Err(why) => Err((why.clone(), false)),
        };
        let (turn, view, fencing) = match prepared {
            Ok(prepared) => prepared,
            Err((why, is_new)) => {
                if is_new {
                    self.fail(why.clone());
                }
                return self.refuse_all(jobs, &why);
            }
        };
        let (kek, entropy) = (Arc::clone(&self.kek), Arc::clone(&self.entropy));
        let mut scene = Scene {
            turn,
            view,
            now,
            fencing,
            keyring: self.shared.keyring(),
            kek: &kek,
            entropy: &*entropy,
            answers: Vec::new(),
            changed: Vec::new(),
            pending: Vec::new(),
            settled: Vec::new(),
        };
        for job in jobs {
            self.take(job, &mut scene);
        }
        self.conclude(scene);
    }

    fn take(&mut self, job: Job, scene: &mut Scene<'_>) {
        match job {
            Job::Stop => self.stopping = true,
            Job::Refuse(refuse) => {
                let (refused, reply) = *refuse;
                scene.refuse(refused, reply);
            }
            Job::Ended(told) => {
                let Told { reported, found, caller, reply } = *told;
                match scene.ended(&reported, found, &caller) {
                    Ok(answer) => scene.answers.push((reply, Ok(answer))),
                    Err(refusal) => {
                        let id = Some(RequestId { uid: reported.uid, step: 0 });
                        let operation = "LogEndedApproval";
                        let refused = Refused { refusal, caller, operation, id, authority: None, count: 1 };
                        scene.refuse(refused, reply);
                    }
                }
            }
            Job::Outcome(generation, outcome, step) => self.settle(generation, outcome, step, scene),
            Job::Issue(asked) => {
                if let Some(line) = self.busy.get_mut(&asked.ask.id.uid) {
                    return line.push_back(Job::Issue(asked));
                }
                let Asked { ask, cleared, caller, reply, mut steps, .. } = *asked;
                let (id, authority, ticket) = (ask.id, ask.authority, self.ticket());
                let from = steps.begin(&*self.clock);
                let course = scene.issue(ask, &cleared, &caller, ticket).map_err(|refusal| Refused {
                    refusal,
                    caller,
                    operation: "Issue",
                    id: Some(id),
                    authority: Some(authority),
                    count: 1,
                });
                steps.end("lint", from, &*self.clock);
                self.follow(ticket, id, course, (reply, steps), scene);
            }
            Job::Ensure(asked) => {
                if let Some(line) = self.busy.get_mut(&asked.ask.id.uid) {
                    return line.push_back(Job::Ensure(asked));
                }
                let Asked { ask, cleared, caller, key, reply, steps } = *asked;
                let (id, ticket) = (ask.id, self.ticket());
                let course = scene.ensure(ask, &cleared, key, &caller, ticket).map_err(|refusal| Refused {
                    refusal,
                    caller,
                    operation: "EnsureAuthority",
                    id: Some(id),
                    authority: Some(id.uid),
                    count: 1,
                });
                self.follow(ticket, id, course, (reply, steps), scene);
            }
            Job::LookUp(asked) => {
                let Asked { ask, caller, reply, .. } = *asked;
                match scene.look_up(&ask) {
                    Ok(counting) => {
                        let answer = Answer { counting, ..Answer::default() };
                        scene.answers.push((reply, Ok(answer)));
                    }
                    Err(refusal) => {
                        let operation = "LookUp";
                        let refused =
                            Refused { refusal, caller, operation, id: None, authority: None, count: 1 };
                        scene.refuse(refused, reply);
                    }
                }
            }
            Job::Key(asked) => {
                if let Some(line) = self.busy.get_mut(&asked.ask.uid) {
                    return line.push_back(Job::Key(asked));
                }
                let Asked { ask, caller, key, reply, steps, .. } = *asked;
                let (id, ticket) = (RequestId { uid: ask.uid, step: 0 }, self.ticket());
                let course =
                    scene.ensure_key(&ask, key, &caller).map(Course::Answer).map_err(|refusal| Refused {
                        refusal,
                        caller,
                        operation: "EnsureKey",
                        id: None,
                        authority: Some(id.uid),
                        count: 1,
                    });
                self.follow(ticket, id, course, (reply, steps), scene);
            }
        }
    }

    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    fn follow(
        &mut self,
        ticket: u64,
        id: RequestId,
        course: Result<Course, Refused>,
        (reply, steps): (Reply, Steps),
        scene: &mut Scene<'_>,
    ) {
        match course {
            Err(refused) => scene.refuse(refused, reply),
            Ok(Course::Answer(answer)) => {
                let answer = Answer { steps, ..answer };
                // The next request for this object must see what this one changed.
                scene.answers.push((reply, Ok(answer)));
                scene.pending.push((ticket, id));
                self.busy.insert(id.uid, VecDeque::new());
                scene.settled.push((ticket, id, None));
            }
            Ok(Course::Sign { linted, parents, created }) => {
                if let Err(refusal) = scene.turn.add(*linted) {
                    return scene.answers.push((reply, Err(refusal)));
                }
                self.waiting.insert(ticket, Waiting { reply, parents, created, steps });
                self.busy.insert(id.uid, VecDeque::new());
                scene.pending.push((ticket, id));
            }
        }
    }

    /// Takes in what a signing thread made.
    fn settle(
        &mut self,
        generation: u64,
        outcome: Result<Box<Signed>, Box<Failed>>,
        step: Step,
        scene: &mut Scene<'_>,
    ) {
        let (ticket, id, failure) = match &outcome {
            Ok(signed) => {
                let (ticket, id) = signed.ticket();
                (ticket, id, None)
            }
            Err(failed) => {
                let (ticket, id, refusal) = failed.ticket();
                tracing::error!(why = refusal.rule, uid = %id.uid, "a certificate was not made");
                (ticket, id, Some(refusal.clone()))
            }
        };
        if let Some(waiting) = self.waiting.get_mut(&ticket) {
            waiting.steps.add(step);
        }
        if generation != self.generation {
            self.disappoint(
                ticket,
                &Refusal::unavailable("the state folder failed while this was being signed"),
            );
            return self.release(id.uid);
        }
        let added = match outcome {
            Ok(signed) => scene.turn.add_signed(*signed),
            Err(failed) => scene.turn.add_failed(*failed),
        };
        match added {
            Ok(()) => scene.settled.push((ticket, id, failure)),
            Err(refusal) => {
                self.disappoint(ticket, &refusal);
                self.release(id.uid);
            }
        }
    }

    fn disappoint(&mut self, ticket: u64, refusal: &Refusal) {
        if let Some(waiting) = self.waiting.remove(&ticket) {
            // The asker may have gone away; the log says what happened.
            let _ = waiting.reply.send(Err(refusal.clone()));
        }
    }

    fn release(&mut self, uid: Uid) {
        self.free.extend(self.busy.remove(&uid).into_iter().flatten());
    }

    /// Commits the turn, then lets out what it made true.
    fn conclude(&mut self, scene: Scene<'_>) {
        let Scene { turn, view, answers, changed, pending, settled, .. } = scene;
        drop(view);
        let from = self.clock.monotonic();
        let committed = match &mut self.store {
            Ok(store) => {
                let published = store.publisher.progress().published();
                turn.commit(&mut store.ledger, published).map_err(|error| error.to_string())
            }
            Err(why) => Err(why.clone()),
        };
        match committed {
            Ok(Committed { entries, recorded, released }) => {
                let to = self.clock.monotonic();
                for (ticket, _) in &pending {
                    if let Some(waiting) = self.waiting.get_mut(ticket) {
                        waiting.steps.add(("record", from, to));
                    }
                }
                for recorded in recorded {
                    // Fails only when all signing threads are gone, which is when the process ends.
                    let _ = self.to_sign.send((self.generation, recorded));
                }
                if !changed.is_empty() || released.iter().any(|one| one.authority.is_some()) {
                    let mut keyring = (*self.shared.keyring()).clone();
                    let certified = released.iter().filter_map(|one| one.authority.as_ref());
                    changed.iter().chain(certified).for_each(|one| keyring.put(Arc::clone(one)));
                    self.shared.set_keyring(keyring);
                }
                for one in released {
                    self.hand_out(one, ("release", from, to));
                }
                for (ticket, id, failure) in settled {
                    if let Some(refusal) = failure {
                        self.disappoint(ticket, &refusal);
                    }
                    self.release(id.uid);
                }
                for (reply, answer) in answers {
                    let _ = reply.send(answer);
                }
                if let Ok(store) = &self.store
                    && !entries.is_empty()
                {
                    store.publisher.send(entries);
                }
            }
            Err(why) => {
                self.fail(why.clone());
                let refusal = Refusal::unavailable(&why);
                for (reply, _) in answers {
                    let _ = reply.send(Err(refusal.clone()));
                }
                let outcomes = settled.into_iter().map(|(ticket, id, _)| (ticket, id));
                for (ticket, id) in pending.into_iter().chain(outcomes) {
                    self.disappoint(ticket, &refusal);
                    self.release(id.uid);
                }
            }
        }
    }

    fn hand_out(&mut self, released: Released, step: Step) {
        let Released { ticket, id, certificate, log_index, .. } = released;
        if let Some(Waiting { reply, parents, created, mut steps }) = self.waiting.remove(&ticket) {
            steps.add(step);
            let answer = Answer {
                certificate,
                parents,
                step: id.step,
                log_index,
                created,
                steps,
                ..Answer::default()
            };
            let _ = reply.send(Ok(answer));
        }
    }

    /// Answers everything that waits while the state folder cannot be used; nothing is signed or logged.
    fn refuse_all(&mut self, jobs: Vec<Job>, why: &str) {
        let refusal = Refusal::unavailable(why);
        for job in jobs {
            match job {
                Job::Stop => self.stopping = true,
                Job::Issue(asked) => {
                    let _ = asked.reply.send(Err(refusal.clone()));
                }
                Job::Ensure(asked) => {
                    let _ = asked.reply.send(Err(refusal.clone()));
                }
                Job::Key(asked) => {
                    let _ = asked.reply.send(Err(refusal.clone()));
                }
                Job::LookUp(asked) => {
                    let _ = asked.reply.send(Err(refusal.clone()));
                }
                Job::Ended(told) => {
                    let _ = told.reply.send(Err(refusal.clone()));
                }
                Job::Refuse(refuse) => {
                    let _ = refuse.1.send(Err(refusal.clone()));
                }
                Job::Outcome(_, outcome, _) => {
                    let (ticket, id) = match &outcome {
                        Ok(signed) => signed.ticket(),
                        Err(failed) => {
                            let (ticket, id, _) = failed.ticket();
                            (ticket, id)
                        }
                    };
                    self.disappoint(ticket, &refusal);
                    self.release(id.uid);
                }
            }
        }
    }
}
