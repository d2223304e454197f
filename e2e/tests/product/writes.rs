//! What the product writes, counted by the API server: two writes and one Event for a certificate, and nothing at rest.

use crate::cluster::{
    PATIENCE, certificate, create, edit, entries, root, until, until_all_ready, until_ready,
};
use crate::foreign::judge;
use keywright_e2e::audit::Event;
use keywright_e2e::{Suite, wait_for};
use serde_json::json;
use std::time::Duration;

const COUNT: usize = 100;

fn tally(events: &[Event]) -> String {
    let what = |event: &Event| {
        let object = &event.object_ref;
        format!(
            "{} {}/{} {} {}",
            event.verb, object.resource, object.subresource, object.name, event.response_status.code
        )
    };
    events.iter().map(what).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_certificate_costs_two_writes_and_an_event_and_rest_costs_nothing() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    create(plane, &root("root", json!({}))).await.unwrap();
    until_ready(plane, "ClusterIssuer", "root").await;

    let mark = plane.audit().mark().unwrap();
    for number in 0..COUNT {
        create(plane, &certificate(&format!("c{number}"), "root", json!({}))).await.unwrap();
    }
    until_all_ready(plane, "c", COUNT).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let requests = plane.audit().since(mark).unwrap();
    let ours: Vec<Event> = requests.into_iter().filter(Event::is_write_of_ours).collect();
    let (told, written): (Vec<Event>, Vec<Event>) =
        ours.into_iter().partition(|event| event.object_ref.resource == "events");
    assert!(
        written.len() <= 2 * COUNT,
        "{} writes for {COUNT} certificates:\n{}",
        written.len(),
        tally(&written)
    );
    assert!(told.len() <= COUNT, "{} Events for {COUNT} certificates:\n{}", told.len(), tally(&told));
    for event in told.iter().chain(&written) {
        assert_eq!(event.user.username, "system:serviceaccount:keywright-system:keywright-operator");
    }

    let mark = plane.audit().mark().unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let requests = plane.audit().since(mark).unwrap();
    let ours: Vec<Event> = requests.into_iter().filter(Event::is_write_of_ours).collect();
    assert!(ours.is_empty(), "a quiet world was written to:\n{}", tally(&ours));
}

#[tokio::test]
async fn a_changed_spec_is_issued_again_exactly_once() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    create(plane, &root("root", json!({}))).await.unwrap();
    create(plane, &certificate("web", "root", json!({}))).await.unwrap();
    until_ready(plane, "Certificate", "web").await;
    let first = judge(&entries(plane, "web").await);

    let mark = plane.audit().mark().unwrap();
    edit(plane, "Certificate", "web", json!({ "dnsNames": ["other.example.test"] })).await.unwrap();
    until_ready(plane, "Certificate", "web").await;
    let second = judge(&entries(plane, "web").await);
    assert_ne!(first.serial, second.serial);
    assert!(second.text.contains("DNS:other.example.test") && !second.text.contains("DNS:web.example.test"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(judge(&entries(plane, "web").await).serial, second.serial);
    let requests = plane.audit().since(mark).unwrap();
    let of_secret =
        requests.iter().filter(|event| event.is_write_of_ours() && event.object_ref.resource == "secrets");
    assert_eq!(of_secret.count(), 1);
}

#[tokio::test]
async fn two_certificates_for_one_secret_end_stalled_and_write_nothing_more() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    create(plane, &root("root", json!({}))).await.unwrap();
    create(plane, &certificate("first", "root", json!({ "secretName": "shared" }))).await.unwrap();
    until_ready(plane, "Certificate", "first").await;
    // Admission refuses the second one. It is advice: without its configuration the controller has to say the same.
    plane.kubectl(&["delete", "validatingwebhookconfiguration", "keywright-webhook"]).unwrap();
    let second = certificate("second", "root", json!({ "secretName": "shared" }));
    wait_for("the second one is stored", PATIENCE, async || Ok(create(plane, &second).await.ok()))
        .await
        .unwrap();
    let stalled = |object: &_| {
        crate::cluster::condition(object, "Stalled").is_some_and(|(status, ..)| status == "True")
    };
    let second = until(plane, "Certificate", "second", "is Stalled", stalled).await;
    let (status, reason, message) = crate::cluster::condition(&second, "Ready").unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "DuplicateSecretName"));
    assert!(message.contains("spec.secretName") && message.contains("first"), "{message}");

    tokio::time::sleep(Duration::from_secs(2)).await;
    let mark = plane.audit().mark().unwrap();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let requests = plane.audit().since(mark).unwrap();
    let ours: Vec<Event> = requests.into_iter().filter(Event::is_write_of_ours).collect();
    assert!(ours.is_empty(), "two owners of one Secret fight:\n{}", tally(&ours));
}
