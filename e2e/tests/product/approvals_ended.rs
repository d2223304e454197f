//! Requests for approval that came to nothing: their votes stand in the signer's log before they go.

use crate::approvals::{certificate, guarded, plugin, two_of_security, until_phase, waits};
use crate::cluster::PATIENCE;
use keywright_e2e::{ControlPlane, Process, wait_for};
use std::path::Path;

/// Whether an entry of the signer's log has all of these.
fn logged(folder: &Path, parts: &[&str]) -> bool {
    let all = std::fs::read_dir(folder).into_iter().flatten().flatten();
    all.map(|one| one.path()).any(|path| {
        if path.is_dir() {
            return logged(&path, parts);
        }
        let bundle = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
        bundle.split_inclusive('}').any(|entry| parts.iter().all(|part| entry.contains(part)))
    })
}

fn is_there(plane: &ControlPlane, kind: &str, uid: &str) -> bool {
    let all = plane.kubectl(&["get", kind, "-o", "jsonpath={.items[*].metadata.uid}"]).unwrap();
    all.split(' ').any(|one| one == uid)
}

#[tokio::test]
async fn a_denied_request_goes_only_after_its_votes_are_in_the_signers_log() {
    let mut suite = guarded(&two_of_security()).await;
    let plane = &suite.plane;
    certificate(plane, "web");
    let (_, request) = waits(plane, "web").await;
    assert!(plugin(plane, "alice", &["approve", &request]).0);
    assert!(plugin(plane, "bob", &["deny", &request, "--reason", "not today"]).0);
    until_phase(plane, &request, "Denied").await;
    let uid = plane.kubectl(&["get", "approvalrequest", &request, "-o", "jsonpath={.metadata.uid}"]).unwrap();
    let entries = plane.site().signer_state().join("log/tile/entries");
    let told = ["approval-ended", &format!("\"request\":\"{uid}\""), "\"outcome\":\"denied\""];

    suite.plane.kill(Process::Signer).unwrap();
    let plane = &suite.plane;
    plane.kubectl(&["delete", "approvalrequest", &request, "--wait=false"]).unwrap();
    wait_for("the operator says why it is kept", PATIENCE, async || {
        let events = plane.kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"])?;
        Ok(events.contains("NotLogged").then_some(()))
    })
    .await
    .unwrap();
    assert!(is_there(plane, "approvalrequests", &uid) && !logged(&entries, &told));

    suite.plane.start_again(Process::Signer).unwrap();
    let plane = &suite.plane;
    let gone = wait_for("the request is let go", PATIENCE, async || {
        Ok((!is_there(plane, "approvalrequests", &uid)).then_some(()))
    });
    gone.await.unwrap();
    let published =
        wait_for("its end is published", PATIENCE, async || Ok(logged(&entries, &told).then_some(())));
    published.await.unwrap();
    assert!(logged(&entries, &["approval-ended", "\"approvals\":1", "\"denials\":1"]));
    assert!(!logged(&entries, &["approval-ended", "alice"]), "no name is in the log");
}
