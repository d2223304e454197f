//! Modules of OPA, and what becomes of such that ask for more than policies get.
#![cfg(feature = "engine")]

use keywright_policy_wasm::{Bundle, LoadError, MEMORY, MODULE, Module, Trouble};

fn module(name: &str) -> Vec<u8> {
    let path = format!("{}/../tests/data/table/{name}.tar.gz", env!("CARGO_MANIFEST_DIR"));
    Bundle::read(&std::fs::read(path).expect("a bundle of the table")).expect("reads").module
}

/// The same with other bytes in the place of some that are there once.
fn patched(module: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = (0..module.len()).filter(|at| module[*at..].starts_with(from)).collect();
    assert!(!places.is_empty(), "{from:?} is not there");
    let mut patched = module.to_vec();
    for at in places {
        patched[at..at + to.len()].copy_from_slice(to);
    }
    patched
}

fn refused(module: &[u8]) -> String {
    Module::load(module).map(|_| ()).expect_err("refused").to_string()
}

fn nobody(_: &str, _: &[String]) -> Option<String> {
    None
}

#[test]
fn a_module_tells_what_can_be_asked_and_answers() {
    let module = Module::load(&module("failing")).expect("loads");
    let entrypoints: Vec<&str> = module.entrypoints().collect();
    assert_eq!(
        entrypoints,
        ["keywright/allow", "keywright/deny", "keywright/require_approval", "keywright/warn"]
    );
    let builtins: Vec<&str> = module.builtins().collect();
    assert!(builtins.contains(&"crypto.x509.parse_certificates"), "{builtins:?}");
    let ask = |rule: &str, input: &str| module.ask(nobody, rule, "{}", input);
    let input = r#"{"object":{"which":"divide","x":0.25}}"#;
    assert_eq!(ask("keywright/deny", input), Ok(r#"{{"result": {"divide"}}}"#.to_owned()));
    assert_eq!(ask("keywright/allow", input), Ok(r#"{{"result": true}}"#.to_owned()));
    assert_eq!(ask("keywright/warn", "{}"), Ok(r#"{{"result": set()}}"#.to_owned()));
    assert!(matches!(ask("keywright/other", input), Err(Trouble::Failed(_))));
    assert!(matches!(ask("keywright/deny", "no JSON"), Err(Trouble::Failed(_))));
    // The host has no value for anything here.
    assert_eq!(ask("keywright/deny", r#"{"object":{"which":"time","x":"x"}}"#), Err(Trouble::NoValue));
    // The module's own function has none.
    assert_eq!(ask("keywright/deny", r#"{"object":{"which":"number","x":"x"}}"#), Err(Trouble::NoValue));
    let conflict = ask("keywright/allow", r#"{"object":{"which":"conflict"}}"#);
    assert!(matches!(&conflict, Err(Trouble::Failed(said)) if said.contains("conflict")), "{conflict:?}");
}

#[test]
fn a_module_that_takes_more_memory_than_it_may_is_ended() {
    let module = Module::load(&module("names")).expect("loads");
    // Room for it is asked for before it is read.
    let input = format!("\"{}\"", "x".repeat(MEMORY - 1000));
    assert_eq!(module.ask(nobody, "keywright/deny", "{}", &input), Err(Trouble::OutOfMemory));
    let input = format!("\"{}\"", "x".repeat(MEMORY / 2));
    assert_eq!(module.ask(nobody, "keywright/deny", "{}", &input), Err(Trouble::OutOfFuel));
    assert_eq!(
        module.ask(nobody, "keywright/deny", "{}", r#"{"object":{"spec":{}}}"#),
        Ok(r#"{{"result": {"no name at all"}}}"#.to_owned())
    );
}

#[test]
fn the_same_question_has_the_same_answer() {
    let module = Module::load(&module("failing")).expect("loads");
    let input = r#"{"object":{"which":"comprehension","x":"2"}}"#;
    let ask = || module.ask(nobody, "keywright/deny", "{}", input);
    let first = ask();
    assert!((0..20).all(|_| ask() == first), "{first:?}");
}

#[test]
fn a_module_that_asks_for_more_than_policies_get_is_refused() {
    let good = module("names");
    let foreign = patched(&good, b"opa_abort", b"opa_ab0rt");
    assert!(refused(&foreign).contains("no function opa_ab0rt"), "{}", refused(&foreign));
    let elsewhere = patched(&good, b"\x03env\x09opa_abort", b"\x03enw\x09opa_abort");
    assert!(refused(&elsewhere).contains("imports enw.opa_abort"), "{}", refused(&elsewhere));
    let huge = patched(&good, b"\x03env\x06memory\x02\x00\x02", b"\x03env\x06memory\x02\x00\x7f");
    assert!(Module::load(&huge).is_ok(), "8 MiB are within the limit");
}

#[test]
fn another_version_of_the_calling_convention_is_refused() {
    let good = module("names");
    // `(global i32 (i32.const 3))`, the minor version.
    let old = patched(&good, b"\x7f\x00\x41\x03\x0b", b"\x7f\x00\x41\x01\x0b");
    assert_eq!(Module::load(&old).err(), Some(LoadError::Version("1.1".to_owned())));
    let unsaid = patched(&good, b"opa_wasm_abi_version", b"opa_wasm_abi_v3rsion");
    assert!(matches!(Module::load(&unsaid).err(), Some(LoadError::Version(_))));
}

#[test]
fn what_is_no_module_is_refused() {
    for bytes in [&b""[..], b"\0asm", b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0", b"nonsense"] {
        assert!(matches!(Module::load(bytes), Err(LoadError::NotOfOpa(_))), "{bytes:?}");
    }
    assert_eq!(Module::load(&vec![0; MODULE + 1]).err(), Some(LoadError::TooLarge(MODULE + 1)));
    let good = module("names");
    assert!(matches!(Module::load(&good[..good.len() / 2]), Err(LoadError::NotOfOpa(_))));
}
