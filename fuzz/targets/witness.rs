//! Fuzz target: requests to a witness. See `keywright_fuzz::witness`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::witness(bytes));
