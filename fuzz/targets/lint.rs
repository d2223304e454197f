//! Fuzz target: the linter against the reader. See `keywright_fuzz::lint`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::lint(bytes));
