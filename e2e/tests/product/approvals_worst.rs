//! Approvals on the worst day: votes that race, records that are made again, edits behind people's backs.

use crate::approvals::{
    apply, certificate, guarded, plugin, plugin_as, plugin_command, two_of_security, until_phase, waits,
};
use crate::cluster::{PATIENCE, api, condition, secrets, until, until_ready};
use keywright_e2e::{ControlPlane, Process, wait_for};
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;

/// The shortest that a class may say.
const SHORTEST: Duration = Duration::from_mins(1);

fn one_of_security() -> Value {
    json!({ "groups": [{ "name": "security", "members": ["security"], "count": 1 }] })
}

async fn issued(plane: &ControlPlane, name: &str) -> bool {
    secrets(plane).get_opt(name).await.unwrap().is_some()
}

pub(crate) fn request(plane: &ControlPlane, name: &str) -> Value {
    serde_json::from_str(&plane.kubectl(&["get", "approvalrequest", name, "-o", "json"]).unwrap()).unwrap()
}

/// The newest request about a Certificate that is not `before`, once people are waited for.
async fn asked_anew(plane: &ControlPlane, name: &str, before: &str) -> String {
    let object = until(plane, "Certificate", name, "asks anew", |object| {
        condition(object, "Ready").is_some_and(|(_, reason, _)| reason == "AwaitingApproval")
            && object.data["status"]["approval"]["request"] != before
    });
    object.await.data["status"]["approval"]["request"].as_str().unwrap().to_owned()
}

/// Lets time pass in which a certificate would have been issued, and sees that none was.
pub(crate) async fn stays_unissued(plane: &ControlPlane, name: &str) {
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!issued(plane, name).await, "{name} was issued");
}

