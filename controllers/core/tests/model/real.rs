//! The real decisions, asked once for each sight: a small number stands for a certificate that was really made.

use crate::scene::{MANAGER, Scene, valid};
use k8s_openapi::api::core::v1::Secret;
use keywright_controllers_core::certificate::decide::{Plan, World, decide, leaf_facts};
use keywright_controllers_core::certificate::held::{Found, read};
use keywright_controllers_core::certificate::mark;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What lies in the Secret, or was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Leaf {
    /// For which names.
    pub(crate) names: u8,
    /// Number of the issuance: with the object's UID the request key.
    pub(crate) step: u64,
    /// As which of all signatures.
    pub(crate) index: u64,
    /// For which key pair.
    pub(crate) key: u8,
}

/// All that a decision depends on here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Sight {
    /// Names that the cached spec wants.
    pub(crate) names: u8,
    /// What the cached status tells of.
    pub(crate) told: Option<Leaf>,
    /// The newest step that the signer has told of; 0: it never had to.
    pub(crate) newest: u64,
    /// What lies in the Secret now: it is read from the API server itself.
    pub(crate) secret: Option<Leaf>,
    /// Whether the signer has told it that this does not count.
    pub(crate) superseded: bool,
}

/// A plan, as far as this model goes on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask for a certificate with this number.
    Sign { step: u64 },
    /// What lies there is right; the status should tell of it.
    Tell,
}

/// Certificates and plans that were made so far.
pub(crate) struct Real {
    specs: [Scene; 2],
    secrets: Mutex<HashMap<Leaf, Secret>>,
    plans: Mutex<HashMap<Sight, Next>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Real {
    pub(crate) fn new() -> Self {
        Self { specs: [0, 1].map(spec), secrets: Mutex::default(), plans: Mutex::default() }
    }

    /// What the real `decide` says.
    pub(crate) fn plan(&self, sight: Sight) -> Next {
        if let Some(known) = lock(&self.plans).get(&sight) {
            return *known;
        }
        let scene = &self.specs[usize::from(sight.names)];
        let serial = |leaf: Leaf| {
            let Found::Ours(held) = read(Some(self.secret(leaf)), MANAGER) else {
                unreachable!("it was published")
            };
            held.leaf.expect("it was published").serial().to_string()
        };
        let published = sight.told.map(|leaf| (serial(leaf), leaf.index));
        let world = World {
            now: scene.now,
            issuer: scene.issuer.clone(),
            rivals: Vec::new(),
            found: read(sight.secret.map(|leaf| self.secret(leaf)), MANAGER),
            revision: sight.told.map_or(0, |leaf| leaf.step).max(sight.newest),
            published,
            superseded: sight.secret.filter(|_| sight.superseded).map(serial),
        };
        let next = match decide(&valid(&scene.cert), &world) {
            Plan::Sign { order } => Next::Sign { step: order.step },
            // Written again it is the same certificate.
            Plan::Rest { .. } | Plan::Republish { .. } => Next::Tell,
            Plan::Wait { .. } | Plan::Stop { .. } => {
                unreachable!("the issuer is good and the Secret is ours")
            }
        };
        lock(&self.plans).insert(sight, next);
        next
    }

    fn secret(&self, leaf: Leaf) -> Secret {
        lock(&self.secrets).entry(leaf).or_insert_with(|| made(leaf)).clone()
    }
}

fn spec(names: u8) -> Scene {
    Scene::published(|cert| cert.spec.dns_names = vec![format!("{}.example.com", char::from(b'a' + names))])
}

/// A Secret as it is published for this leaf.
fn made(leaf: Leaf) -> Secret {
    let mut scene = spec(leaf.names);
    scene.annotate(mark::REVISION, &leaf.step.to_string());
    scene.annotate(mark::LOG_INDEX, &leaf.index.to_string());
    let Found::Ours(held) = read(scene.secret.clone(), MANAGER) else { unreachable!("it was published") };
    let facts = leaf_facts(&valid(&scene.cert), &held).expect("it was published");
    scene.annotate(mark::LEAF, &facts.digest());
    scene.secret.unwrap()
}
