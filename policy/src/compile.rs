//! From source to what can be asked; everything wrong with it is found here, with its place.

use crate::builtins::{loose_format, metered};
use crate::calls;
use crate::functions;
use crate::nesting::too_deep;
use crate::result::Rule;
use crate::rewrite::rewrite;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::Instruction;
use regorus::rvm::program::Program;
use regorus::{Engine, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Source that compiled.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) program: Arc<Program>,
    pub(crate) data: Value,
    /// The rules it declares, in the order of [`Rule::ALL`].
    pub(crate) rules: Vec<Rule>,
}

/// Why a policy does not compile. Trying again does not help: the policy is to be corrected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct CompileError {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// What is wrong there.
    pub message: String,
}

/// The file name that the compiler is told; it stands in its messages, which are read back.
const FILE: &str = "policy.rego";

impl CompileError {
    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self { line: 1, column: 1, message: message.into() }
    }

    /// An error at an instruction.
    pub(crate) fn at(program: &Program, at: usize, message: impl Into<String>) -> Self {
        let span = program.instruction_spans.get(at).and_then(Option::as_ref);
        let number = |place: Option<usize>| place.and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
        let (line, column) = (number(span.map(|span| span.line)), number(span.map(|span| span.column)));
        Self { line, column, message: message.into() }
    }

    /// Reads the place out of a message of the compiler: `--> FILE:LINE:COLUMN`, and in its last line `error: TEXT`.
    fn read(said: &str) -> Self {
        let place = said.split_once(&format!("--> {FILE}:")).and_then(|(_, rest)| {
            let (line, rest) = rest.split_once(':')?;
            let column = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            Some((line.parse().ok()?, column.parse().ok()?))
        });
        let (line, column) = place.unwrap_or((1, 1));
        let message = said.split_once("error: ").map_or(said, |(_, text)| text).trim();
        Self { line, column, message: message.lines().next().unwrap_or("does not compile").to_owned() }
    }
}

impl Compiled {
    /// Compiles source. `data`: the documents that it reads.
    ///
    /// # Errors
    /// The source is no Rego v1 module of `package keywright`, declares none of the rules that are asked, or calls a
    /// function that policies may not call.
    pub(crate) fn of(rego: &str, data: &BTreeMap<String, Json>) -> Result<Self, CompileError> {
        if let Some((line, column)) = loose_format(rego) {
            let message =
                "the format of `sprintf` must be a literal, of `%s`, `%d`, `%v`, `%q` and `%%` alone";
            return Err(CompileError { line, column, message: message.to_owned() });
        }
        if let Some(deep) = too_deep(rego) {
            return Err(CompileError { line: deep.line, column: deep.column, message: deep.to_string() });
        }
        // The compiler is not ours and reads what others write: should it panic, that is an error of the policy.
        catch_unwind(AssertUnwindSafe(|| Self::from_rego(rego, data))).unwrap_or_else(|_| {
            Err(CompileError::whole("the compiler failed on this policy; write it more simply"))
        })
    }

    fn from_rego(rego: &str, documents: &BTreeMap<String, Json>) -> Result<Self, CompileError> {
        let mut engine = Engine::new();
        let package = engine
            .add_policy(FILE.to_owned(), rego.to_owned())
            .map_err(|error| CompileError::read(&error.to_string()))?;
        if package != "data.keywright" {
            return Err(CompileError::whole(
                "the package must be `keywright`; begin with `package keywright`",
            ));
        }
        let rules = declared(&engine)?;
        let data = data(documents)?;
        engine.add_data(data.clone()).map_err(|error| CompileError::read(&error.to_string()))?;
        let mut program = program(&mut engine, &rules)?;
        callable(&program)?;
        calls::bounded(&program)?;
        let kept = || CompileError::whole("the compiler kept what it made; write the policy more simply");
        rewrite(Arc::get_mut(&mut program).ok_or_else(kept)?)?;
        Ok(Self { program, data, rules })
    }
}

fn declared(engine: &Engine) -> Result<Vec<Rule>, CompileError> {
    let mut rules = Vec::new();
    for rule in Rule::ALL {
        let has = engine.has_declared_rule_rooted_at(FILE, rule.name());
        if has.map_err(|error| CompileError::read(&error.to_string()))? {
            rules.push(rule);
        }
    }
    if rules.is_empty() {
        return Err(CompileError::whole(
            "no rule that is asked: declare `allow`, `deny contains msg`, `require_approval contains class` or `warn contains msg`",
        ));
    }
    Ok(rules)
}

fn data(documents: &BTreeMap<String, Json>) -> Result<Value, CompileError> {
    let text =
        serde_json::to_string(documents).map_err(|error| CompileError::whole(format!("data: {error}")))?;
    Value::from_json_str(&text).map_err(|error| CompileError::whole(format!("data: {error}")))
}

fn program(engine: &mut Engine, rules: &[Rule]) -> Result<Arc<Program>, CompileError> {
    let paths: Vec<&str> = rules.iter().map(|rule| rule.path()).collect();
    let first = paths[0].into();
    let compiled =
        engine.compile_with_entrypoint(&first).map_err(|error| CompileError::read(&error.to_string()))?;
    let own: Vec<(&str, usize)> =
        functions::ALL.iter().map(|function| (function.name, function.arity)).collect();
    Compiler::compile_from_policy_with_host_await(&compiled, &paths, &own)
        .map_err(|error| CompileError::read(&error.to_string()))
}

/// Refuses calls of functions that policies may not call.
fn callable(program: &Program) -> Result<(), CompileError> {
    for (at, instruction) in program.instructions.iter().enumerate() {
        let Instruction::BuiltinCall { params_index } = instruction else { continue };
        let called = program
            .instruction_data
            .get_builtin_call_params(*params_index)
            .and_then(|call| program.get_builtin_info(call.builtin_index))
            .map_or("unknown", |builtin| builtin.name.as_str());
        if metered(called, 0).is_none() {
            let message = format!("function `{called}` may not be called by a policy");
            return Err(CompileError::at(program, at, message));
        }
    }
    Ok(())
}
