//! A module that OPA compiled, checked and ready to be asked.

use crate::binary::Malformed;
use crate::bundle::MODULE;
use crate::evaluation::{State, instance};
use crate::runtime::{MEMORY, Running, engine};
use crate::strict::strict;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::ExternType;

/// A module, compiled to bytecode.
#[derive(Clone)]
pub struct Module {
    pub(crate) code: wasmtime::Module,
    pub(crate) imports: Arc<[Import]>,
    pub(crate) builtins: Arc<BTreeMap<i32, String>>,
    pub(crate) entrypoints: Arc<BTreeMap<String, i32>>,
}

/// What a module asks for.
#[derive(Clone, Debug)]
pub(crate) enum Import {
    Memory { pages: u32 },
    Function(String),
}

/// Why a module cannot be used. Trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Larger than any policy.
    #[error("the module has {0} bytes, and {MODULE} is the most")]
    TooLarge(usize),
    /// No WebAssembly, or of a kind that OPA does not make.
    #[error("it is no module that OPA compiled: {0}")]
    NotOfOpa(String),
    /// Of another version of the calling convention.
    #[error(
        "it is of OPA's WebAssembly ABI {0}; 1.2 and later ones of version 1 are known: build it with another OPA"
    )]
    Version(String),
    /// There is nothing to run it with.
    #[error("no WebAssembly can be run here: {0}")]
    NoRuntime(String),
}

impl From<Malformed> for LoadError {
    fn from(malformed: Malformed) -> Self {
        Self::NotOfOpa(malformed.to_string())
    }
}

impl Module {
    /// Compiles a module, whose functions end the evaluation where they fail ([`strict`]); this takes some tenths of a
    /// second, and no longer than its size explains.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        if bytes.len() > MODULE {
            return Err(LoadError::TooLarge(bytes.len()));
        }
        let engine = engine().map_err(LoadError::NoRuntime)?;
        let code =
            wasmtime::Module::from_binary(engine, &strict(bytes)?).map_err(|error| not_of_opa(&error))?;
        let imports: Arc<[Import]> = code.imports().map(|import| asked(&import)).collect::<Result<_, _>>()?;
        let _running = Running::start();
        // While a module is only looked at it calls nobody.
        let (mut store, abi) = instance(&code, &imports, State::new(|_, _| None, Arc::default()))
            .map_err(|trouble| LoadError::NotOfOpa(trouble.to_string()))?;
        version(abi.version(&mut store))?;
        let declared =
            abi.builtins(&mut store).and_then(|builtins| Ok((builtins, abi.entrypoints(&mut store)?)));
        let (builtins, entrypoints) = declared.map_err(|error| not_of_opa(&error))?;
        let builtins = numbers(&builtins)?.into_iter().map(|(name, number)| (number, name)).collect();
        let entrypoints = numbers(&entrypoints)?;
        Ok(Self { code, imports, builtins: Arc::new(builtins), entrypoints: Arc::new(entrypoints) })
    }

    /// What can be asked, as `keywright/deny`.
    pub fn entrypoints(&self) -> impl Iterator<Item = &str> {
        self.entrypoints.keys().map(String::as_str)
    }

    /// The functions that it calls of its host.
    pub fn builtins(&self) -> impl Iterator<Item = &str> {
        self.builtins.values().map(String::as_str)
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Module").field("entrypoints", &self.entrypoints).finish_non_exhaustive()
    }
}

fn asked(import: &wasmtime::ImportType<'_>) -> Result<Import, LoadError> {
    let unknown = || {
        LoadError::NotOfOpa(format!(
            "it imports {}.{}, which policies do not get",
            import.module(),
            import.name()
        ))
    };
    match (import.module(), import.ty()) {
        ("env", ExternType::Memory(memory)) if !memory.is_64() && !memory.is_shared() => {
            let pages = u32::try_from(memory.minimum()).ok();
            let pages =
                pages.filter(|pages| usize::try_from(*pages).is_ok_and(|pages| pages <= MEMORY / 65536));
            Ok(Import::Memory { pages: pages.ok_or_else(unknown)? })
        }
        ("env", ExternType::Func(_)) if import.name().starts_with("opa_") => {
            Ok(Import::Function(import.name().to_owned()))
        }
        _ => Err(unknown()),
    }
}

/// Entry points were numbered from 1.1 on, and values passed as text from 1.2 on.
fn version(found: Option<(i32, i32)>) -> Result<(), LoadError> {
    match found {
        Some((1, 2..)) => Ok(()),
        Some((major, minor)) => Err(LoadError::Version(format!("{major}.{minor}"))),
        None => Err(LoadError::Version("that is not said".to_owned())),
    }
}

fn numbers(json: &str) -> Result<BTreeMap<String, i32>, LoadError> {
    serde_json::from_str(json)
        .map_err(|error| LoadError::NotOfOpa(format!("what it declares is no JSON: {error}")))
}

fn not_of_opa(error: &wasmtime::Error) -> LoadError {
    LoadError::NotOfOpa(format!("{error:#}"))
}
