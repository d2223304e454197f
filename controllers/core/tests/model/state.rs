//! What there is, in small numbers, and what can happen to it.

use crate::real::{Leaf, Next, Real, Sight};

/// How much of everything may go wrong, or be wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Trouble {
    /// The names are changed.
    pub(crate) edits: u8,
    /// The Secret is deleted.
    pub(crate) deletions: u8,
    /// The leader dies and starts again, against a cache that may be as old as it was.
    pub(crate) crashes: u8,
    /// The other operator takes the lease over.
    pub(crate) changes: u8,
    /// Whether what was sent still arrives when its sender is gone; else it is gone with it, or was carried out before.
    pub(crate) late: bool,
    /// A request is carried out and arrives once more.
    pub(crate) twice: u8,
    /// A request is carried out and its answer lost.
    pub(crate) lost: u8,
}

/// A request under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Request {
    /// To the signer.
    Ask { sender: Sender, names: u8, step: u64, key: u8, over: Option<u8> },
    /// To the API server: the Secret, over this version or over nothing.
    Publish { sender: Sender, leaf: Leaf, over: Option<u8> },
    /// To the API server: the status.
    Tell { sender: Sender, leaf: Leaf },
    /// To the signer: whether this one counts.
    LookUp { sender: Sender, leaf: Leaf },
}

/// One life of one operator: which, and its fencing token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sender {
    who: usize,
    token: u8,
}

impl Request {
    fn sender(self) -> Sender {
        match self {
            Self::Ask { sender, .. }
            | Self::Publish { sender, .. }
            | Self::Tell { sender, .. }
            | Self::LookUp { sender, .. } => sender,
        }
    }
}

/// What an operator remembers and sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Operator {
    token: u8,
    /// What it waits for the answer to; another answer, as to what arrived twice, it does not hear.
    busy: Option<Request>,
    /// Key that was asked with for this step and these names, with no answer yet.
    kept: Option<(u64, u8, u8)>,
    /// The newest step that the signer has told it of.
    newest: u64,
    /// What the signer answered it with, or said to count.
    confirmed: Option<Leaf>,
    /// What the signer said not to count.
    superseded: Option<Leaf>,
    /// The cache: names and status.
    names: u8,
    told: Option<Leaf>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// Which names the spec wants.
    names: u8,
    secret: Option<Leaf>,
    /// resourceVersion of the Secret; counts deletions too.
    version: u8,
    status: Option<Leaf>,
    /// Signatures that count.
    pub(crate) live: Vec<Leaf>,
    /// All signatures.
    pub(crate) signed: u64,
    /// The newest step that was signed.
    newest: u64,
    /// The newest fencing token that the signer has seen.
    fence: u8,
    keys: u8,
    leader: usize,
    operators: [Operator; 2],
    wire: Vec<Request>,
    left: Trouble,
    given: Trouble,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The leader looks, decides and sends.
    Look,
    /// This request is carried out and answered.
    Arrive(Request),
    /// The same, and it will arrive once more.
    Twice(Request),
    /// The same, and its answer is lost while the sender lives.
    Lost(Request),
    /// The cache of this operator is up to date, whatever it has missed meanwhile.
    Refresh(usize),
    /// Somebody wants other names.
    Edit,
    /// Somebody deletes the Secret.
    Delete,
    /// The leader dies and starts again.
    Crash,
    /// The other operator leads from now on, and the first does not know.
    Overtake,
}

impl State {
    pub(crate) fn new(trouble: Trouble) -> Self {
        let operator = Operator {
            token: 0,
            busy: None,
            kept: None,
            newest: 0,
            confirmed: None,
            superseded: None,
            names: 0,
            told: None,
        };
        Self {
            names: 0,
            secret: None,
            version: 0,
            status: None,
            live: Vec::new(),
            signed: 0,
            newest: 0,
            fence: 0,
            keys: 0,
            leader: 0,
            operators: [operator; 2],
            wire: Vec::new(),
            left: trouble,
            given: trouble,
        }
    }

    /// One for the first, and one more for each thing that can ask for one. A new life may cost four: for what its old
    /// cache wants, for what a late write of the one before undoes, for what that wrote and does not count, and for what is
    /// wanted.
    pub(crate) fn most_signatures(&self) -> u64 {
        let given = self.given;
        let causes = given.edits + given.deletions + 4 * (given.crashes + given.changes) + 2 * given.twice;
        u64::from(1 + causes + given.lost)
    }

