//! Functions that policies about certificates need and the engine lacks, under the names and with the results of OPA.
//!
//! Each follows from its arguments alone and reads foreign bytes totally: what does not parse is [`NoValue`], which the
//! caller takes for a failure of the policy.

mod jwt;
mod net;
mod x509;

use crate::meter;
use regorus::Value;
use regorus::unstable::BuiltinFcn;

/// The function has no value for these arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoValue;

/// A function by its name.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) arity: usize,
    pub(crate) call: fn(&[Value]) -> Result<Value, NoValue>,
}

/// How many bytes one byte of an argument becomes at most: the shortest name of a certificate is four bytes of DER and a
/// value of its own.
pub(crate) const GROWTH: usize = 32;

/// All of them.
pub(crate) static ALL: [Function; 7] = [
    Function { name: "crypto.sha256", arity: 1, call: sha256 },
    Function { name: "crypto.x509.parse_certificate_request", arity: 1, call: x509::parse_request },
    Function { name: "crypto.x509.parse_certificates", arity: 1, call: x509::parse_certificates },
    Function { name: "io.jwt.decode", arity: 1, call: jwt::decode },
    Function { name: "net.cidr_intersects", arity: 2, call: net::cidr_intersects },
    Function { name: "net.cidr_merge", arity: 1, call: net::cidr_merge },
    Function { name: "net.ip_is_valid", arity: 1, call: net::ip_is_valid },
];

/// A function by the name that policies call it by.
#[cfg(feature = "wasm")]
pub(crate) fn named(name: &str) -> Option<&'static Function> {
    ALL.iter().find(|function| function.name == name)
}

/// The same, metered. The compiler hands over all arguments as one array.
pub(crate) fn metered(name: &str) -> Option<(&'static str, BuiltinFcn)> {
    macro_rules! all {
        ($($at:literal)*) => {
            [$((|_, _, arguments, _| meter::own(GROWTH, unpacked(arguments), ALL[$at].call), 1)),*]
        };
    }
    const METERED: [BuiltinFcn; ALL.len()] = all!(0 1 2 3 4 5 6);
    let at = ALL.iter().position(|function| function.name == name)?;
    Some((ALL[at].name, METERED[at]))
}

fn unpacked(arguments: &[Value]) -> &[Value] {
    match arguments {
        [Value::Array(all)] => all.as_slice(),
        _ => &[],
    }
}

/// The text that is the argument at a place.
fn text(arguments: &[Value], at: usize) -> Result<&str, NoValue> {
    match arguments.get(at) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(NoValue),
    }
}

/// `crypto.sha256(text)`: lower-case hexadecimal.
fn sha256(arguments: &[Value]) -> Result<Value, NoValue> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text(arguments, 0)?.as_bytes());
    Ok(Value::from(hex::encode(digest)))
}
