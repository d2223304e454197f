//! Fuzz target: checkpoints and verifier keys, by both readers. See `keywright_fuzz::note`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::note(bytes));
