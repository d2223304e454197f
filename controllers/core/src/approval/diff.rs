//! What changes, as people see it.

use std::collections::BTreeSet;

/// The lines of both in one order: those that begin with `+` come, with `-` go, with a blank stay.
pub(crate) fn changes(new: &BTreeSet<String>, old: &BTreeSet<String>) -> String {
    let shown = new.union(old).map(|line| {
        let sign = match (new.contains(line), old.contains(line)) {
            (true, true) => ' ',
            (true, false) => '+',
            (false, true | false) => '-',
        };
        format!("{sign} {line}\n")
    });
    shown.collect()
}
