//! Who may use a key, and how often: the part of a key's constraints that is about callers.
//!
//! A key belongs to the caller that had it made, unless others are named then; a child's to those of its parent. As all
//! constraints these only become tighter, and those of every authority above hold too. Pure.

use crate::authority::Authority;
use crate::rates::Rate;
use crate::refusal::{Reason, Refusal};
use keywright_signer_protocol::v1alpha1 as wire;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most callers of one key.
const MAX_CALLERS: usize = 64;
/// Longest name of a caller, in bytes.
const MAX_NAME: usize = 253;
/// Highest rate and burst that can be stated.
const MAX_RATE: u32 = 1_000_000;

/// Who may use a key, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Names of peers; none: any peer with the role operator, as for keys that were made before callers were kept.
    pub callers: Option<BTreeSet<String>>,
    /// For each caller; none: as the command line says.
    pub rate: Option<Rate>,
}

fn malformed(field: &str, rule: impl Into<String>, fix: &str) -> Refusal {
    Refusal::new(Reason::Malformed, field, rule, fix)
}

/// The constraints with the burst that an absent one means: twice the rate.
pub(crate) fn with_burst(wire: wire::Constraints) -> wire::Constraints {
    let burst = wire.burst.or_else(|| wire.rate_per_second.map(|rate| rate.saturating_mul(2).min(MAX_RATE)));
    wire::Constraints { burst, ..wire }
}

/// The constraints with the callers that absent ones mean: those the key has, else those of the key above it, else who
/// has it made; never one that the key above does not allow.
pub(crate) fn with_callers(
    wire: wire::Constraints,
    has: Option<&Access>,
    above: Option<&Access>,
    maker: &str,
) -> wire::Constraints {
    if !wire.allowed_callers.is_empty() {
        return wire;
    }
    let limit = above.and_then(|above| above.callers.as_ref());
    let meant = match has {
        Some(has) => has.callers.clone(),
        None => Some(limit.cloned().unwrap_or_else(|| BTreeSet::from([maker.to_owned()]))),
    };
    let allowed = match (meant, limit) {
        (Some(meant), Some(limit)) => Some(meant.intersection(limit).cloned().collect()),
        (Some(callers), None) => Some(callers),
        (None, limit) => limit.cloned(),
    };
    wire::Constraints { allowed_callers: allowed.unwrap_or_default().into_iter().collect(), ..wire }
}

impl Access {
    /// Reads what constraints say of callers. Errors: `Malformed`, naming the field.
    pub fn parse(wire: &wire::Constraints) -> Result<Self, Refusal> {
        let names = &wire.allowed_callers;
        if names.len() > MAX_CALLERS {
            let rule = format!("{} callers are over the limit of {MAX_CALLERS}", names.len());
            return Err(malformed("allowed.callers", rule, "name fewer"));
        }
        let plain = |name: &String| {
            (1..=MAX_NAME).contains(&name.len()) && name.chars().all(|c| c.is_ascii_graphic())
        };
        if !names.iter().all(plain) {
            let rule = format!("each is 1 to {MAX_NAME} visible ASCII characters");
            return Err(malformed("allowed.callers", rule, "name peers as in the signer's peers.json"));
        }
        let rate = match (wire.rate_per_second, wire.burst) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(malformed("burst", "needs a rate", "set ratePerSecond too, or leave burst out"));
            }
            (Some(per_second), burst) => {
                let burst = burst.unwrap_or(per_second.saturating_mul(2));
                for (field, value) in [("ratePerSecond", per_second), ("burst", burst)] {
                    if !(1..=MAX_RATE).contains(&value) {
                        let rule = format!("must be 1 to {MAX_RATE}");
                        return Err(malformed(field, rule, "choose one in that range, or leave it out"));
                    }
                }
                Some(Rate { per_second, burst })
            }
        };
        Ok(Self { callers: (!names.is_empty()).then(|| names.iter().cloned().collect()), rate })
    }

    /// Which field allows more than `other` does, and why that is more; none: no field does.
    pub fn looser_than(&self, other: &Self) -> Option<(&'static str, String)> {
        match (&self.callers, &other.callers) {
            (None, Some(_)) => return Some(("allowed.callers", "they were limited".into())),
            (Some(new), Some(old)) if !new.is_subset(old) => {
                let names: Vec<_> = old.iter().map(String::as_str).collect();
                return Some(("allowed.callers", format!("only {} may be allowed", names.join(", "))));
            }
            (None | Some(_), None) | (Some(_), Some(_)) => {}
        }
        match (self.rate, other.rate) {
            (None, Some(old)) => Some(("ratePerSecond", format!("it was limited to {}", old.per_second))),
            (Some(new), Some(old)) if new.per_second > old.per_second => {
                Some(("ratePerSecond", format!("{} is over {}", new.per_second, old.per_second)))
            }
            (Some(new), Some(old)) if new.burst > old.burst => {
                Some(("burst", format!("{} is over {}", new.burst, old.burst)))
            }
            (None | Some(_), None) | (Some(_), Some(_)) => None,
        }
    }
}

