//! What functions cost and whether they failed: the engine bounds instructions, and one call is one instruction.
//!
//! The engine takes functions as plain pointers and keeps their errors to itself, so both are noted beside it, for the
//! thread that evaluates.

use crate::decision::Fault;
use crate::functions::NoValue;
use crate::single;
use regorus::unstable::{BUILTINS, Expr, Ref, Span};
use regorus::{LimitError, Value};
use std::cell::Cell;

/// Bytes that the arguments and results of all calls for one rule may come to, each as often as it is handed over.
pub(crate) const BYTES: usize = 8 * 1024 * 1024;

/// Bytes that one number may have: more than any key has, and quick to multiply.
const NUMBER: u64 = 4 * 1024;

/// Depth of a value: what JSON readers take as well.
pub(crate) const DEPTH: usize = 128;

/// What a value takes beside its text or members.
const HEAD: usize = 32;

#[derive(Clone, Copy)]
struct Meter {
    left: usize,
    fault: Option<Fault>,
}

thread_local! {
    static METER: Cell<Meter> = const { Cell::new(Meter { left: 0, fault: None }) };
}

/// Runs an evaluation with a full budget; what went wrong in its calls comes beside its value.
pub(crate) fn within<T>(evaluate: impl FnOnce() -> T) -> (T, Option<Fault>) {
    METER.set(Meter { left: BYTES, fault: None });
    single::forget();
    let value = evaluate();
    single::forget();
    let fault = METER.replace(Meter { left: 0, fault: None }).fault;
    (value, fault)
}

/// Calls a function of the engine. An error of it, or no value for arguments that have one, is a fault.
///
/// # Errors
/// The call failed or is over the budget. The engine takes that kind of error, and no other, for the end of all.
pub(crate) fn call<E: From<LimitError>>(
    name: &str,
    span: &Span,
    expressions: &[Ref<Expr>],
    arguments: &[Value],
) -> Result<Value, E> {
    called(name, span, expressions, arguments).map_err(noted)
}

/// Calls a function of ours, of which one byte of the arguments may become `growth` bytes of result or work. That it has
/// no value is a fault.
///
/// # Errors
/// As [`call`].
pub(crate) fn own<E: From<LimitError>>(
    growth: usize,
    arguments: &[Value],
    function: impl FnOnce(&[Value]) -> Result<Value, NoValue>,
) -> Result<Value, E> {
    let meter = METER.get();
    let value = spend(growth, arguments, meter.left).ok_or(Fault::TooMuchMemory).and_then(|left| {
        METER.set(Meter { left, ..meter });
        let value = function(arguments).map_err(|NoValue| Fault::FunctionFailed)?;
        let left = weigh(&value, left, DEPTH).ok_or(Fault::TooMuchMemory)?;
        METER.set(Meter { left, ..meter });
        Ok(value)
    });
    value.map_err(noted)
}

/// Calls what notes the value of a rule, at the cost of what it is given.
///
/// # Errors
/// As [`call`].
pub(crate) fn noting<E: From<LimitError>>(
    given: &[Value],
    function: impl FnOnce() -> Result<Value, Fault>,
) -> Result<Value, E> {
    let meter = METER.get();
    let left = given.iter().try_fold(meter.left, |left, one| weigh(one, left, DEPTH));
    let value = left.ok_or(Fault::TooMuchMemory).and_then(|left| {
        METER.set(Meter { left, ..meter });
        function()
    });
    value.map_err(noted)
}

/// Notes a fault, and ends the evaluation.
fn noted<E: From<LimitError>>(fault: Fault) -> E {
    let meter = METER.get();
    METER.set(Meter { fault: meter.fault.or(Some(fault)), ..meter });
    E::from(LimitError::MemoryLimitExceeded { usage: BYTES as u64, limit: BYTES as u64 })
}

fn called(name: &str, span: &Span, expressions: &[Ref<Expr>], arguments: &[Value]) -> Result<Value, Fault> {
    let meter = METER.get();
    let left = before(name, arguments, meter.left).ok_or(Fault::TooMuchMemory)?;
    METER.set(Meter { left, ..meter });
    let (function, _) = BUILTINS.get(name).ok_or(Fault::FunctionFailed)?;
    match function(span, expressions, arguments, true) {
        Ok(Value::Undefined) | Err(_) => Err(Fault::FunctionFailed),
        Ok(value) => {
            let left = weigh(&value, left, DEPTH).ok_or(Fault::TooMuchMemory)?;
            METER.set(Meter { left, ..meter });
            Ok(value)
        }
    }
}

/// What is left after a call, judged by its arguments alone, so that too large a result is never made.
fn before(name: &str, arguments: &[Value], left: usize) -> Option<usize> {
    let left = spend(growth(name), arguments, left)?;
    let between = match (name, arguments) {
        ("concat", [Value::String(between), Value::Array(all)]) => {
            between.len().checked_mul(all.iter().count())?
        }
        ("concat", [Value::String(between), Value::Set(all)]) => between.len().checked_mul(all.len())?,
        _ => 0,
    };
    left.checked_sub(between)
}

/// What is left after arguments were handed to a function that makes at most so many bytes of each byte.
fn spend(growth: usize, arguments: &[Value], left: usize) -> Option<usize> {
    let rest = arguments.iter().try_fold(left, |left, argument| weigh(argument, left, DEPTH))?;
    left.checked_sub((left - rest).checked_mul(growth)?)
}

/// How many bytes of a result one byte of the arguments can become at most.
fn growth(name: &str) -> usize {
    match name {
        // Each character may become a value of its own.
        "indexof_n" | "json.unmarshal" | "split" => 48,
        // Each character may become an escape sequence.
        "sprintf" => 8,
        _ => 4,
    }
}

/// What is left of a budget after a value; nothing if it is larger or deeper than that. A value that stands in another
/// one twice weighs twice, as it does when it is printed or compared; so this ends when the budget does.
fn weigh(value: &Value, left: usize, depth: usize) -> Option<usize> {
    let left = left.checked_sub(HEAD)?;
    let below = depth.checked_sub(1)?;
    match value {
        Value::Null | Value::Bool(_) | Value::Undefined => Some(left),
        Value::Number(number) => {
            let small = number.as_i64().is_some() || number.as_u64().is_some() || !number.is_integer();
            let bytes = if small { 0 } else { number.as_big().map_or(0, |big| big.bits() / 8) };
            if bytes > NUMBER { None } else { left.checked_sub(usize::try_from(bytes).ok()?) }
        }
        Value::String(text) => left.checked_sub(text.len()),
        Value::Array(all) => all.iter().try_fold(left, |left, member| weigh(member, left, below)),
        Value::Set(all) => all.iter().try_fold(left, |left, member| weigh(member, left, below)),
        Value::Object(all) => {
            all.iter().try_fold(left, |left, (key, member)| weigh(member, weigh(key, left, below)?, below))
        }
    }
}
