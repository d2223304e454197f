//! What the watches have brought: objects, who claims which Secret, and what a glance at our Secrets shows.

use crate::scope::{Pens, Scope, Shelf, shelf};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use keywright_approvals::EffectDigest;
use keywright_controllers_core::approval::consent::{Filed, request_name};
use keywright_controllers_core::certificate::decide::{Glance, Rival};
use keywright_controllers_core::certificate::mark;
use keywright_controllers_core::issuer::standing::{read, standing};
use keywright_controllers_core::issuer::{Authority, Standing};
use keywright_crds::{
    AnyIssuer, ApprovalClass, ApprovalDecision, ApprovalRequest, Certificate, ClusterIssuer, Issuer,
    IssuerKind, IssuerRef, Policy, TargetRef,
};
use kube::ResourceExt;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Namespace and name.
type Place = (String, String);
type Read = Result<Arc<Authority>, String>;

/// Filled by [`crate::watch`], read by every look.
pub struct Caches {
    /// Certificates.
    pub certificates: Shelf<Certificate>,
    /// Issuers.
    pub issuers: Shelf<Issuer>,
    /// Cluster issuers.
    pub cluster_issuers: Shelf<ClusterIssuer>,
    /// Classes of approval.
    pub classes: Shelf<ApprovalClass>,
    /// Requests for approval.
    pub requests: Shelf<ApprovalRequest>,
    /// Votes.
    pub votes: Shelf<ApprovalDecision>,
    /// Policies.
    pub policies: Shelf<Policy>,
    /// Mostly one for each place, so a list is smallest.
    claims: Mutex<HashMap<Place, Vec<String>>>,
    glances: Mutex<HashMap<Place, Glance>>,
    /// Requests by UID of their target, and votes by UID of their request.
    about: Mutex<HashMap<String, Vec<Place>>>,
    authorities: Mutex<HashMap<String, (String, Read)>>,
    breaks: Mutex<BTreeMap<String, u64>>,
}

/// The writing ends, for the watches alone.
pub struct Writers {
    /// What is served: also what Secrets are watched in.
    pub(crate) scope: Scope,
    /// The operator's own namespace, where bundles of policies lie.
    pub(crate) own: String,
    pub(crate) certificates: Pens<Certificate>,
    pub(crate) issuers: Pens<Issuer>,
    pub(crate) cluster_issuers: Pens<ClusterIssuer>,
    pub(crate) classes: Pens<ApprovalClass>,
    pub(crate) requests: Pens<ApprovalRequest>,
    pub(crate) votes: Pens<ApprovalDecision>,
    pub(crate) policies: Pens<Policy>,
}

/// Empty caches and their writing ends. `home`: the operator's own namespace, where people are asked about cluster issuers.
pub fn caches(scope: Scope, home: &str) -> (Caches, Writers) {
    let (certificates, certificate_pens) = shelf(scope.parts());
    let (issuers, issuer_pens) = shelf(scope.parts());
    let (cluster_issuers, cluster_issuer_pens) = shelf(vec![None]);
    let (classes, class_pens) = shelf(vec![None]);
    let (requests, request_pens) = shelf(scope.parts_with(home));
    let (votes, vote_pens) = shelf(scope.parts_with(home));
    let (policies, policy_pens) = shelf(vec![None]);
    let writers = Writers {
        scope,
        own: home.to_owned(),
        certificates: certificate_pens,
        issuers: issuer_pens,
        cluster_issuers: cluster_issuer_pens,
        classes: class_pens,
        requests: request_pens,
        votes: vote_pens,
        policies: policy_pens,
    };
    let caches = Caches {
        certificates,
        issuers,
        cluster_issuers,
        classes,
        requests,
        votes,
        policies,
        claims: Mutex::default(),
        glances: Mutex::default(),
        about: Mutex::default(),
        authorities: Mutex::default(),
        breaks: Mutex::default(),
    };
    (caches, writers)
}

impl Caches {
    /// The watch of a kind broke: what is cached is older than what is, until it is taken up again.
    pub(crate) fn broke(&self, kind: &str) {
        *lock(&self.breaks).entry(kind.to_owned()).or_default() += 1;
    }

    /// How often the watches of each kind have broken.
    pub(crate) fn breaks(&self) -> BTreeMap<String, u64> {
        lock(&self.breaks).clone()
    }

    /// Whether the issuer of this kind and name, as `namespace` sees it, can sign at `now`.
    pub fn standing(&self, reference: &IssuerRef, namespace: &str, now: Timestamp) -> Standing {
        let read = match reference.kind {
            IssuerKind::Issuer => self
                .issuers
                .get(&ObjectRef::new(&reference.name).within(namespace))
                .map(|i| self.read(i.as_ref())),
            IssuerKind::ClusterIssuer => {
                self.cluster_issuers.get(&ObjectRef::new(&reference.name)).map(|i| self.read(i.as_ref()))
            }
        };
        standing(read.as_ref(), now)
    }

    /// Reads an issuer once for each of its versions, as a thousand certificates ask for the same one.
    fn read<I: AnyIssuer>(&self, issuer: &I) -> Read {
        let meta = issuer.meta();
        let uid = meta.uid.clone().unwrap_or_default();
        let version = meta.resource_version.clone().unwrap_or_default();
        if let Some((known, read)) = lock(&self.authorities).get(&uid)
            && *known == version
        {
            return read.clone();
        }
        let read = read(issuer).map(Arc::new);
        lock(&self.authorities).insert(uid, (version, read.clone()));
        read
    }

