//! Ranges of addresses.

use super::{NoValue, text};
use ipnet::IpNet;
use regorus::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// `net.cidr_intersects(one, other)`: whether two ranges have an address in common.
pub(super) fn cidr_intersects(arguments: &[Value]) -> Result<Value, NoValue> {
    let (one, other) = (range(text(arguments, 0)?)?, range(text(arguments, 1)?)?);
    Ok(Value::from(one.contains(&other) || other.contains(&one)))
}

/// `net.cidr_merge(ranges)`: the fewest ranges with the same addresses. Addresses count as ranges of one.
pub(super) fn cidr_merge(arguments: &[Value]) -> Result<Value, NoValue> {
    let one = |member: &Value| match member {
        Value::String(text) => text.parse::<IpAddr>().map(IpNet::from).or_else(|_| range(text)),
        _ => Err(NoValue),
    };
    let ranges: Vec<IpNet> = match arguments.first() {
        Some(Value::Array(all)) => all.iter().map(one).collect::<Result<_, _>>()?,
        Some(Value::Set(all)) => all.iter().map(one).collect::<Result<_, _>>()?,
        _ => return Err(NoValue),
    };
    let merged: BTreeSet<Value> =
        IpNet::aggregate(&ranges).into_iter().map(|range| Value::from(range.to_string())).collect();
    Ok(Value::from(merged))
}

/// `net.ip_is_valid(text)`: whether it is an IPv4 or IPv6 address. Not of OPA.
pub(super) fn ip_is_valid(arguments: &[Value]) -> Result<Value, NoValue> {
    Ok(Value::from(text(arguments, 0)?.parse::<IpAddr>().is_ok()))
}

fn range(text: &str) -> Result<IpNet, NoValue> {
    text.parse::<IpNet>().map(|range| range.trunc()).map_err(|_| NoValue)
}
