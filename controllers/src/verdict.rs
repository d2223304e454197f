//! What policies say before the signer is asked: the same question as there, put to the policies that the watch brought.
//!
//! The signer's answer is the one that counts. This one spares it, and its log, what is denied anyway.

use crate::context::Context;
use keywright_approvals::records;
use keywright_crds::Policy;
use keywright_policy::{About, Approval, Denied, Input, Issuer, Member, PolicySet, Problem, Question, User};
use keywright_signer_protocol::v1alpha1::{Label, PolicyFacts, UserInfo};
use kube::ResourceExt;
use kube::api::ObjectMeta;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The policies that were compiled last, so that none is compiled twice.
#[derive(Default)]
pub struct Compiled(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    members: BTreeMap<String, (Version, Arc<Member>)>,
    /// Of these members; none: to be formed.
    set: Option<Arc<PolicySet>>,
}

/// UID and generation: a spec never changes without another of these.
type Version = (String, i64);

fn version(policy: &Policy) -> Version {
    (policy.uid().unwrap_or_default(), policy.metadata.generation.unwrap_or_default())
}

impl Compiled {
    /// What the controller of policies has read, a bundle included.
    pub(crate) fn keep(&self, policy: &Policy, member: Arc<Member>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.members.insert(policy.name_any(), (version(policy), member));
        kept.set = None;
    }

    /// These policies, compiled. `None`: a bundle is not read yet, or not where it is to be; then the signer decides alone.
    pub(crate) fn set(&self, stored: &[Arc<Policy>]) -> Option<Arc<PolicySet>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_kept = |policy: &Arc<Policy>| {
            kept.members.get(&policy.name_any()).is_some_and(|(known, _)| *known == version(policy))
        };
        if let Some(set) = &kept.set
            && kept.members.len() == stored.len()
            && stored.iter().all(is_kept)
        {
            return Some(Arc::clone(set));
        }
        let (mut members, mut is_whole) = (BTreeMap::new(), true);
        for policy in stored {
            let (name, version) = (policy.name_any(), version(policy));
            let member = match kept.members.remove(&name) {
                Some((known, member)) if known == version => member,
                Some(_) | None if policy.spec.bundle.is_some() => {
                    is_whole = false;
                    continue;
                }
                Some(_) | None => Arc::new(compile(policy)),
            };
            is_whole &= !member.problem().is_some_and(Problem::may_pass);
            members.insert(name, (version, member));
        }
        let all = members.values().map(|(_, member)| Arc::clone(member)).collect();
        kept.members = members;
        // Names are those of a map, so no two are the same.
        kept.set = PolicySet::new(all).ok().filter(|_| is_whole).map(Arc::new);
        kept.set.clone()
    }
}

/// A policy of source.
fn compile(policy: &Policy) -> Member {
    Member::read(&policy.name_any(), &serde_json::json!(policy.spec), None)
}

/// What is known around an object that a certificate is for.
pub(crate) struct Asker<'a> {
    /// Its kind.
    pub(crate) kind: &'static str,
    /// Its metadata.
    pub(crate) meta: &'a ObjectMeta,
    /// The issuer that is to sign; none: a root signs itself.
    pub(crate) issuer: Option<Issuer>,
    /// Approvals that it brings.
    pub(crate) approvals: Vec<Approval>,
}

/// What policies said, and what the signer is told of it.
pub(crate) struct Verdict {
    /// Digest of the policies that were asked; empty: none applies.
    pub(crate) seen: String,
    /// Why not, for people.
    pub(crate) denied: Option<String>,
}

