//! Without the webhook nothing of ours changes, and nothing else notices.

use crate::cluster::{PATIENCE, certificate, certificates, create, root, words};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use keywright_e2e::{ControlPlane, Process, Suite, wait_for};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

async fn until_revision(plane: &ControlPlane, least: i64) {
    let api = certificates(plane.client());
    wait_for("the certificate is issued and its status says so", PATIENCE, async || {
        let web = api.get("web").await?;
        Ok(web.data["status"]["revision"].as_i64().filter(|revision| *revision >= least).map(|_| ()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn with_the_webhook_gone_our_kinds_are_refused_others_are_not_and_the_operator_goes_on() {
    let mut suite = Suite::start().await.unwrap();
    create(suite.plane.client(), &root()).await.unwrap();
    create(suite.plane.client(), &certificate("web")).await.unwrap();
    until_revision(&suite.plane, 1).await;
    suite.plane.kill(Process::Webhook).unwrap();

    let client = suite.plane.client();
    let api = certificates(client.clone());
    let edit = Patch::Merge(json!({ "metadata": { "annotations": { "a": "b" } } }));
    for said in [
        words(create(client.clone(), &certificate("late")).await),
        words(api.patch("web", &PatchParams::default(), &edit).await),
        words(api.delete("web", &DeleteParams::default()).await),
    ] {
        assert!(said.contains("failed calling webhook") && said.contains("keywright.dev"), "{said}");
    }
    let mut map = ConfigMap::default();
    map.metadata.name = Some("unrelated".into());
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    maps.create(&PostParams::default(), &map).await.unwrap();
    maps.delete("unrelated", &DeleteParams::default()).await.unwrap();

    let secrets: Api<Secret> = Api::namespaced(client, "default");
    secrets.delete("web", &DeleteParams::default()).await.unwrap();
    until_revision(&suite.plane, 2).await;

    suite.plane.start_again(Process::Webhook).unwrap();
    suite.ready(Process::Webhook).await.unwrap();
    create(suite.plane.client(), &certificate("late")).await.unwrap();
}

#[tokio::test]
async fn with_its_configurations_deleted_identity_still_holds() {
    let suite = Suite::start().await.unwrap();
    let client = suite.plane.client();
    create(client.clone(), &certificate("web")).await.unwrap();
    let name = "keywright-webhook";
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    mutating.delete(name, &DeleteParams::default()).await.unwrap();
    validating.delete(name, &DeleteParams::default()).await.unwrap();

    let said = wait_for("the API server has seen it", PATIENCE, async || {
        let said = words(create(client.clone(), &certificate("late")).await);
        Ok(said.contains("identity-forged").then_some(said))
    });
    let said = said.await.unwrap();
    assert!(said.contains("keywright-identity"), "{said}");
    let api = certificates(client);
    let forged = Patch::Merge(
        json!({ "metadata": { "annotations": { "keywright.dev/requester-username": "root" } } }),
    );
    let said = words(api.patch("web", &PatchParams::default(), &forged).await);
    assert!(said.contains("identity-frozen"), "{said}");
    let edit = Patch::Merge(json!({ "spec": { "dnsNames": ["other.example.test"] } }));
    let said = words(api.patch("web", &PatchParams::default(), &edit).await);
    assert!(said.contains("identity-forged") && said.contains("editor"), "nobody stamps who edits: {said}");
    let status = Patch::Merge(json!({ "status": { "revision": 7 } }));
    let said = words(api.patch_status("web", &PatchParams::default(), &status).await);
    assert!(said.contains("status-operator-only"), "{said}");
}
