//! Functions that fail end the evaluation.
//!
//! In a module of OPA a function that has no value for what it is given (`1 / 0`, `to_number("x")`) returns nothing, and the
//! body that it stands in is undefined: under `deny` a denial would be lost. So each function of Rego that OPA runs inside
//! the module is put behind one of ours, which ends the evaluation where it returns nothing. The bytes of the functions
//! stay as they are and none gets another number:
//!
//! ```text
//! before   17 opa_to_number: BODY
//! after    17: call 203, end the evaluation if it returned 0      every call of it, from the policy or from within
//!          203: BODY                                             behind the last function there was
//! ```
//! Which number is which function says the custom section `name`, which OPA's own compiler needs and writes. Total: whatever
//! the bytes, a module comes out or it is said why not; whether it is a good one the runtime says.

use crate::binary::{Malformed, Reader, section, write_u32};
use std::collections::BTreeMap;

/// The functions of Rego that OPA runs within a module, by the names of their functions there: all but comparisons and
/// `walk`, which cannot fail.
const MAY_FAIL: &[&str] = &[
    "builtin_graph_reachable",
    "builtin_json_filter",
    "builtin_json_remove",
    "builtin_object_filter",
    "builtin_object_get",
    "builtin_object_keys",
    "builtin_object_remove",
    "builtin_object_union",
    "builtin_object_union_n",
    "opa_agg_all",
    "opa_agg_any",
    "opa_agg_count",
    "opa_agg_max",
    "opa_agg_min",
    "opa_agg_product",
    "opa_agg_sort",
    "opa_agg_sum",
    "opa_arith_abs",
    "opa_arith_ceil",
    "opa_arith_divide",
    "opa_arith_floor",
    "opa_arith_minus",
    "opa_arith_multiply",
    "opa_arith_plus",
    "opa_arith_rem",
    "opa_arith_round",
    "opa_array_concat",
    "opa_array_flatten",
    "opa_array_reverse",
    "opa_array_slice",
    "opa_base64_decode",
    "opa_base64_encode",
    "opa_base64_is_valid",
    "opa_base64_url_decode",
    "opa_base64_url_encode",
    "opa_bits_and",
    "opa_bits_negate",
    "opa_bits_or",
    "opa_bits_shiftleft",
    "opa_bits_shiftright",
    "opa_bits_xor",
    "opa_cidr_contains",
    "opa_cidr_intersects",
    "opa_glob_match",
    "opa_json_is_valid",
    "opa_json_marshal",
    "opa_json_unmarshal",
    "opa_numbers_range",
    "opa_regex_find_all_string_submatch",
    "opa_regex_is_valid",
    "opa_regex_match",
    "opa_set_diff",
    "opa_set_intersection",
    "opa_set_union",
    "opa_sets_intersection",
    "opa_sets_union",
    "opa_strings_concat",
    "opa_strings_contains",
    "opa_strings_endswith",
    "opa_strings_format_int",
    "opa_strings_indexof",
    "opa_strings_lower",
    "opa_strings_replace",
    "opa_strings_replace_n",
    "opa_strings_reverse",
    "opa_strings_split",
    "opa_strings_startswith",
    "opa_strings_substring",
    "opa_strings_trim",
    "opa_strings_trim_left",
    "opa_strings_trim_prefix",
    "opa_strings_trim_right",
    "opa_strings_trim_space",
    "opa_strings_trim_suffix",
    "opa_strings_upper",
    "opa_template_string",
    "opa_to_number",
];

const CUSTOM: u8 = 0;
const TYPE: u8 = 1;
const IMPORT: u8 = 2;
const FUNCTION: u8 = 3;
const CODE: u8 = 10;

/// Subsection of the section `name` that names functions.
const NAMES_OF_FUNCTIONS: u8 = 1;

const I32: u8 = 0x7f;

/// What is read of a module.
#[derive(Default)]
struct Parts<'a> {
    sections: Vec<(u8, &'a [u8])>,
    /// Parameters of each type, where it has no others than numbers of 32 bits and one such result.
    types: Vec<Option<u32>>,
    imported: u32,
    /// Type of each function that is not imported.
    functions: Vec<u32>,
    bodies: Vec<&'a [u8]>,
    names: BTreeMap<&'a str, u32>,
}

