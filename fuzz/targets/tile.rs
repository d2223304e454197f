//! Fuzz target: tiles, entry bundles and paths, by both readers. See `keywright_fuzz::tile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::tile(bytes));
