//! `requests`, `approve`, `deny`, `why`: what people are asked, and their answer.
//!
//! What is shown is the effect itself, after its digest was computed anew. Words that stand beside it in a request were
//! written by whoever filed it, and are shown as theirs.

use crate::Machine;
use crate::cli::{Global, Requests, Vote};
use crate::connect::{Cluster, connect};
use crate::exit::{Failure, NOT_AS_WANTED};
use crate::page::{Page, Tone};
use crate::status::list::{all, scope};
use crate::words::instant;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use keywright_approvals::statement::{Facts, Statement};
use keywright_approvals::{Authors, EffectDigest, records, vote_name};
use keywright_controllers_core::conditions::{find, is_ready};
use keywright_crds::{
    ApprovalClass, ApprovalDecision, ApprovalDecisionSpec, ApprovalPhase, ApprovalProof, ApprovalRequest,
    ApprovalVerdict, Certificate, ClusterIssuer, Issuer, RequestRef,
};
use kube::ResourceExt;
use kube::api::{Api, ObjectMeta, PostParams};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::process::ExitCode;

/// `kubectl keywright requests`: 0, or 1 when one that is named can no longer be granted.
pub(crate) async fn requests(
    global: &Global,
    arguments: &Requests,
    machine: &Machine,
) -> Result<ExitCode, Failure> {
    let cluster = connect(global).await?;
    let now = machine.clock.now();
    if let Some(name) = &arguments.name {
        let request = get(&cluster, name).await?;
        let reasons = reasons(&cluster, &request).await;
        machine.terminal.show(global.output, &request, |page, _| show(page, &request, &reasons, now))?;
        return Ok(match phase(&request) {
            ApprovalPhase::Pending
            | ApprovalPhase::Approved
            | ApprovalPhase::Consumed
            | ApprovalPhase::Ended => ExitCode::SUCCESS,
            ApprovalPhase::Denied
            | ApprovalPhase::Revoked
            | ApprovalPhase::Expired
            | ApprovalPhase::Withdrawn
            | ApprovalPhase::Superseded => ExitCode::from(NOT_AS_WANTED),
        });
    }
    let place = (!arguments.all_namespaces).then_some(cluster.namespace.as_str());
    let listed: Vec<ApprovalRequest> =
        all(scope::<ApprovalRequest>(&cluster.client, place), "requests for approval").await?;
    machine.terminal.show(global.output, &listed, |page, _| {
        let heads = ["NAMESPACE", "NAME", "PHASE", "ACTION", "TARGET", "CLASS", "MISSING", "UNTIL"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        rows.extend(listed.iter().map(|request| row(request, now)));
        page.table(&rows);
    })?;
    Ok(ExitCode::SUCCESS)
}

fn row(request: &ApprovalRequest, now: Timestamp) -> Vec<String> {
    let status = request.status.clone().unwrap_or_default();
    let until = status.use_by.or(status.expires_at).map(|at| instant(at.0, now)).unwrap_or_default();
    vec![
        request.namespace().unwrap_or_default(),
        request.name_any(),
        format!("{:?}", phase(request)),
        request.spec.action.clone(),
        request.spec.target_ref.name.clone(),
        request.spec.approval_class.clone(),
        missing(request),
        until,
    ]
}

fn missing(request: &ApprovalRequest) -> String {
    let status = request.status.as_ref();
    let missing = status.map(|status| status.missing.as_slice()).unwrap_or_default();
    missing.iter().map(|one| format!("{} of {}", one.count, one.group)).collect::<Vec<_>>().join(", ")
}

fn phase(request: &ApprovalRequest) -> ApprovalPhase {
    request.status.as_ref().and_then(|status| status.phase).unwrap_or_default()
}

async fn get(cluster: &Cluster, name: &str) -> Result<ApprovalRequest, Failure> {
    let api = Api::<ApprovalRequest>::namespaced(cluster.client.clone(), &cluster.namespace);
    api.get(name).await.map_err(|error| Failure::of_api(&format!("read request {name:?}"), &error))
}

/// Why people voted as they did, by the names of their votes; empty for whoever may not list votes.
async fn reasons(cluster: &Cluster, request: &ApprovalRequest) -> BTreeMap<String, String> {
    let namespace = request.namespace();
    let votes = all(scope::<ApprovalDecision>(&cluster.client, namespace.as_deref()), "votes").await;
    let uid = request.uid();
    votes
        .unwrap_or_default()
        .into_iter()
        .filter(|vote| Some(&vote.spec.request_ref.uid) == uid.as_ref())
        .filter_map(|vote| Some((vote.name_any(), vote.spec.reason?)))
        .collect()
}

fn show(page: &mut Page, request: &ApprovalRequest, reasons: &BTreeMap<String, String>, now: Timestamp) {
    let spec = &request.spec;
    page.heading(&format!(
        "{} {}/{}",
        spec.action,
        request.namespace().unwrap_or_default(),
        request.name_any()
    ));
    let conditions = request.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    page.row("Phase", &format!("{:?}", phase(request)));
    page.row_if("Says", find(conditions, "Ready").map(|ready| ready.message.as_str()));
    page.row("Target", &format!("{} {}", spec.target_ref.kind, spec.target_ref.name));
    page.row("Class", &spec.approval_class);
    page.row_if("Asked by", spec.requester.as_ref().map(|who| who.username.as_str()));
    let editors: Vec<&str> = spec.target_editors.iter().map(|one| one.username.as_str()).collect();
    page.row_if("Changed by", (!editors.is_empty()).then(|| editors.join(", ")).as_deref());
    page.row_if("For", spec.requested_for.as_deref());
    page.row_if("Reason", spec.reason.as_deref());
    if let Some(status) = &request.status {
        let until = status.use_by.as_ref().or(status.expires_at.as_ref());
        page.row_if("Until", until.map(|at| instant(at.0, now)).as_deref());
        for vote in &status.votes {
            let ignored =
                vote.ignored.as_ref().map_or_else(String::new, |why| format!(" (not counted: {why})"));
            let reason = reasons.get(&vote.name).filter(|reason| !reason.is_empty());
            let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            page.row("Vote", &format!("{:?} by {}{ignored}{reason}", vote.verdict, vote.approver));
        }
    }
    match effect(request) {
        Ok(effect) => {
            page.heading("Effect");
            for fact in facts("", &effect) {
                page.line(&format!("  {fact}"), Tone::Plain);
            }
            page.row("digest", &spec.effect_digest);
            if let Some(diff) = &spec.diff {
                let asker = spec.requester.as_ref().map_or("whoever asked", |who| who.username.as_str());
                page.heading(&format!("In the words of {asker} (what counts is the effect)"));
                for line in diff.lines() {
                    page.line(&format!("  {line}"), Tone::Plain);
                }
            }
        }
        Err(problem) => page.line(&problem, Tone::Bad),
    }
}

/// The effect, if it is the one that the digest names.
fn effect(request: &ApprovalRequest) -> Result<Value, String> {
    let unfit =
        || "The effect does not read, or is not the one of its digest: do not approve this.".to_owned();
    let effect: Value = serde_json::from_str(&request.spec.effect).map_err(|_| unfit())?;
    let digest = EffectDigest::of(&effect).map_err(|_| unfit())?;
    if digest.to_string() == request.spec.effect_digest { Ok(effect) } else { Err(unfit()) }
}

/// One text for each fact, however deep. What is empty is a fact too: a profile that narrows nothing is an empty object.
fn facts(path: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) if !fields.is_empty() => fields
            .iter()
            .flat_map(|(name, value)| {
                facts(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value)
            })
            .collect(),
        Value::Array(items) if !items.is_empty() => items.iter().flat_map(|item| facts(path, item)).collect(),
        Value::String(text) => vec![format!("{path}: {text}")],
        other => vec![format!("{path}: {other}")],
    }
}

