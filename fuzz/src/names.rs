//! Names and the constraints on them.

use keywright_pki::certificate::Serial;
use keywright_pki::constraints::{NameConstraints, Subtrees};
use keywright_pki::name::{DistinguishedName, DnsName, EmailAddress, SubjectAltNames, Uri};
use keywright_pki::usage::Usages;

/// Every name: what reads is shown and read again the same.
pub fn names(bytes: &[u8]) {
    if let Ok(name) = DistinguishedName::from_der(bytes) {
        let der = name.to_der().expect("a name that was read keeps its own bounds");
        assert_eq!(DistinguishedName::from_der(&der).as_ref(), Ok(&name));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(name) = DnsName::parse(text) {
        assert_eq!(DnsName::parse(name.as_str()).as_ref(), Ok(&name));
    }
    if let Ok(address) = EmailAddress::parse(text) {
        assert_eq!(EmailAddress::parse(address.as_str()).as_ref(), Ok(&address));
        assert!(DnsName::parse(address.domain()).is_ok_and(|name| name.wildcard_base().is_none()));
    }
    if let Ok(uri) = Uri::parse(text) {
        assert_eq!(uri.as_str(), text);
        assert!(uri.host().is_none_or(|host| !host.is_empty() && text.contains(host)));
    }
    if let Ok(name) = DistinguishedName::with_common_name(text) {
        let der = name.to_der().expect("a name within its bounds can be written");
        assert_eq!(DistinguishedName::from_der(&der).as_ref(), Ok(&name));
    }
    if let Ok(serial) = text.parse::<Serial>() {
        assert_eq!(Serial::from_bytes(serial.as_bytes()).as_ref(), Ok(&serial));
    }
    let _ = Usages::parse(&[text]);
    let lines: Vec<&str> = text.lines().collect();
    if let Ok(sans) = SubjectAltNames::parse(&lines, &lines, &lines, &lines) {
        assert!(sans.len() <= 4 * lines.len());
    }
}

/// What a text of the constraints target says, line by line.
#[derive(Default)]
struct Case<'a> {
    sets: [[Vec<&'a str>; 4]; 5],
    common_name: Option<&'a str>,
}

/// Lines "set kind text". Sets: p and x, permitted and excluded by the newer constraints; P and X by the older; n, the
/// names of a certificate. Kinds: d, i, e, u, and c for a common name.
fn case(text: &str) -> Case<'_> {
    let mut case = Case::default();
    for line in text.lines().take(256) {
        let mut parts = line.splitn(3, ' ');
        let (Some(set), Some(kind), Some(value)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let set = ["p", "x", "P", "X", "n"].iter().position(|one| *one == set);
        let kind = ["d", "i", "e", "u", "c"].iter().position(|one| *one == kind);
        match (set, kind) {
            (Some(4), Some(4)) => case.common_name = Some(value),
            (Some(set), Some(kind)) => {
                if let Some(list) = case.sets.get_mut(set).and_then(|lists| lists.get_mut(kind)) {
                    list.push(value);
                }
            }
            _ => {}
        }
    }
    case
}

/// Name constraints: DER reads back; when newer ones are no looser than older, no name passes the newer but not the
/// older.
pub fn constraints(bytes: &[u8]) {
    if let Ok(read) = NameConstraints::from_der(bytes) {
        let der = read.to_der().expect("constraints that were read can be written");
        assert_eq!(NameConstraints::from_der(&der).as_ref(), Ok(&read));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Case { sets: [p, x, old_p, old_x, n], common_name } = case(text);
    let read = |[dns, ips, emails, uris]: &[Vec<&str>; 4]| Subtrees::parse("f", dns, ips, emails, uris);
    let (Ok(permitted), Ok(excluded)) = (read(&p), read(&x)) else { return };
    let newer = NameConstraints { permitted, excluded };
    let der = newer.to_der().expect("constraints that were parsed can be written");
    assert_eq!(NameConstraints::from_der(&der).as_ref(), Ok(&newer));
    assert_eq!(newer.is_no_looser_than(&newer), Ok(()));
    let (Ok(permitted), Ok(excluded)) = (read(&old_p), read(&old_x)) else { return };
    let older = NameConstraints { permitted, excluded };
    let Ok(sans) = SubjectAltNames::parse(&n[0], &n[1], &n[2], &n[3]) else { return };
    let subject =
        DistinguishedName { common_name: common_name.map(str::to_owned), ..DistinguishedName::default() };
    if newer.is_no_looser_than(&older).is_ok() && newer.check(&subject, &sans).is_ok() {
        assert_eq!(older.check(&subject, &sans), Ok(()), "tighter constraints allow nothing more");
    }
}