/// The same module, whose functions of Rego end the evaluation where they fail.
///
/// # Errors
/// It is no WebAssembly, or has no names.
pub fn strict(module: &[u8]) -> Result<Vec<u8>, Malformed> {
    let parts = Parts::read(module)?;
    if parts.names.is_empty() {
        return Err(Malformed("it has no names of functions, which OPA writes; do not strip it"));
    }
    let mut functions = parts.functions.clone();
    let mut bodies: Vec<Vec<u8>> = parts.bodies.iter().map(|body| body.to_vec()).collect();
    for name in MAY_FAIL {
        let Some(number) = parts.names.get(name) else { continue };
        // One that is imported is none of OPA's, and is refused by whoever looks at imports.
        let Some(at) = number.checked_sub(parts.imported) else { continue };
        let at = usize::try_from(at).map_err(|_| OUT_OF_RANGE)?;
        let kind = *parts.functions.get(at).ok_or(OUT_OF_RANGE)?;
        let parameters = usize::try_from(kind).ok().and_then(|kind| parts.types.get(kind).copied().flatten());
        let parameters = parameters.ok_or(Malformed("a function of Rego is of a type that is not OPA's"))?;
        let moved = u32::try_from(functions.len()).ok().and_then(|count| count.checked_add(parts.imported));
        let guard = guard(parameters, moved.ok_or(OUT_OF_RANGE)?);
        let body = bodies.get_mut(at).ok_or(OUT_OF_RANGE)?;
        let body = std::mem::replace(body, guard);
        bodies.push(body);
        functions.push(kind);
    }
    Ok(parts.write(&functions, &bodies))
}

const OUT_OF_RANGE: Malformed = Malformed("a function that is named is not there");

/// A function of so many parameters that calls another one with them, and traps if that returns 0.
fn guard(parameters: u32, callee: u32) -> Vec<u8> {
    // One local of 32 bits.
    let mut body = vec![1, 1, I32];
    for parameter in 0..parameters {
        body.push(0x20); // local.get
        write_u32(&mut body, parameter);
    }
    body.push(0x10); // call
    write_u32(&mut body, callee);
    body.push(0x22); // local.tee
    write_u32(&mut body, parameters);
    body.extend([0x45, 0x04, 0x40, 0x00, 0x0b]); // i32.eqz, if, unreachable, end
    body.push(0x20); // local.get
    write_u32(&mut body, parameters);
    body.push(0x0b); // end
    body
}

impl<'a> Parts<'a> {
    fn read(module: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(module);
        if reader.take(8)? != b"\0asm\x01\0\0\0" {
            return Err(Malformed("it is no WebAssembly of version 1"));
        }
        let mut parts = Self::default();
        while !reader.0.is_empty() {
            let id = reader.byte()?;
            let content = reader.sized()?;
            parts.sections.push((id, content));
            let content = Reader(content);
            match id {
                CUSTOM => parts.read_names(content)?,
                TYPE => parts.read_types(content)?,
                IMPORT => parts.read_imports(content)?,
                FUNCTION => {
                    parts.functions = { content }.list(Reader::u32)?;
                }
                CODE => parts.bodies = { content }.list(Reader::sized)?,
                _ => {}
            }
        }
        if parts.functions.len() == parts.bodies.len() {
            Ok(parts)
        } else {
            Err(Malformed("it has other functions than bodies"))
        }
    }

    fn read_types(&mut self, mut content: Reader<'a>) -> Result<(), Malformed> {
        self.types = content.list(|reader| {
            if reader.byte()? != 0x60 {
                return Err(Malformed("it has types that are no functions"));
            }
            let parameters = reader.list(Reader::byte)?;
            let results = reader.list(Reader::byte)?;
            let plain = parameters.iter().all(|one| *one == I32) && results == [I32];
            Ok(u32::try_from(parameters.len()).ok().filter(|_| plain))
        })?;
        Ok(())
    }

