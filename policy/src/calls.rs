//! Which rules call which: never themselves, and not through too many others.
//!
//! The engine runs a rule, a loop and a comprehension by calling itself, and bounds instructions and time alone. So a rule
//! that asks for itself would overflow the stack, which no process survives, long before it ran out of either.

use crate::compile::CompileError;
use regorus::Value;
use regorus::rvm::Instruction;
use regorus::rvm::instructions::LiteralOrRegister;
use regorus::rvm::program::Program;
use std::collections::BTreeMap;

/// Rules, loops and comprehensions that may run within each other. A stack of 2 MiB holds three times as many.
const DEEPEST: usize = 256;

/// Refuses rules that call themselves, by however many others, and rules that call too deep, as OPA refuses the former.
///
/// # Errors
/// The place of one call that is too much.
pub(crate) fn bounded(program: &Program) -> Result<(), CompileError> {
    let bodies = bodies(program);
    let mut known = vec![Depth::Unknown; program.rule_infos.len()];
    for rule in 0..known.len() {
        measure(program, &bodies, &mut known, rule)?;
    }
    Ok(())
}

/// One body of a rule.
#[derive(Default)]
struct Body {
    /// Loops and comprehensions, as if each stood in all before it.
    within: usize,
    /// The rules that it calls, each with the instruction that does so first.
    calls: BTreeMap<usize, usize>,
}

#[derive(Clone, Copy)]
enum Depth {
    Unknown,
    /// It is being measured: who comes upon it again has gone round.
    Open,
    Of(usize),
}

/// The bodies of each rule. What lies between the beginnings of two bodies is of the former.
fn bodies(program: &Program) -> Vec<Vec<Body>> {
    let mut begins = BTreeMap::new();
    for (rule, info) in program.rule_infos.iter().enumerate() {
        let patterns = info.destructuring_blocks.iter().flatten();
        for at in info.definitions.iter().flatten().chain(patterns) {
            begins.insert(usize::try_from(*at).unwrap_or(usize::MAX), rule);
        }
    }
    let mut bodies: Vec<Vec<Body>> = program.rule_infos.iter().map(|_| Vec::new()).collect();
    let ends = begins.keys().copied().skip(1).chain([program.instructions.len()]).collect::<Vec<_>>();
    for ((begin, rule), end) in begins.into_iter().zip(ends) {
        let mut body = Body::default();
        for at in begin..end.min(program.instructions.len()) {
            match program.instructions[at] {
                Instruction::LoopStart { .. } | Instruction::ComprehensionBegin { .. } => body.within += 1,
                other => called(program, other, |rule| {
                    body.calls.entry(rule).or_insert(at);
                }),
            }
        }
        bodies[rule].push(body);
    }
    bodies
}

/// The rules that an instruction may call.
fn called(program: &Program, instruction: Instruction, mut each: impl FnMut(usize)) {
    match instruction {
        Instruction::CallRule { rule_index, .. } => each(usize::from(rule_index)),
        Instruction::FunctionCall { params_index } => {
            let call = program.instruction_data.function_call_params.get(usize::from(params_index));
            if let Some(call) = call {
                each(usize::from(call.func_rule_index));
            }
        }
        // Looks up rules by a path of which the end is known only when it runs.
        Instruction::VirtualDataDocumentLookup { params_index } => {
            let lookups = &program.instruction_data.virtual_data_document_lookup_params;
            let Some(lookup) = lookups.get(usize::from(params_index)) else { return };
            let mut known = "data".to_owned();
            for component in &lookup.path_components {
                let LiteralOrRegister::Literal(literal) = component else { break };
                let Some(Value::String(part)) = program.literals.get(usize::from(*literal)) else { break };
                known = format!("{known}.{part}");
            }
            for (rule, info) in program.rule_infos.iter().enumerate() {
                if within(&info.name, &known) || within(&known, &info.name) {
                    each(rule);
                }
            }
        }
        _ => {}
    }
}

/// Whether a path is another one, or goes on from it.
fn within(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// How deep a rule runs. Does not call itself: what it judges may be as long as the engine has rules.
fn measure(
    program: &Program,
    bodies: &[Vec<Body>],
    known: &mut [Depth],
    first: usize,
) -> Result<(), CompileError> {
    if matches!(known[first], Depth::Of(_)) {
        return Ok(());
    }
    let mut path = vec![first];
    known[first] = Depth::Open;
    while let Some(&rule) = path.last() {
        let calls = || bodies[rule].iter().flat_map(|body| body.calls.iter());
        let next = calls().find(|(called, _)| !matches!(known.get(**called), None | Some(Depth::Of(_))));
        match next {
            Some((&called, &at)) if matches!(known[called], Depth::Open) => {
                return Err(CompileError::at(program, at, circle(program, &path, called)));
            }
            Some((&called, _)) => {
                known[called] = Depth::Open;
                path.push(called);
            }
            None => {
                let of = |called: usize| match known.get(called) {
                    Some(Depth::Of(depth)) => *depth,
                    _ => 0,
                };
                let depths = bodies[rule].iter().map(|body| {
                    1 + body.within + body.calls.keys().map(|called| of(*called)).max().unwrap_or_default()
                });
                let depth = depths.max().unwrap_or(1);
                if depth > DEEPEST {
                    let message = format!(
                        "more than {DEEPEST} rules, loops and comprehensions run within each other from rule `{}` on; let fewer rules ask for further ones",
                        name(program, rule)
                    );
                    let at = bodies[rule].iter().flat_map(|body| body.calls.values()).next();
                    return Err(CompileError::at(program, at.copied().unwrap_or_default(), message));
                }
                known[rule] = Depth::Of(depth);
                path.pop();
            }
        }
    }
    Ok(())
}

/// The circle in words.
fn circle(program: &Program, path: &[usize], again: usize) -> String {
    let from = path.iter().position(|rule| *rule == again).unwrap_or_default();
    let mut way: Vec<&str> = path[from..].iter().map(|rule| name(program, *rule)).collect();
    if way.len() > 8 {
        way.drain(4..way.len() - 3);
        way.insert(4, "...");
    }
    let again = name(program, again);
    format!("rule `{again}` asks for itself: {} -> {again}; write it without", way.join(" -> "))
}

fn name(program: &Program, rule: usize) -> &str {
    let path = program.rule_infos.get(rule).map_or("unknown", |info| info.name.as_str());
    path.strip_prefix("data.keywright.").unwrap_or(path)
}