    /// The other Certificates that name the same Secret as `cert`.
    pub fn rivals(&self, cert: &Certificate) -> Vec<Rival> {
        let Some(place) = place(cert) else { return Vec::new() };
        let names = lock(&self.claims).get(&place).cloned().unwrap_or_default();
        let age = |c: &Certificate| (c.creation_timestamp().map(|t| t.0), c.uid());
        let ours = age(cert);
        names
            .iter()
            .filter(|name| **name != cert.name_any())
            .filter_map(|name| self.certificates.get(&ObjectRef::new(name).within(&place.0)))
            .filter(|other| other.spec.secret_name == place.1)
            .map(|other| Rival {
                name: other.name_any(),
                uid: other.uid().unwrap_or_default(),
                older: age(&other) < ours,
            })
            .collect()
    }

    /// What was last seen of a Secret of ours.
    pub fn glance(&self, namespace: &str, secret: &str) -> Option<Glance> {
        lock(&self.glances).get(&(namespace.to_owned(), secret.to_owned())).cloned()
    }

    /// Names of the Certificates that name this Secret.
    pub fn claimants(&self, namespace: &str, secret: &str) -> Vec<String> {
        let claims = lock(&self.claims);
        claims.get(&(namespace.to_owned(), secret.to_owned())).into_iter().flatten().cloned().collect()
    }

    /// The requests that were filed for this effect of this object, and the votes for each.
    pub fn filed(&self, target: &TargetRef, effect: &EffectDigest, again: Option<&str>) -> Vec<Filed> {
        let digest = effect.to_string();
        self.about(&target.uid)
            .iter()
            .filter_map(|(namespace, name)| self.requests.get(&ObjectRef::new(name).within(namespace)))
            .filter(|request| request.spec.target_ref == *target && request.spec.effect_digest == digest)
            // One that somebody else filed is theirs to withdraw, and decides nothing here.
            .filter(|request| {
                request.name_any() == request_name(target, effect, &request.spec.approval_class, again)
            })
            .map(|request| Filed { votes: self.votes_for(&request.uid().unwrap_or_default()), request })
            .collect()
    }

    /// Namespace and name of what was noted about the object with this UID.
    pub(crate) fn about(&self, uid: &str) -> Vec<Place> {
        lock(&self.about).get(uid).cloned().unwrap_or_default()
    }

    /// The votes for a request.
    pub fn votes_for(&self, request_uid: &str) -> Vec<Arc<ApprovalDecision>> {
        self.about(request_uid)
            .iter()
            .filter_map(|(namespace, name)| self.votes.get(&ObjectRef::new(name).within(namespace)))
            .filter(|vote| vote.spec.request_ref.uid == request_uid)
            .collect()
    }

    /// A request or a vote came, about the object with this UID.
    pub(crate) fn note<K: kube::Resource>(&self, uid: &str, object: &K) {
        let place = (object.namespace().unwrap_or_default(), object.name_any());
        let mut about = lock(&self.about);
        let places = about.entry(uid.to_owned()).or_default();
        if !places.contains(&place) {
            places.push(place);
        }
    }

    /// A request or a vote is gone.
    pub(crate) fn drop_note<K: kube::Resource>(&self, uid: &str, object: &K) {
        let place = (object.namespace().unwrap_or_default(), object.name_any());
        let mut about = lock(&self.about);
        if let Some(places) = about.get_mut(uid) {
            places.retain(|known| *known != place);
            if places.is_empty() {
                about.remove(uid);
            }
        }
    }

    /// A Certificate came or changed: it claims its Secret. Claims on other Secrets that it made before stay; `rivals`
    /// sees through them.
    pub(crate) fn claim(&self, cert: &Certificate) {
        if let Some(place) = place(cert) {
            let (name, mut claims) = (cert.name_any(), lock(&self.claims));
            let names = claims.entry(place).or_insert_with(|| Vec::with_capacity(1));
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }

    /// A Certificate is gone.
    pub(crate) fn unclaim(&self, cert: &Certificate) {
        let Some(place) = place(cert) else { return };
        let mut claims = lock(&self.claims);
        if let Some(names) = claims.get_mut(&place) {
            names.retain(|name| *name != cert.name_any());
            if names.is_empty() {
                claims.remove(&place);
            }
        }
    }

    /// A Secret of ours came or changed.
    pub(crate) fn glimpse(&self, secret: &PartialObjectMeta<Secret>) {
        let mark = |name| secret.annotations().get(name).cloned().unwrap_or_default();
        let glance = Glance {
            version: secret.resource_version().unwrap_or_default(),
            made_from: mark(mark::PUBLICATION),
            leaf: mark(mark::LEAF),
        };
        lock(&self.glances).insert(secret_place(secret), glance);
    }

    /// A Secret of ours is gone, or is no longer marked.
    pub(crate) fn lose(&self, secret: &PartialObjectMeta<Secret>) {
        lock(&self.glances).remove(&secret_place(secret));
    }

    /// A watch of Secrets starts over: of what it sees, only what it shows from now on counts.
    pub(crate) fn forget_secrets(&self, part: Option<&str>) {
        lock(&self.glances).retain(|(namespace, _), _| part.is_some_and(|part| part != namespace));
    }
}

fn place(cert: &Certificate) -> Option<Place> {
    Some((cert.namespace()?, cert.spec.secret_name.clone()))
}

fn secret_place(secret: &PartialObjectMeta<Secret>) -> Place {
    (secret.namespace().unwrap_or_default(), secret.name_any())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
