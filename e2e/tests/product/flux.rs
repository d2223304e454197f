//! Our kinds as Flux sees them: applied server-side, waited for by kstatus and pruned, by Flux's own code with the field
//! manager, options and stages of its kustomize-controller (`e2e/flux`). Run by `hack/flux.sh`, which builds that program and
//! names it in `KEYWRIGHT_FLUX`; an ordinary run leaves these out (`.config/nextest.toml`).

use crate::approvals::{guarded, plugin, two_of_security};
use crate::cluster::{PATIENCE, certificate, root};
use jiff::SignedDuration;
use keywright_ambient::{Clock, SystemClock};
use keywright_e2e::{ControlPlane, Suite, wait_for};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// What Flux did with one file: its lines, and what it complained of.
struct Outcome {
    lines: Vec<String>,
    error: Option<String>,
}

impl Outcome {
    fn is(&self, action: &str) -> bool {
        self.lines.iter().all(|line| line.starts_with(&format!("{action} ")))
    }
}

fn flux(plane: &ControlPlane, words: &[&str]) -> Outcome {
    let program = std::env::var_os("KEYWRIGHT_FLUX").expect(
        "KEYWRIGHT_FLUX names no program of e2e/flux: run hack/flux.sh, which builds it and runs these tests",
    );
    let output =
        Command::new(program).arg("-kubeconfig").arg(plane.site().kubeconfig()).args(words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let error = (!output.status.success()).then(|| text(&output.stderr));
    Outcome { lines: text(&output.stdout).lines().map(str::to_owned).collect(), error }
}

fn file(plane: &ControlPlane, name: &str, objects: &[Value]) -> String {
    let path: PathBuf = plane.site().root.join(name);
    let text: Vec<String> = objects.iter().map(Value::to_string).collect();
    std::fs::write(&path, text.join("\n---\n")).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn the_quickstart_is_waited_for_then_unchanged_and_pruned() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    let example = plane.site().assets.checkout.join("docs/examples/quickstart.yaml").display().to_string();
    let first = flux(plane, &["-wait", "90s", &example]);
    assert_eq!(first.error, None, "{:?}", first.lines);
    assert!(first.is("created") && !first.lines.is_empty(), "{:?}", first.lines);
    plane.kubectl(&["wait", "--for=condition=Ready", "--timeout=0s", "-f", &example]).unwrap();

    // Again, with all that the operator and the webhook wrote meanwhile: Flux sees no drift, and waits for nothing.
    let before =
        plane.kubectl(&["get", "-f", &example, "-o", "jsonpath={.items[*].metadata.resourceVersion}"]);
    let again = flux(plane, &["-wait", "90s", &example]);
    assert_eq!(again.error, None);
    assert!(again.is("unchanged") && again.lines.len() == first.lines.len(), "{:?}", again.lines);
    let after =
        plane.kubectl(&["get", "-f", &example, "-o", "jsonpath={.items[*].metadata.resourceVersion}"]);
    assert_eq!(before.unwrap(), after.unwrap());

    // Whoever edits by hand is put right, and that is all that is changed.
    let patch = json!({ "spec": { "dnsNames": ["other.example.test"] } }).to_string();
    plane.kubectl(&["patch", "certificate", "web", "--type=merge", "-p", &patch]).unwrap();
    let corrected = flux(plane, &["-wait", "90s", &example]);
    assert_eq!(corrected.error, None);
    let changed: Vec<_> = corrected.lines.iter().filter(|line| !line.starts_with("unchanged ")).collect();
    assert_eq!(changed, ["configured Certificate/default/web"]);

    // A Secret that came of it carries none of Flux's labels, so Flux does not take it for its own.
    let labels = plane.kubectl(&["get", "secret", "web-tls", "-o", "jsonpath={.metadata.labels}"]).unwrap();
    assert!(!labels.contains("fluxcd"), "{labels}");
    let pruned = flux(plane, &["-wait", "90s", "-was", &example, &file(plane, "empty.yaml", &[])]);
    assert_eq!(pruned.error, None);
    assert!(pruned.is("deleted") && pruned.lines.len() == first.lines.len(), "{:?}", pruned.lines);
    plane.kubectl(&["wait", "--for=delete", "--timeout=60s", "-f", &example]).unwrap();
    plane.kubectl(&["get", "secret", "web-tls"]).unwrap();
}

#[tokio::test]
async fn what_only_a_person_can_mend_fails_the_wait_at_once() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    let allowed = json!({ "permitted": { "dnsDomains": ["example.test"] } });
    let wrong = certificate("web", "strict", json!({ "dnsNames": ["web.elsewhere.test"] }));
    let objects = [root("strict", json!({ "nameConstraints": allowed })), wrong];
    let begun = SystemClock.now();
    let outcome = flux(plane, &["-wait", "110s", &file(plane, "wrong.yaml", &objects)]);
    let error = outcome.error.expect("the wait fails");
    assert!(error.contains("failed early due to stalled resources"), "{error}");
    assert!(error.contains("Certificate/default/web status: 'Failed'"), "{error}");
    assert!(!error.contains("ClusterIssuer"), "the issuer is well: {error}");
    let took = SystemClock.now().duration_since(begun);
    assert!(took < SignedDuration::from_mins(1), "{took:?}");
}

#[tokio::test]
async fn what_waits_for_people_is_in_progress_and_current_once_they_agreed() {
    let suite = guarded(&two_of_security()).await;
    let plane = &suite.plane;
    let path = file(plane, "guarded.yaml", &[certificate("web", "guarded", json!({}))]);
    let waiting = flux(plane, &["-wait", "12s", &path]);
    let error = waiting.error.expect("nobody has agreed");
    assert!(error.contains("timeout waiting for"), "{error}");
    assert!(error.contains("Certificate/default/web status: 'InProgress'"), "{error}");

    let request = wait_for("the request is named", PATIENCE, async || {
        let name = ["get", "certificate", "web", "-o", "jsonpath={.status.approval.request}"];
        Ok(plane.kubectl(&name).ok().filter(|name| !name.is_empty()))
    });
    let request = request.await.unwrap();
    for who in ["alice", "bob"] {
        let (done, said) = plugin(plane, who, &["approve", &request]);
        assert!(done, "{who}: {said}");
    }
    let agreed = flux(plane, &["-wait", "90s", &path]);
    assert_eq!(agreed.error, None);
    assert!(agreed.is("unchanged"), "{:?}", agreed.lines);
}
