//! Where policies come from: a folder that is read once, and the API server.

use super::question::Question;
use super::verdict::Verdict;
use jiff::{SignedDuration, Timestamp};
use keywright_ambient::Clock;
use keywright_policy::{Approval, BundleRef, Found, Input, Member, PolicySet, Problem};
use keywright_signer_cluster::{ObjectName, PolicySource, ReadError, StoredPolicy};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;

/// How old the list of policies may be: within this time an edited policy holds here.
const FRESH: SignedDuration = SignedDuration::from_secs(2);
/// Issuers whose names are kept; more than any cluster has.
const ISSUERS: usize = 10_000;

/// The policies of this signer.
#[derive(Clone, Default)]
pub struct Policies {
    fixed: Vec<Arc<Member>>,
    fixed_set: Arc<PolicySet>,
    cluster: Option<Arc<Cluster>>,
}

struct Cluster {
    source: Arc<dyn PolicySource>,
    kept: Mutex<Kept>,
}

/// The policies in force.
#[derive(Clone)]
struct InForce {
    set: Arc<PolicySet>,
    /// Those of the API server alone: what an asker sees.
    own: Arc<PolicySet>,
}

#[derive(Default)]
struct Kept {
    read: Option<(Timestamp, InForce)>,
    members: BTreeMap<String, (Value, Arc<Member>)>,
    issuers: BTreeMap<String, ObjectName>,
}

/// A folder of policies that cannot be used. The signer does not start with it.
#[derive(Debug, thiserror::Error)]
#[error("policies in {path}: {problem}")]
pub struct PolicyFolderError {
    path: String,
    problem: String,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    spec: Value,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

impl Policies {
    /// Of a folder with objects of kind Policy, and ConfigMaps with their bundles, in YAML. `with_cluster`: those of an API
    /// server come beside them.
    ///
    /// Errors: a file does not read; a policy does not compile; two have one name; or one is about issuers by name, of
    /// which a signer without an API server knows nothing.
    pub fn read(folder: Option<&Path>, with_cluster: bool) -> Result<Self, PolicyFolderError> {
        let fixed = folder.map(read_folder).transpose()?.unwrap_or_default();
        let in_folder = |problem: String| PolicyFolderError {
            path: folder.map(|path| path.display().to_string()).unwrap_or_default(),
            problem,
        };
        for member in &fixed {
            if let Some(problem) = member.problem() {
                return Err(in_folder(format!("{} cannot be asked: {problem}", member.name())));
            }
            if !with_cluster && member.names_issuers() {
                return Err(in_folder(format!(
                    "{} names issuers, whose names a signer without --kubeconfig does not know; leave them out",
                    member.name()
                )));
            }
        }
        let fixed_set = PolicySet::new(fixed.clone()).map_err(|same| in_folder(same.to_string()))?;
        Ok(Self { fixed, fixed_set: Arc::new(fixed_set), cluster: None })
    }

    /// Beside these, those of an API server.
    #[must_use]
    pub fn and_of(self, source: Arc<dyn PolicySource>) -> Self {
        Self { cluster: Some(Arc::new(Cluster { source, kept: Mutex::default() })), ..self }
    }

    /// Asks them. `question`: forms it, where there is anybody to ask; `approvals`: those that are given and may be used.
    pub async fn ask(
        &self,
        question: impl FnOnce() -> Question,
        approvals: Vec<Approval>,
        clock: &dyn Clock,
    ) -> Verdict {
        if self.cluster.is_none() && self.fixed_set.digest().is_empty() {
            return Verdict::default();
        }
        match self.answer(question(), approvals, clock).await {
            Ok(verdict) => verdict,
            Err(error) => Verdict::unread(&error.to_string()),
        }
    }

