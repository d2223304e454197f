//! Fuzz target: private keys: PKCS#8, PKCS#1, SEC1, DER and PEM. See `keywright_fuzz::private_key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::private_key(bytes));
