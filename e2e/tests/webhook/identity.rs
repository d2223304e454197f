//! Who asked is what the API server knows, whatever anybody writes.

use crate::cluster::{acting_as, certificate, certificates, certificates_of, create, words};
use keywright_e2e::Suite;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const USERNAME: &str = "keywright.dev/requester-username";
const GROUPS: &str = "keywright.dev/requester-groups";
const EDITORS: &str = "keywright.dev/editor-usernames";

fn annotations(object: &DynamicObject) -> BTreeMap<String, String> {
    object.metadata.annotations.clone().unwrap_or_default()
}

#[tokio::test]
async fn the_author_is_stamped_over_what_was_forged_and_stays() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    let ann = acting_as(plane, "ann", &["dev", "audit"]).await;
    let mut forged = certificate("web");
    forged["metadata"]["annotations"] =
        json!({ USERNAME: "root", GROUPS: "system:masters", "mine": "stays" });
    let made = create(ann.clone(), &forged).await.unwrap();
    let stamp = annotations(&made);
    assert_eq!(stamp[USERNAME], "ann");
    assert_eq!(stamp[GROUPS], "audit\ndev\nsystem:authenticated");
    assert_eq!(stamp["mine"], "stays");

    let bob = acting_as(plane, "bob", &["dev"]).await;
    // Who edits the spec is stamped beside the author, and nobody by hand.
    let edited_by_bob: BTreeMap<String, String> =
        stamp.clone().into_iter().chain([(EDITORS.to_owned(), "bob".to_owned())]).collect();
    for (patch, stamp) in [
        (json!({ "metadata": { "annotations": { USERNAME: "bob" } } }), &stamp),
        (json!({ "metadata": { "annotations": { USERNAME: Value::Null, GROUPS: Value::Null } } }), &stamp),
        (json!({ "metadata": { "annotations": { EDITORS: "ann" } } }), &stamp),
        (json!({ "spec": { "dnsNames": ["other.example.test"] } }), &edited_by_bob),
        (json!({ "metadata": { "annotations": { EDITORS: Value::Null } } }), &edited_by_bob),
    ] {
        let edited =
            certificates(bob.clone()).patch("web", &PatchParams::default(), &Patch::Merge(patch)).await;
        assert_eq!(annotations(&edited.unwrap()), *stamp);
    }
    let applied = json!({ "apiVersion": "keywright.dev/v1alpha1", "kind": "Certificate", "spec": certificate("web")["spec"] });
    let how = PatchParams::apply("argocd-controller").force();
    let applied = certificates(bob).patch("web", &how, &Patch::Apply(applied)).await.unwrap();
    assert_eq!(annotations(&applied), edited_by_bob);
}

#[tokio::test]
async fn status_is_the_operators_and_a_refusal_is_found_in_the_log() {
    let suite = Suite::start().await.unwrap();
    let plane = &suite.plane;
    create(plane.client(), &certificate("web")).await.unwrap();
    let issued = json!({ "status": { "revision": 7 } });
    let written = certificates(plane.client())
        .patch_status("web", &PatchParams::default(), &Patch::Merge(issued))
        .await;
    let said = words(written);
    assert!(said.contains("status-operator-only") && said.contains("change the spec"), "{said}");

    // The policy beside the webhook may have said that; of this one only the webhook knows.
    let mut probe = certificate("keywright-webhook-probe");
    probe["metadata"]["namespace"] = json!("keywright-system");
    let probe: DynamicObject = serde_json::from_value(probe).unwrap();
    let own = certificates_of(plane.client(), "keywright-system");
    let said = words(own.create(&PostParams::default(), &probe).await);
    assert!(said.contains("probe") && said.contains("choose another one"), "{said}");
    let decision = said.rsplit_once("(decision ").unwrap().1.trim_end_matches(')');
    let log = std::fs::read_to_string(plane.site().logs().join("keywright-webhook.log")).unwrap();
    assert!(log.lines().any(|line| line.contains(decision) && line.contains("\"probe\"")), "{log}");
}
