//! The engine: one thread that decides and commits, a few that sign, and the order between them.
//!
//! ```text
//! jobs --> turn: authorised requests are judged, intents gathered -+
//!      \-> turn: finished signatures gathered --------------------+-> one durable commit -> recorded -> signing threads
//!                                                                   \-> released, refused, repeated -> answers
//! ```
//! Everything that waits together is committed together (group commit); while the disk works the signing threads do too.
//! Of two requests for one object the second waits until the first has its outcome. When the disk or the log fails, every
//! waiting request is told so, nothing is signed, and the state folder is opened again before the next try.

mod keys;
mod scene;
mod steps;
mod turn;

pub use steps::{Step, Steps};

use crate::approval::ended::Reported;
use crate::approval::{Cleared, Gate};
use crate::authority::{Authority, Keyring};
use crate::authority_key::{AuthorityKey, KeyStore};
use crate::draft;
use crate::ids::{RequestId, Uid};
use crate::metrics::Counts;
use crate::parse::{ValidEnsure, ValidIssue, ValidLookUp};
use crate::path::{Failed, Recorded, Signed};
use crate::policy::Question;
use crate::purpose::ValidKey;
use crate::rates::Rate;
use crate::refusal::Refusal;
use crate::seal::Kek;
use crate::store::{Store, StoreError};
use keywright_ambient::{Clock, Entropy};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_signer_cluster::Found;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A credential on its way out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Certificates above it, DER, issuer first, root last.
    pub parents: Vec<Vec<u8>>,
    /// Step that the certificate was made for.
    pub step: u64,
    /// Index of the signature's entry.
    pub log_index: u64,
    /// It is the stored answer to an earlier request.
    pub repeated: bool,
    /// This request made the key.
    pub created: bool,
    /// When its steps were taken, where that was kept.
    pub steps: Steps,
    /// What counts for each request that was looked up; nothing else is set then.
    pub counting: Vec<Option<Counting>>,
}

/// The certificate that counts for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counting {
    /// Serial number, big-endian.
    pub serial: Vec<u8>,
    /// Index of the signature's entry.
    pub log_index: u64,
}

/// Where an answer goes.
pub type Reply = oneshot::Sender<Result<Answer, Refusal>>;

/// A refusal that was decided before the engine saw the request, to be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// Who asked.
    pub caller: String,
    /// For what.
    pub operation: &'static str,
    /// For which object, where that was readable.
    pub id: Option<RequestId>,
    /// Of which authority, where that was readable.
    pub authority: Option<Uid>,
    /// How many of a row it stands for; 1 unless only a part of the row is logged.
    pub count: u64,
}

/// What the engine is asked to do.
enum Job {
    Issue(Box<Asked<ValidIssue>>),
    Ensure(Box<Asked<ValidEnsure>>),
    Key(Box<Asked<ValidKey>>),
    LookUp(Box<Asked<ValidLookUp>>),
    Ended(Box<Told>),
    Refuse(Box<(Refused, Reply)>),
    Outcome(u64, Result<Box<Signed>, Box<Failed>>, Step),
    Stop,
}

/// A request that was authorised and parsed.
struct Asked<T> {
    ask: T,
    cleared: Cleared,
    caller: String,
    /// A fresh key, for a new authority.
    key: Option<AuthorityKey>,
    steps: Steps,
    reply: Reply,
}

/// A request for approval that is said to have ended, and what was found out about it.
struct Told {
    reported: Reported,
    found: Result<Found, Refusal>,
    caller: String,
    reply: Reply,
}

/// What the engine shows of itself.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Whether it can sign: log verified, disk writable at the last commit.
    pub ready: bool,
    /// Why not, if it cannot.
    pub problem: String,
    /// Number of log entries.
    pub log_size: u64,
    /// How many of them the checkpoint on disk covers.
    pub log_published: u64,
    /// Number of authorities.
    pub authorities: u64,
    /// Highest fencing token seen.
    pub fencing: u64,
    /// The log's verifier key.
    pub verifier: String,
}

/// What the engine is made of.
pub struct Parts {
    /// The state folder.
    pub state: PathBuf,
    /// The key-encryption key.
    pub kek: Arc<Kek>,
    /// Where keys of new authorities are made, and those in a token found.
    pub keys: KeyStore,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Number of signing threads, at least one.
    pub signers: usize,
    /// Where approvals are checked.
    pub gate: Gate,
}

