//! Why a request is refused, in the words of the protocol: which field, which rule, which fix.

use keywright_signer_protocol::v1alpha1 as wire;
pub use keywright_signer_protocol::v1alpha1::refusal::Reason;

/// Bytes of an effect and of constraints that a refusal carries: it travels in a header.
const LONGEST: usize = 48 << 10;

/// Bytes of one text of a refusal. It may quote what was sent, twice over it goes into headers, and many clients read no
/// more than 8 or 16 KiB of those: a longer one would reach the asker as a broken connection and not as a reason.
const LONGEST_TEXT: usize = 1024;

/// The text, or its beginning and its end, where the rule stands.
fn short(text: String) -> String {
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    let head = text.floor_char_boundary(LONGEST_TEXT / 4);
    let tail = text.ceil_char_boundary(text.len() - LONGEST_TEXT * 5 / 8);
    format!("{} [...] {}", text.get(..head).unwrap_or_default(), text.get(tail..).unwrap_or_default())
}

/// A request that nothing was signed for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}; {fix}")]
pub struct Refusal {
    /// What kind of rule, for machines.
    pub reason: Reason,
    /// Field of the request; may be empty.
    pub field: String,
    /// What must hold.
    pub rule: String,
    /// What to change.
    pub fix: String,
    /// With `StaleStep` the newest step that was signed for the object; else 0.
    pub newest_step: u64,
    /// What an approval or a policy is about, when one of them refused.
    pub about: Option<Box<About>>,
}

/// What people or policies were asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// Classes that have to agree.
    pub classes: Vec<String>,
    /// Text form of the effect's digest; empty: there is none yet.
    pub effect: String,
    /// Text form of the digest of the policies in force; empty: there are none.
    pub policies: String,
    /// Identifier of the policy decision; empty: no policy decided.
    pub decision: String,
    /// The effect as canonical JSON, where the asker cannot know all of it.
    pub canonical: String,
    /// The constraints in force as JSON, where the effect would make them looser.
    pub constraints: String,
}

impl Refusal {
    /// A refusal of this field.
    pub fn new(
        reason: Reason,
        field: impl Into<String>,
        rule: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let (field, rule, fix) = (short(field.into()), short(rule.into()), short(fix.into()));
        Self { reason, field, rule, fix, newest_step: 0, about: None }
    }

    /// A newer step of this object was signed: whoever asks works from an older state than there was.
    pub fn stale_step(newest: u64) -> Self {
        let rule =
            format!("this object has used step {newest} already; an earlier step is never signed again");
        let refusal =
            Self::new(Reason::StaleStep, "requestKey.step", rule, "ask with the object's newest revision");
        Self { newest_step: newest, ..refusal }
    }

    /// The refusal with what it is about.
    #[must_use]
    pub fn about(self, about: About) -> Self {
        Self { about: Some(Box::new(about)), ..self }
    }

    /// The refusal with the effect that people have to agree to. `before`: the constraints that it would make looser.
    /// More than a refusal can carry is left out, and nobody can be asked.
    #[must_use]
    pub fn of_effect(mut self, canonical: String, before: Option<String>) -> Self {
        let before = before.unwrap_or_default();
        if let Some(about) = self.about.as_mut().filter(|_| canonical.len() + before.len() <= LONGEST) {
            about.canonical = canonical;
            about.constraints = before;
        }
        self
    }

    /// The log or the disk failed; nothing was signed.
    pub fn unavailable(why: &str) -> Self {
        Self::new(
            Reason::Unavailable,
            "",
            format!("every signature must first be durable in the log, and it cannot be written now: {why}"),
            "try again; if it stays, look at the signer's volume and its own log",
        )
    }

    /// A defect of the signer; nothing was released.
    pub fn internal(what: &str) -> Self {
        Self::new(Reason::Internal, "", what, "report this as a defect, with the signer's log")
    }

    /// As a message of the protocol.
    pub fn to_wire(&self) -> wire::Refusal {
        let About { classes, effect, policies, decision, canonical, constraints } =
            self.about.as_deref().cloned().unwrap_or_default();
        wire::Refusal {
            approval_classes: classes,
            effect_digest: effect,
            policy_digest: policies,
            decision_id: decision,
            effect: canonical,
            constraints,
            reason: self.reason.into(),
            field: self.field.clone(),
            rule: self.rule.clone(),
            fix: self.fix.clone(),
            newest_step: self.newest_step,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_something_long_keeps_field_rule_and_fix_and_fits_into_headers() {
        for long in ["x".repeat(900_000), "\u{e4}\u{1f600}".repeat(50_000)] {
            let rule = format!("{long:?} is longer than 253 characters");
            let refusal = Refusal::new(Reason::Malformed, "dnsNames[0]", rule, "shorten it");
            assert!(refusal.rule.starts_with(&format!("{long:?}")[..7]), "{}", refusal.rule);
            assert!(refusal.rule.ends_with("is longer than 253 characters"), "{}", refusal.rule);
            assert!(refusal.to_string().len() < 2 * LONGEST_TEXT, "{}", refusal.to_string().len());
        }
        let exact = "y".repeat(LONGEST_TEXT);
        assert_eq!(Refusal::new(Reason::Malformed, "", exact.clone(), "").rule, exact);
    }
}
