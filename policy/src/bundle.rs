//! Rules that OPA compiled, loaded and asked.

use crate::decision::Fault;
use crate::host;
use crate::meter;
use crate::result::Rule;
use crate::term;
use keywright_policy_wasm::{Bundle, Module, Trouble};
use regorus::Value;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A bundle that loaded.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    module: Module,
    /// The documents of the bundle and of the policy, as JSON.
    data: Arc<str>,
    rules: Arc<[Rule]>,
}

impl Loaded {
    /// Loads a bundle. `documents`: those of the policy beside it.
    ///
    /// # Errors
    /// It is no bundle of OPA; has no entry point that is asked, or a rule that is asked and no entry point; calls a function
    /// that policies may not call; or has data where the rules or the policy's documents are.
    pub(crate) fn of(bytes: &[u8], documents: &BTreeMap<String, Json>) -> Result<Self, String> {
        // Readers and compiler are not ours and read what others write: should they panic, that is an error of the bundle.
        let loaded = catch_unwind(AssertUnwindSafe(|| Self::loaded(bytes, documents)));
        loaded.unwrap_or_else(|_| Err("the compiler failed on it".to_owned()))
    }

    fn loaded(bytes: &[u8], documents: &BTreeMap<String, Json>) -> Result<Self, String> {
        let bundle = Bundle::read(bytes).map_err(|error| error.to_string())?;
        let data = data(&bundle, documents)?;
        let module = Module::load(&bundle.module).map_err(|error| error.to_string())?;
        let rules: Vec<Rule> = Rule::ALL
            .into_iter()
            .filter(|rule| module.entrypoints().any(|entrypoint| entrypoint == rule.entrypoint()))
            .collect();
        if rules.is_empty() {
            return Err("no entry point that is asked: build it with `-e keywright/deny`, and so for each of `allow`, \
                 `require_approval` and `warn` that the policy declares"
                .to_owned());
        }
        for (path, source) in &bundle.sources {
            if let Some(rule) = left_out(source) {
                return Err(format!(
                    "{path} declares `{name}`, which is no entry point and would not be asked: build it with `-e \
                     keywright/{name}`",
                    name = rule.name()
                ));
            }
        }
        if let Some(name) = module.builtins().find(|name| !host::may_call(name)) {
            return Err(format!("function `{name}` may not be called by a policy"));
        }
        Ok(Self { module, data: data.into(), rules: rules.into() })
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The value of a rule. `input`: JSON.
    pub(crate) fn ask(&self, rule: Rule, input: &str) -> Result<Value, Fault> {
        // As with source: neither runtime nor functions are ours, and a panic is no answer.
        let evaluate = || {
            let ask = || self.module.ask(host::call, rule.entrypoint(), &self.data, input);
            catch_unwind(AssertUnwindSafe(ask))
        };
        let (said, failed) = meter::within(evaluate);
        failed.map_or(Ok(()), Err)?;
        let results = said.map_err(|_| Fault::EvaluationFailed)?.map_err(|trouble| fault(&trouble))?;
        value(&results).ok_or(Fault::EvaluationFailed)
    }
}

/// The value in a set of results; undefined if there is none.
fn value(results: &str) -> Option<Value> {
    let Value::Set(results) = term::read(results)? else { return None };
    match results.iter().collect::<Vec<_>>().as_slice() {
        [] => Some(Value::Undefined),
        [Value::Object(result)] => result.get(&Value::from("result")).cloned(),
        _ => None,
    }
}

fn fault(trouble: &Trouble) -> Fault {
    match trouble {
        Trouble::OutOfFuel => Fault::TooManyInstructions,
        Trouble::OutOfTime => Fault::TooSlow,
        Trouble::OutOfMemory => Fault::TooMuchMemory,
        Trouble::NoValue => Fault::FunctionFailed,
        Trouble::TooDeep | Trouble::Failed(_) => Fault::EvaluationFailed,
    }
}

fn data(bundle: &Bundle, documents: &BTreeMap<String, Json>) -> Result<String, String> {
    let mut data = bundle.data.clone();
    if data.contains_key("keywright") {
        return Err(
            "data.json: `keywright` is where the rules are; give the document another name".to_owned()
        );
    }
    for (name, document) in documents {
        if data.insert(name.clone(), document.clone()).is_some() {
            return Err(format!("document `{name}` is in the bundle and in spec.data; keep one of them"));
        }
    }
    Ok(Json::Object(data).to_string())
}

/// A rule that is asked and that OPA left in the source beside its module, as nobody named it as an entry point. OPA writes
/// that source anew: one rule begins at the first column of a line, and the package stands in a line of its own.
fn left_out(source: &str) -> Option<Rule> {
    let ours = source.lines().any(|line| line.trim_end() == "package keywright");
    let declares = |rule: Rule| {
        source.lines().any(|line| {
            let head = line.strip_prefix("default ").unwrap_or(line);
            head.strip_prefix(rule.name())
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    };
    Rule::ALL.into_iter().find(|rule| ours && declares(*rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_is_asked_and_no_entry_point_is_found() {
        for (source, wanted) in [
            ("package keywright\n\nhelper := 1\n", None),
            ("package keywright\n\ndeny contains \"no\" if helper\n", Some(Rule::Deny)),
            ("package keywright\n\ndefault allow := false\n", Some(Rule::Allow)),
            ("package keywright\n\nwarn[\"x\"]\n", Some(Rule::Warn)),
            ("package keywright\n\ndeny_list := [1]\n", None),
            ("package keywright.helpers\n\ndeny contains \"no\"\n", None),
        ] {
            assert_eq!(left_out(source), wanted, "{source}");
        }
    }
}
