//! What one end holds of the other: the keys it expects and the roots they are signed by, each with the time since when.
//! Pure.

use super::identity::{Entries, Identity};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use keywright_pki::certificate::Certificate;
use keywright_pki::pem;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Entry that says since when and until when each pin holds.
const PINS: &str = "pins.json";
/// Entry that says since when each root is trusted.
const ROOTS: &str = "roots.json";
/// How long a key that is no longer used stays pinned: longer than anybody takes to see that it is not.
const RETIRE: SignedDuration = SignedDuration::from_hours(1);

/// The key that one end expects of the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pin {
    name: String,
    role: String,
    spki_sha256: String,
    /// Seconds since the epoch: when it was first written. Of old Secrets: not known, so it counts from now.
    #[serde(default)]
    since: Option<i64>,
    /// Seconds since the epoch; after it the pin is dropped.
    until: i64,
}

impl Pin {
    /// The pin of an identity from now on.
    pub(crate) fn new(name: &str, role: &str, identity: &Identity, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            role: role.to_owned(),
            spki_sha256: identity.pin(),
            since: Some(now.as_second()),
            until: identity.certificate().validity().not_after().as_second(),
        }
    }

    /// The pins that a Secret holds; none if they do not read.
    pub(crate) fn read(data: &Entries) -> Vec<Self> {
        data.get(PINS).and_then(|bytes| serde_json::from_slice(&bytes.0).ok()).unwrap_or_default()
    }

    /// The pins that are wanted, and those of before for a little while.
    pub(crate) fn merge(before: &[Self], wanted: Vec<Self>, now: Timestamp) -> Vec<Self> {
        let retired = now.saturating_add(RETIRE).map_or(i64::MAX, Timestamp::as_second);
        let mut pins = wanted;
        for pin in &mut pins {
            if let Some(old) = before.iter().find(|old| old.spki_sha256 == pin.spki_sha256) {
                pin.since = old.since.or(pin.since);
            }
        }
        for old in before {
            let until = old.until.min(retired);
            if until > now.as_second() && pins.iter().all(|pin| pin.spki_sha256 != old.spki_sha256) {
                pins.push(Self { until, ..old.clone() });
            }
        }
        pins
    }

    /// `peers.json`, which the ends read, and `pins.json`, which is for the next look.
    pub(crate) fn entries(pins: &[Self]) -> [(String, ByteString); 2] {
        let peer = |p: &Self| json!({"name": p.name, "role": p.role, "spkiSha256": p.spki_sha256});
        let peers = json!({ "peers": pins.iter().map(peer).collect::<Vec<_>>() });
        [
            ("peers.json".to_owned(), ByteString(peers.to_string().into_bytes())),
            (PINS.to_owned(), ByteString(json!(pins).to_string().into_bytes())),
        ]
    }

    /// When it is dropped, if that is before its certificate ends.
    pub(crate) fn until(&self) -> Timestamp {
        Timestamp::from_second(self.until).unwrap_or(Timestamp::MAX)
    }
}

/// Since when the key of `identity` has been pinned.
pub(crate) fn pinned_since(pins: &[Pin], identity: &Identity) -> Option<Timestamp> {
    let pin = identity.pin();
    let since = pins.iter().find(|known| known.spki_sha256 == pin)?.since?;
    Timestamp::from_second(since).ok()
}

/// A root that one end trusts.
pub(crate) struct Root {
    certificate: Certificate,
    since: Timestamp,
}

/// `roots.json`.
#[derive(Serialize, Deserialize)]
struct Known {
    pin: String,
    since: i64,
}

impl Root {
    /// The roots that a Secret holds; those that do not read are left out.
    pub(crate) fn read(data: &Entries, now: Timestamp) -> Vec<Self> {
        let known: Vec<Known> =
            data.get(ROOTS).and_then(|bytes| serde_json::from_slice(&bytes.0).ok()).unwrap_or_default();
        let since = |certificate: &Certificate| {
            let of = pin_of(certificate);
            let known = known.iter().find(|known| known.pin == of)?;
            Timestamp::from_second(known.since).ok()
        };
        let ders = data.get("ca.crt").and_then(|bytes| pem::read_certificates(&bytes.0).ok());
        let certificates = ders.unwrap_or_default();
        let certificates = certificates.iter().filter_map(|der| Certificate::from_der(der).ok());
        certificates
            .map(|certificate| Self { since: since(&certificate).unwrap_or(now), certificate })
            .collect()
    }

    /// The root in force first, then those of before until they expire: each key is pinned besides.
    pub(crate) fn merge(before: Vec<Self>, root: &Identity, now: Timestamp) -> Vec<Self> {
        let since = trusted_since(&before, root).unwrap_or(now);
        let mut roots = vec![Self { certificate: root.certificate().clone(), since }];
        roots.extend(before.into_iter().filter(|old| {
            old.certificate.der() != root.certificate().der() && old.certificate.validity().contains(now)
        }));
        roots
    }

    /// `ca.crt`, which the ends read, and `roots.json`, which is for the next look.
    pub(crate) fn entries(roots: &[Self]) -> [(String, ByteString); 2] {
        let bundle: String = roots.iter().map(|root| root.certificate.to_pem()).collect();
        let known: Vec<Known> = roots
            .iter()
            .map(|root| Known { pin: pin_of(&root.certificate), since: root.since.as_second() })
            .collect();
        [
            ("ca.crt".to_owned(), ByteString(bundle.into_bytes())),
            (ROOTS.to_owned(), ByteString(json!(known).to_string().into_bytes())),
        ]
    }
}

/// Since when a root has been trusted.
pub(crate) fn trusted_since(roots: &[Root], root: &Identity) -> Option<Timestamp> {
    roots.iter().find(|known| known.certificate.der() == root.certificate().der()).map(|known| known.since)
}

fn pin_of(certificate: &Certificate) -> String {
    hex::encode(certificate.public_key().spki_sha256())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn pin(key: &str, since: Option<i64>, until: i64) -> Pin {
        Pin { name: "keywright-signer".into(), role: "signer".into(), spki_sha256: key.into(), since, until }
    }

    #[test]
    fn a_pin_keeps_its_beginning_and_one_that_is_not_wanted_ends_within_the_hour() {
        let merged = |before: Vec<Pin>, now| {
            let pins = Pin::merge(&before, vec![pin("new", Some(now), 90_000)], at(now));
            let read = Pin::read(&Pin::entries(&pins).into());
            read.into_iter().map(|p| (p.spki_sha256, p.since, p.until)).collect::<Vec<_>>()
        };
        let new = |since| ("new".to_owned(), Some(since), 90_000);
        assert_eq!(merged(vec![pin("new", Some(5), 90_000)], 50), [new(5)]);
        assert_eq!(merged(vec![pin("new", None, 90_000)], 50), [new(50)], "of an old Secret");
        let old = |until| ("old".to_owned(), Some(1), until);
        assert_eq!(merged(vec![pin("old", Some(1), 90_000)], 50), [new(50), old(3650)]);
        assert_eq!(merged(vec![pin("old", Some(1), 3650)], 60), [new(60), old(3650)], "it is not put off");
        assert_eq!(merged(vec![pin("old", Some(1), 3650)], 3650), [new(3650)]);
    }

    #[test]
    fn secrets_that_do_not_read_pin_nobody() {
        for text in ["", "{}", "[{}]", "null"] {
            let data = Entries::from([(PINS.to_owned(), ByteString(text.as_bytes().to_vec()))]);
            assert_eq!(Pin::read(&data), [], "{text}");
        }
    }
}
