//! Fuzz target: DNS names, e-mail addresses, URIs, IP addresses, distinguished names, serial numbers. See `keywright_fuzz::names`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::names(bytes));
