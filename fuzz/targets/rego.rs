//! Fuzz target: Rego source, compiled and asked. See `keywright_fuzz::rego`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::rego(bytes));