/// Asks the policies of the cluster. Never on the thread of others: a slow policy takes its time.
pub(crate) async fn ask(ctx: &Context, asker: Asker<'_>, question: impl FnOnce() -> Question) -> Verdict {
    let stored = ctx.caches.policies.state();
    let set = ctx.compiled.set(&stored).filter(|set| !set.digest().is_empty());
    let Some(set) = set else { return Verdict { seen: String::new(), denied: None } };
    let now = ctx.clock.now();
    let input = input(asker, question(), now.round(jiff::Unit::Second).unwrap_or(now).to_string());
    match tokio::task::spawn_blocking(move || decide(&set, &input)).await {
        Ok(verdict) => verdict,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}

/// The words of a denial are those of the signer's refusal.
fn decide(set: &PolicySet, input: &Input) -> Verdict {
    let decision = set.decide(input);
    let denied = decision.denied();
    if let Ok(record) = serde_json::to_string(&decision.record(input)) {
        if denied.is_some() {
            tracing::info!(target: "keywright::decision", decision = decision.id, record, "policies denied");
        } else {
            tracing::debug!(target: "keywright::decision", decision = decision.id, record, "policies were asked");
        }
    }
    let denied = denied.map(|Denied { rule, fix }| format!("{rule} (decision {}); {fix}", decision.id));
    Verdict { seen: decision.policy_digest, denied }
}

fn input(asker: Asker<'_>, question: Question, time: String) -> Input {
    let Asker { kind, meta, issuer, approvals } = asker;
    let creator = records::creator(meta).unwrap_or_default();
    question.about(About {
        kind: kind.to_owned(),
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        labels: meta.labels.clone().unwrap_or_default(),
        annotations: meta.annotations.clone().unwrap_or_default(),
        user: User {
            username: creator.username,
            uid: creator.uid,
            groups: creator.groups.into_iter().collect(),
            extra: creator.extra,
        },
        issuer,
        approvals,
        time,
    })
}

/// What a signer without an API server takes the operator's word for.
pub(crate) fn facts(meta: &ObjectMeta) -> PolicyFacts {
    let requester = records::creator(meta).map(|who| UserInfo {
        username: who.username,
        uid: who.uid,
        groups: who.groups.into_iter().collect(),
        extra: Vec::new(),
    });
    let label = |(key, value): (&String, &String)| Label { key: key.clone(), value: value.clone() };
    PolicyFacts { requester, labels: meta.labels.iter().flatten().map(label).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywright_crds::{PolicySpec, RegoSource};
    use keywright_policy::Found;
    use serde_json::json;

    fn policy(name: &str, generation: i64, rego: &str) -> Arc<Policy> {
        let rego = Some(RegoSource { source: format!("package keywright\n{rego}") });
        let mut policy = Policy::new(name, PolicySpec { rego, ..PolicySpec::default() });
        policy.metadata.uid = Some(format!("uid of {name}"));
        policy.metadata.generation = Some(generation);
        Arc::new(policy)
    }

    #[test]
    fn what_did_not_change_is_not_compiled_again_and_what_is_gone_is_not_asked() {
        let compiled = Compiled::default();
        let set = |stored: &[Arc<Policy>]| compiled.set(stored).unwrap();
        assert_eq!(set(&[]).digest(), "", "no policies");
        let (one, two) = (policy("one", 1, "allow := true"), policy("two", 1, "allow := false"));
        let first = set(&[Arc::clone(&one), Arc::clone(&two)]);
        assert!(Arc::ptr_eq(&first, &set(&[Arc::clone(&two), Arc::clone(&one)])), "nothing is new");
        let denied = |set: &PolicySet| decide(set, &Input::default()).denied;
        assert!(denied(&first).is_some_and(|words| words.starts_with("policy two, rule allow: ")));
        let edited = set(&[Arc::clone(&one), policy("two", 2, "allow := true")]);
        assert_ne!(edited.digest(), first.digest());
        assert_eq!(denied(&edited), None);
        assert_ne!(set(&[one]).digest(), edited.digest());
        assert_eq!(set(&[]).digest(), "");
    }

    #[test]
    fn a_policy_that_does_not_compile_denies() {
        let set = Compiled::default().set(&[policy("broken", 1, "nonsense")]).unwrap();
        assert!(
            decide(&set, &Input::default()).denied.is_some_and(|words| words.contains("does not compile"))
        );
    }

    #[test]
    fn while_a_bundle_is_not_there_the_signer_decides_alone() {
        let compiled = Compiled::default();
        let bundle = json!({ "configMapRef": { "name": "rules", "key": "bundle" }, "digest": format!("sha256:{}", "0".repeat(64)) });
        let spec: PolicySpec = serde_json::from_value(json!({ "bundle": bundle })).unwrap();
        let mut bundled = Policy::new("bundled", spec);
        bundled.metadata.uid = Some("uid".to_owned());
        let bundled = Arc::new(bundled);
        let all = [policy("one", 1, "allow := true"), Arc::clone(&bundled)];
        assert!(compiled.set(&all).is_none(), "not read yet");
        let missing = Found::Nothing("it does not exist".to_owned());
        let member = Member::read("bundled", &json!(bundled.spec), Some(&missing));
        compiled.keep(&bundled, Arc::new(member));
        assert!(compiled.set(&all).is_none(), "not where it is to be");
        assert!(compiled.set(&all[..1]).is_some());
    }
}
