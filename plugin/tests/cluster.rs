//! `status`, `renew` and `inspect secret` against a small API server over HTTP: what is asked, what is shown, how it ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod common;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{Ended, Pki, pki, run};
use keywright_pki::key::Encoding;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const CERTIFICATE: &str = "/apis/keywright.dev/v1alpha1/namespaces/shop/certificates/web";
const CERTIFICATES: &str = "/apis/keywright.dev/v1alpha1/namespaces/shop/certificates";
const EVERYWHERE: &str = "/apis/keywright.dev/v1alpha1/certificates";
const SECRET: &str = "/api/v1/namespaces/shop/secrets/web-tls";
const ISSUER: &str = "/apis/keywright.dev/v1alpha1/namespaces/shop/issuers/ca";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";

/// One request as it arrived.
#[derive(Debug, Clone)]
struct Asked {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Value,
}

/// Answers by path; what is not there is not found.
#[derive(Clone, Default)]
struct Cluster {
    answers: Arc<Mutex<BTreeMap<String, (u16, Value)>>>,
    /// Lines that a watch sends.
    watch: Arc<Mutex<Vec<Value>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A running cluster and how to reach it.
struct Running {
    cluster: Cluster,
    kubeconfig: String,
    _temp: tempfile::TempDir,
}

impl Cluster {
    fn with(self, path: &str, answer: Value) -> Self {
        self.refusing(path, 200, answer)
    }

    fn refusing(self, path: &str, code: u16, answer: Value) -> Self {
        self.answers.lock().unwrap().insert(path.to_owned(), (code, answer));
        self
    }

    fn watching(self, lines: &[Value]) -> Self {
        *self.watch.lock().unwrap() = lines.to_vec();
        self
    }

    async fn start(self) -> Running {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("config");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": url}}],
            "users": [{"name": "test", "user": {"token": "t"}}],
            "contexts": [
                {"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "shop"}},
                {"name": "away", "context": {"cluster": "test", "user": "test", "namespace": "away"}},
            ],
        });
        std::fs::write(&path, config.to_string()).unwrap();
        Running { cluster: self, kubeconfig: path.display().to_string(), _temp: temp }
    }
}

impl Running {
    async fn run(&self, words: &[&str]) -> Ended {
        run(&[&["--kubeconfig", &self.kubeconfig], words].concat()).await
    }

    fn asked(&self) -> Vec<Asked> {
        self.cluster.asked.lock().unwrap().clone()
    }
}

async fn answer(State(cluster): State<Cluster>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
    cluster.asked.lock().unwrap().push(Asked {
        method: parts.method.to_string(),
        path: path.clone(),
        query: query.clone(),
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    });
    if query.contains("watch=true") {
        let lines: Vec<String> = cluster.watch.lock().unwrap().iter().map(ToString::to_string).collect();
        return Body::from(lines.join("\n") + "\n").into_response();
    }
    let found = cluster.answers.lock().unwrap().get(&path).cloned();
    let (code, answer) = found.unwrap_or_else(|| {
        let name = path.rsplit('/').next().unwrap_or_default();
        (404, status(404, "NotFound", &format!("{name:?} not found"), name))
    });
    (StatusCode::from_u16(code).unwrap(), answer.to_string()).into_response()
}

fn status(code: u16, reason: &str, message: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason,
        "message": message, "details": {"name": name},
    })
}

fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "7"}, "items": items})
}

fn certificate(pki: &Pki, revision: i64, ready: &str) -> Value {
    let (reason, message) = match ready {
        "True" => ("Issued", "The certificate is valid."),
        _ => ("IssuerNotReady", "spec.issuerRef: Issuer \"ca\" cannot sign yet: no key"),
    };
    json!({
        "apiVersion": "keywright.dev/v1alpha1", "kind": "Certificate",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u-1", "generation": 2, "resourceVersion": revision.to_string(),
        },
        "spec": {"secretName": "web-tls", "issuerRef": {"name": "ca"}, "dnsNames": ["web.example"]},
        "status": {
            "observedGeneration": 2, "revision": revision, "serialNumber": pki.leaf.serial().to_string(),
            "logIndex": 9, "notBefore": "2025-01-01T00:00:00Z", "notAfter": "2055-01-01T00:00:00Z",
            "renewalTime": "2045-01-01T00:00:00Z",
            "conditions": [{
                "type": "Ready", "status": ready, "reason": reason, "message": message, "observedGeneration": 2,
                "lastTransitionTime": "2025-01-01T00:00:00Z",
            }],
        },
    })
}

