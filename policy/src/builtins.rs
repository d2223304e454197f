//! Which builtin functions a policy may call.
//!
//! Only those whose value follows from their arguments, so that admission, controller and signer come to the same
//! answer, and whose one call cannot make a value out of all proportion to its arguments: what a call costs is judged
//! before it is made ([`crate::meter`]).

use crate::meter;
use regorus::unstable::BuiltinFcn;

/// Declares the functions. Each becomes a pointer of its own, as the engine calls functions without their names.
macro_rules! functions {
    ($($name:literal),* $(,)?) => {
        /// A function that a policy may call, metered; none of another name.
        pub(crate) fn metered(name: &str, arity: u8) -> Option<BuiltinFcn> {
            let function: BuiltinFcn = match name {
                $($name => (
                    |span, expressions, arguments, _| meter::call($name, span, expressions, arguments),
                    arity,
                ),)*
                _ => return None,
            };
            Some(function)
        }
    };
}

functions!(
    "abs",
    "all",
    "any",
    "array.concat",
    "array.reverse",
    "array.slice",
    "base64.decode",
    "base64.encode",
    "base64.is_valid",
    "base64url.decode",
    "base64url.encode",
    "base64url.encode_no_pad",
    "bits.and",
    "bits.negate",
    "bits.or",
    "bits.xor",
    "ceil",
    "concat",
    "contains",
    "count",
    "endswith",
    "floor",
    "glob.match",
    "glob.quote_meta",
    "hex.decode",
    "hex.encode",
    "indexof",
    "indexof_n",
    "intersection",
    "is_array",
    "is_boolean",
    "is_null",
    "is_number",
    "is_object",
    "is_set",
    "is_string",
    "json.filter",
    "json.is_valid",
    "json.remove",
    "json.unmarshal",
    "lower",
    "max",
    "min",
    "net.cidr_contains",
    "net.cidr_is_valid",
    "object.filter",
    "object.get",
    "object.keys",
    "object.remove",
    "object.subset",
    "object.union",
    "object.union_n",
    "product",
    "regex.is_valid",
    "regex.match",
    "round",
    "semver.compare",
    "semver.is_valid",
    "sort",
    "split",
    "sprintf",
    "startswith",
    "strings.any_prefix_match",
    "strings.any_suffix_match",
    "strings.count",
    "strings.reverse",
    "substring",
    "sum",
    "time.add_date",
    "time.clock",
    "time.date",
    "time.diff",
    "time.format",
    "time.parse_duration_ns",
    "time.parse_ns",
    "time.parse_rfc3339_ns",
    "time.weekday",
    "to_number",
    "trim",
    "trim_left",
    "trim_prefix",
    "trim_right",
    "trim_space",
    "trim_suffix",
    "type_name",
    "union",
    "upper",
    // What the compiler itself calls for `&` and `|` of sets.
    "__builtin_sets.intersection",
    "__builtin_sets.union",
);

/// Where a call of `sprintf` has a format that is no plain literal: line and column, from 1.
///
/// A format may demand any width, and the engine panics at some; so it must not come from an input, and a literal one
/// must be of the plain verbs. Read from the text, as a call can be written in one way only.
pub(crate) fn loose_format(rego: &str) -> Option<(u32, u32)> {
    const CALL: &str = "sprintf";
    rego.match_indices(CALL).find_map(|(at, _)| {
        let part_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
        let (before, after) = (&rego[..at], &rego[at + CALL.len()..]);
        if before.ends_with(part_of_a_word) || after.starts_with(part_of_a_word) {
            return None;
        }
        let arguments = after.trim_start().strip_prefix('(')?.trim_start();
        let plain = literal(arguments)
            .is_some_and(|(format, rest)| verbs_only(format) && rest.trim_start().starts_with(','));
        if plain { None } else { Some(place(before)) }
    })
}

/// A literal at the beginning, and what follows it. One with a backslash is none: it may hide a verb.
fn literal(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|quote| ['"', '`'].contains(quote))?;
    text[1..].split_once(quote).filter(|(format, _)| !format.contains('\\'))
}

fn verbs_only(format: &str) -> bool {
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c == '%' && !matches!(chars.next(), Some('s' | 'd' | 'v' | 'q' | '%')) {
            return false;
        }
    }
    true
}

/// Whether a value is a format of plain verbs: what is asked of formats where no text tells whether they are literals.
#[cfg(feature = "wasm")]
pub(crate) fn plain_format(format: &regorus::Value) -> bool {
    matches!(format, regorus::Value::String(format) if verbs_only(format))
}

fn place(before: &str) -> (u32, u32) {
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (number(line), number(column))
}
