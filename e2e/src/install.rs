//! What `helm install` would do, from the very files of the chart: definitions, namespace, rights, the bootstrap job,
//! and what the kubelet would mount.

use crate::assets::run;
use crate::keys::{Keys, make_private_folder, write_kubeconfig, write_private};
use crate::site::Site;
use crate::{Error, wait_for};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Where the product lives in the cluster.
pub(crate) const NAMESPACE: &str = "keywright-system";
/// ServiceAccount of the operator.
pub(crate) const OPERATOR: &str = "keywright-operator";
/// ServiceAccount of the signer.
pub(crate) const SIGNER: &str = "keywright-signer";
/// ServiceAccount of the webhook.
pub(crate) const WEBHOOK: &str = "keywright-webhook";
const BOOTSTRAP: &str = "keywright-bootstrap";
/// The ServiceAccounts of the chart.
pub(crate) const ACCOUNTS: [&str; 4] = [OPERATOR, WEBHOOK, SIGNER, BOOTSTRAP];
/// Mount of the Secret with the operator's mutual TLS identity.
pub(crate) const OPERATOR_TLS: &str = "operator-tls";
/// Mount of the Secret with the signer's.
pub(crate) const SIGNER_TLS: &str = "signer-tls";
/// One year: longer than any test, and a demo left running keeps its rights.
const TOKEN_SECONDS: i64 = 8760 * 3600;

/// The chart's manifests that Helm would take as they are, in the order of their names.
fn manifest_files(site: &Site) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for part in ["crds", "rbac", "webhooks"] {
        let folder = site.assets.checkout.join("charts/keywright/files").join(part);
        let entries = fs::read_dir(&folder).map_err(Error::file("read", &folder))?;
        for entry in entries {
            let path = entry.map_err(Error::file("read", &folder))?.path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn manifest_text(site: &Site) -> Result<String, Error> {
    let mut text = String::new();
    for path in manifest_files(site)? {
        text.push_str("---\n");
        let file = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        text.push_str(&reached_at(site, &file));
        text.push('\n');
    }
    Ok(text)
}

/// A manifest as this site needs it: a webhook is reached at its port, where the chart names a Service.
fn reached_at(site: &Site, manifest: &str) -> String {
    let mut lines = manifest.lines().peekable();
    let mut text = String::new();
    while let Some(line) = lines.next() {
        let Some(indent) = line.strip_suffix("service:").filter(|rest| rest.trim().is_empty()) else {
            text.extend([line, "\n"]);
            continue;
        };
        let mut path = "";
        while let Some(field) =
            lines.next_if(|next| next.starts_with(indent) && next[indent.len()..].starts_with(' '))
        {
            path = field.trim().strip_prefix("path: ").unwrap_or(path);
        }
        let port = site.ports.webhook.to_string();
        text.extend([indent, "url: https://127.0.0.1:", &port, path, "\n"]);
    }
    text
}

/// Whether the manifests that were last applied are the chart's of now.
pub(crate) fn is_current(site: &Site) -> Result<bool, Error> {
    let applied = fs::read_to_string(site.installed()).unwrap_or_default();
    Ok(applied == manifest_text(site)?)
}

/// Applies namespace, definitions and rights, and waits until the definitions serve.
pub(crate) async fn manifests(site: &Site, client: &Client) -> Result<(), Error> {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(NAMESPACE.into());
    let how = PatchParams::apply("helm").force();
    Api::<Namespace>::all(client.clone()).patch(NAMESPACE, &how, &Patch::Apply(&namespace)).await?;

    // Remembered only when it has been applied, so an interrupted installation is repeated.
    let text = manifest_text(site)?;
    let staged = site.root.join("installing.yaml");
    write_private(&staged, text.as_bytes())?;
    let file = staged.display().to_string();
    kubectl(site, &["apply", "--server-side", "--force-conflicts", "--field-manager=helm", "-f", &file])?;
    kubectl(site, &["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
    fs::rename(&staged, site.installed()).map_err(Error::file("write", &site.installed()))
}

/// One kubeconfig for each ServiceAccount, with a token as a pod would get it.
pub(crate) async fn kubeconfigs(site: &Site, keys: &Keys, client: &Client) -> Result<(), Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    for account in ACCOUNTS {
        let spec =
            TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await?;
        let path = site.kubeconfig_of(account);
        let token = answer.status.map(|status| status.token).ok_or_else(|| Error::Garbled {
            path: path.clone(),
            problem: format!("the API server gave no token for ServiceAccount {account}"),
        })?;
        write_kubeconfig(&path, keys, site.ports.kube_apiserver, account, &token)?;
    }
    Ok(())
}

/// Runs the bootstrap job, then writes its two Secrets where the processes expect their mounts, and makes the
/// key-encryption key where there is none yet.
pub(crate) async fn trust(site: &Site, client: &Client) -> Result<(), Error> {
    let mut bootstrap = Command::new(site.assets.product_binary("keywright-operator")?);
    bootstrap.args(["bootstrap", "--namespace", NAMESPACE]).envs(environment(site, BOOTSTRAP));
    run(&mut bootstrap)?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    for mount in [OPERATOR_TLS, SIGNER_TLS] {
        let name = format!("keywright-{mount}");
        let limit = Duration::from_secs(10);
        let secret =
            wait_for(&format!("Secret {name} exists"), limit, async || Ok(secrets.get_opt(&name).await?))
                .await?;
        for (key, value) in secret.data.unwrap_or_default() {
            write_private(&site.mount(mount).join(key), &value.0)?;
        }
    }
    if !site.kek().exists() {
        make_private_folder(&site.mount("signer-kek"))?;
        let mut kek = Command::new(site.assets.product_binary("keywright-signer")?);
        run(kek.args(["kek", "create"]).arg(site.kek()))?;
    }
    Ok(())
}

/// The environment of a product process: its ServiceAccount, never the admin.
pub(crate) fn environment(site: &Site, account: &str) -> Vec<(String, String)> {
    vec![("KUBECONFIG".into(), site.kubeconfig_of(account).display().to_string())]
}

/// kubectl as the admin of a site; answers its standard output.
pub(crate) fn kubectl(site: &Site, args: &[&str]) -> Result<String, Error> {
    let mut command = Command::new(site.assets.kubernetes.join("kubectl"));
    run(command.arg("--kubeconfig").arg(site.kubeconfig()).args(args))
}
