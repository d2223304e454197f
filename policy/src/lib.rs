//! Policies in Rego: compiled once, asked often, and denying whenever they do not answer.
//!
//! The same [`PolicySet`] is asked at admission, in the controllers and in the signer, with the same [`Input`]. Equal
//! policies have an equal [`PolicySet::digest`], and equal questions to equal policies have an equal [`Decision::id`].
//! A policy that runs over its budget of instructions or time, has no value, or has one that is no answer denies, with a
//! [`Fault`].
//!
//! Two limits to know:
//!
//! - A function that fails, as the parse of a text that is no time, makes the body it stands in undefined; that is OPA's
//!   way, and the engine tells nobody. Under `allow` that denies; under `deny` the denial is not raised. So what must
//!   hold is to be written as `allow`, or checked first (`net.cidr_is_valid`, `regex.is_valid`, `semver.is_valid`).
//! - Memory is bounded by the instructions, the functions that may be called and the size of answers, not by bytes: a
//!   chain of rules that each double a text still grows.
//!
//! A policy is one module of `package keywright` that declares at least one of:
//!
//! - `allow`: must be `true`, if it is declared;
//! - `deny contains msg`: text, or an object of `message` and, optionally, `fix`;
//! - `require_approval contains class`: names of approval classes;
//! - `warn contains msg`: text.
//!
//! Its data documents are at `data.NAME`.

mod builtins;
mod compile;
mod decision;
mod digest;
mod evaluate;
mod input;
mod result;
mod set;
mod source;

pub use compile::{CompileError, Policy};
pub use decision::{Decision, DecisionRecord, Denial, Fault, Finding, Outcome};
pub use input::{Approval, Csr, Input, Issuer, User};
pub use set::PolicySet;
pub use source::{AppliesTo, IssuerRef, Mode, Source};
