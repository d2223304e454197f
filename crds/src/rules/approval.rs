//! Rules of approvals.

use kube::core::Rule;

use super::matches;
use super::transition::unless_people_may_agree;

/// Nothing of a spec ever changes.
pub(crate) fn spec_is_immutable(kind: &str) -> Rule {
    Rule::new("self == oldSelf").message(&*format!(
        "spec of an {kind} is immutable, as people decide on what they saw: make a new one"
    ))
}

/// Somebody can belong to a group.
pub(crate) fn approval_group_has_people() -> Rule {
    Rule::new("(has(self.members) && size(self.members) > 0) || (has(self.users) && size(self.users) > 0)")
        .message("groups[] has nobody in it: set members (Kubernetes groups), users, or both")
}

/// Names of groups and targets.
pub(crate) fn approval_group_name() -> Rule {
    matches(
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "must be a lower-case name: write letters, digits and '-', as in security",
    )
}

/// Actions and kinds.
pub(crate) fn action() -> Rule {
    matches("^[A-Z][A-Za-z0-9]*$", "must be one CamelCase word, as in IssueCertificate")
}

/// Digests.
pub(crate) fn effect_digest() -> Rule {
    matches(
        "^sha256:[0-9a-f]{64}$",
        "effectDigest must be sha256: and 64 lower-case hexadecimal digits: compute it over the bytes of effect",
    )
}

/// Armoured signatures.
pub(crate) fn ssh_signature() -> Rule {
    Rule::new("self.startsWith('-----BEGIN SSH SIGNATURE-----')").message(
        "signature must be the text that ssh-keygen -Y sign wrote, from -----BEGIN SSH SIGNATURE----- on",
    )
}

/// A class that an authority demands stays demanded.
pub(crate) fn approval_stays(field: &str) -> Rule {
    let path = format!("approvals.{field}");
    let present = |root: &str| format!("has({root}.approvals) && has({root}.{path})");
    unless_people_may_agree(&format!(
        "!({}) || ({} && self.{path} == oldSelf.{path})",
        present("oldSelf"),
        present("self")
    ))
    .message(&*format!(
        "authority.approvals.{field} can be set once and not be changed or removed, as the signer fixed it with the key: \
         restore it or make a new issuer"
    ))
}

/// What is final stays final, whoever writes the status. For the whole object, as `status` itself could be removed.
pub(crate) fn terminal_phase_stays() -> (&'static str, &'static str) {
    (
        "!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase in ['Pending', 'Approved', 'Consumed'] \
         || (has(self.status) && has(self.status.phase) && self.status.phase == oldSelf.status.phase)",
        "status.phase is final: a request that was denied, revoked, expired, withdrawn, superseded or ended stays so; make \
         a new one",
    )
}

/// What was used stays used.
pub(crate) fn consumed_is_not_forgotten() -> (&'static str, &'static str) {
    (
        "!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase != 'Consumed' \
         || (has(self.status) && has(self.status.phase) && self.status.phase in ['Consumed', 'Ended', 'Revoked'])",
        "status.phase Consumed can only become Ended or Revoked: the effect has happened; make a new request for another",
    )
}

/// The class at filing stays.
pub(crate) fn filed_under_stays() -> (&'static str, &'static str) {
    (
        "!has(oldSelf.status) || !has(oldSelf.status.filedUnder) \
         || (has(self.status) && has(self.status.filedUnder) && self.status.filedUnder == oldSelf.status.filedUnder)",
        "status.filedUnder is fixed once it is set: the class as it was at filing does not change; make a new request",
    )
}
