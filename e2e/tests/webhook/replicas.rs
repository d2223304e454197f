//! Three replicas that share one Secret, restarted one by one under load.

use keywright_e2e::Suite;
use keywright_e2e::audit::Event;
use keywright_e2e::load::Load;
use keywright_e2e::replicas::Replicas;
use std::time::Duration;

#[tokio::test]
async fn three_replicas_restarting_one_by_one_lose_no_admission() {
    let mut suite = Suite::start().await.unwrap();
    let mut replicas = Replicas::start(&mut suite.plane, 3).await.unwrap();
    let load = Load::start(suite.plane.client(), 100);
    tokio::time::sleep(Duration::from_secs(1)).await;
    for number in 0..3 {
        replicas.restart(number).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (sent, failed) = load.end().await.unwrap();
    assert!(sent > 1_500, "{sent}");
    assert!(failed.is_empty(), "{} of {sent}: {}", failed.len(), failed[0]);

    let mark = suite.plane.audit().mark().unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let requests = suite.plane.audit().since(mark).unwrap();
    let ours: Vec<String> = requests
        .iter()
        .filter(|event| event.is_write_of_ours())
        .map(|event: &Event| event.request_uri.clone())
        .collect();
    assert!(ours.is_empty(), "replicas that agree write nothing: {ours:?}");
}

#[tokio::test]
async fn three_replicas_that_start_at_once_agree_on_one_root() {
    let mut suite = Suite::start().await.unwrap();
    suite.plane.kill(keywright_e2e::Process::Webhook).unwrap();
    suite.plane.kubectl(&["-n", "keywright-system", "delete", "secret", "keywright-webhook-tls"]).unwrap();
    // Each is ready only when an admission came back to a webhook with its own bundle.
    let _replicas = Replicas::start(&mut suite.plane, 3).await.unwrap();
    let load = Load::start(suite.plane.client(), 50);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (sent, failed) = load.end().await.unwrap();
    assert!(failed.is_empty(), "{} of {sent}: {}", failed.len(), failed[0]);
}
