//! What an update of an issuer may change: nothing that would loosen the authority, but where it names a class of people
//! who may agree to that. Then the edit is stored, and the signer loosens when they have.
//!
//! Absent, an empty list and an absent parent object all mean the same, on both sides of an update.

use kube::core::Rule;

use crate::{Algorithm, AuthoritySpec};

/// The attributes of a subject that are lists.
pub(crate) const SUBJECT_LISTS: [&str; 7] = [
    "organizations",
    "organizationalUnits",
    "countries",
    "localities",
    "provinces",
    "streetAddresses",
    "postalCodes",
];

/// Whether every object and field along a path is there, in CEL: `has(self.a) && has(self.a.b)`.
fn present(root: &str, path: &[&str]) -> String {
    let steps: Vec<String> =
        (1..=path.len()).map(|end| format!("has({root}.{})", path[..end].join("."))).collect();
    steps.join(" && ")
}

/// The value at a path, else `default`, in CEL.
pub(super) fn value(root: &str, path: &[&str], default: &str) -> String {
    format!("({} ? {root}.{} : {default})", present(root, path), path.join("."))
}

/// That the value at a path is as before.
fn same(path: &[&str], default: &str) -> String {
    format!("{} == {}", value("self", path, default), value("oldSelf", path, default))
}

/// Whether the authority names a class that may agree to a loosening. Of `oldSelf`: who edits cannot name one first.
const LOOSENING: &str = "has(oldSelf.approvals) && has(oldSelf.approvals.loosening)";

/// A rule on constraints, which holds where nobody may agree to break it.
pub(super) fn unless_people_may_agree(rule: &str) -> Rule {
    Rule::new(format!("({LOOSENING}) || ({rule})"))
}

/// A class for loosenings is there from the beginning, or never: else whoever may edit could name one of their own.
pub(crate) fn loosening_is_not_added() -> Rule {
    Rule::new(format!("!(has(self.approvals) && has(self.approvals.loosening)) || ({LOOSENING})")).message(
        "authority.approvals.loosening cannot be added later, as the signer fixed with the key that it becomes no looser: \
         remove it or make a new issuer with it",
    )
}

/// The member of the union stays.
pub(crate) fn member_stays() -> Rule {
    Rule::new("!has(oldSelf.authority) || has(self.authority)").message(
        "spec.authority must not be removed or replaced by another member: make a new issuer instead",
    )
}

/// A rule that a field of an authority never changes.
fn immutable(field: &str, rule: String) -> Rule {
    Rule::new(rule).message(&*format!(
        "authority.{field} is immutable, as it is part of what the signer fixed with the key: restore it or make a new \
         issuer"
    ))
}

/// The common name stays.
pub(crate) fn common_name_stays() -> Rule {
    immutable("commonName", same(&["commonName"], "''"))
}

/// The subject stays.
pub(crate) fn subject_stays() -> Rule {
    let mut parts: Vec<String> = SUBJECT_LISTS.iter().map(|list| same(&["subject", list], "[]")).collect();
    parts.push(same(&["subject", "serialNumber"], "''"));
    immutable("subject", parts.join(" && "))
}

/// The key stays, where an absent value means the default.
pub(crate) fn private_key_stays() -> Rule {
    let default = Algorithm::default();
    let algorithm = |root: &str| value(root, &["privateKey", "algorithm"], &format!("'{}'", default.name()));
    let size = |root: &str| {
        let default_size = Algorithm::ALL.iter().fold("0".to_owned(), |otherwise, candidate| match candidate
            .default_size()
        {
            Some(size) => format!("({} == '{}' ? {size} : {otherwise})", algorithm(root), candidate.name()),
            None => otherwise,
        });
        value(root, &["privateKey", "size"], &default_size)
    };
    immutable(
        "privateKey",
        format!(
            "{} == {} && {} == {}",
            algorithm("self"),
            algorithm("oldSelf"),
            size("self"),
            size("oldSelf")
        ),
    )
}

/// The parent stays.
pub(crate) fn parent_stays() -> Rule {
    immutable(
        "issuerRef",
        [same(&["issuerRef", "name"], "''"), same(&["issuerRef", "kind"], "'Issuer'")].join(" && "),
    )
}

/// URLs of one kind stay.
pub(crate) fn urls_stay(field: &str) -> Rule {
    immutable(field, same(&[field], "[]"))
}

/// The authority's own lifetime is never prolonged.
pub(crate) fn duration_shrinks() -> Rule {
    let pattern = super::duration_literal();
    let default = format!("'{}'", AuthoritySpec::DEFAULT_DURATION);
    let new = value("self", &["duration"], &default);
    let old = value("oldSelf", &["duration"], &default);
    Rule::new(format!("!{new}.matches({pattern}) || duration({new}) <= duration({old})")).message(&*format!(
        "authority.duration may only be shortened (absent means {}): lower it or make a new issuer",
        AuthoritySpec::DEFAULT_DURATION
    ))
}

