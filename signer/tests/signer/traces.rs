//! What a confined signer exports of a request whose asker traces it, and that it exports of no other.

use crate::support::{self, leaf, new_key, root, uid};
use crate::world::{World, free_address};
use keywright_collector::Collector;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::Certificate;
use keywright_signer_protocol::v1alpha1 as wire;
use keywright_telemetry::SpanContext;

fn request(number: usize) -> wire::IssueRequest {
    wire::IssueRequest {
        authority_uid: support::ROOT.into(),
        ..leaf(&uid(number), &new_key(KeyAlgorithm::EcdsaP256))
    }
}

fn traced(message: wire::IssueRequest, asker: SpanContext) -> tonic::Request<wire::IssueRequest> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("traceparent", asker.traceparent().parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confined_signer_exports_the_steps_of_what_is_traced_and_nothing_else() {
    let collector = Collector::start().await.unwrap();
    let mut world = World::new();
    world.collector = Some(collector.url().to_owned());
    world.start();
    let mut operator = world.client("operator-tls");
    operator.ensure_authority(root()).await.unwrap();
    operator.issue(request(1)).await.unwrap();
    let asker = SpanContext::of_object("a-uid", 1);
    let issued = operator.issue(traced(request(2), asker)).await.unwrap().into_inner();
    let stale = wire::IssueRequest { fencing_token: 0, ..request(3) };
    operator.issue(traced(stale, asker)).await.unwrap_err();

    let refused = collector.find("the refusal", |one| one.is_failed).await;
    assert_eq!(refused.attributes["keywright.outcome"], "REASON_STALE_FENCING_TOKEN");
    let issue = collector.find("the request", |one| one.name == "issue" && !one.is_failed).await;
    assert_eq!(
        (issue.trace.as_str(), issue.parent.as_str()),
        (&*asker.trace.to_string(), &*asker.span.to_string())
    );
    let serial = Certificate::from_der(&issued.certificate).unwrap().serial().to_string();
    assert_eq!(issue.attributes["keywright.certificate.serial"], serial);
    assert_eq!(issue.attributes["keywright.log.index"], issued.log_index.to_string());
    assert_eq!(issue.attributes["keywright.request.key"], format!("{}/1", uid(2)));
    let steps: Vec<_> = collector.taken().into_iter().filter(|one| one.parent == issue.span).collect();
    let names: Vec<&str> = steps.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["examine", "lint", "record", "sign", "release"]);
    assert!(steps.windows(2).all(|two| two[0].times.1 <= two[1].times.0), "one after the other: {steps:?}");
    assert!(collector.taken().iter().all(|one| one.trace == issue.trace), "the first request was not traced");
    assert!(!format!("{:?}", collector.taken()).contains("example.com"), "no name that is certified");
    assert!(world.get("/metrics").contains("keywright_trace_spans_dropped_total 0\n"));
    assert!(world.signal("-TERM").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_the_signer_signs_as_ever_and_counts_what_it_drops() {
    let mut world = World::new();
    world.collector = Some(format!("http://{}", free_address()));
    world.start();
    let mut operator = world.client("operator-tls");
    operator.ensure_authority(root()).await.unwrap();
    for number in 0..4 {
        operator.issue(traced(request(number), SpanContext::of_object("a-uid", 1))).await.unwrap();
    }
    assert!(world.signal("-TERM").success(), "and ends in time");
    let said = std::fs::read_to_string(world.path("stderr")).unwrap();
    assert!(said.contains("the collector takes no spans"), "{said}");
}

#[test]
fn a_collector_by_name_is_refused_at_the_start() {
    let mut world = World::new();
    world.collector = Some("http://collector.observe.svc:4318".to_owned());
    let ended = world.run().output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("the host must be an IP address"), "{said}");
}
