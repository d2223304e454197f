//! Policies that OPA compiled to WebAssembly, evaluated in an interpreter.
//!
//! Owns OPA's calling convention ([ABI] 1.2 and later of version 1) and the limits: fuel, time, memory, stack. Knows neither
//! Rego's rules nor which functions there are: values go in and out as text in Rego's notation, and functions that OPA
//! leaves to its host are the caller's. There is no WASI and no other import: a policy computes, and can do nothing.
//!
//! The runtime is wasmtime with its interpreter, Pulley: the compiler writes bytecode of that, so no memory is ever made
//! executable, which a signer under seccomp may not do, and no signal handler is installed. The crate `opa-wasm` was not
//! taken: it runs policies on fibers with a runtime's features that this one leaves out, brings functions of its own, of
//! which `sprintf` ends the process on `%v`, and knows no limits; what remains of it is the calling convention below.
//!
//! ```text
//! bundle       what people hand over --> module, data, sources     always here: small, total, fuzzed
//! strict       module --> the same, which ends where a function fails
//! module       --> compiled, its imports and version checked        feature `engine`
//! evaluation   one question: an instance of its own                 feature `engine`
//! ```
//!
//! [ABI]: https://www.openpolicyagent.org/docs/wasm

#[cfg(feature = "engine")]
mod abi;
mod binary;
mod bundle;
#[cfg(feature = "engine")]
mod evaluation;
#[cfg(feature = "engine")]
mod module;
#[cfg(feature = "engine")]
mod runtime;
mod strict;

pub use binary::Malformed;
pub use bundle::{Bundle, BundleError, MODULE, PACKED, UNPACKED};
#[cfg(feature = "engine")]
pub use evaluation::{Host, Trouble};
#[cfg(feature = "engine")]
pub use module::{LoadError, Module};
#[cfg(feature = "engine")]
pub use runtime::{FUEL, MEMORY, TIME};
pub use strict::strict;
