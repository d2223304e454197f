//! What the signer counts and tells of itself, in Prometheus' text format. No name of an object or a caller is in it.

use crate::engine::{Answer, Status};
use crate::refusal::{Reason, Refusal};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Requests since this process started, and those that have no answer yet.
#[derive(Debug, Default)]
pub struct Counts {
    waiting: AtomicU64,
    signed: AtomicU64,
    repeated: AtomicU64,
    refused: AtomicU64,
    unavailable: AtomicU64,
}

/// One request on its way. Whoever asked may go away before the answer comes: then it counts as waiting no more.
pub(crate) struct Underway<'a>(&'a Counts);

impl Counts {
    /// A request comes in.
    pub(crate) fn begin(&self) -> Underway<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Underway(self)
    }
}

impl Underway<'_> {
    /// It has its answer.
    pub(crate) fn end(self, answer: &Result<Answer, Refusal>) {
        let counter = match answer {
            Ok(answer) if answer.repeated => &self.0.repeated,
            Ok(_) => &self.0.signed,
            Err(refusal) if matches!(refusal.reason, Reason::Unavailable | Reason::Internal) => {
                &self.0.unavailable
            }
            Err(_) => &self.0.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All of it. `ledger_bytes`: the size of the ledger's tables on disk, where it can be told.
pub fn text(status: &Status, counts: &Counts, ledger_bytes: Option<u64>) -> String {
    let mut text = String::new();
    let mut tell = |name: &str, kind: &str, help: &str, values: &[(&str, u64)]| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let lag = status.log_size.saturating_sub(status.log_published);
    tell("keywright_signer_ready", "gauge", "1 while it can sign", &[("", status.ready.into())]);
    tell(
        "keywright_signer_queue_length",
        "gauge",
        "Requests without an answer yet",
        &[("", of(&counts.waiting))],
    );
    tell(
        "keywright_signer_answers_total",
        "counter",
        "Answers, by what came of the request",
        &[
            ("{result=\"signed\"}", of(&counts.signed)),
            ("{result=\"repeated\"}", of(&counts.repeated)),
            ("{result=\"refused\"}", of(&counts.refused)),
            ("{result=\"unavailable\"}", of(&counts.unavailable)),
        ],
    );
    tell("keywright_signer_log_entries", "gauge", "Entries that are durable", &[("", status.log_size)]);
    tell(
        "keywright_signer_log_lag_entries",
        "gauge",
        "Durable entries that no checkpoint covers yet",
        &[("", lag)],
    );
    tell("keywright_signer_authorities", "gauge", "Keys that it holds", &[("", status.authorities)]);
    tell("keywright_signer_fencing_token", "gauge", "Highest token that was seen", &[("", status.fencing)]);
    if let Some(bytes) = ledger_bytes {
        tell("keywright_signer_ledger_bytes", "gauge", "Size of the ledger's tables on disk", &[("", bytes)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_counts_once_and_what_nobody_waits_for_waits_no_more() {
        let counts = Counts::default();
        let answer = |repeated| Ok(Answer { step: 1, repeated, ..Answer::default() });
        counts.begin().end(&answer(false));
        counts.begin().end(&answer(true));
        counts.begin().end(&Err(Refusal::unavailable("the disk is full")));
        counts.begin().end(&Err(Refusal::new(Reason::Forbidden, "authorityUid", "", "")));
        drop(counts.begin());
        let _waits = counts.begin();
        let status = Status { ready: true, log_size: 9, log_published: 7, ..Status::default() };
        let text = text(&status, &counts, Some(4096));
        for line in [
            "keywright_signer_ready 1\n",
            "keywright_signer_queue_length 1\n",
            "keywright_signer_answers_total{result=\"signed\"} 1\n",
            "keywright_signer_answers_total{result=\"repeated\"} 1\n",
            "keywright_signer_answers_total{result=\"refused\"} 1\n",
            "keywright_signer_answers_total{result=\"unavailable\"} 1\n",
            "keywright_signer_log_lag_entries 2\n",
            "keywright_signer_ledger_bytes 4096\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
