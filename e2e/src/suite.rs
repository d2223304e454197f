//! What a test holds: a control plane, or a control plane with Keywright on it. Dropping it takes everything down.

use crate::assets::Assets;
use crate::audit::AuditLog;
use crate::guarded::Guarded;
use crate::keys::Keys;
use crate::ports::{Reservation, reserve};
use crate::site::{Durability, Site};
use crate::{Error, Launcher, Process, install, raise};
use futures::future::LocalBoxFuture;
use kube::Client;
use rustix::process::Signal;
use tempfile::TempDir;

/// etcd, kube-apiserver and kube-controller-manager of one test.
pub struct ControlPlane {
    // Dropped in this order: processes first, then their files, then the right to their ports.
    processes: Guarded,
    folder: Option<TempDir>,
    _ports: Reservation,
    site: Site,
    client: Client,
}

impl ControlPlane {
    /// Starts one in a folder of its own, ready to be used. Several may run side by side.
    pub fn start() -> LocalBoxFuture<'static, Result<Self, Error>> {
        Box::pin(async move {
            let folder = tempfile::Builder::new().prefix("keywright-e2e-").tempdir();
            let folder = folder.map_err(Error::file("make", &std::env::temp_dir()))?;
            let (ports, reservation) = reserve()?;
            let site = Site {
                root: folder.path().to_path_buf(),
                ports,
                assets: Assets::of_this_checkout()?,
                durability: Durability::Hasty,
            };
            let mut processes = Guarded::new(site.logs());
            match raise::control_plane(&site, &mut processes, &|_| ()).await {
                Ok((client, _)) => {
                    Ok(Self { processes, folder: Some(folder), _ports: reservation, site, client })
                }
                Err(error) => {
                    keep(folder);
                    Err(error)
                }
            }
        })
    }

    /// A client with the admin's rights.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A client with the operator's rights, who alone may write a status.
    pub(crate) async fn client_of_operator(&self) -> Result<Client, Error> {
        raise::client(&self.site.kubeconfig_of(install::OPERATOR)).await
    }

    /// Its paths and ports.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Runs kubectl as the admin and answers its standard output. Errors: `Command` with what it said.
    pub fn kubectl(&self, args: &[&str]) -> Result<String, Error> {
        install::kubectl(&self.site, args)
    }

    /// What was asked of the API server.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.site.audit_log())
    }

    /// The pid of a process, where it was started and not killed.
    pub fn pid(&self, process: Process) -> Option<u32> {
        self.processes.pid(process)
    }

    /// Whether a process runs now.
    pub fn is_alive(&mut self, process: Process) -> bool {
        self.processes.is_alive(process)
    }

    /// SIGKILL, and until it is gone.
    pub fn kill(&mut self, process: Process) -> Result<(), Error> {
        self.processes.kill(process)
    }

    /// Stops a process in its tracks: it answers nothing and loses nothing.
    pub fn pause(&mut self, process: Process) -> Result<(), Error> {
        self.processes.signal(process, Signal::STOP)
    }

    /// Lets a paused process go on.
    pub fn resume(&mut self, process: Process) -> Result<(), Error> {
        self.processes.signal(process, Signal::CONT)
    }

    /// Starts a process that was killed, with the same arguments and data, without waiting until it is ready.
    pub fn start_again(&mut self, process: Process) -> Result<(), Error> {
        let keys = Keys::in_folder(&self.site.keys())?;
        raise::ensure(&self.site, &keys, &mut self.processes, process, &|_| ()).map(|_| ())
    }

    /// Waits until the signer, webhook or operator answers that it is ready.
    pub fn ready(&mut self, process: Process) -> LocalBoxFuture<'_, Result<(), Error>> {
        Box::pin(async move { raise::serving(&self.site, &mut self.processes, process).await })
    }

    /// Starts whatever does not run and waits until the control plane is ready.
    pub fn recover(&mut self) -> LocalBoxFuture<'_, Result<(), Error>> {
        Box::pin(
            async move { raise::control_plane(&self.site, &mut self.processes, &|_| ()).await.map(|_| ()) },
        )
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            keep(folder);
        }
    }
}

/// Logs of what went wrong stay, and the person at the terminal is told where.
fn keep(folder: TempDir) {
    eprintln!("kept for a look: {}", folder.keep().display());
}

/// Keywright on a control plane of its own: operator and signer run under their own ServiceAccounts.
pub struct Suite {
    /// The control plane, and all processes.
    pub plane: ControlPlane,
}

impl Suite {
    /// Starts everything; returns when operator and signer are ready.
    pub fn start() -> LocalBoxFuture<'static, Result<Self, Error>> {
        Box::pin(async move { Self::upon(ControlPlane::start().await?).await })
    }

    /// The same, and all parts export their spans to the collector at this base URL.
    pub fn start_traced(collector: &str) -> LocalBoxFuture<'_, Result<Self, Error>> {
        Box::pin(async move {
            let plane = ControlPlane::start().await?;
            let file = plane.site.collector();
            std::fs::write(&file, collector).map_err(Error::file("write", &file))?;
            Self::upon(plane).await
        })
    }

    async fn upon(mut plane: ControlPlane) -> Result<Self, Error> {
        raise::product(&plane.site, &mut plane.processes, &plane.client, true, &|_| ()).await?;
        Ok(Self { plane })
    }

    /// SIGKILL, start, and wait until it is ready again.
    pub async fn restart(&mut self, process: Process) -> Result<(), Error> {
        self.plane.kill(process)?;
        self.plane.start_again(process)?;
        self.ready(process).await
    }

    /// Waits until the signer, webhook or operator answers that it is ready.
    pub async fn ready(&mut self, process: Process) -> Result<(), Error> {
        self.plane.ready(process).await
    }
}