/// Whether this caller may use the first of these keys, which needs the leave of all above it.
///
/// Errors: `Forbidden`; decided before anything else of the request counts, its fencing token included.
pub fn may_use(field: &str, caller: &str, line: &[Arc<Authority>]) -> Result<(), Refusal> {
    let closed = line.iter().any(|authority| {
        authority.constraints.access.callers.as_ref().is_some_and(|callers| !callers.contains(caller))
    });
    if closed {
        return Err(Refusal::new(
            Reason::Forbidden,
            field,
            format!("this key, or one above it, is not open to {caller}"),
            "ask as one of its allowed callers, or name another authority",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(callers: &[&str], rate: Option<u32>, burst: Option<u32>) -> wire::Constraints {
        wire::Constraints {
            allowed_callers: callers.iter().map(|&name| name.to_owned()).collect(),
            rate_per_second: rate,
            burst,
            ..Default::default()
        }
    }

    fn access(callers: &[&str], rate: Option<u32>, burst: Option<u32>) -> Access {
        Access::parse(&wire(callers, rate, burst)).unwrap()
    }

    #[test]
    fn what_is_no_name_or_no_rate_is_malformed() {
        for (callers, rate, burst, field) in [
            (&["a b"][..], None, None, "allowed.callers"),
            (&[""], None, None, "allowed.callers"),
            (&[], Some(0), None, "ratePerSecond"),
            (&[], Some(1), Some(0), "burst"),
            (&[], Some(MAX_RATE + 1), None, "ratePerSecond"),
            (&[], None, Some(1), "burst"),
        ] {
            let refusal = Access::parse(&wire(callers, rate, burst)).unwrap_err();
            assert_eq!((refusal.reason, refusal.field.as_str()), (Reason::Malformed, field));
        }
        let many: Vec<String> = (0..=MAX_CALLERS).map(|n| n.to_string()).collect();
        let many = wire::Constraints { allowed_callers: many, ..Default::default() };
        assert_eq!(Access::parse(&many).unwrap_err().field, "allowed.callers");
    }

    #[test]
    fn fewer_callers_and_lower_rates_are_tighter_and_nothing_else_is() {
        let now = access(&["a", "b"], Some(10), Some(20));
        for tighter in [
            access(&["a", "b"], Some(10), Some(20)),
            access(&["b"], Some(10), Some(20)),
            access(&["a", "b"], Some(1), Some(20)),
            access(&["a", "b"], Some(10), Some(1)),
        ] {
            assert_eq!(tighter.looser_than(&now), None);
            assert_eq!(tighter.looser_than(&Access::default()), None);
        }
        for (looser, field) in [
            (access(&["a", "c"], Some(10), Some(20)), "allowed.callers"),
            (access(&[], Some(10), Some(20)), "allowed.callers"),
            (access(&["a"], None, None), "ratePerSecond"),
            (access(&["a"], Some(11), Some(20)), "ratePerSecond"),
            (access(&["a"], Some(10), Some(21)), "burst"),
        ] {
            assert_eq!(looser.looser_than(&now).map(|(field, _)| field), Some(field));
        }
    }

    #[test]
    fn absent_callers_are_those_the_key_has_and_else_its_maker() {
        let callers = |has: Option<&Access>, above: Option<&Access>| {
            with_callers(wire(&[], None, None), has, above, "maker").allowed_callers
        };
        let (a, ab) = (access(&["a"], None, None), access(&["a", "b"], None, None));
        assert_eq!(callers(None, None), ["maker"]);
        assert_eq!(callers(None, Some(&ab)), ["a", "b"], "a child's are its parent's");
        assert_eq!(callers(None, Some(&Access::default())), ["maker"]);
        assert_eq!(callers(Some(&ab), None), ["a", "b"]);
        assert_eq!(callers(Some(&ab), Some(&a)), ["a"], "the parent became tighter");
        assert_eq!(callers(Some(&Access::default()), None), [""; 0], "an old key stays as it is");
        assert_eq!(callers(Some(&Access::default()), Some(&a)), ["a"]);
        assert_eq!(with_callers(wire(&["x"], None, None), None, None, "maker").allowed_callers, ["x"]);
    }
}
