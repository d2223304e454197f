//! One rule of source, asked once, within its budgets.

use crate::compile::Compiled;
use crate::decision::Fault;
use crate::meter;
use crate::result::Rule;
use regorus::Value;
use regorus::rvm::RegoVM;
use regorus::rvm::vm::VmError;
use regorus::utils::limits::ExecutionTimerConfig;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Instructions that one rule may take. A policy of 80 lines takes some hundreds.
const INSTRUCTIONS: usize = 25_000;

/// Time that one rule may take: far above what the instructions need, far below what an admission waits.
const TIME: ExecutionTimerConfig = ExecutionTimerConfig {
    limit: Duration::from_millis(50),
    check_interval: NonZeroU32::new(64).expect("not zero"),
};

/// A machine with a policy loaded and an input set; it is asked rule by rule.
pub(crate) struct Machine(RegoVM);

impl Machine {
    pub(crate) fn new(policy: &Compiled, input: &Value) -> Result<Self, Fault> {
        let mut machine = RegoVM::new();
        machine.load_program(policy.program.clone());
        machine.set_max_instructions(INSTRUCTIONS);
        machine.set_execution_timer_config(Some(TIME));
        machine.set_data(policy.data.clone()).map_err(|error| fault(&error))?;
        machine.set_input(input.clone());
        Ok(Self(machine))
    }

    pub(crate) fn ask(&mut self, rule: Rule) -> Result<Value, Fault> {
        // The machine is not ours and its input is foreign: should it panic, the policy gave no answer. After an error
        // it is asked again at most for other rules, for which it resets itself.
        let evaluate = || catch_unwind(AssertUnwindSafe(|| self.0.execute_entry_point_by_name(rule.path())));
        let (value, failed) = meter::within(evaluate);
        // What a function met counts whatever the engine made of it, or a denial would be lost.
        failed.map_or(Ok(()), Err)?;
        value.map_or(Err(Fault::EvaluationFailed), |value| value.map_err(|error| fault(&error)))
    }
}

/// The machine has many ways to fail and we have one reaction to most of them.
fn fault(error: &VmError) -> Fault {
    match error {
        VmError::InstructionLimitExceeded { .. } => Fault::TooManyInstructions,
        VmError::TimeLimitExceeded { .. } => Fault::TooSlow,
        _ => Fault::EvaluationFailed,
    }
}