/// `kubectl keywright approve` and `deny`.
pub(crate) async fn vote(
    global: &Global,
    arguments: &Vote,
    agrees: bool,
    machine: &Machine,
) -> Result<ExitCode, Failure> {
    let cluster = connect(global).await?;
    let request = get(&cluster, &arguments.name).await?;
    effect(&request).map_err(Failure::NotAsWanted)?;
    if arguments.statement {
        crate::output::Terminal::print(&statement(&cluster, &request).await?.text());
        return Ok(ExitCode::SUCCESS);
    }
    let signature =
        match &arguments.signature {
            None => None,
            Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
                Failure::Unreachable(format!("{} cannot be read: {error}", path.display()))
            })?),
        };
    if agrees && signature.is_none() && wants_signature(&cluster, &request).await? {
        return Err(Failure::NotAsWanted(unsigned(&request)));
    }
    let who = Api::<SelfSubjectReview>::all(cluster.client.clone())
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .map_err(|error| Failure::of_api("ask the API server who you are", &error))?;
    let username = who.status.and_then(|status| status.user_info).and_then(|user| user.username);
    let uid = request.uid().unwrap_or_default();
    let decision = ApprovalDecision::new(
        &vote_name(&uid, &username.unwrap_or_default()),
        ApprovalDecisionSpec {
            request_ref: RequestRef { name: request.name_any(), uid },
            effect_digest: request.spec.effect_digest.clone(),
            verdict: if agrees { ApprovalVerdict::Approve } else { ApprovalVerdict::Deny },
            reason: arguments.reason.clone(),
            signature,
            approver: None,
        },
    );
    let made = Api::<ApprovalDecision>::namespaced(cluster.client.clone(), &cluster.namespace)
        .create(&PostParams::default(), &decision)
        .await;
    let made = match made {
        Err(kube::Error::Api(status)) if status.code == 409 && status.reason == "AlreadyExists" => {
            return Err(Failure::NotAsWanted(voted(&cluster, &request, &decision.name_any()).await));
        }
        made => {
            made.map_err(|error| Failure::of_api(&format!("vote on request {:?}", arguments.name), &error))?
        }
    };
    let reasons = reasons(&cluster, &request).await;
    let now = machine.clock.now();
    machine.terminal.show(global.output, &made, |page, _| {
        show(page, &request, &reasons, now);
        let words = if agrees { "You agreed to exactly this." } else { "You denied this; that is final." };
        page.heading(words);
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Says that somebody voted before.
async fn voted(cluster: &Cluster, request: &ApprovalRequest, vote: &str) -> String {
    let votes = Api::<ApprovalDecision>::namespaced(cluster.client.clone(), &cluster.namespace);
    let before = votes.get(vote).await.map_or_else(
        |_| String::new(),
        |vote| {
            let at = vote.metadata.creation_timestamp.map_or_else(String::new, |at| format!(" at {}", at.0));
            format!(" ({:?}{at})", vote.spec.verdict)
        },
    );
    format!(
        "you voted on request {:?} before{before}; a vote is never changed and nobody votes twice: for another outcome \
         somebody else of the class votes",
        request.name_any()
    )
}

async fn wants_signature(cluster: &Cluster, request: &ApprovalRequest) -> Result<bool, Failure> {
    let name = &request.spec.approval_class;
    let class = Api::<ApprovalClass>::all(cluster.client.clone()).get(name).await;
    let class = class.map_err(|error| Failure::of_api(&format!("read approval class {name:?}"), &error))?;
    Ok(class.spec.proof == ApprovalProof::Signature)
}

fn unsigned(request: &ApprovalRequest) -> String {
    let name = format!("{} --namespace {}", request.name_any(), request.namespace().unwrap_or_default());
    format!(
        "class {:?} asks for a signature: kubectl keywright approve {name} --statement > statement; \
         ssh-keygen -Y sign -n keywright.dev/approval -f KEY statement; \
         kubectl keywright approve {name} --signature statement.sig",
        request.spec.approval_class
    )
}

/// What an approver signs.
async fn statement(cluster: &Cluster, request: &ApprovalRequest) -> Result<Statement, Failure> {
    let unfit = |words: String| Failure::NotAsWanted(format!("request {:?}: {words}", request.name_any()));
    let target = &request.spec.target_ref;
    let (client, name) = (cluster.client.clone(), target.name.as_str());
    let found = match target.kind.as_str() {
        "Certificate" => metadata(Api::<Certificate>::namespaced(client, &target.namespace), name).await,
        "Issuer" => metadata(Api::<Issuer>::namespaced(client, &target.namespace), name).await,
        "ClusterIssuer" => metadata(Api::<ClusterIssuer>::all(client), name).await,
        _ => Ok(None),
    };
    let found = found.map_err(|error| Failure::of_api(&format!("read {name:?}"), &error))?;
    let creator = found.and_then(|meta| records::creator(&meta)).map(|who| who.username);
    let parsed = records::request(request, Authors::default()).map_err(|error| unfit(error.to_string()))?;
    Statement::new(Facts {
        request_uid: parsed.uid,
        digest: parsed.digest,
        class: request.spec.approval_class.clone(),
        filed: parsed.created,
        requester: parsed.requester.username,
        requested_for: parsed.requested_for,
        target_creator: creator,
        target_editors: request.spec.target_editors.iter().map(|one| one.username.clone()).collect(),
    })
    .map_err(|error| unfit(error.to_string()))
}

async fn metadata<K>(api: Api<K>, name: &str) -> Result<Option<ObjectMeta>, kube::Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    Ok(api.get_metadata_opt(name).await?.map(|object| object.metadata))
}

/// `kubectl keywright why`: 0 when the certificate is Ready, 1 while something is missing.
pub(crate) async fn why(global: &Global, name: &str, machine: &Machine) -> Result<ExitCode, Failure> {
    let cluster = connect(global).await?;
    let api = Api::<Certificate>::namespaced(cluster.client.clone(), &cluster.namespace);
    let certificate = api
        .get(name)
        .await
        .map_err(|error| Failure::of_api(&format!("read certificate {name:?}"), &error))?;
    let status = certificate.status.clone().unwrap_or_default();
    let request = match status.approval.as_ref().filter(|approval| approval.used_at.is_none()) {
        None => None,
        Some(approval) => Some(get(&cluster, &approval.request).await?),
    };
    let reasons = match &request {
        None => BTreeMap::new(),
        Some(request) => reasons(&cluster, request).await,
    };
    let now = machine.clock.now();
    machine.terminal.show(global.output, &(&status.conditions, &request), |page, _| {
        page.heading(&format!("Certificate {}/{name}", cluster.namespace));
        page.row_if("Says", find(&status.conditions, "Ready").map(|ready| ready.message.as_str()));
        if let Some(request) = &request {
            show(page, request, &reasons, now);
        }
    })?;
    Ok(if is_ready(&status.conditions) { ExitCode::SUCCESS } else { ExitCode::from(NOT_AS_WANTED) })
}

#[cfg(test)]
mod tests {
    use super::facts;
    use serde_json::json;

    #[test]
    fn nothing_of_an_effect_is_left_out() {
        let effect = json!({
            "constraints": { "profiles": { "batch": {}, "web": { "isCA": false, "usages": ["server auth", "client auth"] } } },
            "subject": {}, "hosts": [], "step": 2,
        });
        let shown = [
            "constraints.profiles.batch: {}",
            "constraints.profiles.web.isCA: false",
            "constraints.profiles.web.usages: server auth",
            "constraints.profiles.web.usages: client auth",
            "hosts: []",
            "step: 2",
            "subject: {}",
        ];
        assert_eq!(facts("", &effect), shown);
    }
}
