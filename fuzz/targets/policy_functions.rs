//! Fuzz target: functions of policies that read foreign bytes. See `keywright_fuzz::policy_functions`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::policy_functions(bytes));
