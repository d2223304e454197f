//! Fuzz target: entries of the signer's log as the plugin reads them. See `keywright_fuzz::log_entry`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::log_entry(bytes));
