//! What a module of OPA exports, and how texts and values pass between it and us.
//!
//! A value lives in the memory of the module and is named by its address. As text it is in Rego's notation, which tells sets
//! from lists. Whatever a module does with its memory, no more than it has is read, and no more than [`MEMORY`].

use crate::runtime::MEMORY;
use wasmtime::{AsContextMut, Error, Global, Instance, Memory, Result, TypedFunc};

/// The functions that are called. All addresses are of the module's memory.
#[derive(Clone)]
pub(crate) struct Abi {
    memory: Memory,
    version: Option<(Global, Global)>,
    malloc: TypedFunc<i32, i32>,
    json_parse: TypedFunc<(i32, i32), i32>,
    value_parse: TypedFunc<(i32, i32), i32>,
    json_dump: TypedFunc<i32, i32>,
    value_dump: TypedFunc<i32, i32>,
    builtins: TypedFunc<(), i32>,
    entrypoints: TypedFunc<(), i32>,
    context: TypedFunc<(), i32>,
    set_input: TypedFunc<(i32, i32), ()>,
    set_data: TypedFunc<(i32, i32), ()>,
    set_entrypoint: TypedFunc<(i32, i32), ()>,
    eval: TypedFunc<i32, i32>,
    result: TypedFunc<i32, i32>,
}

impl Abi {
    /// Of an instance. Errors: a function is missing or of another type.
    pub(crate) fn of(mut store: impl AsContextMut, instance: &Instance, memory: Memory) -> Result<Self> {
        macro_rules! export {
            ($name:literal) => {
                instance.get_typed_func(store.as_context_mut(), $name)?
            };
        }
        let major = instance.get_global(store.as_context_mut(), "opa_wasm_abi_version");
        let minor = instance.get_global(store.as_context_mut(), "opa_wasm_abi_minor_version");
        Ok(Self {
            version: major.zip(minor),
            malloc: export!("opa_malloc"),
            json_parse: export!("opa_json_parse"),
            value_parse: export!("opa_value_parse"),
            json_dump: export!("opa_json_dump"),
            value_dump: export!("opa_value_dump"),
            builtins: export!("builtins"),
            entrypoints: export!("entrypoints"),
            context: export!("opa_eval_ctx_new"),
            set_input: export!("opa_eval_ctx_set_input"),
            set_data: export!("opa_eval_ctx_set_data"),
            set_entrypoint: export!("opa_eval_ctx_set_entrypoint"),
            eval: export!("eval"),
            result: export!("opa_eval_ctx_get_result"),
            memory,
        })
    }

    /// Version of the calling convention, if the module says it.
    pub(crate) fn version(&self, mut store: impl AsContextMut) -> Option<(i32, i32)> {
        let (major, minor) = self.version?;
        Some((major.get(store.as_context_mut()).i32()?, minor.get(store.as_context_mut()).i32()?))
    }

    /// The functions that the module wants of its host, and their numbers, as JSON.
    pub(crate) fn builtins(&self, mut store: impl AsContextMut) -> Result<String> {
        let value = self.builtins.call(store.as_context_mut(), ())?;
        let text = self.json_dump.call(store.as_context_mut(), value)?;
        self.text(store, text)
    }

    /// What can be asked, and its numbers, as JSON.
    pub(crate) fn entrypoints(&self, mut store: impl AsContextMut) -> Result<String> {
        let value = self.entrypoints.call(store.as_context_mut(), ())?;
        let text = self.json_dump.call(store.as_context_mut(), value)?;
        self.text(store, text)
    }

    /// Makes a value of a JSON text.
    pub(crate) fn read_json(&self, mut store: impl AsContextMut, json: &str) -> Result<i32> {
        let (address, length) = self.write(store.as_context_mut(), json)?;
        made(self.json_parse.call(store, (address, length))?, "JSON")
    }

    /// Makes a value of a text in Rego's notation.
    pub(crate) fn read(&self, mut store: impl AsContextMut, term: &str) -> Result<i32> {
        let (address, length) = self.write(store.as_context_mut(), term)?;
        made(self.value_parse.call(store, (address, length))?, "a value")
    }

    /// A value in Rego's notation.
    pub(crate) fn show(&self, mut store: impl AsContextMut, value: i32) -> Result<String> {
        let text = self.value_dump.call(store.as_context_mut(), value)?;
        self.text(store, text)
    }

    /// Asks one entry point: the set of its results, in Rego's notation.
    pub(crate) fn ask(
        &self,
        mut store: impl AsContextMut,
        entrypoint: i32,
        data: i32,
        input: i32,
    ) -> Result<String> {
        let context = self.context.call(store.as_context_mut(), ())?;
        self.set_data.call(store.as_context_mut(), (context, data))?;
        self.set_input.call(store.as_context_mut(), (context, input))?;
        self.set_entrypoint.call(store.as_context_mut(), (context, entrypoint))?;
        let code = self.eval.call(store.as_context_mut(), context)?;
        if code != 0 {
            return Err(Error::msg(format!("the evaluation ended with code {code}")));
        }
        let results = self.result.call(store.as_context_mut(), context)?;
        self.show(store, results)
    }

    /// The text at an address, up to a zero byte.
    pub(crate) fn text(&self, store: impl AsContextMut, address: i32) -> Result<String> {
        read_text(store, self.memory, address)
    }

    fn write(&self, mut store: impl AsContextMut, text: &str) -> Result<(i32, i32)> {
        let length = i32::try_from(text.len())
            .ok()
            .filter(|_| text.len() <= MEMORY)
            .ok_or_else(|| Error::msg("a text is larger than all memory"))?;
        let address = self.malloc.call(store.as_context_mut(), length)?;
        self.memory.write(store, place(address), text.as_bytes())?;
        Ok((address, length))
    }
}

/// The text at an address of a memory, up to a zero byte. Errors: none ends there, or it is no UTF-8.
pub(crate) fn read_text(mut store: impl AsContextMut, memory: Memory, address: i32) -> Result<String> {
    let context = store.as_context_mut();
    let rest = memory.data(&context).get(place(address)..).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == 0).ok_or_else(|| Error::msg("a text does not end"))?;
    std::str::from_utf8(&rest[..end]).map(str::to_owned).map_err(|_| Error::msg("a text is no UTF-8"))
}

/// An address is a number without sign that WebAssembly calls `i32`.
fn place(address: i32) -> usize {
    usize::try_from(address.cast_unsigned()).unwrap_or(usize::MAX)
}

fn made(value: i32, what: &str) -> Result<i32> {
    if value == 0 { Err(Error::msg(format!("the module does not take {what}"))) } else { Ok(value) }
}
