//! Fuzz target: PKCS#10 requests, DER and PEM. See `keywright_fuzz::csr`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::csr(bytes));
