//! Fuzz target: requests to the signer: protobuf and the signer's parsing. See `keywright_fuzz::messages`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::messages(bytes));