fn secret(pki: &Pki) -> Value {
    let base64 = |text: &str| STANDARD.encode(text);
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {
            "name": "web-tls", "namespace": "shop",
            "labels": {"keywright.dev/certificate-uid": "u-1"},
            "annotations": {"keywright.dev/revision": "1", "keywright.dev/log-index": "9"},
        },
        "data": {
            "tls.crt": base64(&pki.leaf.to_pem()), "ca.crt": base64(&pki.root.to_pem()),
            "tls.key": base64(pki.key.to_pem(Encoding::Pkcs8).unwrap().as_str()),
        },
    })
}

fn issuer(pki: &Pki) -> Value {
    json!({
        "apiVersion": "keywright.dev/v1alpha1", "kind": "Issuer",
        "metadata": {"name": "ca", "namespace": "shop", "uid": "u-2", "generation": 1},
        "spec": {"authority": {"commonName": "Test root", "pathLength": 0, "maxLeafDuration": "2160h"}},
        "status": {
            "observedGeneration": 1,
            "authority": {"certificate": pki.root.to_pem(), "revision": 1, "logIndex": 3},
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "AuthorityReady", "message": "It can sign.",
                "lastTransitionTime": "2025-01-01T00:00:00Z",
            }],
        },
    })
}

fn whole(pki: &Pki) -> Cluster {
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e", "namespace": "shop"},
        "eventTime": "2025-01-01T00:00:00.000000Z", "reason": "Issued", "note": "Revision 1", "type": "Normal",
    });
    Cluster::default()
        .with(CERTIFICATE, certificate(pki, 1, "True"))
        .with(SECRET, secret(pki))
        .with(ISSUER, issuer(pki))
        .with(EVENTS, list(&[event]))
}

