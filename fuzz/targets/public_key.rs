//! Fuzz target: SubjectPublicKeyInfo. See `keywright_fuzz::public_key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::public_key(bytes));
