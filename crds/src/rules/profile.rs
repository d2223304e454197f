//! Rules of profiles, whose changes loosen or tighten as those of the authority that has them.
//!
//! Name constraints of profiles are judged by the signer alone: to compare each entry of each profile with each of before
//! would cost more than kube-apiserver lets a rule cost.

use kube::core::Rule;

use super::matches;
use super::transition::{unless_people_may_agree, value};

/// Names of profiles.
pub(crate) fn profile_name() -> Rule {
    matches(
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "name of a profile must be a lower-case DNS label: write letters, digits and '-', as in web-server",
    )
}

/// That a rule holds between `new`, a profile, and `old`, the one of the same name before, wherever there are both.
fn between_profiles(rule: &str) -> String {
    format!(
        "!has(self.profiles) || !has(oldSelf.profiles) || self.profiles.all(new, oldSelf.profiles.all(old, \
         old.name != new.name || {rule}))"
    )
}

/// Profiles are first set, or lose entries, and not the last one.
pub(crate) fn profiles_are_not_added() -> Rule {
    // Plain paths: behind a choice kube-apiserver knows no bound of the names any more, and takes the rule for too costly.
    unless_people_may_agree(
        "!has(oldSelf.profiles) || size(oldSelf.profiles) == 0 || (has(self.profiles) && size(self.profiles) > 0 && \
         self.profiles.all(new, oldSelf.profiles.exists(old, old.name == new.name)))",
    )
    .message(
        "authority.profiles may be set where there were none and lose entries, but not gain further ones nor lose the last, \
         after which all would be signed: restore them, remove further entries or make a new issuer",
    )
}

/// The longest life under a profile is only set or lowered.
pub(crate) fn profile_max_duration_shrinks() -> Rule {
    let pattern = super::duration_literal();
    unless_people_may_agree(&between_profiles(&format!(
        "!has(old.maxDuration) || (has(new.maxDuration) && (!new.maxDuration.matches({pattern}) || \
         duration(new.maxDuration) <= duration(old.maxDuration)))"
    )))
    .message(
        "authority.profiles[].maxDuration may only be set or lowered, never raised or removed: restore it or make a new \
         issuer",
    )
}

/// `allowed.isCA` of a profile is never granted later.
pub(crate) fn profile_is_ca_is_not_granted() -> Rule {
    let path = ["allowed", "isCA"];
    let rule = format!("!{} || {}", value("new", &path, "false"), value("old", &path, "false"));
    unless_people_may_agree(&between_profiles(&rule)).message(
        "authority.profiles[].allowed.isCA may be withdrawn but not granted later: set it to false or make a new issuer",
    )
}

/// A list of what a profile allows only loses entries, and not the last one.
pub(crate) fn profile_allowed_shrinks(field: &str) -> Rule {
    let path = ["allowed", field];
    let (new, old) = (value("new", &path, "[]"), value("old", &path, "[]"));
    let rule = format!("size({old}) == 0 || (size({new}) > 0 && {new}.all(entry, entry in {old}))");
    unless_people_may_agree(&between_profiles(&rule)).message(&*format!(
        "authority.profiles[].allowed.{field} may only lose entries, and an empty list would allow all: restore it, remove \
         further entries or make a new issuer"
    ))
}

/// A class that a profile demands stays demanded.
pub(crate) fn profile_approval_stays(field: &str) -> Rule {
    let path = ["approvals", field];
    let (new, old) = (value("new", &path, "''"), value("old", &path, "''"));
    unless_people_may_agree(&between_profiles(&format!("{old} == '' || {new} == {old}"))).message(&*format!(
        "authority.profiles[].approvals.{field} can be set once and not be changed or removed: restore it or make a new issuer"
    ))
}
