//! What must hold for every reader of foreign bytes, whatever the bytes: one function for each reader.
//!
//! Each ends in a crash when a property breaks, which is all a fuzzer looks for. The properties go beyond "it does not
//! crash": what was read is written and read again the same, two readers agree, a tighter set of constraints allows
//! nothing more. Libfuzzer calls these functions through the programs in `targets/`; the test below calls them with the
//! seeds, so that each of those stays good in every test run. `hack/fuzz.sh` runs them.

mod bundle;
mod log;
mod names;
mod policy;
mod sshsig;
mod wire;
mod x509;

pub use bundle::bundle;
pub use log::{log_entry, note, proof, tile, witness};
pub use names::{constraints, names};
pub use policy::{policy_functions, policy_input, rego};
pub use sshsig::sshsig;
pub use wire::{messages, peers};
pub use x509::{certificate, csr, lint, pem, private_key, public_key};

/// A target, as it is named in `seeds/` and in `hack/fuzz.sh`.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 20] = [
    ("bundle", bundle),
    ("certificate", certificate),
    ("constraints", constraints),
    ("csr", csr),
    ("lint", lint),
    ("log-entry", log_entry),
    ("messages", messages),
    ("names", names),
    ("note", note),
    ("peers", peers),
    ("pem", pem),
    ("policy-functions", policy_functions),
    ("policy-input", policy_input),
    ("private-key", private_key),
    ("proof", proof),
    ("public-key", public_key),
    ("rego", rego),
    ("sshsig", sshsig),
    ("tile", tile),
    ("witness", witness),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Seeds, and inputs that broke a target once.
    #[test]
    fn every_seed_holds_and_every_target_has_some() {
        for (name, target) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
            let mut count = 0;
            for file in std::fs::read_dir(&folder).expect("every target has a folder of seeds") {
                let path = file.expect("the folder can be read").path();
                target(&std::fs::read(&path).expect("a seed can be read"));
                count += 1;
            }
            assert!(count > 0, "{name} has no seed; run cargo run -p keywright-fuzz --bin make-seeds");
        }
    }
}