    /// What is wanted is published, and the status tells of it.
    pub(crate) fn is_as_wanted(&self) -> bool {
        self.secret.is_some_and(|leaf| leaf.names == self.names) && self.status == self.secret
    }

    /// What is published is what the signer counts.
    pub(crate) fn counts(&self) -> bool {
        self.secret.is_some_and(|leaf| self.live.contains(&leaf))
    }

    pub(crate) fn actions(&self, actions: &mut Vec<Action>) {
        actions.extend([Action::Look, Action::Refresh(0), Action::Refresh(1)]);
        for request in &self.wire {
            actions.push(Action::Arrive(*request));
            let looks_up = matches!(request, Request::LookUp { .. });
            if self.left.twice > 0 && !looks_up {
                actions.push(Action::Twice(*request));
            }
            if self.left.lost > 0 && self.is_alive(request.sender()) {
                actions.push(Action::Lost(*request));
            }
        }
        let possible = [
            (self.left.edits > 0, Action::Edit),
            (self.left.deletions > 0 && self.secret.is_some(), Action::Delete),
            (self.left.crashes > 0, Action::Crash),
            (self.left.changes > 0, Action::Overtake),
        ];
        actions.extend(possible.into_iter().filter_map(|(possible, action)| possible.then_some(action)));
    }

    pub(crate) fn after(&self, real: &Real, action: Action) -> Option<Self> {
        let mut next = self.clone();
        match action {
            Action::Look => return self.look(real),
            Action::Arrive(request) => next.arrive(request, true, true),
            Action::Twice(request) => {
                next.left.twice -= 1;
                next.arrive(request, true, false);
            }
            Action::Lost(request) => {
                next.left.lost -= 1;
                next.arrive(request, false, true);
            }
            Action::Refresh(who) => next.refresh(who),
            Action::Edit => {
                next.left.edits -= 1;
                next.names = 1 - next.names;
            }
            Action::Delete => {
                next.left.deletions -= 1;
                next.secret = None;
                next.version += 1;
            }
            Action::Crash => {
                next.left.crashes -= 1;
                next.begin(next.leader);
            }
            Action::Overtake => {
                next.left.changes -= 1;
                next.leader = 1 - next.leader;
                next.begin(next.leader);
            }
        }
        next.wire.sort_unstable();
        Some(next)
    }

    /// The next thing that happens when nothing is disturbed: what is under way arrives, then the leader looks.
    pub(crate) fn undisturbed(&self, real: &Real) -> Option<Self> {
        if let Some(request) = self.wire.first() {
            return self.after(real, Action::Arrive(*request));
        }
        let mut next = self.clone();
        next.refresh(self.leader);
        next.look(real).or_else(|| (next != *self).then_some(next))
    }

    fn is_alive(&self, sender: Sender) -> bool {
        self.operators[sender.who].token == sender.token
    }

    /// A new life of an operator: nothing remembered, one more transition of the lease, the cache as old as it was.
    fn begin(&mut self, who: usize) {
        let token = self.operators.iter().map(|operator| operator.token).max().unwrap_or(0) + 1;
        let before = self.operators[who];
        if !self.given.late {
            self.wire.retain(|request| request.sender().who != who);
        }
        // It changes nothing, and nobody waits for its answer any more.
        self.wire.retain(|request| !matches!(request, Request::LookUp { .. }));
        let forgotten = Operator { kept: None, newest: 0, confirmed: None, superseded: None, ..before };
        self.operators[who] = Operator { token, busy: None, ..forgotten };
    }

    fn refresh(&mut self, who: usize) {
        let operator = &mut self.operators[who];
        (operator.names, operator.told) = (self.names, self.status);
    }

