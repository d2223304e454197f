//! What the shared Secret holds, and what has to be done about it next.

use super::material::{self, Certificate, Pair, Unmade};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use keywright_ambient::Entropy;
use kube::api::ObjectMeta;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Name of the Secret.
pub const SECRET: &str = "keywright-webhook-tls";
/// Life of a root.
pub const ROOT_LIFE: SignedDuration = SignedDuration::from_hours(24 * 365);
/// Life of a serving certificate.
pub const LEAF_LIFE: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Entries of the Secret.
const BUNDLE: &str = "ca.crt";
const ROOT_KEY: &str = "ca.key";
const LEAF: &str = "tls.crt";
const LEAF_KEY: &str = "tls.key";
/// Annotation with the names the serving certificate is for, one a line.
const NAMES: &str = "keywright.dev/serving-names";

/// The content of the Secret.
pub struct Keys {
    /// The roots that API servers are to trust, the one that signs first.
    pub roots: Vec<Certificate>,
    root_key: Zeroizing<String>,
    /// The serving certificate and its key.
    pub leaf: Pair,
    names: Vec<String>,
}

/// What has to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is nothing that serves: make a root and a certificate of it.
    Make,
    /// The root has spent two thirds of its life: put a new one before it. What is served stays.
    NewRoot,
    /// Make a serving certificate of the first root.
    NewLeaf,
    /// Leave out roots that have expired.
    Prune,
    /// Nothing before this instant.
    Rest {
        /// When to look again.
        until: Timestamp,
    },
    /// A new root waits until API servers know it.
    Settle,
}

/// Decides the next step.
///
/// `keys`: what the Secret holds, none if it does not read. `names`: what the certificate must be for. `known`: every
/// API server has had time to learn of the first root.
pub fn decide(keys: Option<&Keys>, names: &[String], now: Timestamp, known: bool) -> Step {
    let Some(keys) = keys else { return Step::Make };
    let Some(root) = keys.roots.first().filter(|root| root.is_valid(now)) else { return Step::Make };
    let leaf = &keys.leaf.certificate;
    let (of_root, serves) = (leaf.issuer == root.subject, leaf.is_valid(now));
    if of_root && !root.lasts(now) {
        return Step::NewRoot;
    }
    if of_root && serves && leaf.lasts(now) && keys.names == names {
        return if keys.roots.iter().any(|root| !root.is_valid(now)) {
            Step::Prune
        } else {
            let ends = keys.roots.iter().map(|root| root.not_after).chain([leaf.renew_at(), root.renew_at()]);
            Step::Rest { until: ends.min().unwrap_or(now) }
        };
    }
    // A certificate of an older root serves until the new root is known; one that does not serve has nothing to lose.
    if of_root || known || !serves { Step::NewLeaf } else { Step::Settle }
}

