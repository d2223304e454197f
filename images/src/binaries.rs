//! What is shipped as an image.

/// One binary, one image: named alike.
pub(crate) struct Binary {
    /// Of the binary, of its crate and of the image.
    pub(crate) name: &'static str,
    /// For people who look at the image.
    pub(crate) description: &'static str,
}

/// All of them. `kubectl-keywright` is what `helm test` runs.
pub(crate) const BINARIES: &[Binary] = &[
    Binary { name: "keywright-operator", description: "Keywright's controllers" },
    Binary { name: "keywright-signer", description: "Keywright's signer: holds the authorities' keys" },
    Binary { name: "kubectl-keywright", description: "Looks into and checks a Keywright installation" },
];

/// User and group of every process: nobody that any node knows.
pub(crate) const USER: u64 = 65532;
