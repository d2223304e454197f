//! Policies together: one question, one answer.

use crate::decision::{Decision, Denial, Fault, Finding, Outcome};
use crate::digest;
use crate::input::Input;
use crate::member::Member;
use crate::policy::{Asked, Policy, Problem};
use crate::result::{Rule, Said, texts, truth};
use crate::source::Mode;
use regorus::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// All policies that hold at one place.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    members: Vec<Arc<Member>>,
    digest: String,
}

/// Two policies of a set have one name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two policies are named {0:?}: give one of them another name")]
pub struct SameName(pub String);

/// What one policy said.
#[derive(Default)]
struct Voice {
    denials: Vec<Denial>,
    classes: Vec<String>,
    warnings: Vec<Finding>,
}

impl PolicySet {
    /// Puts policies together; their order makes no difference. None: everything is allowed, as nothing is forbidden.
    ///
    /// # Errors
    /// Two policies have one name.
    pub fn new(mut members: Vec<Arc<Member>>) -> Result<Self, SameName> {
        members.sort_by(|one, other| one.name.cmp(&other.name));
        if let Some(pair) = members.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(SameName(pair[0].name.clone()));
        }
        if members.is_empty() {
            return Ok(Self::default());
        }
        let digests: Vec<&str> = members.iter().map(|member| member.digest()).collect();
        Ok(Self { digest: digest::of_texts(&digests), members })
    }

    /// `sha256:<hex>` over the digests of the policies in the order of their names; empty if there are none.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The same over those policies alone that apply to a question; empty if none does. What is decided follows from these
    /// and the question, so a policy about other objects makes no decision another one.
    pub fn digest_for(&self, input: &Input) -> String {
        let digests: Vec<&str> = self.applying(input).map(Member::digest).collect();
        if digests.is_empty() { String::new() } else { digest::of_texts(&digests) }
    }

    fn applying<'a>(&'a self, input: &'a Input) -> impl Iterator<Item = &'a Member> {
        self.members().filter(|member| member.applies_to.matches(input))
    }

    /// The policies, by name.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().map(AsRef::as_ref)
    }

    /// Asks every policy that applies. The decision's digest is theirs.
    pub fn decide(&self, input: &Input) -> Decision {
        let (digest, asked) = read(input);
        let mut denials = BTreeSet::new();
        let mut classes = BTreeSet::new();
        let mut warnings = Vec::new();
        let mut audited = Vec::new();
        for member in self.applying(input) {
            let voice = match &member.compiled {
                Ok(policy) => listen(policy, asked.as_ref()),
                Err(problem) => Voice::of_none(member, problem),
            };
            match member.mode {
                Mode::Enforce => {
                    denials.extend(voice.denials);
                    classes.extend(voice.classes);
                    warnings.extend(voice.warnings);
                }
                Mode::Audit => audited.extend(voice.told(&member.name)),
            }
        }
        let outcome = if !denials.is_empty() {
            Outcome::Deny { denials: denials.into_iter().collect() }
        } else if classes.is_empty() {
            Outcome::Allow
        } else {
            Outcome::RequireApproval { classes: classes.into_iter().collect() }
        };
        let policy_digest = self.digest_for(input);
        let id = digest::decision_id(&digest, &policy_digest);
        Decision { outcome, warnings, audited, id, policy_digest }
    }
}

/// The digest of an input, and the input as policies read it. One that cannot be written so is one no policy can judge.
fn read(input: &Input) -> (String, Option<Asked>) {
    let json = serde_json::to_value(input).ok();
    let digest = json.as_ref().and_then(|json| digest::of(json).ok()).unwrap_or_default();
    let asked = json.filter(|_| !digest.is_empty()).map(Asked::new);
    (digest, asked)
}

fn listen(policy: &Policy, input: Option<&Asked>) -> Voice {
    let mut voice = Voice::default();
    let question = input.ok_or(Fault::EvaluationFailed).and_then(|input| policy.question(input));
    let mut question = match question {
        Ok(question) => question,
        Err(fault) => {
            voice.denials.push(faulty(policy, policy.rules()[0], fault));
            return voice;
        }
    };
    for rule in policy.rules().iter().copied() {
        let heard = question.ask(rule).and_then(|value| voice.hear(policy, rule, &value));
        if let Err(fault) = heard {
            voice.denials.push(faulty(policy, rule, fault));
        }
    }
    voice
}

impl Voice {
    /// What is said for a policy that cannot be asked.
    fn of_none(member: &Member, problem: &Problem) -> Self {
        let (message, fault) = match problem {
            Problem::DoesNotCompile(problem) => (
                format!("the policy does not compile ({problem}) and is to be corrected"),
                Fault::DoesNotCompile,
            ),
            Problem::BundleMissing(_)
            | Problem::BundleDiffers { .. }
            | Problem::BundleDoesNotLoad(_)
            | Problem::NoEngine => (format!("the policy cannot be asked: {problem}"), Fault::BundleUnusable),
        };
        let said = Said { message, fix: None };
        // It has no rule; the strictest one stands for it.
        let denials = vec![denial(&member.name, Rule::Deny, said, Some(fault))];
        Self { denials, ..Self::default() }
    }

    fn hear(&mut self, policy: &Policy, rule: Rule, value: &Value) -> Result<(), Fault> {
        let name = &policy.source().name;
        match rule {
            Rule::Allow => {
                if !truth(value)? {
                    let said = Said { message: "the rule `allow` is false".to_owned(), fix: None };
                    self.denials.push(denial(name, rule, said, None));
                }
            }
            Rule::Deny => {
                self.denials
                    .extend(texts(rule, value)?.into_iter().map(|said| denial(name, rule, said, None)));
            }
            Rule::RequireApproval => {
                self.classes.extend(texts(rule, value)?.into_iter().map(|said| said.message));
            }
            Rule::Warn => self.warnings.extend(texts(rule, value)?.into_iter().map(|said| Finding {
                policy: name.clone(),
                rule: rule.name().to_owned(),
                message: said.message,
            })),
        }
        Ok(())
    }

    /// The same, as what is told of a policy in audit mode.
    fn told(self, policy: &str) -> Vec<Finding> {
        let of = |rule: &str, message| Finding { policy: policy.to_owned(), rule: rule.to_owned(), message };
        let denied = self.denials.into_iter().map(|denial| of(&denial.rule, denial.message));
        let asked = self.classes.into_iter().map(|class| of(Rule::RequireApproval.name(), class));
        denied.chain(asked).chain(self.warnings).collect()
    }
}

fn denial(policy: &str, rule: Rule, said: Said, fault: Option<Fault>) -> Denial {
    Denial {
        policy: policy.to_owned(),
        rule: rule.name().to_owned(),
        message: said.message,
        fix: said.fix,
        fault,
    }
}

fn faulty(policy: &Policy, rule: Rule, fault: Fault) -> Denial {
    let why = match fault {
        Fault::DoesNotCompile => "does not compile",
        Fault::BundleUnusable => "cannot be asked",
        Fault::Undefined => "has no value for this input",
        Fault::EvaluationFailed => "could not be evaluated",
        Fault::TooManyInstructions => "takes more instructions than a rule may",
        Fault::TooSlow => "takes longer than a rule may",
        Fault::FunctionFailed => "calls a function or operator that fails for this input",
        Fault::TooMuchMemory => "takes more memory than a rule may",
        Fault::NotAResult => "has a value that is no answer",
    };
    let message = format!("the rule `{}` {why}; the policy is to be corrected", rule.name());
    denial(&policy.source().name, rule, Said { message, fix: None }, Some(fault))
}
