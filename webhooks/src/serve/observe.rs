//! Gathers the facts that a review needs. Reads only.

use super::claims::Claims;
use crate::review::{Facts, Needs};

/// Where facts come from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Which Certificates name which Secret.
    pub claims: Claims,
}

impl Sources {
    /// The facts; what cannot be had is said to be so.
    pub fn observe(&self, needs: Needs) -> Facts {
        match needs {
            Needs::Nothing => Facts::Nothing,
            Needs::Claimants { namespace, secret } => match self.claims.of(&namespace, &secret) {
                Some(names) => Facts::Claimants(names),
                None => Facts::Unknown("the list of Certificates has not been read yet".to_owned()),
            },
        }
    }
}
