//! Keys for other purposes than certificates, within a turn.

use super::Answer;
use super::scene::Scene;
use crate::access::{may_use, with_callers};
use crate::authority::{Authority, Birth, destroyed};
use crate::authority_key::AuthorityKey;
use crate::constraints::KeyConstraints;
use crate::purpose::{ValidKey, must_be};
use crate::refusal::{Reason, Refusal};
use keywright_signer_protocol::v1alpha1::DistinguishedName;
use std::sync::Arc;

impl Scene<'_> {
    /// A key: made, tightened or only looked up; nothing is signed.
    pub(super) fn ensure_key(
        &mut self,
        ask: &ValidKey,
        key: Option<AuthorityKey>,
        caller: &str,
    ) -> Result<Answer, Refusal> {
        if self.keyring.is_destroyed(&ask.uid) {
            return Err(destroyed("keyUid"));
        }
        let known = self.keyring.get(&ask.uid).map(Arc::clone);
        if let Some(known) = &known {
            may_use("keyUid", caller, std::slice::from_ref(known))?;
        }
        self.fence(ask.fencing)?;
        let has = known.as_ref().map(|known| &known.constraints.access);
        let constraints = KeyConstraints::parse(with_callers(ask.constraints.clone(), has, None, caller))?;
        let Some(known) = known else {
            let Some(key) = key.filter(|key| key.algorithm() == ask.algorithm) else {
                return Err(Refusal::internal("a new key came without a fresh one of its kind"));
            };
            let birth = Birth {
                uid: ask.uid,
                purpose: ask.purpose,
                subject: DistinguishedName::default(),
                parent: None,
                constraints,
                generation: 0,
                key,
            };
            let made = Authority::new(birth, self.kek, self.entropy)?.logged_at(self.turn.next_index());
            let made = Arc::new(made);
            self.key_event(&made, "created", caller)?;
            return Ok(looked_up(&made, true));
        };
        let fixed = |field: &str, what: String| {
            let rule = format!("is fixed when the key is made: {what}");
            Err(Refusal::new(Reason::Immutable, field, rule, "put it back, or make a new key"))
        };
        must_be("purpose", known.purpose, ask.purpose)?;
        if known.algorithm != ask.algorithm {
            return fixed("keyAlgorithm", format!("the key is {}", known.algorithm.name()));
        }
        match known.constraints.tighten(constraints)? {
            None => Ok(looked_up(&known, false)),
            Some(to) => {
                let tighter = Arc::new(known.tightened(to, 0, self.kek, self.entropy)?);
                self.key_event(&tighter, "tightened", caller)?;
                Ok(looked_up(&tighter, false))
            }
        }
    }
}

fn looked_up(key: &Authority, created: bool) -> Answer {
    let log_index = key.row().log_index;
    Answer { log_index, repeated: !created, created, ..Answer::default() }
}
