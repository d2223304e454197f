//! A policy as it is stored, whether it can be asked or not.

use crate::compile::CompileError;
use crate::digest;
use crate::input::Input;
use crate::policy::{Found, Policy, Problem};
use crate::source::{AppliesTo, Mode, Source};
use serde_json::{Value, json};

/// A policy of a set. One that does not compile denies whatever it applies to; one that does not even read, everything.
#[derive(Clone, Debug)]
pub struct Member {
    pub(crate) name: String,
    pub(crate) applies_to: AppliesTo,
    pub(crate) mode: Mode,
    pub(crate) compiled: Result<Policy, Problem>,
    digest: String,
}

impl Member {
    /// Reads and compiles the spec of an object of kind `Policy`. `bundle`: what lies at the place that
    /// [`BundleRef::of`](crate::BundleRef::of) finds in it; nothing where its rules are source.
    pub fn read(name: &str, spec: &Value, bundle: Option<&Found>) -> Self {
        match Source::read(name, spec) {
            Ok(source) => Self::of(source, bundle),
            Err(problem) => Self {
                name: name.to_owned(),
                applies_to: AppliesTo::default(),
                mode: Mode::Enforce,
                digest: digest::of(&json!({"name": name, "unread": spec})).unwrap_or_default(),
                compiled: Err(problem.into()),
            },
        }
    }

    /// Compiles a policy as written, as [`Policy::compile`].
    pub fn of(source: Source, bundle: Option<&Found>) -> Self {
        // What has no canonical form, which JSON of an API server always has, is one nobody can name: it is not asked.
        let digest = digest::of(&source)
            .map_err(|error| CompileError::whole(format!("the policy has no canonical form: {error}")));
        let (name, applies_to, mode) = (source.name.clone(), source.applies_to.clone(), source.mode);
        match digest {
            Ok(digest) => Self { name, applies_to, mode, digest, compiled: Policy::compile(source, bundle) },
            Err(problem) => {
                Self { name, applies_to, mode, digest: String::new(), compiled: Err(problem.into()) }
            }
        }
    }

    /// Name of the policy.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `sha256:<hex>` over the RFC 8785 form of the policy as written; a bundle stands in it by its own digest.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether it is asked about an input.
    pub fn is_asked_about(&self, input: &Input) -> bool {
        self.applies_to.matches(input)
    }

    /// Whether it is about issuers by their names.
    pub fn names_issuers(&self) -> bool {
        !self.applies_to.issuers.is_empty()
    }

    /// Why it cannot be asked; nothing if it can.
    pub fn problem(&self) -> Option<&Problem> {
        self.compiled.as_ref().err()
    }
}
