//! Fuzz target: PEM text of certificates, requests and keys. See `keywright_fuzz::pem`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::pem(bytes));
