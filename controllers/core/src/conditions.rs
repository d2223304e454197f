//! Conditions as types: what an object says about itself, in the words every tool reads alike.
//!
//! Owns the shape (`Ready`, `Reconciling`, `Stalled`), the transition time and the order. Never owns a reason: those are
//! closed enums beside each kind's decisions.
//! Source: Kubernetes API conventions ("Typical status properties") and kstatus: `Stalled=True` reads as failed,
//! `Reconciling=True` as in progress, `Ready=True` alone as current.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The longest message written: the API server takes 32 KiB, people read less.
const MAX_MESSAGE: usize = 4096;

/// What an object says, before it is put into condition form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Which of the three states every tool knows.
    pub state: State,
    /// CamelCase, from a closed list.
    pub reason: &'static str,
    /// For people: what is so, and what to do next. Never a secret.
    pub message: String,
}

/// The states kstatus tells apart once the present generation was seen; the last two read as in progress and failed, and
/// whoever only asks whether an object can be relied on still finds it Ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As wanted: `Ready=True`.
    Current,
    /// Not yet as wanted; it resolves by itself or by another object: `Ready=Unknown` and `Reconciling=True`.
    InProgress,
    /// Only a change by a person resolves it: `Ready=False` and `Stalled=True`.
    Failed,
    /// It works as it was; what is wanted beyond waits for another object: `Ready=True` and `Reconciling=True`.
    Changing,
    /// It works as it was; what is wanted beyond was refused: `Ready=True` and `Stalled=True`.
    Kept,
}

/// The conditions that say `facts`, keeping `lastTransitionTime` of each whose status did not change.
///
/// `old`: the conditions now on the object; those of other types are left to their owners and not returned.
pub fn settle(old: &[Condition], facts: &Facts, generation: i64, now: Timestamp) -> Vec<Condition> {
    let ready = match facts.state {
        State::Current | State::Changing | State::Kept => "True",
        State::InProgress => "Unknown",
        State::Failed => "False",
    };
    let mut wanted = vec![("Ready", ready)];
    match facts.state {
        State::Current => {}
        State::InProgress | State::Changing => wanted.push(("Reconciling", "True")),
        State::Failed | State::Kept => wanted.push(("Stalled", "True")),
    }
    let message = shortened(&facts.message);
    let condition = |(type_, status): (&str, &str)| Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: facts.reason.to_owned(),
        message: message.clone(),
        observed_generation: Some(generation),
        last_transition_time: old
            .iter()
            .find(|c| c.type_ == type_ && c.status == status)
            .map_or_else(|| Time(whole_seconds(now)), |c| c.last_transition_time.clone()),
    };
    wanted.into_iter().map(condition).collect()
}

/// The condition of this type, if the object has it.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// True when the object says of its present generation that it is Ready.
pub fn is_ready(conditions: &[Condition]) -> bool {
    find(conditions, "Ready").is_some_and(|c| c.status == "True")
}

/// `metav1.Time` holds whole seconds; more would differ from what comes back and look like a change.
pub fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn shortened(message: &str) -> String {
    if message.len() <= MAX_MESSAGE {
        return message.to_owned();
    }
    let cut = (0..=MAX_MESSAGE).rev().find(|&i| message.is_char_boundary(i)).unwrap_or(0);
    format!("{}…", &message[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn facts(state: State) -> Facts {
        Facts { state, reason: "Because", message: "words".into() }
    }

    #[test]
    fn each_state_reads_as_kstatus_expects() {
        let shown = |state| {
            settle(&[], &facts(state), 3, at(10))
                .into_iter()
                .map(|c| format!("{}={}", c.type_, c.status))
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(State::Current), ["Ready=True"]);
        assert_eq!(shown(State::InProgress), ["Ready=Unknown", "Reconciling=True"]);
        assert_eq!(shown(State::Failed), ["Ready=False", "Stalled=True"]);
        assert_eq!(shown(State::Changing), ["Ready=True", "Reconciling=True"]);
        assert_eq!(shown(State::Kept), ["Ready=True", "Stalled=True"]);
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let first = settle(&[], &facts(State::InProgress), 1, at(10));
        let again = settle(&first, &facts(State::InProgress), 2, at(20));
        assert_eq!(again[0].last_transition_time.0, at(10));
        assert_eq!(again[0].observed_generation, Some(2));
        let later = settle(&again, &facts(State::Current), 2, at(30));
        assert_eq!(later[0].last_transition_time.0, at(30));
    }

    #[test]
    fn the_same_facts_settle_to_the_same_conditions() {
        let first = settle(&[], &facts(State::Failed), 1, at(10));
        assert_eq!(settle(&first, &facts(State::Failed), 1, at(99)), first);
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let long = Facts { message: "é".repeat(MAX_MESSAGE), ..facts(State::Failed) };
        assert!(settle(&[], &long, 1, at(0))[0].message.len() <= MAX_MESSAGE + 3);
    }
}
