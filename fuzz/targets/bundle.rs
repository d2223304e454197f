//! Fuzz target: bundles of policies, unpacked, and modules, guarded. See `keywright_fuzz::bundle`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::bundle(bytes));