impl Keys {
    /// New ones. `known`: roots that configurations carry already and other replicas may still serve under.
    /// `serving`: a certificate under one of them that goes on serving.
    pub fn make(
        names: &[String],
        known: &[Certificate],
        serving: Option<Pair>,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<Self, Unmade> {
        let root = material::root(entropy, now, ROOT_LIFE)?;
        let leaf = match serving {
            Some(leaf) => leaf,
            None => material::leaf(&root.certificate, &root.key, names, entropy, now, LEAF_LIFE)?,
        };
        let older = known.iter().filter(|root| root.is_valid(now)).cloned();
        let roots = std::iter::once(root.certificate).chain(older).collect();
        Ok(Self { roots, root_key: root.key, leaf, names: names.to_vec() })
    }

    /// A new root before the others, whose key is forgotten; what is served stays.
    pub fn with_new_root(mut self, entropy: &dyn Entropy, now: Timestamp) -> Result<Self, Unmade> {
        let root = material::root(entropy, now, ROOT_LIFE)?;
        self.roots.insert(0, root.certificate);
        self.root_key = root.key;
        Ok(self.pruned(now))
    }

    /// A new serving certificate of the first root.
    pub fn with_new_leaf(
        mut self,
        names: &[String],
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<Self, Unmade> {
        if let Some(root) = self.roots.first() {
            self.leaf = material::leaf(root, &self.root_key, names, entropy, now, LEAF_LIFE)?;
            self.names = names.to_vec();
        }
        Ok(self.pruned(now))
    }

    /// Without the roots that have expired.
    #[must_use]
    pub fn pruned(mut self, now: Timestamp) -> Self {
        self.roots.retain(|root| root.is_valid(now));
        self
    }

    /// The bundle for the configurations.
    pub fn bundle(&self) -> String {
        self.roots.iter().map(|root| root.pem.as_str()).collect()
    }

    /// Reads a Secret. None: an entry is missing or does not read, so all are made anew.
    pub fn of_secret(secret: &Secret) -> Option<Self> {
        let data = secret.data.as_ref()?;
        let text = |entry: &str| std::str::from_utf8(&data.get(entry)?.0).ok();
        let roots: Vec<Certificate> =
            Certificate::read_all(text(BUNDLE)?).into_iter().collect::<Result<_, _>>().ok()?;
        let certificate = Certificate::read(text(LEAF)?).ok()?;
        let names = secret.metadata.annotations.as_ref()?.get(NAMES)?;
        Some(Self {
            roots,
            root_key: Zeroizing::new(text(ROOT_KEY)?.to_owned()),
            leaf: Pair { certificate, key: Zeroizing::new(text(LEAF_KEY)?.to_owned()) },
            names: names.lines().map(str::to_owned).collect(),
        })
    }

    /// The Secret to write; `version` is the resourceVersion it must still have, none: it must not exist.
    pub fn to_secret(&self, namespace: &str, version: Option<String>) -> Secret {
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        Secret {
            metadata: ObjectMeta {
                name: Some(SECRET.to_owned()),
                namespace: Some(namespace.to_owned()),
                resource_version: version,
                annotations: Some(BTreeMap::from([(NAMES.to_owned(), self.names.join("\n"))])),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(BTreeMap::from([
                (BUNDLE.to_owned(), bytes(&self.bundle())),
                (ROOT_KEY.to_owned(), bytes(&self.root_key)),
                (LEAF.to_owned(), bytes(&self.leaf.certificate.pem)),
                (LEAF_KEY.to_owned(), bytes(&self.leaf.key)),
            ])),
            ..Secret::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywright_ambient::SystemEntropy;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap()
    }

    fn names() -> Vec<String> {
        vec!["keywright-webhook.keywright-system.svc".to_owned(), "127.0.0.1".to_owned()]
    }

    fn made() -> Keys {
        Keys::make(&names(), &[], None, &SystemEntropy, at(0)).unwrap()
    }

    fn step(keys: &Keys, day: i64, known: bool) -> Step {
        decide(Some(keys), &names(), at(day), known)
    }

    #[test]
    fn the_first_replica_makes_all_and_then_rests_until_the_leaf_is_due() {
        assert_eq!(decide(None, &names(), at(0), false), Step::Make);
        let Step::Rest { until } = step(&made(), 1, true) else { unreachable!("all is fresh") };
        assert!(until > at(19) && until < at(20), "{until}");
    }

    #[test]
    fn keys_survive_their_secret() {
        let keys = made();
        let read = Keys::of_secret(&keys.to_secret("keywright-system", None)).unwrap();
        assert_eq!((read.bundle(), &read.leaf.certificate), (keys.bundle(), &keys.leaf.certificate));
        assert_eq!(read.names, names());
        for entry in [BUNDLE, ROOT_KEY, LEAF, LEAF_KEY] {
            let mut secret = keys.to_secret("keywright-system", None);
            secret.data.as_mut().unwrap().remove(entry);
            assert!(Keys::of_secret(&secret).is_none(), "{entry}");
        }
    }

    #[test]
    fn a_leaf_is_renewed_by_the_same_root_at_two_thirds_of_its_life() {
        assert_eq!(step(&made(), 21, true), Step::NewLeaf);
        let renewed = made().with_new_leaf(&names(), &SystemEntropy, at(21)).unwrap();
        assert_eq!(renewed.roots.len(), 1);
        assert!(matches!(step(&renewed, 22, true), Step::Rest { .. }));
    }

    #[test]
    fn other_names_ask_for_another_leaf() {
        assert_eq!(decide(Some(&made()), &["elsewhere".to_owned()], at(1), true), Step::NewLeaf);
    }

    #[test]
    fn a_new_root_is_announced_before_anything_is_served_under_it() {
        let old = made().with_new_leaf(&names(), &SystemEntropy, at(240)).unwrap();
        let served = old.leaf.certificate.clone();
        assert_eq!(step(&old, 250, true), Step::NewRoot);
        let announced = old.with_new_root(&SystemEntropy, at(250)).unwrap();
        assert_eq!(announced.roots.len(), 2, "API servers are to trust both");
        assert_eq!(announced.leaf.certificate, served, "what is served stays");
        assert_eq!(step(&announced, 250, false), Step::Settle);
        assert_eq!(step(&announced, 250, true), Step::NewLeaf);
        let done = announced.with_new_leaf(&names(), &SystemEntropy, at(250)).unwrap();
        assert_eq!(done.leaf.certificate.issuer, done.roots[0].subject);
        assert_eq!(done.roots.len(), 2, "replicas that have not looked yet still serve under the old one");
        let later = done.with_new_leaf(&names(), &SystemEntropy, at(360)).unwrap();
        assert_eq!(step(&later, 366, true), Step::Prune);
        assert_eq!(later.pruned(at(366)).roots.len(), 1);
    }

    #[test]
    fn a_settling_root_is_not_waited_for_by_a_leaf_that_has_expired() {
        let announced = made().with_new_root(&SystemEntropy, at(250)).unwrap();
        assert_eq!(step(&announced, 250, false), Step::NewLeaf);
    }

    #[test]
    fn after_a_year_switched_off_everything_is_made_anew() {
        assert_eq!(step(&made(), 400, true), Step::Make);
    }

    #[test]
    fn a_deleted_secret_is_made_again_around_what_is_served() {
        let lost = made();
        let serving = Pair { certificate: lost.leaf.certificate.clone(), key: Zeroizing::new("key".into()) };
        let again = Keys::make(&names(), &lost.roots, Some(serving), &SystemEntropy, at(3)).unwrap();
        assert_eq!(again.roots[1], lost.roots[0], "the root of what is served stays trusted");
        assert_eq!(step(&again, 3, false), Step::Settle);
        assert_eq!(step(&again, 3, true), Step::NewLeaf);
    }
}
