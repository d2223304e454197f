//! Fuzz target: name constraints: text, DER, and the rule that newer ones are only tighter. See `keywright_fuzz::constraints`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::constraints(bytes));