#[tokio::test]
async fn approved_and_denied_in_one_instant_nothing_is_issued_after_a_denial_that_came_first() {
    const RACES: usize = 24;
    let suite = guarded(&one_of_security()).await;
    let plane = &suite.plane;
    let mut races = Vec::new();
    for n in 0..RACES {
        let name = format!("race-{n}");
        certificate(plane, &name);
        let (_, request) = waits(plane, &name).await;
        let start = |who: &str, verb: &str| {
            let mut command = plugin_command(plane, (who, "security"), &[verb, &request]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        // Who starts first alternates, so that both orders come before the API server.
        let mut both = if n % 2 == 0 {
            [start("alice", "approve"), start("bob", "deny")]
        } else {
            [start("bob", "deny"), start("alice", "approve")]
        };
        for one in &mut both {
            one.wait().unwrap();
        }
        races.push((name, request));
    }
    let (mut stopped, mut too_late) = (0, 0);
    for (name, request) in races {
        let what = format!("{name} is decided");
        let phase = wait_for(&what, PATIENCE, async || {
            let status = self::request(plane, &request)["status"].clone();
            let phase = status["phase"].as_str().unwrap_or_default().to_owned();
            Ok(["Denied", "Consumed", "Ended", "Revoked"].contains(&phase.as_str()).then_some(phase))
        });
        let phase = phase.await.unwrap();
        let order = |verdict: &str| verdicts(plane, &request).into_iter().find(|(said, _)| said == verdict);
        let (approved, denied) = (order("Approve"), order("Deny"));
        let denied_first = match (&approved, &denied) {
            (Some((_, approved)), Some((_, denied))) => denied < approved,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if denied_first || phase == "Denied" {
            stopped += 1;
            assert_eq!(phase, "Denied", "{name}: {approved:?} {denied:?}");
            assert!(!issued(plane, &name).await, "{name} was issued after a denial: {approved:?} {denied:?}");
        } else {
            too_late += 1;
            let wanted = if denied.is_some() { "Revoked" } else { "Consumed" };
            until_phase(plane, &request, wanted).await;
            assert!(issued(plane, &name).await, "{name}: {phase} without a certificate");
        }
    }
    println!("{stopped} stopped, {too_late} denied too late");
    assert!(stopped > 0, "no denial ever came in time: this races nothing");
}

/// Each vote for a request: what it says and in which order the API server stored it.
fn verdicts(plane: &ControlPlane, request: &str) -> Vec<(String, u64)> {
    let votes = plane.kubectl(&["get", "approvaldecisions", "-o", "json"]).unwrap();
    let votes: Value = serde_json::from_str(&votes).unwrap();
    let items = votes["items"].as_array().unwrap().iter();
    let ours = items.filter(|vote| vote["spec"]["requestRef"]["name"] == request);
    // The finalizer is all that ever changes in a vote, and goes only with its request: this is when it was made.
    ours.map(|vote| {
        let version = vote["metadata"]["resourceVersion"].as_str().unwrap();
        (vote["spec"]["verdict"].as_str().unwrap().to_owned(), version.parse().unwrap())
    })
    .collect()
}

#[tokio::test]
async fn a_request_deleted_and_made_again_under_its_name_starts_without_votes() {
    let suite = guarded(&two_of_security()).await;
    let plane = &suite.plane;
    certificate(plane, "web");
    let (_, name) = waits(plane, "web").await;
    assert!(plugin(plane, "alice", &["approve", &name]).0);
    let uid = |plane: &ControlPlane| request(plane, &name)["metadata"]["uid"].clone();
    let before = uid(plane);
    plane.kubectl(&["delete", "approvalrequest", &name, "--wait=false"]).unwrap();
    wait_for("the request is filed again", PATIENCE, async || {
        let again = plane.kubectl(&["get", "approvalrequest", &name, "-o", "jsonpath={.metadata.uid}"]);
        Ok(again.ok().filter(|uid| !uid.is_empty() && before != *uid.as_str()).map(|_| ()))
    })
    .await
    .unwrap();
    let (_, again) = waits(plane, "web").await;
    assert_eq!(again, name, "the same effect has the same name");
    assert!(plugin(plane, "bob", &["approve", &name]).0);
    stays_unissued(plane, "web").await;
    let missing = &request(plane, &name)["status"]["missing"];
    assert_eq!(missing, &json!([{ "group": "security", "count": 1 }]), "the vote for the earlier one counts");
    assert!(plugin(plane, "alice", &["approve", &name]).0, "who voted for the earlier one votes anew");
    until_ready(plane, "Certificate", "web").await;
}

#[tokio::test]
async fn what_is_edited_after_people_began_to_agree_is_asked_about_anew() {
    let suite = guarded(&two_of_security()).await;
    let plane = &suite.plane;
    let allow = r"package keywright
import rego.v1
default allow := true
";
    let policy = json!({ "apiVersion": "keywright.dev/v1alpha1", "kind": "Policy", "metadata": { "name": "all" },
        "spec": { "mode": "Enforce", "rego": { "source": allow } } });
    let edits: [(&str, &dyn Fn()); 3] = [
        ("the Certificate", &|| {
            let spec = json!({ "spec": { "dnsNames": ["evil.example.test"] } }).to_string();
            plane.kubectl(&["patch", "certificate", "web", "--type=merge", "-p", &spec]).unwrap();
        }),
        ("the issuer", &|| {
            let spec = json!({ "spec": { "authority": { "maxLeafDuration": "2000h" } } }).to_string();
            plane.kubectl(&["patch", "clusterissuer", "guarded", "--type=merge", "-p", &spec]).unwrap();
        }),
        ("the policies", &|| apply(plane, &policy, &[])),
    ];
    certificate(plane, "web");
    let (_, mut name) = waits(plane, "web").await;
    for (what, edit) in edits {
        assert!(plugin(plane, "alice", &["approve", &name]).0, "{what}");
        edit();
        // The signer reads policies anew at least every two seconds.
        tokio::time::sleep(Duration::from_secs(3)).await;
        // Only the signer knows its policies: there the second vote is what brings it to light.
        let _ = plugin(plane, "bob", &["approve", &name]);
        let next = asked_anew(plane, "web", &name).await;
        until_phase(plane, &name, "Superseded").await;
        assert!(!issued(plane, "web").await, "{what}: issued under votes for something else");
        name = next;
    }
    for who in ["alice", "bob"] {
        let (done, said) = plugin(plane, who, &["approve", &name]);
        assert!(done, "{said}");
    }
    until_ready(plane, "Certificate", "web").await;
}

#[tokio::test]
async fn a_class_that_is_edited_while_people_decide_becomes_no_easier() {
    let suite = guarded(&two_of_security()).await;
    let plane = &suite.plane;
    certificate(plane, "web");
    let (_, name) = waits(plane, "web").await;
    let class = |spec: Value| {
        json!({ "apiVersion": "keywright.dev/v1alpha1", "kind": "ApprovalClass", "metadata": { "name": "production" },
            "spec": spec })
    };
    apply(plane, &class(one_of_security()), &[]);
    assert!(plugin(plane, "alice", &["approve", &name]).0);
    stays_unissued(plane, "web").await;
    // Harder holds at once: three where two were asked for.
    let three = json!({ "groups": [{ "name": "security", "members": ["security"], "count": 3 }] });
    apply(plane, &class(three), &[]);
    assert!(plugin(plane, "bob", &["approve", &name]).0);
    stays_unissued(plane, "web").await;
    assert!(plugin(plane, "dave", &["approve", &name]).0);
    until_ready(plane, "Certificate", "web").await;
}

#[tokio::test]
async fn who_may_no_longer_approve_does_not_count_any_more() {
    let mut suite = guarded(&two_of_security()).await;
    certificate(&suite.plane, "web");
    let (_, name) = waits(&suite.plane, "web").await;
    assert!(plugin(&suite.plane, "alice", &["approve", &name]).0);
    // Nobody looks while the second vote comes and the right goes: only who signs can still find out.
    suite.plane.kill(Process::Operator).unwrap();
    assert!(plugin(&suite.plane, "bob", &["approve", &name]).0);
    suite.plane.kubectl(&["delete", "clusterrolebinding", "votes"]).unwrap();
    suite.plane.start_again(Process::Operator).unwrap();
    suite.ready(Process::Operator).await.unwrap();
    stays_unissued(&suite.plane, "web").await;
    let votes = request(&suite.plane, &name)["status"]["votes"].as_array().unwrap().clone();
    assert!(votes.iter().all(|vote| vote["ignored"].is_string()), "{votes:?}");
}

#[tokio::test]
async fn a_grant_that_nobody_used_in_time_is_worth_nothing() {
    let class = json!({ "groups": [{ "name": "security", "members": ["security"] }], "grantTTL": "1m" });
    let mut suite = guarded(&class).await;
    certificate(&suite.plane, "web");
    let (_, name) = waits(&suite.plane, "web").await;
    suite.plane.kill(Process::Operator).unwrap();
    for who in ["alice", "bob"] {
        assert!(plugin(&suite.plane, who, &["approve", &name]).0);
    }
    tokio::time::sleep(SHORTEST + Duration::from_secs(5)).await;
    suite.plane.start_again(Process::Operator).unwrap();
    suite.ready(Process::Operator).await.unwrap();
    until_phase(&suite.plane, &name, "Expired").await;
    until(&suite.plane, "Certificate", "web", "has come to nothing", |object| {
        condition(object, "Ready").is_some_and(|(_, reason, _)| reason == "ApprovalExpired")
    })
    .await;
    assert!(!issued(&suite.plane, "web").await);
}

#[tokio::test]
async fn two_of_one_group_and_one_of_another_are_needed_together_and_one_person_fills_one_seat() {
    let class = json!({ "groups": [
        { "name": "security", "members": ["security"], "count": 2 },
        { "name": "dba", "members": ["dba"], "count": 1 },
    ] });
    let suite = guarded(&class).await;
    let plane = &suite.plane;
    certificate(plane, "web");
    let (_, name) = waits(plane, "web").await;
    let missing = || request(plane, &name)["status"]["missing"].clone();
    // In both groups, and still one person.
    let mut both = plugin_command(plane, ("alice", "security"), &["approve", &name]);
    assert!(both.args(["--as-group", "dba"]).output().unwrap().status.success());
    assert!(plugin(plane, "bob", &["approve", &name]).0);
    stays_unissued(plane, "web").await;
    assert_eq!(missing().as_array().unwrap().len(), 1, "{}", missing());
    let (done, said) = plugin_as(plane, ("dana", "dba"), &["approve", &name]);
    assert!(done, "{said}");
    until_ready(plane, "Certificate", "web").await;
}

#[tokio::test]
async fn a_request_that_the_asker_wrote_decides_nothing() {
    let suite = guarded(&one_of_security()).await;
    let plane = &suite.plane;
    certificate(plane, "web");
    let (_, name) = waits(plane, "web").await;
    // A copy under another name, of the same effect, agreed to by whoever likes to.
    let mut copy = request(plane, &name);
    copy["metadata"] = json!({ "name": "copy", "namespace": "default" });
    copy["status"] = Value::Null;
    copy["spec"]["requester"] = Value::Null;
    apply(plane, &copy, &[]);
    assert!(plugin(plane, "alice", &["deny", "copy"]).0);
    until_phase(plane, "copy", "Denied").await;
    assert!(plugin(plane, "alice", &["approve", &name]).0, "a denied copy stops nothing");
    until_ready(plane, "Certificate", "web").await;
    until_phase(plane, &name, "Consumed").await;
    let all = api(plane, "ApprovalRequest").list(&ListParams::default()).await.unwrap();
    let used = |object: &&DynamicObject| object.data["status"]["usedAt"].is_string();
    let used: Vec<_> = all.items.iter().filter(used).map(|one| one.metadata.name.clone().unwrap()).collect();
    assert_eq!(used, [name]);
}
