//! Notices of requests for approval, on a real API server: a receiver on this machine is told of everything, though it is
//! out of order at first, and openssl computes the same signatures.

use crate::approvals::{apply, certificate, guarded, plugin, two_of_security, until_phase, waits};
use crate::cluster::{PATIENCE, until_ready};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use keywright_e2e::{ControlPlane, wait_for};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

const KEY: &str = "a key that both ends have";

/// What a receiver got with success: the signature and the body.
type Got = Arc<Mutex<Vec<(String, String)>>>;

/// A receiver that is out of order for its first `broken` requests. Its URL.
async fn receiver(broken: usize) -> (String, Got) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/a-token", listener.local_addr().unwrap());
    let got = Got::default();
    let (seen, kept) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&got));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, kept) = (Arc::clone(&seen), Arc::clone(&kept));
            let service = service_fn(move |request: Request<Incoming>| {
                let (seen, kept) = (Arc::clone(&seen), Arc::clone(&kept));
                async move {
                    let signature = request.headers()["keywright-signature"].to_str().unwrap().to_owned();
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let is_broken = seen.fetch_add(1, Ordering::SeqCst) < broken;
                    if !is_broken {
                        kept.lock().unwrap().push((signature, String::from_utf8(body.to_vec()).unwrap()));
                    }
                    let answer = Response::builder().status(if is_broken { 503 } else { 204 });
                    Ok::<_, Infallible>(answer.body(Empty::<Bytes>::new()).unwrap())
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (url, got)
}

/// The class tells the receiver, and the operator may read that one Secret: what the chart renders for
/// `operator.notices.secrets`.
fn announce(plane: &ControlPlane, url: &str) {
    let meta = |name: &str| json!({ "name": name, "namespace": "keywright-system" });
    let entry = |key: &str| json!({ "name": "approval-hooks", "key": key });
    apply(
        plane,
        &json!({ "apiVersion": "v1", "kind": "List", "items": [
            { "apiVersion": "v1", "kind": "Secret", "metadata": meta("approval-hooks"),
              "stringData": { "url": url, "key": KEY } },
            { "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta("keywright-notices"),
              "rules": [{ "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["approval-hooks"], "verbs": ["get"] }] },
            { "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta("keywright-notices"),
              "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "keywright-notices" },
              "subjects": [{ "kind": "ServiceAccount", "name": "keywright-operator", "namespace": "keywright-system" }] },
            { "apiVersion": "keywright.dev/v1alpha1", "kind": "ApprovalClass", "metadata": { "name": "production" },
              "spec": {
                "groups": [{ "name": "security", "members": ["security"] }],
                "notify": [{ "name": "ops", "form": "Webhook", "urlFrom": entry("url"), "hmacKeyFrom": entry("key") }],
              } },
        ] }),
        &[],
    );
}

/// What openssl says the signature is.
fn signed(seconds: &str, body: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signed");
    std::fs::write(&file, format!("{seconds}.{body}")).unwrap();
    let said =
        Command::new("openssl").args(["dgst", "-sha256", "-hmac", KEY, "-r"]).arg(&file).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    format!("t={seconds},v1={}", said.split_whitespace().next().unwrap())
}

fn events(got: &Got) -> Vec<String> {
    let event = |body: &str| {
        let document: Value = serde_json::from_str(body).unwrap();
        document["event"].as_str().unwrap().to_owned()
    };
    got.lock().unwrap().iter().map(|(_, body)| event(body)).collect()
}

#[tokio::test]
async fn a_receiver_that_was_out_of_order_is_told_of_everything_signed_and_it_is_recorded() {
    let suite = guarded(&two_of_security()).await;
    let plane = &suite.plane;
    let (url, got) = receiver(2).await;
    announce(plane, &url);
    certificate(plane, "web");
    let (_, request) = waits(plane, "web").await;
    for who in ["alice", "bob"] {
        let (done, said) = plugin(plane, who, &["approve", &request]);
        assert!(done, "{said}");
    }
    until_ready(plane, "Certificate", "web").await;
    until_phase(plane, &request, "Consumed").await;
    let seen = wait_for("all notices", PATIENCE, async || Ok((events(&got).len() >= 3).then_some(())));
    seen.await.unwrap();
    let mut events = events(&got);
    events.dedup();
    assert_eq!(events, ["Filed", "Granted", "Used"], "in order, none missing");
    for (signature, body) in got.lock().unwrap().iter() {
        let seconds = signature.split(['=', ',']).nth(1).unwrap();
        assert_eq!(*signature, signed(seconds, body));
        let document: Value = serde_json::from_str(body).unwrap();
        assert_eq!(document["request"]["name"], request);
        assert!(document["command"].as_str().unwrap().contains("--namespace default"), "{document}");
    }
    let recorded = wait_for("the record", PATIENCE, async || {
        let path = "jsonpath={.status.notified}";
        let recorded = plane.kubectl(&["get", "approvalrequests", &request, "-o", path]).unwrap_or_default();
        Ok((recorded == r#"["ops/Filed","ops/Granted","ops/Used"]"#).then_some(()))
    });
    recorded.await.unwrap();
    let told = plane.kubectl(&["get", "events.events.k8s.io", "-A", "-o", "json"]).unwrap();
    assert!(!told.contains("a-token") && !told.contains(KEY), "neither URL nor key is told");
}
