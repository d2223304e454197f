//! The rules that are asked, and what of their values is an answer.

use crate::decision::Fault;
use regorus::Value;

/// A rule that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Allow,
    Deny,
    RequireApproval,
    Warn,
}

impl Rule {
    pub(crate) const ALL: [Self; 4] = [Self::Allow, Self::Deny, Self::RequireApproval, Self::Warn];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::RequireApproval => "require_approval",
            Self::Warn => "warn",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Allow => "data.keywright.allow",
            Self::Deny => "data.keywright.deny",
            Self::RequireApproval => "data.keywright.require_approval",
            Self::Warn => "data.keywright.warn",
        }
    }

    /// What OPA calls it where it compiles to WebAssembly.
    #[cfg(feature = "wasm")]
    pub(crate) fn entrypoint(self) -> &'static str {
        match self {
            Self::Allow => "keywright/allow",
            Self::Deny => "keywright/deny",
            Self::RequireApproval => "keywright/require_approval",
            Self::Warn => "keywright/warn",
        }
    }
}

/// One member of `deny`, `require_approval` or `warn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) message: String,
    pub(crate) fix: Option<String>,
}

/// Members that one rule may have: what a person can still read.
const MOST: usize = 64;

/// Bytes of one text: the same.
const LONGEST: usize = 1024;

/// The value of `allow`.
pub(crate) fn truth(value: &Value) -> Result<bool, Fault> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::Undefined => Err(Fault::Undefined),
        _ => Err(Fault::NotAResult),
    }
}

/// The members of a rule of texts. Only `deny` may say how to repair it.
pub(crate) fn texts(rule: Rule, value: &Value) -> Result<Vec<Said>, Fault> {
    let set = match value {
        Value::Set(set) => set,
        Value::Undefined => return Err(Fault::Undefined),
        _ => return Err(Fault::NotAResult),
    };
    if set.len() > MOST {
        return Err(Fault::NotAResult);
    }
    set.iter().map(|member| said(rule, member)).collect()
}

fn said(rule: Rule, member: &Value) -> Result<Said, Fault> {
    match (rule, member) {
        (Rule::Deny, Value::Object(object)) if object.len() <= 2 => {
            let fix = object.get(&Value::from("fix")).map(text).transpose()?;
            let message = text(object.get(&Value::from("message")).ok_or(Fault::NotAResult)?)?;
            // One field is the message; two are it and the fix, and nothing that nobody would read.
            if object.len() != 1 + usize::from(fix.is_some()) {
                return Err(Fault::NotAResult);
            }
            Ok(Said { message, fix })
        }
        (Rule::RequireApproval, member) => {
            let class = text(member)?;
            if is_name(&class) { Ok(Said { message: class, fix: None }) } else { Err(Fault::NotAResult) }
        }
        (Rule::Allow | Rule::Deny | Rule::Warn, member) => Ok(Said { message: text(member)?, fix: None }),
    }
}

fn text(value: &Value) -> Result<String, Fault> {
    match value {
        Value::String(text) if !text.is_empty() && text.len() <= LONGEST => Ok(shown(text)),
        _ => Err(Fault::NotAResult),
    }
}

/// A text as people are shown it, in terminals and logs: in one line, and with nothing that steers either of them. The API
/// server drops warnings with control characters, so that nobody would be warned.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => shown.push(' '),
            // Bidirectional marks, overrides and isolates reorder what is read (Unicode TR 36).
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(c.escape_unicode());
            }
            c if c.is_control() => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// Whether a text can be the name of an object, as RFC 1123 has it.
fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 253
        && name.split('.').all(|label| {
            label.starts_with(inner) && label.ends_with(inner) && label.chars().all(|c| inner(c) || c == '-')
        })
}
