//! The functions that a module of OPA leaves to its host: the very ones that source calls, with the same budget.

use crate::builtins::{metered, plain_format};
use crate::functions::{self, NoValue};
use crate::meter;
use crate::term;
use regorus::unstable::{Expr, Ref, Source, Span};
use regorus::{LimitError, Value};

/// Whether policies may call a function of this name.
pub(crate) fn may_call(name: &str) -> bool {
    functions::named(name).is_some() || metered(name, 0).is_some()
}

/// Calls a function. None: it failed, or has no value for these arguments; the meter knows.
pub(crate) fn call(name: &str, arguments: &[String]) -> Option<String> {
    let arguments: Vec<Value> = arguments.iter().map(|text| term::read(text)).collect::<Option<_>>()?;
    let value = match functions::named(name) {
        Some(function) => meter::own::<LimitError>(functions::GROWTH, &arguments, function.call),
        None if name == "sprintf" && !arguments.first().is_some_and(plain_format) => {
            meter::own::<LimitError>(1, &arguments, |_| Err(NoValue))
        }
        None => {
            let (span, nothing) = nowhere(arguments.len())?;
            meter::call::<LimitError>(name, &span, &nothing, &arguments)
        }
    };
    Some(term::write(&value.ok()?))
}

/// A place and expressions for messages of errors, which nobody reads.
fn nowhere(arguments: usize) -> Option<(Span, Vec<Ref<Expr>>)> {
    let source = Source::from_contents("bundle".to_owned(), String::new()).ok()?;
    let span = Span { source, line: 1, col: 1, start: 0, end: 0 };
    let nothing = Ref::new(Expr::Null { span: span.clone(), value: Value::Null, eidx: 0 });
    Some((span, vec![nothing; arguments]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(name: &str, arguments: &[&str]) -> (Option<String>, Option<crate::Fault>) {
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        meter::within(|| call(name, &arguments))
    }

    #[test]
    fn functions_of_the_engine_and_of_ours_are_called_and_their_failures_noted() {
        use crate::Fault::{FunctionFailed, TooMuchMemory};
        let value = |text: &str| (Some(text.to_owned()), None);
        assert_eq!(called("semver.compare", &["\"1.2.3\"", "\"1.2.4\""]), value("-1"));
        assert_eq!(called("net.cidr_merge", &["{\"10.0.0.0\",\"10.0.0.1\"}"]), value("{\"10.0.0.0/31\"}"));
        assert_eq!(called("sprintf", &["\"%s-%d\"", "[\"a\",1]"]), value("\"a-1\""));
        assert_eq!(called("sprintf", &["\"%9d\"", "[1]"]), (None, Some(FunctionFailed)));
        assert_eq!(called("crypto.sha256", &["7"]), (None, Some(FunctionFailed)));
        assert_eq!(called("time.parse_rfc3339_ns", &["\"x\""]), (None, Some(FunctionFailed)));
        let long = format!("\"{}\"", "x".repeat(7 * 1024 * 1024));
        assert_eq!(called("crypto.sha256", &[&long]), (None, Some(TooMuchMemory)));
        assert!(may_call("io.jwt.decode") && may_call("sprintf"));
        assert!(!may_call("http.send") && !may_call("time.now_ns") && !may_call("rand.intn"));
    }
}