    fn read_imports(&mut self, mut content: Reader<'a>) -> Result<(), Malformed> {
        let functions = content.list(|reader| {
            reader.sized()?;
            reader.sized()?;
            match reader.byte()? {
                0 => reader.u32().map(|_| 1),
                1 => {
                    reader.byte()?;
                    reader.limits().map(|()| 0)
                }
                2 => reader.limits().map(|()| 0),
                3 => reader.take(2).map(|_| 0),
                _ => Err(Malformed("it imports what is unknown")),
            }
        })?;
        self.imported = functions.into_iter().sum();
        Ok(())
    }

    fn read_names(&mut self, mut content: Reader<'a>) -> Result<(), Malformed> {
        if content.sized()? != b"name" {
            return Ok(());
        }
        while !content.0.is_empty() {
            let id = content.byte()?;
            let mut names = Reader(content.sized()?);
            if id != NAMES_OF_FUNCTIONS {
                continue;
            }
            for (number, name) in names.list(|reader| Ok((reader.u32()?, reader.sized()?)))? {
                let name = std::str::from_utf8(name).map_err(|_| Malformed("a name is no UTF-8"))?;
                self.names.insert(name, number);
            }
        }
        Ok(())
    }

    fn write(&self, functions: &[u32], bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        for (id, content) in &self.sections {
            match *id {
                FUNCTION => {
                    let mut content = Vec::new();
                    count(&mut content, functions.len());
                    for kind in functions {
                        write_u32(&mut content, *kind);
                    }
                    section(&mut module, FUNCTION, &content);
                }
                CODE => {
                    let mut content = Vec::new();
                    count(&mut content, bodies.len());
                    for body in bodies {
                        count(&mut content, body.len());
                        content.extend(body);
                    }
                    section(&mut module, CODE, &content);
                }
                id => section(&mut module, id, content),
            }
        }
        module
    }
}

/// A number of things that are in memory, which are fewer than 2^32.
fn count(to: &mut Vec<u8>, number: usize) {
    write_u32(to, u32::try_from(number).unwrap_or(u32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with one imported function and `opa_to_number`, which returns what it is given.
    fn module(name: &str) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        section(&mut module, TYPE, &[1, 0x60, 1, I32, 1, I32]);
        section(&mut module, IMPORT, &[1, 3, b'e', b'n', b'v', 1, b'f', 0, 0]);
        section(&mut module, FUNCTION, &[1, 0]);
        section(&mut module, CODE, &[1, 4, 0, 0x20, 0, 0x0b]);
        let mut names = vec![4];
        names.extend(b"name");
        let mut list = vec![1, 1, u8::try_from(name.len()).expect("short")];
        list.extend(name.as_bytes());
        section(&mut names, NAMES_OF_FUNCTIONS, &list);
        section(&mut module, CUSTOM, &names);
        module
    }

    #[test]
    fn a_function_that_may_fail_is_moved_behind_a_guard_and_no_other() {
        let guarded = strict(&module("opa_to_number")).expect("a module");
        let parts = Parts::read(&guarded).expect("a module");
        assert_eq!(parts.functions, [0, 0]);
        assert_eq!(parts.bodies[1], [0, 0x20, 0, 0x0b], "the function itself, moved");
        let guard = parts.bodies[0];
        assert_eq!(guard[3..7], [0x20, 0, 0x10, 2], "calls it with what it was given");
        assert_eq!(guard[7..], [0x22, 1, 0x45, 0x04, 0x40, 0x00, 0x0b, 0x20, 1, 0x0b]);
        let other = module("opa_value_get");
        assert_eq!(strict(&other).expect("a module"), other, "undefined is no failure of it");
    }

    #[test]
    fn whatever_the_bytes_it_answers() {
        let good = module("opa_to_number");
        for cut in 0..good.len() {
            let _ = strict(&good[..cut]);
        }
        for at in 8..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut broken = good.clone();
                broken[at] = value;
                let _ = strict(&broken);
            }
        }
        let nameless = &good[..good.len() - 24];
        assert!(strict(nameless).is_err());
        assert!(strict(b"\0asm\x02\0\0\0").is_err());
    }
}
