//! Fuzz target: the document that policies are asked with. See `keywright_fuzz::policy_input`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::policy_input(bytes));
