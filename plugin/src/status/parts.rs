//! Parts that the reports of all kinds share.

use crate::facts::text;
use crate::page::{Page, Tone};
use crate::words::distance;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConditionFacts {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    #[serde(serialize_with = "text")]
    pub(crate) since: Timestamp,
}

/// What an object says about itself, and of which generation of its spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Standing {
    pub(crate) generation: Option<i64>,
    pub(crate) observed_generation: Option<i64>,
    pub(crate) conditions: Vec<ConditionFacts>,
}

/// What the standing comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Ready, and the present spec was seen.
    Ready,
    /// Not yet; it goes on by itself or when another object changes.
    Underway,
    /// Only a person can mend it.
    Stalled,
    /// No controller has said anything yet.
    Unseen,
    /// What is said is about an earlier spec.
    Outdated,
}

impl Standing {
    /// Of an object.
    pub(crate) fn of(generation: Option<i64>, observed: Option<i64>, conditions: &[Condition]) -> Self {
        let conditions = conditions
            .iter()
            .map(|c| ConditionFacts {
                kind: c.type_.clone(),
                status: c.status.clone(),
                reason: c.reason.clone(),
                message: c.message.clone(),
                since: c.last_transition_time.0,
            })
            .collect();
        Self { generation, observed_generation: observed, conditions }
    }

    /// The condition `Ready`, if there is one.
    pub(crate) fn ready(&self) -> Option<&ConditionFacts> {
        self.find("Ready")
    }

    /// Its reason; empty when there is none.
    pub(crate) fn reason(&self) -> &str {
        self.ready().map_or("", |ready| ready.reason.as_str())
    }

    fn find(&self, kind: &str) -> Option<&ConditionFacts> {
        self.conditions.iter().find(|c| c.kind == kind)
    }

    /// What it comes to.
    pub(crate) fn verdict(&self) -> Verdict {
        let Some(ready) = self.ready() else { return Verdict::Unseen };
        if self.generation.is_some() && self.observed_generation != self.generation {
            Verdict::Outdated
        } else if ready.status == "True" {
            Verdict::Ready
        } else if self.find("Stalled").is_some_and(|c| c.status == "True") {
            Verdict::Stalled
        } else {
            Verdict::Underway
        }
    }

    /// The first lines of a page: what it is, and what it says of itself.
    pub(crate) fn write(&self, page: &mut Page, title: &str, now: Timestamp) {
        page.heading(title);
        let (words, tone) = match self.verdict() {
            Verdict::Ready => ("Ready", Tone::Good),
            Verdict::Underway => ("not Ready yet", Tone::Warn),
            Verdict::Stalled => ("stalled: it stays so until somebody changes something", Tone::Bad),
            Verdict::Unseen => ("not seen by the operator yet", Tone::Warn),
            Verdict::Outdated => ("the latest change was not seen by the operator yet", Tone::Warn),
        };
        page.row_toned("State", words, tone);
        for condition in &self.conditions {
            let ConditionFacts { kind, status, reason, since, .. } = condition;
            let tone = match (kind.as_str(), status.as_str()) {
                ("Ready", "True") => Tone::Good,
                ("Ready", "False") | ("Stalled", "True") => Tone::Bad,
                _ => Tone::Warn,
            };
            page.row_toned(kind, &format!("{status}, {reason}, since {}", distance(*since, now)), tone);
        }
        // All conditions of one look carry the same message.
        page.row_if(
            "",
            self.ready().map(|ready| ready.message.as_str()).filter(|message| !message.is_empty()),
        );
    }
}

/// The last line of a page.
pub(crate) fn write_next(page: &mut Page, next: Option<&str>) {
    if let Some(next) = next {
        page.heading(&format!("Next: {next}"));
    }
}

/// Shell words that name an object to this plugin, such as ` -n shop`.
pub(crate) fn place(namespace: Option<&str>) -> String {
    namespace.map_or(String::new(), |namespace| format!(" -n {namespace}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(observed: i64, conditions: &[(&str, &str)]) -> Standing {
        let conditions = conditions
            .iter()
            .map(|(kind, status)| ConditionFacts {
                kind: (*kind).to_owned(),
                status: (*status).to_owned(),
                reason: "Because".to_owned(),
                message: String::new(),
                since: Timestamp::UNIX_EPOCH,
            })
            .collect();
        Standing { generation: Some(2), observed_generation: Some(observed), conditions }
    }

    #[test]
    fn a_standing_comes_to_what_kstatus_concludes() {
        for (observed, conditions, wanted) in [
            (-1, vec![], Verdict::Unseen),
            (1, vec![("Ready", "True")], Verdict::Outdated),
            (2, vec![("Ready", "True")], Verdict::Ready),
            (2, vec![("Ready", "Unknown"), ("Reconciling", "True")], Verdict::Underway),
            (2, vec![("Ready", "False"), ("Stalled", "True")], Verdict::Stalled),
        ] {
            assert_eq!(standing(observed, &conditions).verdict(), wanted, "{conditions:?}");
        }
    }
}
