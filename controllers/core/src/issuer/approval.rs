//! An authority that people have to agree to: to its certificate, or to constraints that become looser.
//!
//! ```text
//! the signer names classes, effect and digest --> status.approval --> ApprovalRequest, one for each class
//! while they decide about a loosening         --> the signer keeps the constraints; the authority works and is renewed
//! all agreed                                  --> the same is asked for, with their approval
//! ```
//! The effect is taken from the signer: only it knows what an authority inherits and who may use it.

use crate::approval::diff::changes;
use crate::issuer::standing::Standing;
use crate::issuer::valid::ValidAuthority;
use keywright_approvals::EffectDigest;
use keywright_approvals::effect::canonical;
use keywright_crds::{AnyIssuer, ObjectApproval, TargetRef};
use keywright_signer_protocol::v1alpha1::EnsureAuthorityRequest;
use serde_json::Value;
use std::collections::BTreeSet;

/// What the signer wants people to agree to.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Names of the classes that have to agree.
    pub classes: Vec<String>,
    /// The effect.
    pub effect: Value,
    /// Its digest.
    pub digest: EffectDigest,
    /// The constraints in force, for a loosening.
    pub before: Option<Value>,
}

impl Asked {
    /// Reads the signer's words. `None`: the effect was too long to be told, or is not the one of its digest.
    pub fn read(classes: &[String], digest: &str, effect: &str, before: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(effect).ok()?;
        let wanted: EffectDigest = digest.parse().ok()?;
        let is_canonical = canonical(&value).is_ok_and(|form| form == effect.as_bytes());
        if !is_canonical || EffectDigest::of(&value).ok()? != wanted || classes.is_empty() {
            return None;
        }
        let before = serde_json::from_str(before).ok();
        Some(Self { classes: classes.to_vec(), effect: value, digest: wanted, before })
    }

    /// What changes, for people: lines that begin with `+` come, with `-` go.
    pub fn diff(&self, shown: &str) -> String {
        let mut text = if is_loosening(&self.effect) {
            format!("Loosen what the key of {shown} may sign.\n")
        } else {
            format!("Certify the authority of {shown}.\n")
        };
        let new = lines(&self.effect["constraints"]);
        let old = self.before.as_ref().map(lines).unwrap_or_default();
        text.push_str(&changes(&new, &old));
        text
    }
}

/// Each fact of a JSON value on a line of its own.
fn lines(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    gather(&mut found, "", value);
    found
}

fn gather(found: &mut BTreeSet<String>, path: &str, value: &Value) {
    match value {
        // A profile that narrows nothing is there all the same.
        Value::Object(fields) if fields.is_empty() && !path.is_empty() => {
            found.insert(format!("{path}: as the authority"));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                gather(found, &path, value);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(found, path, item)),
        Value::String(text) => {
            found.insert(format!("{path}: {text}"));
        }
        Value::Null => {}
        other @ (Value::Bool(_) | Value::Number(_)) => {
            found.insert(format!("{path}: {other}"));
        }
    }
}

/// Whether an effect makes constraints looser.
pub fn is_loosening(effect: &Value) -> bool {
    effect["action"] == "LoosenAuthority"
}

/// Whether an effect that people were asked about is still the one that is wanted, as far as the operator can tell; the
/// signer tells for certain. `seen`: the generation of the spec when they were asked.
pub fn stands(
    effect: &Value,
    authority: &ValidAuthority,
    request: &EnsureAuthorityRequest,
    parent: Option<&Standing>,
    seen: Option<i64>,
) -> bool {
    let is = |pointer: &str, wanted: &Value| effect.pointer(pointer) == Some(wanted);
    if seen.and_then(|seen| u64::try_from(seen).ok()) != Some(authority.generation) {
        return false;
    }
    if is_loosening(effect) {
        return is("/issuer/uid", &authority.uid.as_str().into())
            && is("/issuer/generation", &authority.generation.into());
    }
    let step = request.request_key.as_ref().map_or(0, |key| key.step);
    let same_parent = match parent {
        None => effect.get("parent").is_none(),
        Some(Standing::Ready(parent)) => {
            is("/parent/uid", &parent.uid.as_str().into())
                && is("/parent/generation", &parent.generation.into())
        }
        Some(Standing::Missing | Standing::NotReady { .. }) => false,
    };
    is("/step", &step.into()) && is("/durationSeconds", &request.duration_seconds.into()) && same_parent
}

/// The issuer, as a request names it.
pub fn target<I: AnyIssuer>(issuer: &I) -> TargetRef {
    let meta = issuer.meta();
    TargetRef {
        group: keywright_crds::GROUP.to_owned(),
        kind: I::KIND.name().to_owned(),
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
    }
}

/// The approval as the status shows it while it is waited for.
pub fn shown(request: &str, class: &str, digest: &EffectDigest, step: u64) -> ObjectApproval {
    ObjectApproval {
        request: request.to_owned(),
        class: class.to_owned(),
        effect_digest: digest.to_string(),
        revision: i64::try_from(step).unwrap_or(i64::MAX),
        log_index: None,
        used_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(effect: &Value, before: &str) -> Option<Asked> {
        let digest = EffectDigest::of(effect).unwrap().to_string();
        let text = String::from_utf8(canonical(effect).unwrap()).unwrap();
        Asked::read(&["security".into()], &digest, &text, before)
    }

    #[test]
    fn the_diff_shows_what_a_loosening_adds_and_takes_away() {
        let effect = json!({"action": "LoosenAuthority", "constraints":
            {"maxLeafSeconds": 7200, "permitted": {"dnsDomains": ["a.example", "b.example"]}}});
        let before = r#"{"maxLeafSeconds":3600,"permitted":{"dnsDomains":["a.example"]},"pathLength":0}"#;
        let text = asked(&effect, before).unwrap().diff("Issuer \"ca\"");
        let wanted = "Loosen what the key of Issuer \"ca\" may sign.\n- maxLeafSeconds: 3600\n+ maxLeafSeconds: 7200\n\
                      - pathLength: 0\n  permitted.dnsDomains: a.example\n+ permitted.dnsDomains: b.example\n";
        assert_eq!(text, wanted);
    }

    #[test]
    fn words_that_are_not_those_of_the_digest_ask_nobody() {
        let effect = json!({"action": "CertifyAuthority", "step": 1});
        let digest = EffectDigest::of(&effect).unwrap().to_string();
        let classes = ["security".to_owned()];
        assert!(Asked::read(&classes, &digest, r#"{"action":"CertifyAuthority","step":1}"#, "").is_some());
        for (classes, effect) in [
            (&classes[..], r#"{"action":"CertifyAuthority","step":2}"#),
            (&classes[..], r#"{"step":1,"action":"CertifyAuthority"}"#),
            (&classes[..], ""),
            (&[][..], r#"{"action":"CertifyAuthority","step":1}"#),
        ] {
            assert_eq!(Asked::read(classes, &digest, effect, ""), None, "{effect}");
        }
    }
}
