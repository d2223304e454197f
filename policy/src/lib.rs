//! Policies in Rego: compiled once, asked often, and denying whenever they do not answer.
//!
//! The same [`PolicySet`] is asked at admission, in the controllers and in the signer, with the same [`Input`]. Equal
//! policies have an equal [`PolicySet::digest`], and equal questions to equal policies have an equal [`Decision::id`].
//! A policy that runs over its budget of instructions or time, has no value, or has one that is no answer denies, with a
//! [`Fault`].
//!
//! A function or operator that fails, or has no value for what it is given, denies as well: in OPA it leaves the body it
//! stands in undefined, which under `deny` would lose the denial. So `max([])`, `1 / 0`, `"a" + 1` and the parse of a text
//! that is no time are faults; check first (`count`, `net.cidr_is_valid`, `regex.is_valid`, `semver.is_valid`,
//! `is_string`) where both are expected. A reference to what is not there (`input.absent`, `"text"[0]`) is undefined and no
//! fault, as in OPA. The bytes that functions are given and make have a budget, judged before a call.
//!
//! Limit to know: a set or object whose members hold themselves many times over (`a := [b, b]`, `b := [c, c]`, and so on)
//! is compared by the engine itself where such a member is added, and no budget ends that. So policies are to be written
//! by those who may be trusted with a denial of service.
//!
//! A policy is one module of `package keywright` that declares at least one of:
//!
//! - `allow`: must be `true`, if it is declared;
//! - `deny contains msg`: text, or an object of `message` and, optionally, `fix`;
//! - `require_approval contains class`: names of approval classes;
//! - `warn contains msg`: text.
//!
//! Its data documents are at `data.NAME`.
//!
//! Its rules are source, or a bundle that OPA compiled to WebAssembly; nobody who asks sees a difference. Bundles need the
//! feature `wasm`: without it a policy of a bundle is one that cannot be asked, and denies.

mod builtins;
#[cfg(feature = "wasm")]
mod bundle;
mod calls;
mod compile;
mod decision;
mod digest;
mod evaluate;
mod functions;
#[cfg(feature = "wasm")]
mod host;
mod input;
mod member;
mod meter;
mod nesting;
mod operators;
mod policy;
mod question;
mod result;
mod rewrite;
mod set;
mod single;
mod source;
#[cfg(feature = "wasm")]
mod term;

pub use compile::CompileError;
pub use decision::{Decision, DecisionRecord, Denial, Denied, Fault, Finding, Outcome};
pub use input::{Approval, Csr, Input, Issuer, User};
pub use member::Member;
pub use policy::{Found, Policy, Problem};
pub use question::{About, Authority, Key, Leaf, Profile, Question};
pub use set::{PolicySet, SameName};
pub use source::{AppliesTo, BundleRef, ConfigMapKey, IssuerRef, Mode, Rules, Source};