/// The path length is only set or lowered.
pub(crate) fn path_length_shrinks() -> Rule {
    unless_people_may_agree(
        "!has(oldSelf.pathLength) || (has(self.pathLength) && self.pathLength <= oldSelf.pathLength)",
    )
    .message(
        "authority.pathLength may only be set or lowered, never raised or removed: restore it or make a new issuer",
    )
}

/// The longest life of a leaf is only set or lowered.
pub(crate) fn max_leaf_duration_shrinks() -> Rule {
    let pattern = super::duration_literal();
    unless_people_may_agree(&format!(
        "!has(oldSelf.maxLeafDuration) || (has(self.maxLeafDuration) && (!self.maxLeafDuration.matches({pattern}) || \
         duration(self.maxLeafDuration) <= duration(oldSelf.maxLeafDuration)))"
    ))
    .message(
        "authority.maxLeafDuration may only be set or lowered, never raised or removed: restore it or make a new issuer",
    )
}

/// `allowed.isCA` is never granted later.
pub(crate) fn is_ca_is_not_granted() -> Rule {
    let path = ["allowed", "isCA"];
    let rule = format!("!{} || {}", value("self", &path, "false"), value("oldSelf", &path, "false"));
    unless_people_may_agree(&rule).message(
        "authority.allowed.isCA may be withdrawn but not granted later: set it to false or make a new issuer",
    )
}

/// A list of what is allowed only loses entries, and not the last one.
pub(crate) fn allowed_shrinks(field: &str) -> Rule {
    let path = ["allowed", field];
    let new = value("self", &path, "[]");
    let old = value("oldSelf", &path, "[]");
    let rule = format!("size({old}) == 0 || (size({new}) > 0 && {new}.all(entry, entry in {old}))");
    unless_people_may_agree(&rule).message(&*format!(
        "authority.allowed.{field} may only lose entries, and an empty list would allow all: restore it, remove further \
         entries or make a new issuer"
    ))
}

/// A kind of name that constraints speak of.
#[derive(Clone, Copy)]
pub(crate) enum Subtree {
    DnsDomains,
    IpRanges,
    EmailAddresses,
    UriDomains,
}

impl Subtree {
    /// The field of `NameSubtrees`.
    fn field(self) -> &'static str {
        match self {
            Self::DnsDomains => "dnsDomains",
            Self::IpRanges => "ipRanges",
            Self::EmailAddresses => "emailAddresses",
            Self::UriDomains => "uriDomains",
        }
    }

    /// That `inner` lies within `outer` (RFC 5280 section 4.2.1.10), in CEL.
    fn within(self, inner: &str, outer: &str) -> String {
        let rest = match self {
            Self::DnsDomains => format!("{inner}.endsWith('.' + {outer})"),
            Self::IpRanges => format!("(isCIDR({inner}) && cidr({outer}).containsCIDR({inner}))"),
            Self::EmailAddresses => format!(
                "({outer}.startsWith('.') ? {inner}.endsWith({outer}) : {inner}.endsWith('@' + {outer}))"
            ),
            Self::UriDomains => format!("({outer}.startsWith('.') && {inner}.endsWith({outer}))"),
        };
        format!("{inner} == {outer} || {rest}")
    }
}

/// Permitted names of one kind stay within what was permitted; no entries at all would permit everything.
pub(crate) fn permitted_narrows(kind: Subtree) -> Rule {
    let field = kind.field();
    let path = ["nameConstraints", "permitted", field];
    let new = value("self", &path, "[]");
    let old = value("oldSelf", &path, "[]");
    let within = kind.within("inner", "outer");
    unless_people_may_agree(&format!(
        "size({old}) == 0 || (size({new}) > 0 && {new}.all(inner, {old}.exists(outer, {within})))"
    ))
    .message(&*format!(
        "authority.nameConstraints.permitted.{field} may only be narrowed, and an empty list would permit all: keep \
         entries that lie within the earlier ones or make a new issuer"
    ))
}

/// Excluded names of one kind stay excluded.
pub(crate) fn excluded_grows(kind: Subtree) -> Rule {
    let field = kind.field();
    let path = ["nameConstraints", "excluded", field];
    let new = value("self", &path, "[]");
    let old = value("oldSelf", &path, "[]");
    let within = kind.within("inner", "outer");
    unless_people_may_agree(&format!("{old}.all(inner, {new}.exists(outer, {within}))")).message(&*format!(
        "authority.nameConstraints.excluded.{field} may only grow: restore what was excluded or make a new issuer"
    ))
}
