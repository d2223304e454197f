//! Values as text in Rego's notation, which tells sets from lists: what passes between a module of OPA and us.
//!
//! ```text
//! null  true  1.5  "text"  [1, 2]  {"a": 1}  {1, 2}  set()
//! ```
//! The reader is total and bounded in depth and length, as what it reads is made by a policy.

use crate::meter::{BYTES, DEPTH};
use regorus::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Characters that one number may have: as long as those that policies may multiply, and quick to read.
const DIGITS: usize = 10_000;

/// Writes a value.
pub(crate) fn write(value: &Value) -> String {
    let list = |open: &str, all: Vec<String>, close: &str| format!("{open}{}{close}", all.join(","));
    match value {
        Value::Array(all) => list("[", all.iter().map(write).collect(), "]"),
        Value::Set(all) if all.is_empty() => "set()".to_owned(),
        Value::Set(all) => list("{", all.iter().map(write).collect(), "}"),
        Value::Object(all) => {
            let pairs = all.iter().map(|(key, value)| format!("{}:{}", write(key), write(value)));
            list("{", pairs.collect(), "}")
        }
        // As JSON, large integers would become other numbers.
        Value::Number(number) => number.format_decimal(),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Undefined => value.to_string(),
    }
}

/// Reads a value; none if it is none, or too long or too deep to be one of a policy.
pub(crate) fn read(text: &str) -> Option<Value> {
    if text.len() > BYTES {
        return None;
    }
    let (value, rest) = term(text.trim_start(), DEPTH)?;
    rest.trim_start().is_empty().then_some(value)
}

/// The value at the beginning, and what follows it.
fn term(text: &str, depth: usize) -> Option<(Value, &str)> {
    let below = depth.checked_sub(1)?;
    if let Some(rest) = text.strip_prefix('[') {
        return list(rest, below);
    }
    if let Some(rest) = text.strip_prefix('{') {
        return set_or_object(rest, below);
    }
    if let Some(rest) = text.strip_prefix("set()") {
        return Some((Value::from(BTreeSet::new()), rest));
    }
    if text.starts_with('"') {
        let (token, rest) = text.split_at(end_of_string(text)?);
        return Some((Value::from_json_str(token).ok()?, rest));
    }
    let (token, rest) = text.split_at(end_of_word(text));
    Some((word(token)?, rest))
}

/// A number, or one of `true`, `false` and `null`.
fn word(token: &str) -> Option<Value> {
    if token.len() > DIGITS {
        return None;
    }
    let value = Value::from_json_str(token).ok()?;
    // As JSON, large integers would become other numbers.
    if matches!(value, Value::Number(_)) { Value::from_numeric_string(token).ok() } else { Some(value) }
}

fn list(text: &str, depth: usize) -> Option<(Value, &str)> {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    if let Some(rest) = rest.strip_prefix(']') {
        return Some((Value::from(all), rest));
    }
    loop {
        let (member, after) = term(rest, depth)?;
        all.push(member);
        match next(after, ']')? {
            (true, after) => return Some((Value::from(all), after)),
            (false, after) => rest = after,
        }
    }
}

fn set_or_object(text: &str, depth: usize) -> Option<(Value, &str)> {
    let rest = text.trim_start();
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((Value::from(BTreeMap::new()), rest));
    }
    let (first, after) = term(rest, depth)?;
    if after.trim_start().starts_with(':') { object(first, after, depth) } else { set(first, after, depth) }
}

fn set(first: Value, mut after: &str, depth: usize) -> Option<(Value, &str)> {
    let mut all = BTreeSet::from([first]);
    loop {
        let (ended, rest) = next(after, '}')?;
        if ended {
            return Some((Value::from(all), rest));
        }
        let (member, rest) = term(rest, depth)?;
        all.insert(member);
        after = rest;
    }
}

fn object(first: Value, mut after: &str, depth: usize) -> Option<(Value, &str)> {
    let mut all = BTreeMap::new();
    let mut key = first;
    loop {
        let rest = after.trim_start().strip_prefix(':')?.trim_start();
        let (value, rest) = term(rest, depth)?;
        all.insert(key, value);
        let (ended, rest) = next(rest, '}')?;
        if ended {
            return Some((Value::from(all), rest));
        }
        (key, after) = term(rest, depth)?;
    }
}

/// Whether a collection ends here, and what follows its end or the comma.
fn next(text: &str, close: char) -> Option<(bool, &str)> {
    let text = text.trim_start();
    match text.strip_prefix(close) {
        Some(rest) => Some((true, rest)),
        None => Some((false, text.strip_prefix(',')?.trim_start())),
    }
}

fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().enumerate().skip(1).find_map(|(at, byte)| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends.then_some(at + 1)
    })
}

/// Where a number, or one of `true`, `false` and `null`, ends.
fn end_of_word(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || ['.', '+', '-'].contains(&c))).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_the_same() {
        for text in [
            "null",
            "true",
            "-1.5",
            "85070591730234615847396907784232501249",
            "\"a \\\"b\\\" \\\\ \\u0001 é\"",
            "[]",
            "[1,[2],{}]",
            "set()",
            "{1,2}",
            "{\"a\":{\"b\",\"c\"}}",
            "{{\"result\":set()}}",
            "{1:2,[3]:4}",
        ] {
            let value = read(text).expect(text);
            assert_eq!(read(&write(&value)), Some(value), "{text}");
        }
        let large = "79228162514264337593543950335";
        assert_eq!(write(&read(large).expect("a number")), large, "no digit is lost");
        assert_eq!(
            write(&read(" { \"a\" : [ 1 , 2 ] , \"b\" : { 3 , 3 } } ").expect("spaces")),
            "{\"a\":[1,2],\"b\":{3}}"
        );
    }

    #[test]
    fn what_is_no_value_is_none() {
        for text in [
            "", " ", "[", "[1", "[1,", "[1,]", "{", "{1", "{1,", "{1:", "{1:2", "{1:2,3}", "{1,2:3}", "\"",
            "\"\\\"", "set(", "x", "1 2", "1e", "é", "[1]]",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&"[".repeat(100_000)), None);
        assert_eq!(read(&format!("\"{}\"", "x".repeat(BYTES))), None);
        assert_eq!(read(&"1".repeat(DIGITS + 1)), None);
    }
}
