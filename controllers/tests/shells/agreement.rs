//! What the test signer knows of people's agreement: it reads the requests in the cluster itself, as the real one does.

use keywright_approvals::EffectDigest;
use keywright_approvals::effect::canonical;
use keywright_controllers::signer::{EndReport, SignerError, Told};
use keywright_crds::{ApprovalDecision, ApprovalRequest};
use keywright_pki::key::PublicKey;
use keywright_signer_protocol::{json, v1alpha1 as wire};
use keywright_testkit::FakeCluster;
use kube::ResourceExt;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct Agreement {
    cluster: FakeCluster,
    /// UIDs of requests whose approval was used.
    used: BTreeSet<String>,
    /// Digest of the policies in force.
    pub(crate) policies: String,
    /// Requests whose end is told: UID, and names of the votes that were there then. None: it reads no records.
    pub(crate) ended: Option<BTreeMap<String, Vec<String>>>,
}

impl Agreement {
    pub(crate) fn new(cluster: FakeCluster) -> Self {
        Self { cluster, used: BTreeSet::new(), policies: String::new(), ended: Some(BTreeMap::new()) }
    }

    /// Tells the end of a request, once, with the votes that are there.
    pub(crate) fn tell_end(
        &mut self,
        request: &wire::LogEndedApprovalRequest,
    ) -> Result<EndReport, SignerError> {
        let Some(ended) = &mut self.ended else { return Ok(EndReport::NoRecords) };
        if ended.contains_key(&request.uid) {
            return Ok(EndReport::Logged);
        }
        let found = self.cluster.get::<ApprovalRequest>(&request.namespace, &request.name);
        if found.and_then(|found| found.uid()).as_ref() != Some(&request.uid) {
            return Err(SignerError::Refused("there is no such request".into()));
        }
        let votes = self.cluster.all::<ApprovalDecision>().into_iter();
        let votes = votes.filter(|vote| vote.spec.request_ref.uid == request.uid);
        ended.insert(request.uid.clone(), votes.map(|vote| vote.name_any()).collect());
        Ok(EndReport::Logged)
    }

    /// Whether a class agreed to a leaf. Uses the approval up.
    pub(crate) fn use_for_leaf(
        &mut self,
        class: &str,
        request: &wire::IssueRequest,
        (key, generation, profile): (&PublicKey, u64, Option<&str>),
    ) -> Result<(), SignerError> {
        let mut effect = leaf(request, key, generation, &self.policies);
        if let Some(profile) = profile {
            effect["profile"] = json!(profile);
        }
        self.use_up(class, &request.approvals, &effect, None)
    }

    /// Whether a class agreed to the certificate of an authority. `parent`: generation of the parent, where there is one.
    pub(crate) fn use_for_authority(
        &mut self,
        class: &str,
        request: &wire::EnsureAuthorityRequest,
        parent: Option<u64>,
    ) -> Result<(), SignerError> {
        let (id, object) = (request.request_key.clone().unwrap(), request.object.clone().unwrap());
        let mut effect = json!({
            "action": "CertifyAuthority", "step": id.step, "subject": {}, "keyAlgorithm": request.key_algorithm,
            "authority": {"uid": id.object_uid, "namespace": object.namespace, "name": object.name},
            "durationSeconds": request.duration_seconds, "policyDigest": self.policies,
            "constraints": json::constraints(&request.constraints.clone().unwrap_or_default()),
        });
        if let Some(generation) = parent {
            effect["parent"] = json!({"uid": request.parent_uid, "generation": generation});
        }
        self.use_up(class, &request.approvals, &effect, Some(String::new()))
    }

    /// Whether a class agreed to looser constraints. `held`: those in force.
    pub(crate) fn use_for_loosening(
        &mut self,
        class: &str,
        request: &wire::EnsureAuthorityRequest,
        held: &wire::Constraints,
    ) -> Result<(), SignerError> {
        let id = request.request_key.clone().unwrap();
        let effect = json!({
            "action": "LoosenAuthority", "authorityKeyId": "00",
            "constraints": json::constraints(&request.constraints.clone().unwrap_or_default()),
            "issuer": {"generation": request.generation, "uid": id.object_uid},
        });
        self.use_up(class, &request.approvals, &effect, Some(json::constraints(held).to_string()))
    }

    /// `told`: constraints in force, where the asker is told the effect.
    fn use_up(
        &mut self,
        class: &str,
        brought: &[wire::ApprovalUse],
        effect: &Value,
        told: Option<String>,
    ) -> Result<(), SignerError> {
        let digest = EffectDigest::of(effect).unwrap().to_string();
        let Some(brought) = brought.iter().find(|one| one.approval_class == class) else {
            let text = String::from_utf8(canonical(effect).unwrap()).unwrap();
            return Err(SignerError::ApprovalRequired {
                classes: vec![class.to_owned()],
                effect: digest,
                authority: told.map(|constraints| Box::new(Told { effect: text, constraints })),
                policies: self.policies.clone(),
                words: "approvals: people have to agree".into(),
            });
        };
        let requests = self.cluster.all::<ApprovalRequest>();
        let found = requests.iter().find(|request| request.uid().as_ref() == Some(&brought.uid));
        if found.is_none_or(|request| request.spec.effect_digest != digest)
            || !self.used.insert(brought.uid.clone())
        {
            let words = "approvals: it is for another effect, or was used".to_owned();
            return Err(SignerError::ApprovalInvalid { policies: self.policies.clone(), words });
        }
        Ok(())
    }
}

fn leaf(request: &wire::IssueRequest, key: &PublicKey, generation: u64, policies: &str) -> Value {
    let (id, object) = (request.request_key.clone().unwrap(), request.object.clone().unwrap());
    let mut sans = request.sans.clone().unwrap_or_default();
    sans.dns_names.sort();
    let mut names = serde_json::Map::new();
    if !sans.dns_names.is_empty() {
        names.insert("dnsNames".into(), json!(sans.dns_names));
    }
    let common = request.subject.clone().unwrap_or_default().common_name;
    let subject = if common.is_empty() { json!({}) } else { json!({ "commonName": common }) };
    let mut usages = request.usages.clone();
    usages.sort();
    json!({
        "action": "IssueCertificate", "step": id.step, "subject": subject, "sans": names,
        "certificate": {"uid": id.object_uid, "namespace": object.namespace, "name": object.name},
        "publicKeySha256": hex::encode(key.spki_sha256()), "durationSeconds": request.duration_seconds,
        "usages": usages, "isCA": request.is_ca, "policyDigest": policies,
        "issuer": {"uid": request.authority_uid, "generation": generation},
    })
}
