//! What a compiled policy runs that the engine would do by itself, and leave no trace of if it failed.
//!
//! One instruction is replaced by one call of a function of ours, so that no jump moves:
//!
//! - arithmetic, which in the engine leaves a body undefined for values of other types and division by zero;
//! - comparisons, which in the engine have no budget;
//! - values of rules, of which a second one goes unseen in the engine ([`crate::single`]);
//! - functions of ours, which the compiler knows as calls of the host.

use crate::builtins::metered;
use crate::compile::CompileError;
use crate::functions;
use crate::operators;
use crate::single::{self, Noted};
use regorus::Value;
use regorus::rvm::Instruction;
use regorus::rvm::instructions::BuiltinCallParams;
use regorus::rvm::program::{BuiltinInfo, Program};
use regorus::unstable::BuiltinFcn;
use std::borrow::Cow;

/// Replaces them, and puts the metered functions where the engine looks for its own.
///
/// # Errors
/// The policy calls the host in a way of its own, or is larger than the engine can hold.
pub(crate) fn rewrite(program: &mut Program) -> Result<(), CompileError> {
    let mut resolved = program
        .builtin_info_table
        .iter()
        .map(|builtin| metered(&builtin.name, u8::try_from(builtin.num_args).ok()?))
        .collect::<Option<Vec<BuiltinFcn>>>()
        .ok_or_else(|| CompileError::whole("the compiler made a call that is unknown here"))?;
    let mut values = single::noted(program)?;
    for at in 0..program.instructions.len() {
        let call = values.remove(&at).map(Call::from);
        let Some(call) = call.map_or_else(|| replaced(program, at), |call| Ok(Some(call)))? else { continue };
        let index = |length: usize| {
            u16::try_from(length).map_err(|_| CompileError::whole("the policy is too large; split it"))
        };
        let known = program.builtin_info_table.iter().position(|builtin| builtin.name == call.name);
        let builtin_index = index(known.unwrap_or(program.builtin_info_table.len()))?;
        if known.is_none() {
            program
                .builtin_info_table
                .push(BuiltinInfo { name: call.name.clone().into_owned(), num_args: u16::from(call.arity) });
            resolved.push(call.function);
        }
        let params_index = index(program.instruction_data.builtin_call_params.len())?;
        program.instruction_data.builtin_call_params.push(BuiltinCallParams {
            dest: call.dest,
            builtin_index,
            num_args: call.arity,
            args: call.registers,
        });
        program.instructions[at] = Instruction::BuiltinCall { params_index };
    }
    program.resolved_builtins = resolved;
    program.recompute_host_await_presence();
    Ok(())
}

struct Call {
    name: Cow<'static, str>,
    function: BuiltinFcn,
    arity: u8,
    dest: u8,
    registers: [u8; 8],
}

impl From<Noted> for Call {
    fn from(noted: Noted) -> Self {
        let Noted { name, function, arity, dest, registers } = noted;
        Self { name: name.into(), function, arity, dest, registers }
    }
}

/// The call that replaces an instruction; nothing if the instruction stays.
fn replaced(program: &Program, at: usize) -> Result<Option<Call>, CompileError> {
    if let Instruction::HostAwait { dest, arg, id } = program.instructions[at] {
        let called = host_function(program, at, id).and_then(functions::metered);
        let (name, function) = called.ok_or_else(|| {
            CompileError::at(program, at, "function `__builtin_host_await` may not be called by a policy")
        })?;
        return Ok(Some(Call {
            name: name.into(),
            function,
            arity: 1,
            dest,
            registers: [arg, 0, 0, 0, 0, 0, 0, 0],
        }));
    }
    Ok(operators::metered(program.instructions[at]).map(|(name, function, dest, [left, right])| Call {
        name: name.into(),
        function,
        arity: 2,
        dest,
        registers: [left, right, 0, 0, 0, 0, 0, 0],
    }))
}

/// The name that the compiler loads before it calls the host.
fn host_function(program: &Program, at: usize, id: u8) -> Option<&str> {
    let before = program.instructions.get(at.checked_sub(1)?)?;
    match before {
        Instruction::Load { dest, literal_idx } if *dest == id => {
            match program.literals.get(usize::from(*literal_idx))? {
                Value::String(name) => Some(name),
                _ => None,
            }
        }
        _ => None,
    }
}
