//! The question to policies: what the signer would certify, in the words of the object's spec.

use crate::ids::Uid;
use crate::parse::{ValidEnsure, ValidIssue};
use crate::profile::Profile;
use keywright_approvals::effect::{Names, Subject, usage_names};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_policy::{About, Approval, Authority, Input, Issuer, Key, Leaf, User};
use keywright_signer_cluster::{ObjectFacts, ObjectName};
use keywright_signer_protocol::{json, v1alpha1 as wire};

/// A question, before the facts that an API server knows.
#[derive(Debug, Clone)]
pub struct Question {
    /// The object that it is for, as the asker names it.
    pub object: ObjectName,
    /// Its UID.
    pub uid: String,
    /// The authority that is to sign; none: a root signs itself.
    pub authority: Option<Uid>,
    /// Digest of the policies of the API server that the asker saw to apply; empty: it saw none, or does not say.
    pub seen: String,
    facts: wire::PolicyFacts,
    asked: keywright_policy::Question,
}

impl Question {
    /// About a leaf, or the certificate of an authority whose key is elsewhere. `profile`: the one it comes under.
    pub fn of_leaf(ask: &ValidIssue, profile: Option<&Profile>) -> Self {
        let leaf = Leaf {
            subject: serde_json::json!(Subject::from(&ask.subject)),
            names: serde_json::json!(Names::from(&ask.sans)),
            seconds: ask.duration,
            usages: usage_names(&ask.asked_usages).into_iter().collect(),
            is_ca: ask.is_ca,
            key: key(ask.public_key.algorithm()),
            subject_text: ask.subject.to_string(),
            key_algorithm: ask.public_key.algorithm().to_string(),
            public_key_sha256: hex::encode(ask.public_key.spki_sha256()),
            profile: profile.map(told),
        };
        Self {
            object: name(&ask.object),
            uid: ask.id.uid.to_string(),
            authority: Some(ask.authority),
            seen: ask.policies_seen.clone(),
            facts: ask.policy_facts.clone(),
            asked: keywright_policy::Question::leaf(leaf),
        }
    }

    /// About the certificate of an authority whose key is here.
    pub fn of_authority(ask: &ValidEnsure) -> Self {
        let asked = Authority {
            subject: serde_json::json!(Subject::from(&ask.subject)),
            seconds: ask.duration,
            key: key(ask.algorithm),
        };
        Self {
            object: name(&ask.object),
            uid: ask.id.uid.to_string(),
            authority: ask.parent,
            seen: ask.policies_seen.clone(),
            facts: ask.policy_facts.clone(),
            asked: keywright_policy::Question::authority(asked),
        }
    }

    /// The facts as the asker says them, where nobody else can be asked.
    pub fn told(&self) -> ObjectFacts {
        let labels = self.facts.labels.iter().map(|label| (label.key.clone(), label.value.clone()));
        let creator = self.facts.requester.as_ref().map(|who| keywright_approvals::Identity {
            username: who.username.clone(),
            uid: who.uid.clone(),
            groups: who.groups.iter().cloned().collect(),
            ..keywright_approvals::Identity::default()
        });
        ObjectFacts { labels: labels.collect(), creator, ..ObjectFacts::default() }
    }

    /// The input document. `approvals`: those that are given.
    pub fn input(
        self,
        facts: ObjectFacts,
        issuer: Option<ObjectName>,
        approvals: Vec<Approval>,
        now: jiff::Timestamp,
    ) -> Input {
        let user = facts.creator.unwrap_or_default();
        self.asked.about(About {
            kind: self.object.kind,
            namespace: self.object.namespace,
            name: self.object.name,
            uid: self.uid,
            labels: facts.labels,
            annotations: facts.annotations,
            user: User {
                username: user.username,
                uid: user.uid,
                groups: user.groups.into_iter().collect(),
                extra: user.extra,
            },
            issuer: issuer.map(|one| Issuer {
                namespace: Some(one.namespace).filter(|namespace| !namespace.is_empty()),
                kind: one.kind,
                name: one.name,
            }),
            approvals,
            time: now.round(jiff::Unit::Second).unwrap_or(now).to_string(),
        })
    }
}

fn name(object: &wire::ObjectRef) -> ObjectName {
    ObjectName { kind: object.kind.clone(), namespace: object.namespace.clone(), name: object.name.clone() }
}

fn told(profile: &Profile) -> keywright_policy::Profile {
    let wire = profile.wire();
    let algorithms = profile.limits.algorithms.iter().flatten();
    keywright_policy::Profile {
        name: profile.name.to_string(),
        max_seconds: wire.max_leaf_seconds,
        permitted: json::subtrees(wire.permitted.as_ref()),
        excluded: json::subtrees(wire.excluded.as_ref()),
        usages: profile.limits.usages.as_ref().map(usage_names).unwrap_or_default(),
        algorithms: algorithms.map(|algorithm| algorithm.spec().0).collect(),
        is_ca: profile.limits.allow_ca,
        approvals: json::demands(wire.approvals.as_ref()),
    }
}

fn key(algorithm: KeyAlgorithm) -> Key {
    let (algorithm, size) = algorithm.spec();
    Key { algorithm, size }
}
