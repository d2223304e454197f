//! What approvers sign: the exact effect, and all that makes the signature good for one request only.
//!
//! A signature over the effect's digest alone could be used years later, for a weaker class, or beside another requester:
//! it names none of them. A statement does, as lines of text that people can read and `ssh-keygen -Y sign` signs as they
//! are. The signer writes the statement anew from the facts it was given; if one of them was changed, no signature fits.

use crate::effect::EffectDigest;
use crate::sshsig::{BadSshSignature, NAMESPACE, SshPublicKey, SshSignature};
use jiff::Timestamp;
use std::fmt;

/// First line of every statement.
const TITLE: &str = "keywright.dev/approval/v1";
/// Longest value of a line, in bytes.
const LONGEST: usize = 1024;

/// What an approver agrees to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    request_uid: String,
    digest: EffectDigest,
    class: String,
    filed: Timestamp,
    requester: String,
    requested_for: Option<String>,
    target_creator: Option<String>,
    target_editors: Vec<String>,
}

/// The facts of a statement, as they stand in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// `metadata.uid` of the request.
    pub request_uid: String,
    /// The effect.
    pub digest: EffectDigest,
    /// Name of the class.
    pub class: String,
    /// `metadata.creationTimestamp` of the request; whole seconds count.
    pub filed: Timestamp,
    /// Username of who asked, as stamped.
    pub requester: String,
    /// Username of whom it is for.
    pub requested_for: Option<String>,
    /// Username of who made the target, as stamped there.
    pub target_creator: Option<String>,
    /// Usernames of who changed the target, as the request names them and in that order.
    pub target_editors: Vec<String>,
}

/// A fact that no line can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fact}: must be 1 to 1024 bytes without control characters")]
pub struct BadFact {
    /// Which.
    pub fact: &'static str,
}

impl Statement {
    /// The statement of these facts. Errors: a fact that is empty, too long, or would break its line.
    pub fn new(facts: Facts) -> Result<Self, BadFact> {
        let Facts {
            request_uid,
            digest,
            class,
            filed,
            requester,
            requested_for,
            target_creator,
            target_editors,
        } = facts;
        let lines = [
            ("request", Some(&request_uid)),
            ("class", Some(&class)),
            ("requester", Some(&requester)),
            ("for", requested_for.as_ref()),
            ("creator", target_creator.as_ref()),
        ];
        let editors = target_editors.iter().map(|editor| ("editor", Some(editor)));
        for (fact, value) in lines.into_iter().chain(editors) {
            let fits =
                |text: &String| (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control);
            if !value.is_none_or(fits) {
                return Err(BadFact { fact });
            }
        }
        Ok(Self {
            request_uid,
            digest,
            class,
            filed,
            requester,
            requested_for,
            target_creator,
            target_editors,
        })
    }

    /// The text that is signed, to the last line break.
    pub fn text(&self) -> String {
        self.to_string()
    }

    /// Checks that `armored` is a signature over this statement, and tells which key made it: whether that key is an
    /// approver's is for the caller to say.
    pub fn approved_by(&self, armored: &str) -> Result<SshPublicKey, BadSshSignature> {
        let signature = SshSignature::from_armor(armored)?;
        signature.verify(NAMESPACE, self.text().as_bytes())?;
        Ok(signature.key().clone())
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}")?;
        writeln!(f, "request: {}", self.request_uid)?;
        writeln!(f, "effect: {}", self.digest)?;
        writeln!(f, "class: {}", self.class)?;
        writeln!(f, "filed: {}", self.filed.strftime("%Y-%m-%dT%H:%M:%SZ"))?;
        writeln!(f, "requester: {}", self.requester)?;
        if let Some(name) = &self.requested_for {
            writeln!(f, "for: {name}")?;
        }
        if let Some(name) = &self.target_creator {
            writeln!(f, "creator: {name}")?;
        }
        for name in &self.target_editors {
            writeln!(f, "editor: {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            request_uid: "0f8fad5b-d9cb-469f-a165-70867728950e".into(),
            digest: EffectDigest::from_octets([0xab; 32]),
            class: "production".into(),
            filed: "2030-01-01T00:00:00.7Z".parse().unwrap(),
            requester: "alice".into(),
            requested_for: Some("bob".into()),
            target_creator: None,
            target_editors: Vec::new(),
        }
    }

    #[test]
    fn the_text_is_fixed() {
        let wanted = format!(
            "keywright.dev/approval/v1\nrequest: 0f8fad5b-d9cb-469f-a165-70867728950e\neffect: sha256:{}\n\
             class: production\nfiled: 2030-01-01T00:00:00Z\nrequester: alice\nfor: bob\n",
            "ab".repeat(32)
        );
        assert_eq!(Statement::new(facts()).unwrap().text(), wanted);
        let edited = Facts { target_editors: vec!["erin".into(), "frank".into()], ..facts() };
        let wanted = format!("{wanted}editor: erin\neditor: frank\n");
        assert_eq!(Statement::new(edited).unwrap().text(), wanted);
    }

    #[test]
    fn no_fact_can_pose_as_another_line() {
        for (fact, changed) in [
            ("requester", Facts { requester: "alice\ncreator: bob".into(), ..facts() }),
            ("requester", Facts { requester: String::new(), ..facts() }),
            ("for", Facts { requested_for: Some("b\u{85}".into()), ..facts() }),
            ("editor", Facts { target_editors: vec!["erin".into(), "f\neditor: g".into()], ..facts() }),
            ("class", Facts { class: "x".repeat(LONGEST + 1), ..facts() }),
        ] {
            assert_eq!(Statement::new(changed), Err(BadFact { fact }));
        }
    }
}
