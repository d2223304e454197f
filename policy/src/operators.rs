//! Arithmetic and comparisons of policies: within the budget, and failing loudly.

use crate::functions::NoValue;
use crate::meter;
use regorus::Value;
use regorus::rvm::Instruction;
use regorus::unstable::BuiltinFcn;
use std::cmp::Ordering;

/// The function that does what an instruction says: its name, itself, where its value goes and comes from.
pub(crate) fn metered(instruction: Instruction) -> Option<(&'static str, BuiltinFcn, u8, [u8; 2])> {
    macro_rules! of {
        ($($variant:ident => $name:literal, $function:expr;)*) => {
            match instruction {
                $(Instruction::$variant { dest, left, right } => Some((
                    concat!("operator ", $name),
                    (|_, _, arguments, _| meter::own(2, arguments, $function), 2),
                    dest,
                    [left, right],
                )),)*
                _ => None,
            }
        };
    }
    of! {
        Add => "+", |arguments| arithmetic(arguments, Operator::Add);
        Sub => "-", |arguments| arithmetic(arguments, Operator::Subtract);
        Mul => "*", |arguments| arithmetic(arguments, Operator::Multiply);
        Div => "/", |arguments| arithmetic(arguments, Operator::Divide);
        Mod => "%", |arguments| arithmetic(arguments, Operator::Modulo);
        Eq => "==", |arguments| pair(arguments).map(|(left, right)| Value::from(left == right));
        Ne => "!=", |arguments| pair(arguments).map(|(left, right)| Value::from(left != right));
        Lt => "<", |arguments| pair(arguments).map(|(left, right)| Value::from(order(left, right).is_lt()));
        Le => "<=", |arguments| pair(arguments).map(|(left, right)| Value::from(order(left, right).is_le()));
        Gt => ">", |arguments| pair(arguments).map(|(left, right)| Value::from(order(left, right).is_gt()));
        Ge => ">=", |arguments| pair(arguments).map(|(left, right)| Value::from(order(left, right).is_ge()));
    }
}

#[derive(Clone, Copy)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

fn pair(arguments: &[Value]) -> Result<(&Value, &Value), NoValue> {
    match arguments {
        [left, right] => Ok((left, right)),
        _ => Err(NoValue),
    }
}

/// The order of values in Rego. The engine's own has sets before objects.
fn order(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            let mut pairs = left.iter().zip(right.iter());
            let differs = pairs.find_map(|(left, right)| Some(order(left, right)).filter(|one| one.is_ne()));
            differs.unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        (Value::Object(_), Value::Set(_)) => Ordering::Less,
        (Value::Set(_), Value::Object(_)) => Ordering::Greater,
        _ => left.cmp(right),
    }
}

fn arithmetic(arguments: &[Value], operator: Operator) -> Result<Value, NoValue> {
    let (left, right) = match pair(arguments)? {
        (Value::Number(left), Value::Number(right)) => (left, right),
        (Value::Set(left), Value::Set(right)) if matches!(operator, Operator::Subtract) => {
            return Ok(Value::from(left.difference(right)));
        }
        _ => return Err(NoValue),
    };
    let by_zero = arguments[1] == Value::from(0_u64);
    let value = match operator {
        Operator::Add => left.add(right),
        Operator::Subtract => left.sub(right),
        Operator::Multiply => left.mul(right),
        Operator::Divide if !by_zero => left.clone().divide(right),
        Operator::Modulo if !by_zero && left.is_integer() && right.is_integer() => left.clone().modulo(right),
        Operator::Divide | Operator::Modulo => return Err(NoValue),
    };
    value.map(Value::from).map_err(|_| NoValue)
}