#[derive(Default)]
struct Shared {
    status: RwLock<Status>,
    keyring: RwLock<Arc<Keyring>>,
    counts: Counts,
}

impl Shared {
    fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_keyring(&self, keyring: Keyring) {
        *self.keyring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keyring);
    }
}

/// A handle on a running engine. Dropping the last one finishes what is under way and ends it.
pub struct Engine {
    jobs: Sender<Job>,
    shared: Arc<Shared>,
    keys: KeyStore,
    clock: Arc<dyn Clock>,
    gate: Gate,
    entropy: Arc<dyn Entropy>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Engine {
    /// Opens the state folder and starts the threads.
    ///
    /// Errors: the state folder cannot be used; nothing runs then.
    pub fn start(parts: Parts) -> Result<Self, StoreError> {
        let now = turn::seconds(&*parts.clock);
        let (store, rows) = Store::open(&parts.state, &parts.kek, &*parts.entropy, now)?;
        let keyring = Keyring::open(rows, &parts.kek, &parts.keys)?;
        keyring.algorithms().into_iter().try_for_each(draft::prepare)?;
        let shared = Arc::new(Shared::default());
        shared.set_keyring(keyring);
        let (jobs, queue) = channel();
        let (to_sign, recorded) = channel();
        let recorded = Arc::new(Mutex::new(recorded));
        let no_thread = |source| StoreError::Io { path: parts.state.clone(), source };
        let mut threads = Vec::new();
        for n in 0..parts.signers.max(1) {
            let (recorded, jobs, clock) = (Arc::clone(&recorded), jobs.clone(), Arc::clone(&parts.clock));
            let thread = std::thread::Builder::new().name(format!("sign-{n}"));
            threads.push(thread.spawn(move || sign(&recorded, &jobs, &*clock)).map_err(no_thread)?);
        }
        let (state, keys, entropy) = (parts.state.clone(), parts.keys.clone(), Arc::clone(&parts.entropy));
        let (clock, gate) = (Arc::clone(&parts.clock), parts.gate.clone());
        let writer = turn::Writer::new(parts, Arc::clone(&shared), store, to_sign);
        let thread = std::thread::Builder::new().name("writer".into());
        let writer = thread.spawn(move || writer.run(&queue));
        threads.push(writer.map_err(|source| StoreError::Io { path: state, source })?);
        Ok(Self { jobs, shared, keys, clock, gate, entropy, threads: Mutex::new(threads) })
    }

    /// How it is.
    pub fn status(&self) -> Status {
        self.shared.status.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was asked of it since it started.
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Whether an authority of this name exists.
    pub fn knows(&self, uid: &Uid) -> bool {
        let keyring = self.shared.keyring();
        keyring.get(uid).is_some() || keyring.is_destroyed(uid)
    }

    /// The key of this name, of whatever purpose.
    pub fn key(&self, uid: &Uid) -> Option<Arc<Authority>> {
        self.shared.keyring().get(uid).map(Arc::clone)
    }

    /// How often each caller may ask for this key, where the key says so.
    pub fn rate_of(&self, uid: &Uid) -> Option<Rate> {
        self.shared.keyring().get(uid)?.constraints.access.rate
    }

    /// Makes a key for a new authority, where this signer makes them. Slow: not on a thread that serves others.
    pub fn make_key(&self, uid: Uid, algorithm: KeyAlgorithm) -> Result<AuthorityKey, Refusal> {
        draft::prepare(algorithm)?;
        self.keys.make(uid, algorithm, &*self.entropy)
    }

    /// Asks for a leaf. `steps`: whether it is kept when they are taken.
    pub async fn issue(
        &self,
        mut ask: ValidIssue,
        caller: String,
        mut steps: Steps,
    ) -> Result<Answer, Refusal> {
        let from = steps.begin(&*self.clock);
        // One that cannot be chosen is refused in the turn, where the caller is known to be one of the key's.
        let key = self.key(&ask.authority);
        let profile =
            key.and_then(|key| key.constraints.profiles.choose(ask.profile.as_ref()).ok().flatten().cloned());
        let brought = std::mem::take(&mut ask.approvals);
        let question = || Question::of_leaf(&ask, profile.as_ref());
        let cleared = self.gate.examine(brought, profile.clone(), question, &*self.clock).await;
        steps.end("examine", from, &*self.clock);
        let (reply, answer) = oneshot::channel();
        self.post(Job::Issue(Box::new(Asked { ask, cleared, caller, key: None, steps, reply })), answer).await
    }

    /// Asks for an authority; `key` is a fresh one, needed when the authority is new.
    pub async fn ensure(
        &self,
        mut ask: ValidEnsure,
        key: Option<AuthorityKey>,
        caller: String,
    ) -> Result<Answer, Refusal> {
        let brought = std::mem::take(&mut ask.approvals);
        let question = || Question::of_authority(&ask);
        let cleared = self.gate.examine(brought, None, question, &*self.clock).await;
        let (reply, answer) = oneshot::channel();
        self.post(
            Job::Ensure(Box::new(Asked { ask, cleared, caller, key, steps: Steps::default(), reply })),
            answer,
        )
        .await
    }

    /// Asks for a key of another purpose than certificates; `key` is a fresh one, needed when it is new.
    pub async fn ensure_key(
        &self,
        ask: ValidKey,
        key: Option<AuthorityKey>,
        caller: String,
    ) -> Result<Answer, Refusal> {
        let (reply, answer) = oneshot::channel();
        let (cleared, steps) = (Cleared::default(), Steps::default());
        self.post(Job::Key(Box::new(Asked { ask, cleared, caller, key, steps, reply })), answer).await
    }

    /// Looks up what counts.
    pub async fn look_up(&self, ask: ValidLookUp, caller: String) -> Result<Answer, Refusal> {
        let (reply, answer) = oneshot::channel();
        let (cleared, steps) = (Cleared::default(), Steps::default());
        let asked = Asked { ask, cleared, caller, key: None, steps, reply };
        // Nothing is signed, so it is in no count of signatures.
        self.send(Job::LookUp(Box::new(asked)), answer).await
    }

    /// Logs what a request for approval came to, once. Errors: it has not ended, or cannot be read.
    pub async fn log_ended(&self, reported: Reported, caller: String) -> Result<Answer, Refusal> {
        let found = self.gate.look_up(&reported, &*self.clock).await;
        let (reply, answer) = oneshot::channel();
        let job = Job::Ended(Box::new(Told { reported, found, caller, reply }));
        // Nothing is signed, so it is in no count of signatures.
        self.send(job, answer).await
    }

    /// Logs a refusal that was decided elsewhere; returns it, or that the log cannot be written.
    pub async fn refuse(&self, refused: Refused) -> Refusal {
        let (reply, answer) = oneshot::channel();
        match self.post(Job::Refuse(Box::new((refused, reply))), answer).await {
            Err(refusal) => refusal,
            Ok(_) => Refusal::internal("a refusal was answered with a certificate"),
        }
    }

    async fn post(
        &self,
        job: Job,
        answer: oneshot::Receiver<Result<Answer, Refusal>>,
    ) -> Result<Answer, Refusal> {
        let underway = self.shared.counts.begin();
        let answer = self.send(job, answer).await;
        underway.end(&answer);
        answer
    }

    async fn send(
        &self,
        job: Job,
        answer: oneshot::Receiver<Result<Answer, Refusal>>,
    ) -> Result<Answer, Refusal> {
        let stopping = || Refusal::unavailable("the signer is stopping");
        match self.jobs.send(job) {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(stopping())),
            Err(_) => Err(stopping()),
        }
    }

    /// Finishes what is under way, publishes the log, and ends all threads. Blocks.
    pub fn stop(&self) {
        // Fails only when the writer is gone already.
        let _ = self.jobs.send(Job::Stop);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("an engine thread ended by a panic");
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A signing thread: uses keys on recorded intents until the writer ends.
fn sign(recorded: &Mutex<Receiver<(u64, Recorded)>>, jobs: &Sender<Job>, clock: &dyn Clock) {
    loop {
        let next = recorded.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((generation, recorded)) = next else { return };
        let from = clock.monotonic();
        let outcome = recorded.sign().map(Box::new);
        let step = ("sign", from, clock.monotonic());
        if jobs.send(Job::Outcome(generation, outcome, step)).is_err() {
            return;
        }
    }
}
