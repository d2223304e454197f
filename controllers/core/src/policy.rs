//! What a `Policy` says of itself: whether it can be asked.

use crate::conditions::{Facts, State, find, settle};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use keywright_crds::{Policy, PolicyMode, PolicyStatus};

/// Why a policy cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unasked {
    /// In a word: `DoesNotCompile`, `BundleMissing`, `BundleDiffers`, `BundleDoesNotLoad` or `NoEngine`.
    pub reason: &'static str,
    /// What is wrong.
    pub problem: String,
}

/// The status that tells whether it can be asked. `digest`: over the policy as written.
pub fn status(policy: &Policy, digest: &str, problem: Option<&Unasked>, now: Timestamp) -> PolicyStatus {
    let old = policy.status.as_ref().map_or(&[][..], |status| status.conditions.as_slice());
    let generation = policy.metadata.generation.unwrap_or_default();
    PolicyStatus {
        observed_generation: Some(generation),
        conditions: settle(old, &facts(policy.spec.mode, problem), generation, now),
        digest: Some(digest.to_owned()).filter(|digest| !digest.is_empty()),
    }
}

/// A denial in the words that an object says already, if nothing but the decision's id is new: time alone makes another id,
/// and a status that says the same is not written again. `said`: the conditions of the object.
pub fn unless_new(said: &[Condition], words: String) -> String {
    let known = find(said, "Ready").filter(|ready| ready.reason == "PolicyDenied").and_then(|ready| {
        let (_, old, _) = around_id(&ready.message)?;
        let (before, _, after) = around_id(&words)?;
        let same = format!("{before}{old}{after}");
        ready.message.contains(&same).then_some(same)
    });
    known.unwrap_or(words)
}

/// What stands before a decision's id, the id, and what stands behind it.
fn around_id(text: &str) -> Option<(&str, &str, &str)> {
    const BEFORE: &str = "(decision ";
    let start = text.rfind(BEFORE)? + BEFORE.len();
    let end = start + text[start..].find(')')?;
    Some((&text[..start], &text[start..end], &text[end..]))
}

fn facts(mode: PolicyMode, problem: Option<&Unasked>) -> Facts {
    match (problem, mode) {
        (None, PolicyMode::Enforce) => Facts {
            state: State::Current,
            reason: "Compiled",
            message: "It compiles, and what it denies is denied.".to_owned(),
        },
        (None, PolicyMode::Audit) => Facts {
            state: State::Current,
            reason: "Compiled",
            message: "It compiles; mode Audit: what it says is told and changes nothing.".to_owned(),
        },
        (Some(Unasked { reason, problem }), PolicyMode::Enforce) => Facts {
            state: State::Failed,
            reason,
            message: format!("It denies whatever it applies to: {problem}. Mend it, or delete it."),
        },
        (Some(Unasked { reason, problem }), PolicyMode::Audit) => Facts {
            state: State::Failed,
            reason,
            message: format!("It is not asked: {problem}. Mend it, or delete it."),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywright_crds::PolicySpec;

    fn policy(mode: PolicyMode, generation: i64) -> Policy {
        let mut policy = Policy::new("names", PolicySpec { mode, ..PolicySpec::default() });
        policy.metadata.generation = Some(generation);
        policy
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn it_tells_whether_it_can_be_asked_and_what_follows() {
        let said = |mode, problem: Option<&str>| {
            let problem =
                problem.map(|problem| Unasked { reason: "DoesNotCompile", problem: problem.to_owned() });
            let problem = problem.as_ref();
            let status = status(&policy(mode, 3), "sha256:00", problem, at(1));
            let all: Vec<String> =
                status.conditions.iter().map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect();
            (all.join(", "), status.conditions[0].message.clone(), status.observed_generation)
        };
        let (conditions, words, seen) = said(PolicyMode::Enforce, None);
        assert_eq!((conditions.as_str(), seen), ("Ready=True Compiled", Some(3)));
        assert!(words.contains("is denied"));
        assert!(said(PolicyMode::Audit, None).1.contains("changes nothing"));
        let (conditions, words, _) = said(PolicyMode::Enforce, Some("line 2, column 1: expected a rule"));
        assert_eq!(conditions, "Ready=False DoesNotCompile, Stalled=True DoesNotCompile");
        assert!(words.contains("denies whatever it applies to: line 2, column 1: expected a rule"));
        assert!(said(PolicyMode::Audit, Some("x")).1.contains("not asked"));
    }

    #[test]
    fn a_denial_that_is_new_in_its_id_alone_keeps_the_words_that_are_told() {
        let told = |reason: &'static str, message: &str| {
            let facts = Facts { state: State::Failed, reason, message: message.to_owned() };
            settle(&[], &facts, 1, at(1))
        };
        let words = |id: &str, rule: &str| format!("policy one, rule deny: {rule} (decision {id}); mend it");
        let message = format!("{} Meanwhile the certificate stays.", words("aa", "no"));
        let table = [
            (told("PolicyDenied", &message), "no", "aa"),
            (told("PolicyDenied", &message), "other", "bb"),
            (told("Refused", &message), "no", "bb"),
            (told("PolicyDenied", "no id here"), "no", "bb"),
            (Vec::new(), "no", "bb"),
        ];
        for (said, rule, id) in table {
            assert_eq!(unless_new(&said, words("bb", rule)), words(id, rule), "{said:?}");
        }
        assert_eq!(unless_new(&told("PolicyDenied", &message), "without".into()), "without");
    }

    #[test]
    fn the_same_policy_has_the_same_status_later() {
        let mut policy = policy(PolicyMode::Enforce, 1);
        let first = status(&policy, "sha256:00", None, at(1));
        policy.status = Some(first.clone());
        assert_eq!(status(&policy, "sha256:00", None, at(99)), first);
        let problem = Unasked { reason: "DoesNotCompile", problem: "none".to_owned() };
        assert_eq!(status(&policy, "", Some(&problem), at(99)).digest, None);
    }
}