#[tokio::test]
async fn a_ready_certificate_is_shown_with_all_that_belongs_to_it() {
    let pki = pki(1);
    let running = whole(&pki).start().await;
    let ended = running.run(&["status", "cert", "web"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    for wanted in [
        "Certificate shop/web\n  State         Ready\n",
        "Ready         True, Issued, since",
        "The certificate is valid.",
        "Secret        web-tls",
        "Key           ECDSA 256, a new one for each issuance",
        "Life          2160h, renewed at two thirds of its life",
        "Issuer Issuer ca\n  State         Ready\n",
        "Revision      1, log index 9",
        &format!("Serial        {}", pki.leaf.serial()),
        "Names         DNS web.example",
        "Key           ECDSA-P256, fits the certificate",
        "Chain         0 DNS web.example (leaf, ECDSA-P256, until 2055-01-01T00:00:00Z)",
        "1 CN=Test root (root, ECDSA-P384,",
        "holds up to the root CN=Test root",
        "Issued: Revision 1",
    ] {
        assert!(ended.stdout.contains(wanted), "{wanted}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("Next:") && !ended.stdout.contains('\u{1b}'), "{}", ended.stdout);
    let json = running.run(&["status", "certificate", "web", "-o", "json"]).await.json();
    assert_eq!(json["secret"]["key"], "fits");
    assert_eq!(json["secret"]["chainCheck"]["result"], "holds");
    assert_eq!(json["conditions"][0]["reason"], "Issued");
}

#[tokio::test]
async fn no_form_of_output_shows_a_private_key() {
    let pki = pki(1);
    let running = whole(&pki).start().await;
    let key = pki.key.to_pem(Encoding::Pkcs8).unwrap();
    let coded = STANDARD.encode(key.as_bytes());
    for command in [&["status", "certificate", "web"][..], &["inspect", "secret", "web-tls"]] {
        for form in ["text", "wide", "json", "yaml"] {
            let ended = running.run(&[command, &["-o", form]].concat()).await;
            assert_eq!(ended.code, 0, "{ended:?}");
            let all = ended.stdout + &ended.stderr;
            assert!(
                key.lines().filter(|line| !line.starts_with('-')).all(|line| !all.contains(line)),
                "{form}"
            );
            assert!(!all.contains(&coded[40..80]), "{form}");
        }
    }
}

#[tokio::test]
async fn requests_name_the_plugin_and_the_user_to_act_as() {
    let pki = pki(1);
    let running = whole(&pki).start().await;
    running
        .run(&["status", "certificate", "web", "--as", "jane", "--as-group", "a", "--as-group", "b"])
        .await;
    let asked = running.asked();
    assert!(!asked.is_empty());
    for one in asked {
        let agent = one.headers["user-agent"].to_str().unwrap();
        assert!(agent.starts_with("keywright-plugin/"), "{agent}");
        assert_eq!(one.headers["impersonate-user"], "jane");
        assert_eq!(one.headers.get_all("impersonate-group").iter().count(), 2);
        assert_eq!(one.method, "GET");
    }
}

#[tokio::test]
async fn what_is_wrong_ends_with_1_and_says_what_to_do() {
    let (one, other) = (pki(1), pki(2));
    let mut misfit = secret(&one);
    misfit["data"]["tls.key"] = secret(&other)["data"]["tls.key"].clone();
    let mut foreign = secret(&one);
    foreign["metadata"]["labels"]["keywright.dev/certificate-uid"] = json!("u-9");
    let mut unseen = certificate(&one, 1, "True");
    unseen["status"] = json!({"observedGeneration": -1});
    let waiting = certificate(&one, 1, "Unknown");
    let mut asking = waiting.clone();
    for condition in asking["status"]["conditions"].as_array_mut().unwrap() {
        condition["reason"] = json!("AwaitingApproval");
    }
    let missing = status(404, "NotFound", "not found", "web-tls");
    for (cluster, wanted) in [
        (whole(&one).with(SECRET, misfit), "kubectl keywright renew web -n shop --wait"),
        (whole(&one).with(SECRET, foreign), "the Secret is marked for another Certificate"),
        (
            whole(&one).with(SECRET, secret(&other)),
            "the Secret holds another certificate than the status tells of",
        ),
        (whole(&one).refusing(SECRET, 404, missing), "the Secret does not exist"),
        (whole(&one).with(CERTIFICATE, unseen), "see that the operator runs and leads"),
        (whole(&one).with(CERTIFICATE, waiting), "Next: kubectl keywright status issuer ca -n shop"),
        (whole(&one).with(CERTIFICATE, asking), "on what: kubectl keywright why web -n shop"),
    ] {
        let ended = cluster.start().await.run(&["status", "certificate", "web"]).await;
        assert_eq!(ended.code, 1, "{wanted}: {ended:?}");
        assert!(ended.stdout.contains(wanted), "{wanted}: {}", ended.stdout);
    }
}

#[tokio::test]
async fn what_may_not_be_read_is_said_and_the_rest_is_shown() {
    let pki = pki(1);
    let forbidden = |name| status(403, "Forbidden", "secrets is forbidden", name);
    let cluster =
        whole(&pki).refusing(SECRET, 403, forbidden("web-tls")).refusing(EVENTS, 403, forbidden(""));
    let running = cluster.start().await;
    let ended = running.run(&["status", "certificate", "web"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.stdout.contains("not read") && ended.stdout.contains("secrets is forbidden"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("Log index     9"), "{}", ended.stdout);
    assert_eq!(running.run(&["inspect", "secret", "web-tls"]).await.code, 3);
}

#[tokio::test]
async fn exit_codes_tell_missing_from_unreachable() {
    let pki = pki(1);
    let running = whole(&pki).start().await;
    for (words, code) in [
        (&["status", "certificate", "none"][..], 1),
        (&["inspect", "secret", "none"], 1),
        (&["renew", "none"], 1),
        (&["status", "certificate", "web", "--context", "nowhere"], 3),
        (&["status", "certificate", "web", "--context", "away"], 1),
        (&["status", "certificate", "web", "-n", "away"], 1),
    ] {
        let ended = running.run(words).await;
        assert_eq!(ended.code, code, "{words:?}: {ended:?}");
    }
    let plain = Cluster::default().refusing(CERTIFICATE, 404, json!("404 page not found")).start().await;
    let ended = plain.run(&["status", "certificate", "web"]).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("install Keywright's"), "{ended:?}");
}

#[tokio::test]
async fn issuers_are_shown_with_their_chain() {
    let pki = pki(1);
    let running = whole(&pki).start().await;
    let ended = running.run(&["status", "iss", "ca"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    for wanted in [
        "Issuer shop/ca\n  State         Ready\n",
        "Below it      leaves only",
        "Longest leaf  2160h",
        "Parent        none: it signs itself",
        "Chain         0 CN=Test root (root, ECDSA-P384, until 2055-01-01T00:00:00Z)",
    ] {
        assert!(ended.stdout.contains(wanted), "{wanted}: {}", ended.stdout);
    }
    assert_eq!(running.run(&["status", "iss", "ca", "-o", "json"]).await.json()["kind"], "Issuer");
}

#[tokio::test]
async fn lists_show_one_line_each() {
    let pki = pki(1);
    let items = list(&[certificate(&pki, 1, "True"), certificate(&pki, 1, "Unknown")]);
    let running = whole(&pki).with(CERTIFICATES, items.clone()).with(EVERYWHERE, items).start().await;
    let ended = running.run(&["status", "certs"]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("NAME   READY   REASON"), "{}", lines[0]);
    assert!(lines[2].starts_with("web    False   IssuerNotReady"), "{}", lines[2]);
    let everywhere = running.run(&["status", "certs", "-A", "-o", "wide"]).await;
    assert!(everywhere.stdout.starts_with("NAMESPACE   NAME"), "{}", everywhere.stdout);
}

#[tokio::test]
async fn renewing_writes_one_annotation_with_a_fresh_value() {
    let pki = pki(1);
    let running = whole(&pki).start().await;
    for _ in 0..2 {
        let ended = running.run(&["renew", "web"]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (0, "certificate shop/web: renewal asked for\n"));
    }
    let dry = running.run(&["renew", "web", "--dry-run=server", "--wait"]).await;
    assert_eq!(dry.code, 0, "{dry:?}");
    let asked = running.asked();
    let values: Vec<&str> = asked
        .iter()
        .map(|one| one.body["metadata"]["annotations"]["keywright.dev/renew"].as_str().unwrap())
        .collect();
    assert_eq!(asked.len(), 3);
    assert!(values[0] != values[1] && values.iter().all(|value| value.len() > 12), "{values:?}");
    for one in &asked {
        assert_eq!((one.method.as_str(), one.path.as_str()), ("PATCH", CERTIFICATE));
        assert_eq!(one.headers["content-type"], "application/merge-patch+json");
        assert_eq!(one.body.as_object().unwrap().len(), 1);
        assert!(one.query.contains("fieldManager=keywright-plugin"), "{}", one.query);
    }
    assert!(!asked[0].query.contains("dryRun") && asked[2].query.contains("dryRun=All"));
}

#[tokio::test]
async fn waiting_ends_when_a_later_revision_is_ready() {
    let pki = pki(1);
    let events = [
        json!({"type": "MODIFIED", "object": certificate(&pki, 1, "Unknown")}),
        json!({"type": "MODIFIED", "object": certificate(&pki, 2, "True")}),
    ];
    let cluster = whole(&pki).with(CERTIFICATES, list(&[certificate(&pki, 1, "True")])).watching(&events);
    let running = cluster.start().await;
    let ended = running.run(&["renew", "web", "--wait", "--timeout", "20s"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let wanted = format!("certificate shop/web: renewed, revision 2, serial {}\n", pki.leaf.serial());
    assert_eq!(ended.stdout, wanted);
    let lists = running
        .asked()
        .iter()
        .filter(|one| one.path == CERTIFICATES && !one.query.contains("watch="))
        .count();
    assert_eq!(lists, 1, "waiting is a watch and no polling");
}

#[tokio::test]
async fn waiting_in_vain_ends_with_1_and_the_last_words() {
    let pki = pki(1);
    let events = [json!({"type": "MODIFIED", "object": certificate(&pki, 1, "Unknown")})];
    let cluster = whole(&pki).with(CERTIFICATES, list(&[certificate(&pki, 1, "True")])).watching(&events);
    let ended = cluster.start().await.run(&["renew", "web", "--wait", "--timeout", "2s", "-o", "json"]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert_eq!(ended.json()[0]["result"], "failed");
    assert!(ended.stdout.contains("not renewed in time: IssuerNotReady"), "{}", ended.stdout);

    let gone = [json!({"type": "DELETED", "object": certificate(&pki, 1, "True")})];
    let cluster = whole(&pki).with(CERTIFICATES, list(&[certificate(&pki, 1, "True")])).watching(&gone);
    let ended = cluster.start().await.run(&["renew", "web", "--wait", "--timeout", "20s"]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("was deleted while waiting"), "{ended:?}");
}

#[tokio::test]
async fn all_certificates_are_renewed_and_one_that_is_refused_keeps_no_other() {
    let pki = pki(1);
    let mut refused = certificate(&pki, 1, "True");
    refused["metadata"]["name"] = json!("api");
    let conflict = status(422, "Invalid", "the webhook says no", "api");
    let cluster = whole(&pki).with(CERTIFICATES, list(&[refused, certificate(&pki, 1, "True")])).refusing(
        &format!("{CERTIFICATES}/api"),
        422,
        conflict,
    );
    let ended = cluster.start().await.run(&["renew", "--all"]).await;
    assert_eq!(ended.code, 1);
    assert!(
        ended.stdout.contains("shop/api: cannot renew") && ended.stdout.contains("the webhook says no"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("shop/web: renewal asked for"), "{ended:?}");
}

#[tokio::test]
async fn a_secret_is_verified_by_the_index_on_it() {
    let pki = pki(1);
    let log = common::TestLog::about(&pki.leaf, 20, 8);
    let temp = tempfile::tempdir().unwrap();
    common::write(temp.path(), &log.files());
    let running = whole(&pki).start().await;
    let (folder, key) = (temp.path().display().to_string(), log.vkey());
    let verify = ["verify", "--secret", "web-tls", "--log", &folder, "--log-key", &key, "-o", "json"];
    let ended = running.run(&verify).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.json()["logIndex"], 9);
    let mut wrong = secret(&pki);
    wrong["metadata"]["annotations"]["keywright.dev/log-index"] = json!("3");
    let ended = whole(&pki).with(SECRET, wrong).start().await.run(&verify).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("the Secret says index 3, which is wrong"), "{}", ended.stdout);
}

#[tokio::test]
async fn names_of_objects_are_completed_from_their_metadata_alone() {
    let pki = pki(1);
    let running = whole(&pki).with(CERTIFICATES, list(&[certificate(&pki, 1, "True")])).start().await;
    let words = ["__complete", "--", "--kubeconfig", &running.kubeconfig, "renew", "w"];
    let ended = run(&words).await;
    assert_eq!(ended.stdout, "web\n:4\n", "{ended:?}");
    let accepts = running.asked()[0].headers["accept"].to_str().unwrap().to_owned();
    assert!(accepts.contains("as=PartialObjectMetadataList"), "{accepts}");
}
