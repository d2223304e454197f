//! A policy that can be asked, whichever engine answers for it.
//!
//! | Rules | Engine |
//! |---|---|
//! | source | regorus' machine, in [`crate::compile`] and [`crate::evaluate`] |
//! | a bundle | OPA's module on wasmtime, in [`crate::bundle`]; only with the feature `wasm` |
//!
//! Both read the same input, have the same functions and give their values to the same [`crate::result`].

#[cfg(feature = "wasm")]
use crate::bundle;
use crate::compile::{CompileError, Compiled};
use crate::decision::Fault;
use crate::evaluate::Machine;
use crate::result::Rule;
use crate::source::{BundleRef, Rules, Source};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regorus::Value;

/// A policy that can be asked.
#[derive(Clone, Debug)]
pub struct Policy {
    source: Source,
    engine: Engine,
}

#[derive(Clone, Debug)]
enum Engine {
    Source(Compiled),
    #[cfg(feature = "wasm")]
    Bundle(bundle::Loaded),
}

/// What lies at the place of a policy's bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing, or it could not be read: why, in words that name the place.
    Nothing(String),
}

impl Found {
    /// What lies in a ConfigMap of a cluster. `exists`: whether it is there; `bytes`: what it has under the key.
    pub fn in_cluster(at: &BundleRef, namespace: &str, exists: bool, bytes: Option<&[u8]>) -> Self {
        match (exists, bytes) {
            (_, Some(bytes)) => Self::Bytes(bytes.to_vec()),
            (false, None) => {
                let name = &at.config_map_ref.name;
                Self::Nothing(format!("ConfigMap {namespace}/{name} does not exist"))
            }
            (true, None) => {
                Self::Nothing(format!("{at} of namespace {namespace}: its binaryData has no such key"))
            }
        }
    }

    /// What lies there where the ConfigMaps are those in files.
    pub fn among(objects: &[serde_json::Value], at: &BundleRef) -> Self {
        let named = |object: &&serde_json::Value| {
            object["kind"] == "ConfigMap"
                && object.pointer("/metadata/name").is_some_and(|name| name == &at.config_map_ref.name)
        };
        let Some(config_map) = objects.iter().find(named) else {
            return Self::Nothing(format!("{at}: no file has this ConfigMap"));
        };
        let entry = config_map.get("binaryData").and_then(|data| data.get(&at.config_map_ref.key)?.as_str());
        let Some(entry) = entry else {
            return Self::Nothing(format!("{at}: the ConfigMap has no such binaryData"));
        };
        // In YAML it may be broken into lines.
        let text: String = entry.split_ascii_whitespace().collect();
        match STANDARD.decode(text) {
            Ok(bytes) => Self::Bytes(bytes),
            Err(error) => Self::Nothing(format!("{at} is no base64: {error}")),
        }
    }
}

/// Why a policy cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is to be corrected.
    #[error("{0}")]
    DoesNotCompile(#[from] CompileError),
    /// Its bundle is not there. It helps to put it there.
    #[error("the bundle is not there: {0}")]
    BundleMissing(String),
    /// Other bytes lie there than it names.
    #[error("the bundle in {place} has digest {found}, and the policy names {wanted}")]
    BundleDiffers {
        /// Where it lies.
        place: String,
        /// What lies there.
        found: String,
        /// What the policy names.
        wanted: String,
    },
    /// Its bundle is none, or not of OPA, or does what policies may not.
    #[error("the bundle does not load: {0}")]
    BundleDoesNotLoad(String),
    /// This program was built without the engine for bundles.
    #[error(
        "this program runs no bundles: it was built without the feature `wasm`; use a build with it, or give the rules as source"
    )]
    NoEngine,
}

impl Problem {
    /// Whether it may pass without a change of the policy, as its bundle is put where it is to be.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::BundleMissing(_) | Self::BundleDiffers { .. } => true,
            Self::DoesNotCompile(_) | Self::BundleDoesNotLoad(_) | Self::NoEngine => false,
        }
    }

    /// The same in a word, for conditions. A closed list.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::DoesNotCompile(_) => "DoesNotCompile",
            Self::BundleMissing(_) => "BundleMissing",
            Self::BundleDiffers { .. } => "BundleDiffers",
            Self::BundleDoesNotLoad(_) => "BundleDoesNotLoad",
            Self::NoEngine => "NoEngine",
        }
    }
}

