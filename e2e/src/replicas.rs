//! Several webhooks behind one address, as a Service would put them: who is not ready gets no new connection.
//!
//! The balancer works on connections, as kube-proxy does, and follows readiness by asking for it, ten times a second. As
//! long as nobody is ready it takes whoever is there, as the Service for the webhook's own probes does.

use crate::guarded::Guarded;
use crate::keys::Keys;
use crate::ports::{Ports, Reservation, reserve};
use crate::programs::program;
use crate::raise::says_ready;
use crate::{ControlPlane, Error, Launcher, Process, Program, wait_for};
use futures::future::LocalBoxFuture;
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// How long a replica may take to become ready, or to end.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often readiness is asked for.
const LOOK: Duration = Duration::from_millis(100);

/// Webhooks that share the address of a plane's one.
pub struct Replicas {
    all: Vec<Replica>,
    tasks: Vec<AbortHandle>,
}

struct Replica {
    process: Guarded,
    program: Program,
    ports: Ports,
    _reservation: Reservation,
}

/// What the balancer knows of a replica.
struct Back {
    port: u16,
    is_ready: AtomicBool,
}

impl Replicas {
    /// Replaces the plane's webhook by `count` of them; returns when all are ready.
    pub fn start(plane: &mut ControlPlane, count: usize) -> LocalBoxFuture<'_, Result<Self, Error>> {
        Box::pin(async move {
            plane.kill(Process::Webhook)?;
            let site = plane.site().clone();
            let keys = Keys::in_folder(&site.keys())?;
            let mut replicas = Self { all: Vec::new(), tasks: Vec::new() };
            for number in 0..count {
                let (ports, reservation) = reserve()?;
                let mut program = program(&site, &keys, Process::Webhook)?;
                for arg in &mut program.args {
                    if arg.starts_with("--listen=") {
                        *arg = format!("--listen=127.0.0.1:{}", ports.webhook);
                    } else if arg.starts_with("--health-listen=") {
                        *arg = format!("--health-listen=127.0.0.1:{}", ports.webhook_health);
                    }
                }
                let mut process = Guarded::new(site.logs().join(format!("webhook-{number}")));
                process.ensure(Process::Webhook, &program)?;
                replicas.all.push(Replica { process, program, ports, _reservation: reservation });
            }
            replicas.balance(site.ports.webhook).await?;
            for number in 0..count {
                replicas.until_ready(number).await?;
            }
            Ok(replicas)
        })
    }

    /// SIGTERM, until it has ended; then a new one, until it is ready.
    pub async fn restart(&mut self, number: usize) -> Result<(), Error> {
        let replica = &mut self.all[number];
        replica.process.signal(Process::Webhook, Signal::TERM)?;
        wait_for("a replica has ended", PATIENCE, async || {
            Ok((!replica.process.is_alive(Process::Webhook)).then_some(()))
        })
        .await?;
        replica.process.ensure(Process::Webhook, &replica.program)?;
        self.until_ready(number).await
    }

    async fn until_ready(&self, number: usize) -> Result<(), Error> {
        let port = self.all[number].ports.webhook_health;
        wait_for("a replica is ready", PATIENCE, async || Ok(says_ready(port).await.then_some(()))).await
    }

    async fn balance(&mut self, port: u16) -> Result<(), Error> {
        let taken = |source| Error::Spawn { name: "the balancer".into(), source };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(taken)?;
        let backs: Arc<[Back]> = self
            .all
            .iter()
            .map(|r| Back { port: r.ports.webhook, is_ready: AtomicBool::new(false) })
            .collect();
        for (number, replica) in self.all.iter().enumerate() {
            let (backs, health) = (Arc::clone(&backs), replica.ports.webhook_health);
            let watch = tokio::spawn(async move {
                loop {
                    backs[number].is_ready.store(says_ready(health).await, Ordering::Relaxed);
                    tokio::time::sleep(LOOK).await;
                }
            });
            self.tasks.push(watch.abort_handle());
        }
        let accept = tokio::spawn(async move {
            let next = AtomicUsize::new(0);
            while let Ok((client, _)) = listener.accept().await {
                let Some(port) = pick(&backs, &next) else { continue };
                tokio::spawn(join(client, port));
            }
        });
        self.tasks.push(accept.abort_handle());
        Ok(())
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The next of the ready ones; of all while none is.
fn pick(backs: &[Back], next: &AtomicUsize) -> Option<u16> {
    let ready: Vec<&Back> = backs.iter().filter(|back| back.is_ready.load(Ordering::Relaxed)).collect();
    let choice = if ready.is_empty() { backs.iter().collect() } else { ready };
    let turn = next.fetch_add(1, Ordering::Relaxed).checked_rem(choice.len())?;
    choice.get(turn).map(|back| back.port)
}

/// One connection, until either end leaves.
async fn join(mut client: TcpStream, port: u16) {
    if let Ok(mut back) = TcpStream::connect(("127.0.0.1", port)).await {
        let _ = client.set_nodelay(true);
        let _ = back.set_nodelay(true);
        let _ = tokio::io::copy_bidirectional(&mut client, &mut back).await;
    }
}
