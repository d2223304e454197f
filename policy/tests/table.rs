//! A table of policies and inputs, answered by each engine as OPA itself answers.
//!
//! ```text
//! data/table/NAME.rego       a policy
//! data/table/NAME.json       documents, inputs, and where we are stricter than OPA
//! data/table/NAME.tar.gz     the policy as `opa build -t wasm` compiles it
//! data/table/NAME.opa.json   what `opa eval` says, also with --strict-builtin-errors
//! ```
//! The last two are written by `policy/opa-table`, a program in Go with OPA as a module; `hack/wasm.sh` compares them with
//! what it writes now, and runs this test with the feature `wasm`. Without it only source is asked.

use keywright_policy::{
    AppliesTo, Decision, Denial, Input, Member, Mode, Outcome, Policy, PolicySet, Rules, Source,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAMES: [&str; 5] = ["certificates", "failing", "functions", "matching", "names"];

#[derive(Deserialize)]
struct Row {
    data: BTreeMap<String, Value>,
    inputs: BTreeMap<String, Value>,
    /// Inputs and their rules that OPA answers, and we do not, as a function has no value: `max([])`.
    #[serde(default)]
    stricter: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Deserialize)]
struct OfOpa {
    strict: BTreeMap<String, Said>,
}

/// What OPA says of a rule.
#[derive(Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "lowercase")]
enum Said {
    Boolean(bool),
    Set(Vec<Value>),
    Undefined,
    Error,
}

fn file(name: &str, end: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/table").join(format!("{name}.{end}"))
}

fn read<T: serde::de::DeserializeOwned>(name: &str, end: &str) -> T {
    let text = std::fs::read(file(name, end)).expect("a file of the table");
    serde_json::from_slice(&text).expect("a file of the table reads")
}

fn set(row: &Row, rules: Rules, bundle: Option<&keywright_policy::Found>, mode: Mode) -> PolicySet {
    let source = Source {
        name: "p".to_owned(),
        applies_to: AppliesTo::default(),
        mode,
        data: row.data.clone(),
        rules,
    };
    if let Err(problem) = Policy::compile(source.clone(), bundle) {
        unreachable!("{problem}");
    }
    PolicySet::new(vec![Arc::new(Member::of(source, bundle))]).expect("one policy")
}

/// An engine under test: its name, and how a policy of the table is put into it.
type Engine = (&'static str, fn(&str, &Row, Mode) -> PolicySet);

#[cfg(not(feature = "wasm"))]
const ENGINES: &[Engine] = &[("source", of_source)];
#[cfg(feature = "wasm")]
const ENGINES: &[Engine] = &[("source", of_source), ("bundle", of_bundle)];

fn of_source(name: &str, row: &Row, mode: Mode) -> PolicySet {
    let source = std::fs::read_to_string(file(name, "rego")).expect("a policy of the table");
    set(row, Rules::Rego(source), None, mode)
}

#[cfg(feature = "wasm")]
fn of_bundle(name: &str, row: &Row, mode: Mode) -> PolicySet {
    use keywright_policy::{BundleRef, ConfigMapKey, Found};
    let bytes = std::fs::read(file(name, "tar.gz")).expect("a bundle of the table");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    let at = BundleRef {
        config_map_ref: ConfigMapKey { name: "table".to_owned(), key: name.to_owned() },
        digest: format!("sha256:{}", hex::encode(digest)),
    };
    set(row, Rules::Bundle(at), Some(&Found::Bytes(bytes)), mode)
}

/// What an engine says by rule, whatever one rule makes of the others: in audit mode all is told.
fn told(decision: &Decision) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for finding in &decision.audited {
        let message = match finding.message.strip_suffix("; the policy is to be corrected") {
            Some(_) => NO_ANSWER,
            None => &finding.message,
        };
        told.entry(finding.rule.clone()).or_default().insert(message.to_owned());
    }
    told
}

const NO_ANSWER: &str = "no answer";

/// The same, as it follows from what OPA says.
fn follows(said: &OfOpa, stricter: Option<&BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    let message = |member: &Value| member.get("message").unwrap_or(member).as_str().unwrap_or("").to_owned();
    let mut told = BTreeMap::new();
    for (rule, said) in &said.strict {
        let said: BTreeSet<String> = match said {
            _ if stricter.is_some_and(|rules| rules.contains(rule)) => [NO_ANSWER.to_owned()].into(),
            Said::Undefined | Said::Error => [NO_ANSWER.to_owned()].into(),
            Said::Boolean(true) => [].into(),
            Said::Boolean(false) => ["the rule `allow` is false".to_owned()].into(),
            Said::Set(all) => all.iter().map(message).collect(),
        };
        if !said.is_empty() {
            told.insert(rule.clone(), said);
        }
    }
    told
}

#[test]
fn every_engine_answers_as_opa_does() {
    for name in NAMES {
        let row: Row = read(name, "json");
        let opa: BTreeMap<String, OfOpa> = read(name, "opa.json");
        for (engine, policy) in ENGINES {
            let policies = policy(name, &row, Mode::Audit);
            for (case, input) in &row.inputs {
                let parsed: Input = serde_json::from_value(input.clone()).expect("an input document");
                assert_eq!(&serde_json::to_value(&parsed).expect("JSON"), input, "OPA was asked the same");
                let decision = policies.decide(&parsed);
                let wanted = follows(&opa[case], row.stricter.get(case));
                assert_eq!(told(&decision), wanted, "{engine}, {name}, {case}: {:?}", decision.audited);
            }
        }
    }
}

/// What holds, but for the kind of a fault: where complete rules contradict each other, engines call it differently.
fn outcome(decision: Decision) -> Outcome {
    match decision.outcome {
        Outcome::Deny { denials } => {
            let plain = |denial: Denial| match denial.fault {
                Some(_) => Denial { message: NO_ANSWER.to_owned(), fault: None, ..denial },
                None => denial,
            };
            Outcome::Deny { denials: denials.into_iter().map(plain).collect() }
        }
        other => other,
    }
}

#[test]
fn every_engine_comes_to_the_same_decision() {
    for name in NAMES {
        let row: Row = read(name, "json");
        let sets: Vec<_> =
            ENGINES.iter().map(|(engine, policy)| (engine, policy(name, &row, Mode::Enforce))).collect();
        for (case, input) in &row.inputs {
            let input: Input = serde_json::from_value(input.clone()).expect("an input document");
            let decisions: Vec<_> =
                sets.iter().map(|(engine, set)| (engine, outcome(set.decide(&input)))).collect();
            assert!(
                decisions.windows(2).all(|pair| pair[0].1 == pair[1].1),
                "{name}, {case}: {decisions:#?}"
            );
        }
    }
}