    /// One look of the leader; `None` where it has nothing to do.
    fn look(&self, real: &Real) -> Option<Self> {
        let who = self.leader;
        let operator = self.operators[who];
        if operator.busy.is_some() {
            return None;
        }
        let Operator { names, told, newest, .. } = operator;
        let superseded = self.secret.is_some() && operator.superseded == self.secret;
        let sight = Sight { names, told, newest, secret: self.secret, superseded };
        let sender = Sender { who, token: operator.token };
        let mut next = self.clone();
        let request = match real.plan(sight) {
            Next::Sign { step } => {
                let known = operator.kept.filter(|(of, names, _)| (*of, *names) == (step, operator.names));
                let key = known.map_or(self.keys, |(_, _, key)| key);
                if known.is_none() {
                    next.keys += 1;
                }
                let over = self.secret.map(|_| self.version);
                Request::Ask { sender, names: operator.names, step, key, over }
            }
            Next::Tell => {
                let leaf = self.secret?;
                if operator.told != Some(leaf) {
                    Request::Tell { sender, leaf }
                } else if operator.confirmed != Some(leaf) {
                    Request::LookUp { sender, leaf }
                } else {
                    return None;
                }
            }
        };
        next.operators[who].busy = Some(request);
        next.send(request);
        Some(next)
    }

    fn send(&mut self, request: Request) {
        self.wire.push(request);
        self.wire.sort_unstable();
    }

    /// Carries a request out. `heard`: its sender, if it lives, gets the answer. `gone`: it arrives no more.
    fn arrive(&mut self, request: Request, heard: bool, gone: bool) {
        if gone && let Some(at) = self.wire.iter().position(|other| *other == request) {
            self.wire.remove(at);
        }
        let sender = request.sender();
        let Operator { confirmed, superseded, .. } = self.operators[sender.who];
        let answer = self.carry_out(request);
        if !heard {
            let operator = &mut self.operators[sender.who];
            (operator.confirmed, operator.superseded) = (confirmed, superseded);
        }
        let waits = self.is_alive(sender) && self.operators[sender.who].busy == Some(request);
        if !waits {
            return;
        }
        let operator = &mut self.operators[sender.who];
        operator.busy = None;
        if !heard {
            if let Request::Ask { names, step, key, .. } = request {
                operator.kept = Some((step, names, key));
            }
            return;
        }
        operator.kept = None;
        if let Request::Tell { leaf, .. } = request {
            // An operator waits for the echo of its own write.
            operator.told = Some(leaf);
            operator.newest = 0;
        }
        // One that was overtaken finds that out before it goes on; what it had sent before may still arrive.
        if let Some(next) = answer.filter(|_| self.leader == sender.who) {
            self.operators[sender.who].busy = Some(next);
            self.send(next);
        }
    }

    /// What the signer or the API server does; what its sender does next when it hears the answer.
    fn carry_out(&mut self, request: Request) -> Option<Request> {
        match request {
            // The signer refuses a leader of before.
            Request::Ask { sender, .. } | Request::LookUp { sender, .. } if sender.token < self.fence => None,
            Request::LookUp { sender, leaf } => {
                self.fence = sender.token;
                let counts = self.live.iter().find(|other| other.step == leaf.step);
                if self.is_alive(sender) {
                    let operator = &mut self.operators[sender.who];
                    if counts.is_none_or(|counts| *counts == leaf) {
                        operator.confirmed = Some(leaf);
                    } else {
                        operator.superseded = Some(leaf);
                    }
                }
                None
            }
            // It refuses a step that is past, and tells the newest one.
            Request::Ask { sender, step, .. } if step < self.newest => {
                self.fence = sender.token;
                if self.is_alive(sender) {
                    self.operators[sender.who].newest = self.newest;
                }
                None
            }
            Request::Ask { sender, names, step, key, over } => {
                self.fence = sender.token;
                let stored = self.live.iter().find(|leaf| (leaf.step, leaf.key) == (step, key)).copied();
                let leaf = stored.unwrap_or_else(|| self.sign(Leaf { names, step, key, index: self.signed }));
                if self.is_alive(sender) {
                    self.operators[sender.who].confirmed = Some(leaf);
                }
                Some(Request::Publish { sender, leaf, over })
            }
            // Written over nothing it is an apply by the same manager, which has no precondition.
            Request::Publish { sender, leaf, over }
                if over.is_none() || over == self.secret.map(|_| self.version) =>
            {
                if self.secret != Some(leaf) {
                    self.secret = Some(leaf);
                    self.version += 1;
                }
                Some(Request::Tell { sender, leaf })
            }
            Request::Publish { .. } => None,
            Request::Tell { leaf, .. } => {
                self.status = Some(leaf);
                None
            }
        }
    }

    /// Records what it supersedes, then signs.
    fn sign(&mut self, leaf: Leaf) -> Leaf {
        self.live.retain(|other| other.step != leaf.step);
        self.live.push(leaf);
        self.newest = leaf.step;
        self.signed += 1;
        leaf
    }
}
