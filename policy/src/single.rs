//! Rules that have one value: a second one is a fault.
//!
//! In OPA a rule or function that comes to two values, by its bodies or by rounds of one body, ends the evaluation. The
//! engine takes the value of the last round, and none where bodies differ, so that a denial that asks for it is lost.
//! Therefore each value is noted when it comes about, under the rule and the arguments that it was called with.

use crate::compile::CompileError;
use crate::decision::Fault;
use crate::meter;
use regorus::Value;
use regorus::rvm::Instruction;
use regorus::rvm::program::{Program, RuleInfo, RuleType};
use regorus::unstable::BuiltinFcn;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What replaces an instruction that gives a rule a value.
pub(crate) struct Noted {
    pub(crate) name: String,
    pub(crate) function: BuiltinFcn,
    pub(crate) arity: u8,
    pub(crate) dest: u8,
    pub(crate) registers: [u8; 8],
}

/// The instructions of a program that give a value to a rule that could come to several.
///
/// # Errors
/// More such rules than there are functions for, or a function with more arguments than can be told.
pub(crate) fn noted(program: &Program) -> Result<BTreeMap<usize, Noted>, CompileError> {
    let mut begins = BTreeMap::new();
    for (rule, info) in program.rule_infos.iter().enumerate() {
        for body in info.definitions.iter().flatten() {
            begins.insert(usize::try_from(*body).unwrap_or(usize::MAX), rule);
        }
    }
    let mut found = BTreeMap::new();
    let mut functions = TABLE.iter().flatten().enumerate();
    for (rule, info) in program.rule_infos.iter().enumerate() {
        let bodies = begins.iter().filter(|(_, of)| **of == rule).map(|(begin, _)| {
            let end = begins.range(begin + 1..).next().map_or(program.instructions.len(), |(end, _)| *end);
            (*begin..end.min(program.instructions.len())).collect::<Vec<_>>()
        });
        let at: Vec<usize> = bodies.flatten().collect();
        let again = at.iter().any(|at| matches!(program.instructions[*at], Instruction::LoopStart { .. }));
        let several = info.definitions.len() > 1 || again;
        if !several || info.early_exit_on_first_success {
            continue;
        }
        let gives: Vec<usize> = at.into_iter().filter(|at| gives(program, *at, info)).collect();
        let Some(first) = gives.first() else { continue };
        let Some((number, function)) = functions.next() else {
            let message = "more than 256 rules that might come to several values; split the policy";
            return Err(CompileError::at(program, *first, message));
        };
        for at in gives {
            found.insert(at, note(program, at, info, number, *function)?);
        }
    }
    Ok(found)
}

/// Whether an instruction gives the rule its value, or one of its members.
fn gives(program: &Program, at: usize, info: &RuleInfo) -> bool {
    match (program.instructions[at], &info.rule_type) {
        (Instruction::Move { dest, .. }, RuleType::Complete) => dest == info.result_reg,
        (Instruction::ObjectSet { obj, .. }, RuleType::PartialObject) => obj == info.result_reg,
        _ => false,
    }
}

fn note(
    program: &Program,
    at: usize,
    info: &RuleInfo,
    number: usize,
    function: BuiltinFcn,
) -> Result<Noted, CompileError> {
    let arguments = info.function_info.as_ref().map_or(0, |function| function.num_params);
    let given = match program.instructions[at] {
        Instruction::ObjectSet { obj, key, value } => vec![obj, key, value],
        // The arguments of a function are in the registers after that of its value.
        Instruction::Move { src, .. } => {
            std::iter::once(src).chain((1..=arguments).map_while(|n| u8::try_from(n).ok())).collect()
        }
        _ => Vec::new(),
    };
    let mut registers = [0; 8];
    let Some(places) = registers.get_mut(..given.len()) else {
        let message = "a function of more than 7 arguments; put some of them into one object";
        return Err(CompileError::at(program, at, message));
    };
    places.copy_from_slice(&given);
    let members = matches!(info.rule_type, RuleType::PartialObject);
    let (function, kind) = if members { (MEMBER.0, "members") } else { (function.0, "value") };
    let arity = u8::try_from(given.len()).unwrap_or(u8::MAX);
    Ok(Noted {
        name: format!("{kind} of rule {number}, {arity}"),
        function: (function, arity),
        arity,
        dest: info.result_reg,
        registers,
    })
}

type Values = BTreeMap<(usize, Vec<Value>), Value>;

thread_local! {
    static VALUES: RefCell<Values> = const { RefCell::new(BTreeMap::new()) };
}

/// Forgets the values of the evaluation before.
pub(crate) fn forget() {
    VALUES.with_borrow_mut(BTreeMap::clear);
}

/// The value, if the rule has no other one for these arguments.
fn once(rule: usize, given: &[Value]) -> Result<Value, Fault> {
    let (value, arguments) = given.split_first().ok_or(Fault::FunctionFailed)?;
    VALUES.with_borrow_mut(|values| {
        let known = values.entry((rule, arguments.to_vec())).or_insert_with(|| value.clone());
        if known == value { Ok(value.clone()) } else { Err(Fault::Undefined) }
    })
}

/// The object with one more member, if it has no other one under that key.
fn member(given: &[Value]) -> Result<Value, Fault> {
    let [object, key, value] = given else { return Err(Fault::FunctionFailed) };
    let mut object = object.clone();
    let members = object.as_object_mut().map_err(|_| Fault::FunctionFailed)?;
    if members.get(key).is_some_and(|known| known != value) {
        return Err(Fault::Undefined);
    }
    members.insert(key.clone(), value.clone());
    Ok(object)
}

const MEMBER: BuiltinFcn =
    (|_, _, given, _| meter::noting(&given[1.min(given.len())..], || member(given)), 3);

/// Functions that differ in the number that they note a value under, as the engine takes plain pointers.
macro_rules! numbered {
    ($($high:literal)*) => { [$(numbered!(@ $high, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)),*] };
    (@ $high:literal, $($low:literal)*) => {
        [$((|_, _, given, _| meter::noting(given, || once($high * 16 + $low, given)), 1)),*]
    };
}

const TABLE: [[BuiltinFcn; 16]; 16] = numbered!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
