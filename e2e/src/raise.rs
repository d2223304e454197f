//! Makes a site run: whatever is not running yet, in order, each step only when the one before is of use.

use crate::keys::{Keys, User, write_kubeconfig, write_private};
use crate::launcher::ended;
use crate::programs::program;
use crate::site::Site;
use crate::{Error, Launcher, Process, Started, install, wait_for};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Far more than a busy machine needs; a process that ended is noticed at once.
const LIMIT: Duration = Duration::from_secs(90);

/// What is told to whoever waits: one short sentence for each step.
pub(crate) type Tell<'a> = &'a dyn Fn(&str);

/// Everything is asked for, but the events of reading a request; without bodies, which hold Secrets.
const AUDIT_POLICY: &str = r#"{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"Metadata"}]}"#;

/// etcd, kube-apiserver and kube-controller-manager, ready to be used; the admin's kubeconfig is written. Says whether
/// the API server had to be started.
pub(crate) async fn control_plane(
    site: &Site,
    with: &mut impl Launcher,
    tell: Tell<'_>,
) -> Result<(Client, bool), Error> {
    let keys = Keys::in_folder(&site.keys())?;
    write_private(&site.audit_policy(), AUDIT_POLICY.as_bytes())?;
    for user in User::ALL {
        let path = site.kubeconfig_of(user.file());
        write_kubeconfig(&path, &keys, site.ports.kube_apiserver, user.name(), &keys.token(user)?)?;
    }
    let mut raising = Raising { site, keys: &keys, with, tell, started: Vec::new() };
    raising.ensure(Process::Etcd)?;
    raising.ensure(Process::KubeApiserver)?;
    let client = client(site).await?;
    let ready = http::Request::get("/readyz").body(Vec::new()).map_err(kube::Error::HttpError)?;
    raising
        .until_it_serves(Process::KubeApiserver, async || {
            Ok(client.request_text(ready.clone()).await.is_ok())
        })
        .await?;
    raising.ensure(Process::KubeControllerManager)?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    raising
        .until_it_serves(Process::KubeControllerManager, async || {
            Ok(accounts.get_opt("default").await?.is_some())
        })
        .await?;
    Ok((client, !raising.started.is_empty()))
}

/// The product's own processes, in the order of starting.
const OURS: [Process; 3] = [Process::Signer, Process::Webhook, Process::Operator];

/// The product on a control plane that is ready: resources and rights installed, the mutual trust of operator and
/// signer made, both running and ready.
pub(crate) async fn product(
    site: &Site,
    with: &mut impl Launcher,
    client: &Client,
    fresh: bool,
    tell: Tell<'_>,
) -> Result<(), Error> {
    let keys = Keys::in_folder(&site.keys())?;
    if fresh || !install::is_current(site)? {
        tell("installing the resource definitions and the rights of each ServiceAccount");
        install::manifests(site, client).await?;
    }
    let missing = install::ACCOUNTS.iter().any(|account| !site.kubeconfig_of(account).exists());
    if fresh || missing {
        install::kubeconfigs(site, &keys, client).await?;
    }
    if [Process::Signer, Process::Operator].into_iter().any(|process| !with.is_alive(process)) {
        tell("making sure that operator and signer know each other");
        install::trust(site, client).await?;
    }
    let mut raising = Raising { site, keys: &keys, with, tell, started: Vec::new() };
    for process in OURS {
        raising.ensure(process)?;
    }
    for process in OURS {
        raising.serving(process).await?;
    }
    Ok(())
}

/// Until a signer, a webhook or an operator that was started a moment ago answers that it is ready.
pub(crate) async fn serving(site: &Site, with: &mut impl Launcher, process: Process) -> Result<(), Error> {
    let keys = Keys::in_folder(&site.keys())?;
    Raising { site, keys: &keys, with, tell: &|_| (), started: vec![process] }.serving(process).await
}

/// Starts a process unless it runs.
pub(crate) fn ensure(
    site: &Site,
    keys: &Keys,
    with: &mut impl Launcher,
    process: Process,
    tell: Tell<'_>,
) -> Result<Started, Error> {
    let started = with.ensure(process, &program(site, keys, process)?)?;
    match started {
        Started::Before => {}
        Started::Now => tell(&format!("starting {}", process.name())),
        Started::Again => {
            tell(&format!("starting {} again: its build or its arguments changed", process.name()));
        }
    }
    Ok(started)
}

/// One go at making processes run.
///
/// A process that ran when it was looked for may be about to end: killed a moment ago, or left without its store. Such a
/// one is started when that shows; one that ends after this go started it has a mistake to tell.
struct Raising<'a, L> {
    site: &'a Site,
    keys: &'a Keys,
    with: &'a mut L,
    tell: Tell<'a>,
    started: Vec<Process>,
}

impl<L: Launcher> Raising<'_, L> {
    fn ensure(&mut self, process: Process) -> Result<(), Error> {
        if ensure(self.site, self.keys, self.with, process, self.tell)? != Started::Before {
            self.started.push(process);
        }
        Ok(())
    }

    /// Until the signer, the webhook or the operator answers that it is ready; the others have no such page.
    async fn serving(&mut self, process: Process) -> Result<(), Error> {
        let port = match process {
            Process::Signer => self.site.ports.signer_health,
            Process::Webhook => self.site.ports.webhook_health,
            Process::Operator => self.site.ports.operator_health,
            Process::Etcd | Process::KubeApiserver | Process::KubeControllerManager => return Ok(()),
        };
        self.until_it_serves(process, async || Ok(says_ready(port).await)).await
    }

    async fn until_it_serves(
        &mut self,
        process: Process,
        mut looks_ready: impl AsyncFnMut() -> Result<bool, Error>,
    ) -> Result<(), Error> {
        // Without its store the API server is of no use, and ends later than it.
        let needed = match process {
            Process::KubeApiserver => [Process::Etcd, process],
            Process::Etcd
            | Process::KubeControllerManager
            | Process::Signer
            | Process::Webhook
            | Process::Operator => [process; 2],
        };
        wait_for(&format!("{} is ready", process.name()), LIMIT, async || {
            for process in needed {
                self.revive(process)?;
            }
            Ok(looks_ready().await?.then_some(()))
        })
        .await
    }

    fn revive(&mut self, process: Process) -> Result<(), Error> {
        if self.with.is_alive(process) {
            Ok(())
        } else if self.started.contains(&process) {
            Err(ended(process, self.with.log(process)))
        } else {
            self.ensure(process)
        }
    }
}

/// A client with the admin's rights. Its user agent is not one of the product's.
async fn client(site: &Site) -> Result<Client, Error> {
    let kubeconfig = Kubeconfig::read_from(site.kubeconfig())?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// `GET /readyz` over plain HTTP on loopback; any failure is "no".
pub(crate) async fn says_ready(port: u16) -> bool {
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").await?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        Ok::<_, std::io::Error>(head.ends_with(b" 200"))
    };
    matches!(tokio::time::timeout(Duration::from_secs(2), ask).await, Ok(Ok(true)))
}
