//! What is shipped as an image.

/// One binary, one image: named alike.
pub(crate) struct Binary {
    /// Of the binary and of the image.
    pub(crate) name: &'static str,
    /// The crate it is built from.
    pub(crate) package: &'static str,
    /// For people who look at the image.
    pub(crate) description: &'static str,
}

/// All of them. `kubectl-keywright` is what `helm test` runs.
pub(crate) const BINARIES: &[Binary] = &[
    Binary {
        name: "keywright-operator",
        package: "keywright-operator",
        description: "Keywright's controllers",
    },
    Binary {
        name: "keywright-webhook",
        package: "keywright-webhooks",
        description: "Keywright's admission webhook",
    },
    Binary {
        name: "keywright-signer",
        package: "keywright-signer",
        description: "Keywright's signer: holds the authorities' keys",
    },
    Binary {
        name: "kubectl-keywright",
        package: "kubectl-keywright",
        description: "Looks into and checks a Keywright installation",
    },
];

/// User and group of every process: nobody that any node knows.
pub(crate) const USER: u64 = 65532;
