//! Fuzz target: signatures and public keys of OpenSSH. See `keywright_fuzz::sshsig`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keywright_fuzz::sshsig(bytes));
