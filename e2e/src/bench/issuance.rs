//! N certificates on a real control plane, and what is done to N that exist.

use super::figures::{Flood, Idle, Issuance, Restart};
use super::fleet::{Follower, certificate, certificates, create_all, latencies, percentile, root};
use super::usage::Usage;
use super::writes::Writes;
use crate::audit::Mark;
use crate::perturb::cluster::{Cluster, is_ready, path};
use crate::{Error, Process, Suite, wait_for};
use keywright_ambient::{Clock, SystemClock};
use serde_json::json;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Where the fleet lives.
const FLEET: &str = "fleet";
/// How long anything may take. Far more than the goals: what is too slow is measured, not cut off.
const LIMIT: Duration = Duration::from_mins(30);
/// How long after the last certificate its Event, and whatever should not come, may still come.
const ECHO: Duration = Duration::from_secs(2);
/// How long the operator is watched after a restart.
const AFTERWARDS: Duration = Duration::from_secs(10);
/// From the start of the product until it counts as at rest.
const AT_REST: Duration = Duration::from_secs(30);
/// Certificates that are made one by one before a flood.
const CALM: usize = 20;
/// Between two certificates that are measured during a flood.
const BEAT: Duration = Duration::from_millis(250);

/// A control plane with the product and some certificates.
pub(super) struct Stand {
    suite: Suite,
    cluster: Cluster,
    certificates: usize,
}

/// What processes had used at the beginning of a measurement.
struct Before {
    operator: Usage,
    signer: Usage,
    api_server: Usage,
    mark: Mark,
    begun: Instant,
}

impl Stand {
    /// Starts everything; the authority is Ready.
    pub(super) async fn start() -> Result<Self, Error> {
        let suite = Suite::start().await?;
        let cluster = Cluster::new(suite.plane.client());
        cluster.create(&path("", "clusterissuers"), &root()).await?;
        let stand = Self { suite, cluster, certificates: 0 };
        stand.until_the_root_is_ready().await?;
        stand.cluster.namespace(FLEET).await?;
        Ok(stand)
    }

    async fn until_the_root_is_ready(&self) -> Result<(), Error> {
        let root = format!("{}/root", path("", "clusterissuers"));
        wait_for("the root is Ready", LIMIT, async || {
            Ok(self.cluster.get(&root).await?.filter(is_ready).map(|_| ()))
        })
        .await
    }

    fn usage(&self, process: Process) -> Result<Usage, Error> {
        let gone = || Error::TooLate { what: format!("{} runs", process.name()), seconds: 0 };
        Usage::of(self.suite.plane.pid(process).ok_or_else(gone)?)
    }

    fn before(&self) -> Result<Before, Error> {
        Ok(Before {
            operator: self.usage(Process::Operator)?,
            signer: self.usage(Process::Signer)?,
            api_server: self.usage(Process::KubeApiserver)?,
            mark: self.suite.plane.audit().mark()?,
            begun: SystemClock.monotonic(),
        })
    }

    fn writes_since(&self, mark: Mark) -> Result<Writes, Error> {
        Ok(Writes::count(&self.suite.plane.audit().since(mark)?))
    }

    fn etcd_mib(&self) -> Result<f64, Error> {
        let file = self.suite.plane.site().etcd_data().join("member/snap/db");
        let bytes = std::fs::metadata(&file).map_err(Error::file("read", &file))?.len();
        Ok(f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1024.0)
    }

    /// The product's memory at rest, some seconds after its start.
    pub(super) async fn idle(&self) -> Result<Idle, Error> {
        tokio::time::sleep(AT_REST).await;
        let mut idle = Idle::default();
        for process in Process::ALL {
            if process.name().starts_with("keywright-") {
                let resident = self.usage(process)?.resident;
                idle.resident_mib.insert(process.name().to_owned(), resident);
                idle.total_mib += resident;
            }
        }
        Ok(idle)
    }

    /// `count` certificates from applied to Ready.
    pub(super) async fn issue(&mut self, count: usize) -> Result<Issuance, Error> {
        let follower = Follower::start(self.suite.plane.client(), FLEET).await?;
        let before = self.before()?;
        let sent = certificates(&self.cluster, FLEET, count).await?;
        let applied_seconds = before.begun.elapsed().as_secs_f64();
        let ready = follower.until(count, 1, LIMIT).await?;
        self.certificates = count;
        self.issuance(&before, &sent, &ready, applied_seconds).await
    }

    /// All of them issued again at once: their authority signs shorter lives from now on.
    pub(super) async fn renew(&self) -> Result<Issuance, Error> {
        let follower = Follower::start(self.suite.plane.client(), FLEET).await?;
        let before = self.before()?;
        let tighter = json!({ "spec": { "authority": { "maxLeafDuration": "1000h" } } });
        self.cluster.merge(&format!("{}/root", path("", "clusterissuers")), &tighter).await?;
        let ready = follower.until(self.certificates, 2, LIMIT).await?;
        let asked = ready.keys().map(|name| (name.clone(), before.begun)).collect();
        self.issuance(&before, &asked, &ready, 0.0).await
    }

