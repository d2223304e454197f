//! Whoever is told of requests for approval: keeps what it got, and answers as a test says, else well.

use futures::future::BoxFuture;
use keywright_controllers::notice::{Answer, Parcel, Post, Unanswered};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

type Said = Result<Answer, Unanswered>;

/// What was posted.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

#[derive(Default)]
struct All {
    got: HashMap<String, Vec<Sent>>,
    next: HashMap<String, VecDeque<Said>>,
    always: HashMap<String, Said>,
}

/// Receivers by what they are called in these tests: `ops` at ops.example.com, `chat` at hooks.example.com.
#[derive(Default)]
pub(crate) struct Receiver(Mutex<All>);

impl Receiver {
    fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap()
    }

    /// One more answer.
    pub(crate) fn answer(&self, who: &str, said: Said) {
        self.all().next.entry(who.into()).or_default().push_back(said);
    }

    /// What it answers from now on.
    pub(crate) fn always(&self, who: &str, said: Said) {
        self.all().always.insert(who.into(), said);
    }

    /// Everything that it got, answered well or not.
    pub(crate) fn got(&self, who: &str) -> Vec<Sent> {
        self.all().got.get(who).cloned().unwrap_or_default()
    }

    /// The events that it was told of; of chat, where no field names them, the messages.
    pub(crate) fn heard(&self, who: &str) -> Vec<String> {
        let event = |sent: Sent| {
            let body: Value = serde_json::from_slice(&sent.body).unwrap();
            body["event"].as_str().or(body["text"].as_str()).unwrap().to_owned()
        };
        self.got(who).into_iter().map(event).collect()
    }
}

impl Post for Receiver {
    fn post(&self, parcel: Parcel) -> BoxFuture<'_, Said> {
        Box::pin(async move {
            let who = if parcel.to.host == "ops.example.com" { "ops" } else { "chat" };
            let mut all = self.all();
            let headers =
                parcel.headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
            all.got.entry(who.into()).or_default().push(Sent { headers, body: parcel.body });
            let next = all.next.get_mut(who).and_then(VecDeque::pop_front);
            next.or_else(|| all.always.get(who).cloned())
                .unwrap_or(Ok(Answer { status: 200, retry_after: None }))
        })
    }
}
