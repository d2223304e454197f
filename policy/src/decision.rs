//! What policies answered.

use crate::Input;
use serde::{Deserialize, Serialize};

/// The answer of a set of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What holds.
    pub outcome: Outcome,
    /// Warnings of policies that hold.
    pub warnings: Vec<Finding>,
    /// What policies in audit mode would have said, were they to hold.
    pub audited: Vec<Finding>,
    /// Follows from the input and the policies alone; hex, 32 characters. It stands in denials and in the log.
    pub id: String,
    /// Digest of the policies that were asked, those that apply; empty: none does.
    pub policy_digest: String,
}

/// What holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No policy minds.
    Allow,
    /// Only with approvals.
    RequireApproval {
        /// Names of approval classes, sorted; at least one, and all are needed.
        classes: Vec<String>,
    },
    /// No.
    Deny {
        /// Why; at least one, sorted.
        denials: Vec<Denial>,
    },
}

/// One reason for a no.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Denial {
    /// Name of the policy.
    pub policy: String,
    /// Rule that decided: `allow`, `deny`, `require_approval` or `warn`.
    pub rule: String,
    /// What the policy, or we for it, say.
    pub message: String,
    /// What would help, if the policy says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Set if the policy gave no answer; then the policy is to be repaired, not the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// Why a policy gave no answer. A closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Fault {
    /// The policy does not compile.
    DoesNotCompile,
    /// The policy's bundle is missing, is another one, does not load, or cannot be run by this program.
    BundleUnusable,
    /// The rule has no value.
    Undefined,
    /// The evaluation failed.
    EvaluationFailed,
    /// It took more instructions than one evaluation may.
    TooManyInstructions,
    /// It took longer than one evaluation may.
    TooSlow,
    /// A function failed, or has no value for what it was given.
    FunctionFailed,
    /// Its functions were given or made more bytes than one evaluation may.
    TooMuchMemory,
    /// The result is of another type than the rule's, or too large.
    NotAResult,
}

/// What a policy said beside the outcome.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Name of the policy.
    pub policy: String,
    /// Rule that said it.
    pub rule: String,
    /// What it says.
    pub message: String,
}

/// One line of the decision log. Of the object it has who it is, and nothing of what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRecord {
    /// [`Decision::id`].
    pub id: String,
    /// [`Input::time`].
    pub time: String,
    /// Digest of the policies.
    pub policy_digest: String,
    /// `Allow`, `RequireApproval` or `Deny`.
    pub outcome: String,
    /// [`Input::request`].
    pub request: String,
    /// Kind of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// UID of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Who asked.
    pub username: String,
    /// Approval classes that are needed.
    pub classes: Vec<String>,
    /// Denials.
    pub denials: Vec<Denial>,
    /// Warnings.
    pub warnings: Vec<Finding>,
    /// What policies in audit mode would have said.
    pub audited: Vec<Finding>,
}

/// Why not, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Each policy, rule and message.
    pub rule: String,
    /// What would help.
    pub fix: String,
}

impl Decision {
    /// Why not, and what would help; `None`: nothing is denied.
    pub fn denied(&self) -> Option<Denied> {
        let Outcome::Deny { denials } = &self.outcome else { return None };
        let said: Vec<String> = denials
            .iter()
            .map(|one| format!("policy {}, rule {}: {}", one.policy, one.rule, one.message))
            .collect();
        let fix = denials.iter().find_map(|one| one.fix.clone());
        let fix =
            fix.unwrap_or_else(|| "change what is asked for, or ask those who own the policy".to_owned());
        Some(Denied { rule: said.join("; "), fix })
    }

    /// The line of the decision log for this answer to that input.
    pub fn record(&self, input: &Input) -> DecisionRecord {
        let (outcome, classes, denials) = match &self.outcome {
            Outcome::Allow => ("Allow", Vec::new(), Vec::new()),
            Outcome::RequireApproval { classes } => ("RequireApproval", classes.clone(), Vec::new()),
            Outcome::Deny { denials } => ("Deny", Vec::new(), denials.clone()),
        };
        let of = |field| input.metadata(field).map(str::to_owned);
        DecisionRecord {
            id: self.id.clone(),
            time: input.time.clone(),
            policy_digest: self.policy_digest.clone(),
            outcome: outcome.to_owned(),
            request: input.request.clone(),
            kind: input.kind().map(str::to_owned),
            namespace: of("namespace"),
            name: of("name"),
            uid: of("uid"),
            username: input.user.username.clone(),
            classes,
            denials,
            warnings: self.warnings.clone(),
            audited: self.audited.clone(),
        }
    }

    /// The text to refuse with, or nothing if it is no denial. Ends with the id under which the log has it.
    pub fn refusal(&self) -> Option<String> {
        let Outcome::Deny { denials } = &self.outcome else { return None };
        let said = denials.iter().map(Denial::to_string).collect::<Vec<_>>().join("; ");
        Some(format!("{said} (decision {})", self.id))
    }
}

impl std::fmt::Display for Denial {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "policy {}: {}", self.policy, self.message)?;
        self.fix.as_ref().map_or(Ok(()), |fix| write!(to, ": {fix}"))
    }
}
