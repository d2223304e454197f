//! One trace of one certificate, from its admission to the serial that its Secret has: taken by a collector on this machine, and
//! named by what a shell computes from the object.

use crate::cluster::{certificate, create, entries, root, until_ready};
use keywright_collector::{Collector, Taken};
use keywright_e2e::Suite;
use serde_json::json;
use std::process::Command;

const WEBHOOK: &str = "keywright-webhook";
const OPERATOR: &str = "keywright-operator";
const SIGNER: &str = "keywright-signer";

/// The trace of an object, as docs/traces.md has a shell compute it.
fn trace_of(uid: &str, generation: i64) -> String {
    let page = include_str!("../../../docs/traces.md");
    let line = page.lines().find(|line| line.contains("sha256sum")).unwrap();
    let said =
        Command::new("sh").args(["-c", &format!("uid={uid}; generation={generation}; {line}")]).output();
    String::from_utf8(said.unwrap().stdout).unwrap().trim().to_owned()
}

fn of<'a>(span: &'a Taken, attribute: &str) -> Option<&'a str> {
    span.attributes.get(attribute).map(String::as_str)
}

#[tokio::test]
async fn one_trace_leads_from_admission_to_the_serial_that_is_published() {
    let collector = Collector::start().await.unwrap();
    let suite = Suite::start_traced(collector.url()).await.unwrap();
    let plane = &suite.plane;
    create(plane, &root("root", json!({}))).await.unwrap();
    until_ready(plane, "ClusterIssuer", "root").await;
    create(plane, &certificate("web", "root", json!({}))).await.unwrap();
    let web = until_ready(plane, "Certificate", "web").await;
    let trace = trace_of(&web.metadata.uid.clone().unwrap(), web.metadata.generation.unwrap());
    let serial = web.data["status"]["serialNumber"].as_str().unwrap();
    let index = web.data["status"]["logIndex"].as_i64().unwrap().to_string();
    let span = async |part: &str, name: &str| {
        let what = format!("{name} of {part} in trace {trace}");
        collector
            .find(&what, |one| one.trace == trace && one.part == part && one.name == name && !one.is_failed)
            .await
    };

    let admission = span(WEBHOOK, "admission").await;
    let secret = span(OPERATOR, "publish Secret").await;
    let asking = span(OPERATOR, "ask the signer").await;
    let issue = span(SIGNER, "issue").await;
    span(OPERATOR, "publish status").await;
    let look = collector.find("the look that issued", |one| one.span == secret.parent).await;
    assert_eq!((look.part.as_str(), look.name.as_str()), (OPERATOR, "look"));
    assert_eq!(admission.parent, "");
    assert_eq!(look.parent, admission.span);
    assert_eq!(asking.parent, look.span);
    assert_eq!(issue.parent, asking.span);
    let mut before = issue.times.0;
    for step in ["lint", "record", "sign", "release"] {
        let step = span(SIGNER, step).await;
        assert_eq!(step.parent, issue.span);
        assert!(step.times.0 >= before, "{step:?} came too early");
        before = step.times.1;
    }
    for told in [&look, &issue] {
        assert_eq!(of(told, "keywright.certificate.serial"), Some(serial));
        assert_eq!(of(told, "keywright.log.index"), Some(index.as_str()));
        assert_eq!(of(told, "k8s.object.name"), Some("web"));
    }
    assert_eq!(of(&look, "keywright.issuer.name"), Some("root"));
    assert_eq!(of(&look, "keywright.outcome"), Some("Issued"));
    assert_eq!(of(&issue, "keywright.outcome"), Some("Signed"));
    assert_eq!(of(&admission, "keywright.outcome"), Some("Allowed"));

    let key = String::from_utf8(entries(plane, "web").await.remove("tls.key").unwrap()).unwrap();
    let told = format!("{:?}", collector.taken());
    let of_key = key.lines().filter(|line| !line.starts_with('-'));
    assert!(of_key.into_iter().all(|line| !told.contains(line)), "no span holds a part of the key");
    assert!(!told.contains("web.example.test"), "nor a subject");
}

#[tokio::test]
async fn what_the_webhook_refuses_has_a_span_with_the_rule() {
    let collector = Collector::start().await.unwrap();
    let suite = Suite::start_traced(collector.url()).await.unwrap();
    let broken = json!({ "apiVersion": "keywright.dev/v1alpha1", "kind": "Policy", "metadata": { "name": "broken" },
        "spec": { "rego": { "source": "nonsense" } } });
    let file = suite.plane.site().root.join("broken.json");
    std::fs::write(&file, broken.to_string()).unwrap();
    suite.plane.kubectl(&["create", "-f", &file.display().to_string()]).unwrap_err();
    let refused = collector.find("the refusal", |one| of(one, "keywright.outcome") == Some("Denied")).await;
    assert_eq!(of(&refused, "keywright.rule"), Some("policy-compiles"));
    assert_eq!((refused.name.as_str(), refused.is_failed), ("admission", true));
}
