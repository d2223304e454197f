//! The quickstart: applies the example, waits for it, and shows what came out by means that are not ours.

use super::{Progress, shown, up};
use crate::assets::run;
use crate::install::kubectl;
use crate::keys::write_private;
use crate::site::Site;
use crate::{Error, wait_for};
use futures::future::LocalBoxFuture;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Relative to the checkout.
const EXAMPLE: &str = "docs/examples/quickstart.yaml";
const LIMIT: Duration = Duration::from_mins(2);

/// `up`, then the example: from nothing to a certificate that openssl accepts. Everything is left running.
pub fn demo<'a>(checkout: &'a Path, progress: &'a Progress) -> LocalBoxFuture<'a, Result<(), Error>> {
    Box::pin(async move {
        let site = up(checkout, progress).await?;
        let example = site.assets.checkout.join(EXAMPLE).display().to_string();
        progress.step(&format!("kubectl apply --server-side -f {EXAMPLE}"));
        kubectl(&site, &["apply", "--server-side", "-f", &example])?;
        let objects = until_ready(&site, &example, progress).await?;
        progress.end();
        for secret_name in objects.iter().filter_map(|object| object.spec.secret_name.as_deref()) {
            show(&site, secret_name)?;
        }
        println!("\n{NEXT}");
        Ok(())
    })
}

/// Every line is a command that works from the checkout as it stands.
const NEXT: &str = "\
It is left running. What to try next, from this folder:
  source .keywright/env                               # kubectl and kubectl-keywright on the PATH, KUBECONFIG set
  kubectl get clusterissuers,issuers,certificates     # what is there, with expiry and renewal
  kubectl keywright status certificate web            # what it wants, what is so, what to do next
  kubectl keywright renew web                         # a new certificate now, before it is due
  kubectl keywright verify --secret web-tls --log .keywright/signer/log --log-key-file .keywright/signer/log.vkey
                                                      # that the signer wrote down what it signed
  kubectl explain certificates.keywright.dev.spec     # every field
  tail -n 5 .keywright/logs/keywright-signer.log .keywright/logs/keywright-operator.log
  make down                                           # stops everything; make up goes on where it was";

/// The few fields that are looked at, the same for all our kinds.
#[derive(Debug, Deserialize)]
struct Object {
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    secret_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    r#type: String,
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

#[derive(Debug, Deserialize)]
struct List {
    items: Vec<Object>,
}

impl Object {
    fn id(&self) -> String {
        format!("{} {}", self.kind, self.metadata.name)
    }

    fn ready(&self) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.r#type == "Ready")
    }

    fn is_ready(&self) -> bool {
        self.ready().is_some_and(|ready| ready.status == "True")
    }

    /// One line about it as it is now.
    fn state(&self) -> String {
        match self.ready() {
            Some(ready) if ready.status == "True" => format!("{} is Ready", self.id()),
            Some(ready) => format!("{}: {}: {}", self.id(), ready.reason, ready.message),
            None => format!("{} has not been seen yet", self.id()),
        }
    }
}

/// Waits until all objects of the example are Ready, telling each change.
async fn until_ready(site: &Site, example: &str, progress: &Progress) -> Result<Vec<Object>, Error> {
    let mut told = BTreeMap::new();
    wait_for("every object of the example is Ready; kubectl describe says why not", LIMIT, async || {
        let text = kubectl(site, &["get", "-f", example, "-o", "json"])?;
        let list: List = serde_json::from_str(&text).map_err(|error| Error::Garbled {
            path: PathBuf::from(EXAMPLE),
            problem: format!("kubectl get answered something else than a list: {error}"),
        })?;
        for object in &list.items {
            let state = object.state();
            if told.insert(object.id(), state.clone()).as_ref() != Some(&state) {
                progress.step(&state);
            }
        }
        let waiting: Vec<String> =
            list.items.iter().filter(|object| !object.is_ready()).map(Object::id).collect();
        progress.awaiting(&format!("waiting for {}", waiting.join(", ")));
        Ok(waiting.is_empty().then_some(list.items))
    })
    .await
}

/// Shows a TLS Secret by openssl: what the certificate says, and whether its chain ends at its root.
fn show(site: &Site, secret_name: &str) -> Result<(), Error> {
    let text = kubectl(site, &["get", "secret", secret_name, "-o", "json"])?;
    let folder = shown(site);
    let secret: Secret = serde_json::from_str(&text).map_err(|error| Error::Garbled {
        path: folder.clone(),
        problem: format!("kubectl get secret answered something else: {error}"),
    })?;
    let data = secret.data.unwrap_or_default();
    for file in ["tls.crt", "ca.crt"] {
        let bytes = data.get(file).ok_or_else(|| Error::Garbled {
            path: folder.join(file),
            problem: format!("Secret {secret_name} has no {file}"),
        })?;
        write_private(&folder.join(file), &bytes.0)?;
    }
    println!("\nSecret {secret_name}, its certificates written to .keywright/demo:");
    for command in [
        "openssl x509 -in tls.crt -noout -subject -issuer -dates -ext subjectAltName",
        "openssl verify -show_chain -CAfile ca.crt -untrusted tls.crt tls.crt",
    ] {
        println!("\n$ {command}");
        let mut shell = Command::new("sh");
        print!("{}", run(shell.args(["-c", command]).current_dir(&folder))?);
    }
    Ok(())
}
