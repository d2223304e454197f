//! One question to one module: an instance of its own, which nothing outlives.

use crate::abi::{Abi, read_text};
use crate::module::{Import, Module};
use crate::runtime::{FUEL, MEMORY, Running, STACK, TABLE, ticks};
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::{
    Caller, Error, Extern, Func, Instance, Memory, MemoryType, ResourceLimiter, Result, Store, Trap,
};

/// What carries out a function that OPA leaves to its host: its name and its arguments, in Rego's notation, to its value.
/// None: it has no value for these arguments, and the evaluation ends.
pub type Host = fn(name: &str, arguments: &[String]) -> Option<String>;

/// Why a question got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It took more instructions than it may.
    #[error("it takes more than {FUEL} instructions")]
    OutOfFuel,
    /// It took longer than it may.
    #[error("it takes too long")]
    OutOfTime,
    /// It took more memory than it may.
    #[error("it takes more than {MEMORY} bytes of memory")]
    OutOfMemory,
    /// Its functions called each other more deeply than they may.
    #[error("its calls take more than {STACK} bytes of stack")]
    TooDeep,
    /// A function has no value for what it was given.
    #[error("a function has no value")]
    NoValue,
    /// The policy ended itself, as when complete rules contradict each other; or it broke a rule of the machine.
    #[error("{0}")]
    Failed(String),
}

pub(crate) struct State {
    host: Host,
    builtins: Arc<BTreeMap<i32, String>>,
    memory: Option<Memory>,
    abi: Option<Abi>,
    /// The first thing that went wrong where the runtime's own error does not tell.
    trouble: Option<Trouble>,
}

impl State {
    pub(crate) fn new(host: Host, builtins: Arc<BTreeMap<i32, String>>) -> Self {
        Self { host, builtins, memory: None, abi: None, trouble: None }
    }

    fn fail(&mut self, trouble: Trouble) -> Error {
        Error::msg(self.trouble.get_or_insert(trouble).to_string())
    }
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        if desired > MEMORY { Err(self.fail(Trouble::OutOfMemory)) } else { Ok(true) }
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        if desired > TABLE { Err(self.fail(Trouble::OutOfMemory)) } else { Ok(true) }
    }
}

impl Module {
    /// Asks one entry point: the set of its results in Rego's notation, `{{"result": VALUE}}` or, if it is undefined,
    /// `set()`. `data` and `input`: JSON. The limits are those of the whole question, the reading of both included.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn ask(&self, host: Host, entrypoint: &str, data: &str, input: &str) -> Result<String, Trouble> {
        let number = *self
            .entrypoints
            .get(entrypoint)
            .ok_or_else(|| Trouble::Failed(format!("the module has no entry point {entrypoint}")))?;
        let _running = Running::start();
        let state = State::new(host, Arc::clone(&self.builtins));
        let (mut store, abi) = instance(&self.code, &self.imports, state)?;
        let asked = abi.read_json(&mut store, data).and_then(|data| {
            let input = abi.read_json(&mut store, input)?;
            abi.ask(&mut store, number, data, input)
        });
        asked.map_err(|error| trouble(&mut store, &error))
    }
}

/// Starts a module, with all that a question may take.
pub(crate) fn instance(
    code: &wasmtime::Module,
    imports: &[Import],
    state: State,
) -> Result<(Store<State>, Abi), Trouble> {
    let mut store = Store::new(code.engine(), state);
    store.limiter(|state| state);
    store.set_epoch_deadline(ticks());
    let started = store.set_fuel(FUEL).and_then(|()| started(code, imports, &mut store));
    started.map_err(|error| trouble(&mut store, &error)).map(|abi| (store, abi))
}

fn started(code: &wasmtime::Module, imports: &[Import], store: &mut Store<State>) -> Result<Abi> {
    let mut given = Vec::with_capacity(imports.len());
    for import in imports {
        given.push(match import {
            Import::Memory { pages } => {
                let memory = Memory::new(&mut *store, MemoryType::new(*pages, None))?;
                store.data_mut().memory = Some(memory);
                Extern::from(memory)
            }
            Import::Function(name) => host_function(store, name)?.into(),
        });
    }
    let instance = Instance::new(&mut *store, code, &given)?;
    let memory = store.data().memory.or_else(|| instance.get_memory(&mut *store, "memory"));
    let memory = memory.ok_or_else(|| Error::msg("the module has no memory"))?;
    let abi = Abi::of(&mut *store, &instance, memory)?;
    store.data_mut().memory = Some(memory);
    store.data_mut().abi = Some(abi.clone());
    Ok(abi)
}

/// What a module may import: its way to end itself, to print, which goes nowhere, and to call its host.
fn host_function(store: &mut Store<State>, name: &str) -> Result<Func> {
    type Called<'a> = Caller<'a, State>;
    Ok(match name {
        "opa_abort" => Func::wrap(store, |mut caller: Called<'_>, at: i32| -> Result<()> {
            let memory = caller.data().memory.ok_or_else(|| Error::msg("no memory yet"))?;
            let said = read_text(&mut caller, memory, at).unwrap_or_default();
            Err(caller.data_mut().fail(Trouble::Failed(said)))
        }),
        "opa_println" => Func::wrap(store, |_: i32| {}),
        "opa_builtin0" => Func::wrap(store, |caller: Called<'_>, id: i32, _: i32| called(caller, id, &[])),
        "opa_builtin1" => {
            Func::wrap(store, |caller: Called<'_>, id: i32, _: i32, a: i32| called(caller, id, &[a]))
        }
        "opa_builtin2" => Func::wrap(store, |caller: Called<'_>, id: i32, _: i32, a: i32, b: i32| {
            called(caller, id, &[a, b])
        }),
        "opa_builtin3" => Func::wrap(store, |caller: Called<'_>, id: i32, _: i32, a: i32, b: i32, c: i32| {
            called(caller, id, &[a, b, c])
        }),
        "opa_builtin4" => {
            Func::wrap(store, |caller: Called<'_>, id: i32, _: i32, a: i32, b: i32, c: i32, d: i32| {
                called(caller, id, &[a, b, c, d])
            })
        }
        other => return Err(Error::msg(format!("no function {other} for policies"))),
    })
}

/// A call of the host. The second argument of OPA's, the context, is nothing to us: no function has state.
fn called(mut caller: Caller<'_, State>, id: i32, arguments: &[i32]) -> Result<i32> {
    let abi = caller.data().abi.clone().ok_or_else(|| Error::msg("called before it is there"))?;
    let name = caller.data().builtins.get(&id).cloned();
    let name = name.ok_or_else(|| Error::msg("called a function that it did not declare"))?;
    let texts: Vec<String> = arguments.iter().map(|at| abi.show(&mut caller, *at)).collect::<Result<_>>()?;
    match (caller.data().host)(&name, &texts) {
        Some(value) => abi.read(&mut caller, &value),
        None => Err(caller.data_mut().fail(Trouble::NoValue)),
    }
}

fn trouble(store: &mut Store<State>, error: &Error) -> Trouble {
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Trouble::OutOfFuel,
        Some(Trap::Interrupt) => Trouble::OutOfTime,
        Some(Trap::StackOverflow) => Trouble::TooDeep,
        // Where a guard of `strict` ends the evaluation. What OPA itself ends, it ends by `opa_abort`.
        Some(Trap::UnreachableCodeReached) => Trouble::NoValue,
        _ => store.data_mut().trouble.take().unwrap_or_else(|| Trouble::Failed(format!("{error:#}"))),
    }
}
