//! Fuzz target: proof files. See `keywright_fuzz::proof`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::proof(bytes));
