//! What goes wrong with a mutating request, and when.

use super::{Kind, Verb};
use std::collections::BTreeMap;

/// What goes wrong. The `After` ones are carried out first: the caller cannot know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused with this HTTP status.
    Refuse(u16),
    /// Carried out, and answered with this HTTP status.
    RefuseAfter(u16),
    /// The connection breaks before.
    Break,
    /// The connection breaks after.
    BreakAfter,
    /// Never answered, not carried out.
    Halt,
    /// Carried out and never answered: here the caller's process ends.
    HaltAfter,
}

#[derive(Default)]
pub(super) struct Faults {
    pub(super) down: bool,
    by_number: BTreeMap<usize, Fault>,
    by_kind: Vec<(Kind, Verb, usize, Fault)>,
}

impl Faults {
    pub(super) fn at(&mut self, n: usize, fault: Fault) {
        self.by_number.insert(n, fault);
    }

    pub(super) fn next(&mut self, kind: Kind, verb: Verb, times: usize, fault: Fault) {
        self.by_kind.push((kind, verb, times, fault));
    }

    /// What is to go wrong with the `n`th mutating request.
    pub(super) fn take(&mut self, n: usize, kind: Kind, verb: Verb) -> Option<Fault> {
        if let Some(fault) = self.by_number.remove(&n) {
            return Some(fault);
        }
        let due = self.by_kind.iter_mut().find(|(k, v, times, _)| (*k, *v) == (kind, verb) && *times > 0)?;
        due.2 -= 1;
        Some(due.3)
    }
}
