//! Fuzz target: X.509 certificates, and chains and name checks over them. See `keywright_fuzz::certificate`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::certificate(bytes));