    async fn issuance(
        &self,
        before: &Before,
        sent: &HashMap<String, Instant>,
        ready: &HashMap<String, Instant>,
        applied_seconds: f64,
    ) -> Result<Issuance, Error> {
        let last = ready.values().max().copied().unwrap_or(before.begun);
        tokio::time::sleep(ECHO).await;
        let latencies = latencies(sent, ready);
        Ok(Issuance {
            certificates: ready.len(),
            wall_seconds: last.saturating_duration_since(before.begun).as_secs_f64(),
            applied_seconds,
            p50_ms: percentile(&latencies, 50),
            p99_ms: percentile(&latencies, 99),
            operator: self.usage(Process::Operator)?.since(before.operator),
            signer: self.usage(Process::Signer)?.since(before.signer),
            api_server: Some(self.usage(Process::KubeApiserver)?.since(before.api_server)),
            writes: Some(self.writes_since(before.mark)?),
            etcd_mib: Some(self.etcd_mib()?),
        })
    }

    /// Kills the operator, applies one certificate, starts the operator, and waits for that certificate.
    pub(super) async fn restart(&mut self, name: &str, foreign_secrets: usize) -> Result<Restart, Error> {
        let namespace = format!("after-{name}");
        self.cluster.namespace(&namespace).await?;
        let follower = Follower::start(self.suite.plane.client(), &namespace).await?;
        self.suite.plane.kill(Process::Operator)?;
        let next = certificate(&namespace, "next");
        self.cluster.create(&path(&namespace, "certificates"), &next).await?;
        let mark = self.suite.plane.audit().mark()?;
        let begun = SystemClock.monotonic();
        self.suite.plane.start_again(Process::Operator)?;
        let ready = follower.until(1, 1, LIMIT).await?;
        let last = ready.values().max().copied().unwrap_or(begun);
        tokio::time::sleep(AFTERWARDS).await;
        Ok(Restart {
            certificates: self.certificates,
            foreign_secrets,
            next_seconds: last.saturating_duration_since(begun).as_secs_f64(),
            operator: self.usage(Process::Operator)?.since(Usage::default()),
            writes: self.writes_since(mark)?,
        })
    }

    /// Secrets of other people, as large as a Helm release's smaller ones.
    pub(super) async fn strangers(&self, count: usize) -> Result<(), Error> {
        self.cluster.namespace("strangers").await?;
        let data = json!({ "value": "x".repeat(1000) });
        let secrets = (0..count).map(|number| {
            json!({
                "apiVersion": "v1", "kind": "Secret", "stringData": data,
                "metadata": { "name": format!("s{number}"), "namespace": "strangers" },
            })
        });
        create_all(&self.cluster, &path("strangers", "secrets"), secrets).await.map(|_| ())
    }

    /// One namespace asks for `count` certificates at once; another for one now and then, and those are measured.
    pub(super) async fn flood(&self, count: usize) -> Result<Flood, Error> {
        for namespace in ["calm", "flood"] {
            self.cluster.namespace(namespace).await?;
        }
        let calm = Follower::start(self.suite.plane.client(), "calm").await?;
        let flood = Follower::start(self.suite.plane.client(), "flood").await?;
        let mut sent = HashMap::new();
        for number in 0..CALM {
            self.one(&format!("before{number}"), &mut sent).await?;
            calm.until(number + 1, 1, LIMIT).await?;
        }
        let before = latencies(&sent, &calm.until(CALM, 1, LIMIT).await?);

        let begun = SystemClock.monotonic();
        let mut sent = HashMap::new();
        let flooding = async {
            certificates(&self.cluster, "flood", count).await?;
            flood.until(count, 1, LIMIT).await
        };
        let measuring = async {
            for number in 0.. {
                self.one(&format!("during{number}"), &mut sent).await?;
                tokio::time::sleep(BEAT).await;
            }
            Ok::<(), Error>(())
        };
        tokio::pin!(flooding);
        let flooded = tokio::select! {
            flooded = &mut flooding => flooded?,
            failed = measuring => { failed?; flooding.await? }
        };
        let last = flooded.values().max().copied().unwrap_or(begun);
        let during = latencies(&sent, &calm.until(CALM + sent.len(), 1, LIMIT).await?);
        Ok(Flood {
            certificates: count,
            wall_seconds: last.saturating_duration_since(begun).as_secs_f64(),
            measured: during.len(),
            p50_ms: percentile(&during, 50),
            p99_ms: percentile(&during, 99),
            calm_p50_ms: percentile(&before, 50),
        })
    }

    async fn one(&self, name: &str, sent: &mut HashMap<String, Instant>) -> Result<(), Error> {
        let at = SystemClock.monotonic();
        self.cluster.create(&path("calm", "certificates"), &certificate("calm", name)).await?;
        sent.insert(name.to_owned(), at);
        Ok(())
    }
}
