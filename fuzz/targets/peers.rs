//! Fuzz target: peers.json. See `keywright_fuzz::peers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::peers(bytes));
