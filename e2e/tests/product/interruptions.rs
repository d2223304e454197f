//! Processes that die, hang and come back: work resumes by itself, and each certificate exists once.

use crate::cluster::{
    certificate, condition, create, entries, is_ready, root, until, until_all_ready, until_ready,
};
use crate::foreign::judge;
use keywright_e2e::{Process, Suite};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

async fn with_root() -> Suite {
    let suite = Suite::start().await.unwrap();
    create(&suite.plane, &root("root", json!({}))).await.unwrap();
    until_ready(&suite.plane, "ClusterIssuer", "root").await;
    suite
}

#[tokio::test]
async fn work_waits_for_a_signer_that_is_down_or_hangs_and_resumes_by_itself() {
    let mut suite = with_root().await;
    suite.plane.kill(Process::Signer).unwrap();
    create(&suite.plane, &certificate("waits", "root", json!({}))).await.unwrap();
    // Its issuer may be looked at meanwhile, and then it is the issuer that says so first.
    let waiting = |object: &_| {
        condition(object, "Ready").is_some_and(|(_, reason, message)| {
            reason == "SignerUnavailable" || message.contains("SignerUnavailable")
        })
    };
    let object = until(&suite.plane, "Certificate", "waits", "waits for the signer", waiting).await;
    assert_eq!(condition(&object, "Ready").unwrap().0, "Unknown", "nothing is wrong with the certificate");
    suite.plane.start_again(Process::Signer).unwrap();
    suite.ready(Process::Signer).await.unwrap();
    until_ready(&suite.plane, "Certificate", "waits").await;

    suite.plane.pause(Process::Signer).unwrap();
    create(&suite.plane, &certificate("hangs", "root", json!({}))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    suite.plane.resume(Process::Signer).unwrap();
    until_ready(&suite.plane, "Certificate", "hangs").await;
    judge(&entries(&suite.plane, "hangs").await);
}

#[tokio::test]
async fn work_resumes_after_the_api_server_and_its_store_were_gone() {
    let mut suite = with_root().await;
    suite.plane.kill(Process::KubeApiserver).unwrap();
    suite.plane.kill(Process::Etcd).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    suite.plane.recover().await.unwrap();
    create(&suite.plane, &certificate("after", "root", json!({}))).await.unwrap();
    until_ready(&suite.plane, "Certificate", "after").await;
}

#[tokio::test]
async fn killed_at_any_moment_each_certificate_is_made_and_its_key_fits() {
    const EACH: usize = 20;
    let mut suite = with_root().await;
    let kills = [
        (0, Process::Operator),
        (40, Process::Signer),
        (90, Process::Operator),
        (150, Process::Signer),
        (230, Process::Operator),
        (320, Process::Operator),
    ];
    let mut made = Vec::new();
    for (round, (after, process)) in kills.into_iter().enumerate() {
        for number in 0..EACH {
            let name = format!("c{round}-{number}");
            create(&suite.plane, &certificate(&name, "root", json!({}))).await.unwrap();
            made.push(name);
        }
        tokio::time::sleep(Duration::from_millis(after)).await;
        suite.restart(process).await.unwrap();
    }
    until_all_ready(&suite.plane, "c", made.len()).await;
    let mut serials = BTreeSet::new();
    for name in &made {
        serials.insert(judge(&entries(&suite.plane, name).await).serial);
    }
    assert_eq!(serials.len(), made.len());
}

#[tokio::test]
async fn all_killed_at_once_comes_back_with_everything_it_had() {
    let mut suite = with_root().await;
    create(&suite.plane, &certificate("kept", "root", json!({}))).await.unwrap();
    until_ready(&suite.plane, "Certificate", "kept").await;
    let before = judge(&entries(&suite.plane, "kept").await);
    for process in Process::ALL {
        suite.plane.kill(process).unwrap();
    }
    suite.plane.recover().await.unwrap();
    for process in [Process::Signer, Process::Webhook, Process::Operator] {
        suite.plane.start_again(process).unwrap();
        suite.ready(process).await.unwrap();
    }
    create(&suite.plane, &certificate("new", "root", json!({}))).await.unwrap();
    until_ready(&suite.plane, "Certificate", "new").await;
    let kept = until(&suite.plane, "Certificate", "kept", "is still Ready", is_ready).await;
    assert!(is_ready(&kept));
    assert_eq!(judge(&entries(&suite.plane, "kept").await).serial, before.serial, "nothing was issued again");
}