    async fn answer(
        &self,
        question: Question,
        approvals: Vec<Approval>,
        clock: &dyn Clock,
    ) -> Result<Verdict, ReadError> {
        // What a policy was shown it may have counted on: so it has to hold for this effect, and is used up by it.
        let shown: Vec<String> = approvals.iter().map(|approval| approval.class.clone()).collect();
        let Some(cluster) = &self.cluster else {
            // Whoever asks saw policies that this signer knows nothing of.
            let facts = question.told();
            let input = question.input(facts, None, approvals, clock.now());
            return Ok(decide(Arc::clone(&self.fixed_set), input).await?.and_classes(shown));
        };
        let seen = question.seen.clone();
        // Whoever saw some where none are known here knows more.
        let known = |found: &InForce| seen.is_empty() || !found.set.digest().is_empty();
        let mut in_force = cluster.in_force(&self.fixed, clock, known).await?;
        if in_force.set.digest().is_empty() {
            return Ok(if seen.is_empty() { Verdict::default() } else { Verdict::stale("") });
        }
        let Some(facts) = cluster.source.object(&question.object, &question.uid).await? else {
            let ObjectName { kind, namespace, name } = &question.object;
            let named = format!("{kind} {namespace}/{name}");
            return Ok(Verdict::without_object(in_force.set.digest(), &named));
        };
        let issuer = match question.authority {
            Some(uid) => Some(cluster.issuer(&uid.to_string()).await?),
            None => None,
        };
        let input = question.input(facts, issuer, approvals, clock.now());
        let are_those_seen = |found: &InForce| seen.is_empty() || found.own.digest_for(&input) == seen;
        if !are_those_seen(&in_force) {
            in_force = cluster.in_force(&self.fixed, clock, are_those_seen).await?;
            if !are_those_seen(&in_force) {
                return Ok(Verdict::stale(&in_force.set.digest_for(&input)));
            }
        }
        Ok(decide(in_force.set, input).await?.and_classes(shown))
    }
}

/// Asks them, where a slow policy does not hold up whoever is served beside it.
async fn decide(set: Arc<PolicySet>, input: Input) -> Result<Verdict, ReadError> {
    let decided = tokio::task::spawn_blocking(move || (set.decide(&input), input)).await;
    let (decision, input) = decided.map_err(|ended| ReadError::Unavailable(ended.to_string()))?;
    if let Ok(record) = serde_json::to_string(&decision.record(&input)) {
        tracing::debug!(target: "keywright::decision", decision = decision.id, record, "policies were asked");
    }
    Ok(Verdict::of(decision))
}

impl Cluster {
    /// The policies, read again if they are older than [`FRESH`] or not `wanted`; what did not change is not compiled again.
    async fn in_force(
        &self,
        fixed: &[Arc<Member>],
        clock: &dyn Clock,
        wanted: impl Fn(&InForce) -> bool,
    ) -> Result<InForce, ReadError> {
        let mut kept = self.kept.lock().await;
        // A clock that was set back makes the list look younger than it is, or from the future: then it is read again.
        let now = clock.now();
        if let Some((at, in_force)) = &kept.read
            && (SignedDuration::ZERO..FRESH).contains(&now.duration_since(*at))
            && wanted(in_force)
        {
            return Ok(in_force.clone());
        }
        let stored = self.source.policies().await?;
        let mut members = BTreeMap::new();
        for StoredPolicy { name, spec } in stored {
            let member = match kept.members.remove(&name) {
                Some((old, member)) if old == spec && !member.problem().is_some_and(Problem::may_pass) => {
                    member
                }
                Some(_) | None => self.load(&name, &spec).await?,
            };
            members.insert(name, (spec, member));
        }
        let own: Vec<Arc<Member>> = members.values().map(|(_, member)| Arc::clone(member)).collect();
        let all = own.iter().chain(fixed).cloned().collect();
        kept.members = members;
        let of = |members| PolicySet::new(members).map_err(|same| ReadError::Unavailable(same.to_string()));
        let in_force = InForce { set: Arc::new(of(all)?), own: Arc::new(of(own)?) };
        kept.read = Some((now, in_force.clone()));
        Ok(in_force)
    }

    /// Reads a policy, with its bundle if it has one.
    async fn load(&self, name: &str, spec: &Value) -> Result<Arc<Member>, ReadError> {
        let found = match BundleRef::of(spec) {
            None => None,
            Some(at) => Some(self.source.bundle(&at).await?),
        };
        let (name, spec) = (name.to_owned(), spec.clone());
        // To load a bundle takes some tenths of a second, which must not hold up whoever is served beside it.
        let loaded = tokio::task::spawn_blocking(move || Member::read(&name, &spec, found.as_ref())).await;
        loaded.map(Arc::new).map_err(|ended| ReadError::Unavailable(ended.to_string()))
    }

    /// The issuer that has an authority; its names are for ever. Errors: none has it, or nobody can be asked.
    async fn issuer(&self, uid: &str) -> Result<ObjectName, ReadError> {
        if let Some(known) = self.kept.lock().await.issuers.get(uid) {
            return Ok(known.clone());
        }
        let found = self.source.issuer(uid).await?;
        let found = found.ok_or_else(|| ReadError::Unavailable(format!("no issuer has UID {uid}")))?;
        let mut kept = self.kept.lock().await;
        if kept.issuers.len() >= ISSUERS {
            kept.issuers.clear();
        }
        kept.issuers.insert(uid.to_owned(), found.clone());
        Ok(found)
    }
}

fn read_folder(folder: &Path) -> Result<Vec<Arc<Member>>, PolicyFolderError> {
    let failed = |path: &Path, problem: &dyn std::fmt::Display| PolicyFolderError {
        path: path.display().to_string(),
        problem: problem.to_string(),
    };
    let entries = std::fs::read_dir(folder).map_err(|error| failed(folder, &error))?;
    let (mut policies, mut config_maps) = (Vec::new(), Vec::new());
    for entry in entries {
        let path = entry.map_err(|error| failed(folder, &error))?.path();
        if !path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
        let objects: Vec<Value> =
            serde_saphyr::from_multiple(&text).map_err(|error| failed(&path, &error))?;
        for object in objects {
            match object.get("kind").and_then(Value::as_str) {
                Some("Policy") => {
                    policies.push(Object::deserialize(object).map_err(|error| failed(&path, &error))?);
                }
                Some("ConfigMap") => config_maps.push(object),
                other => {
                    return Err(failed(&path, &format!("kind {other:?} is neither Policy nor ConfigMap")));
                }
            }
        }
    }
    let member = |Object { metadata, spec }: Object| {
        let found = BundleRef::of(&spec).map(|at| Found::among(&config_maps, &at));
        Arc::new(Member::read(&metadata.name, &spec, found.as_ref()))
    };
    Ok(policies.into_iter().map(member).collect())
}