impl Policy {
    /// Compiles a policy. `bundle`: what lies at the place that [`Rules::Bundle`] names; nothing for one of source.
    ///
    /// # Errors
    /// [`Problem`]; for a policy of source always the first of them.
    pub fn compile(source: Source, bundle: Option<&Found>) -> Result<Self, Problem> {
        if source.data.contains_key("keywright") {
            return Err(CompileError::whole(
                "data: `keywright` is where the rules are; give the document another name",
            )
            .into());
        }
        let engine = match &source.rules {
            Rules::Rego(rego) => Engine::Source(Compiled::of(rego, &source.data)?),
            Rules::Bundle(at) => load(&source, authentic(at, bundle)?)?,
        };
        Ok(Self { source, engine })
    }

    /// The policy as written.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The rules it declares, in the order of [`Rule::ALL`]; at least one.
    pub(crate) fn rules(&self) -> &[Rule] {
        match &self.engine {
            Engine::Source(compiled) => &compiled.rules,
            #[cfg(feature = "wasm")]
            Engine::Bundle(loaded) => loaded.rules(),
        }
    }

    /// Begins to ask.
    pub(crate) fn question(&self, input: &Asked) -> Result<Question, Fault> {
        match &self.engine {
            Engine::Source(compiled) => Ok(Question::Source(Box::new(Machine::new(compiled, &input.value)?))),
            #[cfg(feature = "wasm")]
            Engine::Bundle(loaded) => Ok(Question::Bundle(loaded.clone(), input.text.clone())),
        }
    }
}

/// An input in the forms that engines read.
pub(crate) struct Asked {
    value: Value,
    #[cfg(feature = "wasm")]
    text: std::sync::Arc<str>,
}

impl Asked {
    pub(crate) fn new(input: serde_json::Value) -> Self {
        Self {
            #[cfg(feature = "wasm")]
            text: input.to_string().into(),
            value: Value::from(input),
        }
    }
}

/// A policy with an input, to be asked rule by rule.
pub(crate) enum Question {
    Source(Box<Machine>),
    #[cfg(feature = "wasm")]
    Bundle(bundle::Loaded, std::sync::Arc<str>),
}

impl Question {
    /// The value of a rule; undefined is one.
    pub(crate) fn ask(&mut self, rule: Rule) -> Result<Value, Fault> {
        match self {
            Self::Source(machine) => machine.ask(rule),
            #[cfg(feature = "wasm")]
            Self::Bundle(loaded, input) => loaded.ask(rule, input),
        }
    }
}

/// The bytes that a policy names.
fn authentic<'a>(at: &BundleRef, found: Option<&'a Found>) -> Result<&'a [u8], Problem> {
    match found {
        Some(Found::Bytes(bytes)) if at.is_of(bytes) => Ok(bytes),
        Some(Found::Bytes(bytes)) => Err(Problem::BundleDiffers {
            place: at.to_string(),
            found: crate::digest::of_bytes(bytes),
            wanted: at.digest.clone(),
        }),
        Some(Found::Nothing(why)) => Err(Problem::BundleMissing(why.clone())),
        None => Err(Problem::BundleMissing(format!("{at} is not read here"))),
    }
}

#[cfg(feature = "wasm")]
fn load(source: &Source, bytes: &[u8]) -> Result<Engine, Problem> {
    bundle::Loaded::of(bytes, &source.data).map(Engine::Bundle).map_err(Problem::BundleDoesNotLoad)
}

#[cfg(not(feature = "wasm"))]
fn load(_: &Source, bytes: &[u8]) -> Result<Engine, Problem> {
    // What is no bundle anywhere is said to be so before it is said that this program runs none.
    keywright_policy_wasm::Bundle::read(bytes)
        .map_err(|error| Problem::BundleDoesNotLoad(error.to_string()))?;
    Err(Problem::NoEngine)
}
