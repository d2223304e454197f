//! One cluster, one signer, and an operator that can be started, killed and started again.

use crate::receiver::Receiver;
use crate::signer::TestSigner;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use keywright_ambient::Clock;
use keywright_controllers::backoff::Backoff;
use keywright_controllers::caches::caches;
use keywright_controllers::certificate::Unpublished;
use keywright_controllers::confirm::Confirmations;
use keywright_controllers::context::{Context, Queues};
use keywright_controllers::metrics::Metrics;
use keywright_controllers::notice::Notices;
use keywright_controllers::own_writes::OwnWrites;
use keywright_controllers::scope::Scope;
use keywright_controllers::signer::{EndReport, Signer, SignerError};
use keywright_controllers::verdict::Compiled;
use keywright_controllers::{run, watch};
use keywright_controllers_core::conditions::find;
use keywright_crds::{AnyIssuer, Certificate};
use keywright_pki::certificate::Certificate as Leaf;
use keywright_pki::key::PrivateKey;
use keywright_pki::pem;
use keywright_signer_protocol::v1alpha1 as wire;
use keywright_telemetry::{SpanContext, Tracer};
use keywright_testkit::objects::{NAMESPACE, certificate, cluster_issuer, issuer};
use keywright_testkit::{FakeCluster, Kind, TestClock, Verb, Write};
use kube::ResourceExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Longer than any backoff or look that is due by itself, but renewals.
const STILL: Duration = Duration::from_mins(3);

/// The operator's own namespace.
pub(crate) const HOME: &str = "keywright-system";

pub(crate) struct Rig {
    pub(crate) cluster: FakeCluster,
    pub(crate) signer: Arc<TestSigner>,
    pub(crate) clock: Arc<TestClock>,
    /// Whoever is told of requests for approval.
    pub(crate) receiver: Arc<Receiver>,
    running: Option<Running>,
    starts: u64,
}

struct Running {
    tasks: Vec<JoinHandle<()>>,
    cut: Arc<AtomicBool>,
}

/// A connection of one process to the signer: when the process ends, nothing more goes through.
struct Line {
    signer: Arc<TestSigner>,
    cut: Arc<AtomicBool>,
}

impl Rig {
    /// An empty cluster and no operator.
    pub(crate) fn empty() -> Self {
        let clock = Arc::new(TestClock::at("2030-01-01T01:00:00Z".parse().unwrap()));
        let cluster = FakeCluster::default();
        let signer = Arc::new(TestSigner::new(Arc::clone(&clock), cluster.clone()));
        let receiver = Arc::new(Receiver::default());
        Self { cluster, signer, clock, receiver, running: None, starts: 0 }
    }

    /// Root and issuer `services` are ready, the operator runs.
    pub(crate) async fn with_issuer() -> Self {
        let mut rig = Self::empty();
        rig.cluster.create(&cluster_issuer("root"));
        rig.cluster.create(&issuer("services"));
        rig.start().await;
        rig.settle().await;
        rig
    }

    /// The same with a Certificate `web` that is issued, after which nothing moves.
    pub(crate) async fn with_certificate(change: impl FnOnce(&mut Certificate)) -> Self {
        let rig = Self::with_issuer().await;
        let mut web = certificate("web");
        change(&mut web);
        rig.cluster.create(&web);
        rig.settle().await;
        rig.assert_good("web");
        rig
    }

    pub(crate) async fn start(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        self.starts += 1;
        let client = self.cluster.client();
        let cut = Arc::new(AtomicBool::new(false));
        let (caches, writers) = caches(Scope::Everywhere, HOME);
        let (caches, queues) = (Arc::new(caches), Arc::new(Queues::default()));
        let follow = watch::follow(client.clone(), Arc::clone(&caches), Arc::clone(&queues), writers);
        let watching = tokio::spawn(follow);
        assert!(watch::filled(&caches).await, "the watches ended");
        let ctx = Arc::new(Context {
            client,
            signer: Arc::new(Line { signer: Arc::clone(&self.signer), cut: Arc::clone(&cut) }),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            namespace: HOME.into(),
            identity: "test".into(),
            fencing_token: self.starts,
            caches,
            queues,
            writes: OwnWrites::default(),
            backoff: Backoff::default(),
            metrics: Metrics::new().unwrap(),
            tracer: Tracer::off(),
            unpublished: Unpublished::default(),
            confirmations: Confirmations::default(),
            compiled: Compiled::default(),
            notices: Notices::new(Arc::clone(&self.receiver) as Arc<_>, "keywright-system".into()),
        });
        let leading = tokio::spawn(run::run(ctx, 4));
        self.running = Some(Running { tasks: vec![watching, leading], cut });
    }

    /// The operator's process ends, in the middle of whatever it does.
    pub(crate) fn crash(&mut self) {
        let running = self.running.take().expect("it runs");
        running.cut.store(true, Ordering::SeqCst);
        self.cluster.sever();
        for task in running.tasks {
            task.abort();
        }
    }

    /// Lets minutes pass, in each of which people do something; where the operator is halted it is started again.
    pub(crate) async fn through_a_halt(&mut self, minutes: usize, people: impl Fn(&Self)) {
        let mut halted = false;
        for _ in 0..minutes {
            tokio::select! {
                () = self.cluster.halted(), if !halted => {
                    halted = true;
                    self.crash();
                    self.start().await;
                }
                () = tokio::time::sleep(Duration::from_mins(1)) => {}
            }
            people(self);
        }
        self.settle().await;
    }

    /// Lets time pass until nothing was written for a while. Fails when that never comes.
    pub(crate) async fn settle(&self) {
        for _ in 0..20 {
            let before = self.cluster.writes().len();
            tokio::time::sleep(STILL).await;
            if self.cluster.writes().len() == before {
                return;
            }
        }
        panic!("never quiet: {:?}", self.cluster.writes());
    }

    /// Lets time pass; nothing may be written meanwhile.
    pub(crate) async fn assert_quiet(&self, time: Duration) {
        let before = self.cluster.writes().len();
        tokio::time::sleep(time).await;
        assert_eq!(&self.cluster.writes()[before..], [], "written in a quiet world");
    }

    pub(crate) async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        for _ in 0..6000 {
            if so(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never so: {what}; writes: {:?}", self.cluster.writes());
    }

    /// Makes the operator look at a Certificate whose spec stays the same.
    pub(crate) fn nudge(&self, name: &str) {
        let at = self.clock.now().to_string();
        self.cluster.edit::<Certificate>(NAMESPACE, name, |cert| {
            cert.annotations_mut().insert("example.com/nudged".to_owned(), at);
        });
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The signer's clock goes ahead of the operator's.
    pub(crate) fn signer_ahead(&self, by: SignedDuration) {
        self.signer.ahead(by);
    }

    pub(crate) fn cert(&self, name: &str) -> Certificate {
        self.cluster.get(NAMESPACE, name).unwrap_or_else(|| panic!("no Certificate {name:?}"))
    }

    /// Status and reason of Ready, such as `True Issued`; `? ?` before the first look at this generation.
    pub(crate) fn ready(&self, name: &str) -> String {
        let cert = self.cert(name);
        let status = cert.status.unwrap_or_default();
        match find(&status.conditions, "Ready") {
            Some(ready) if status.observed_generation == cert.metadata.generation => {
                format!("{} {}", ready.status, ready.reason)
            }
            _ => "? ?".to_owned(),
        }
    }

    pub(crate) fn message(&self, name: &str) -> String {
        let status = self.cert(name).status.unwrap_or_default();
        find(&status.conditions, "Ready").map(|ready| ready.message.clone()).unwrap_or_default()
    }

    pub(crate) fn issuer_ready<I>(&self, namespace: &str, name: &str) -> String
    where
        I: AnyIssuer + serde::de::DeserializeOwned,
    {
        let issuer: I = self.cluster.get(namespace, name).expect("an issuer");
        let ready = issuer.issuer_status().and_then(|s| find(&s.conditions, "Ready").cloned());
        ready.map_or_else(|| "? ?".to_owned(), |ready| format!("{} {}", ready.status, ready.reason))
    }

    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.cluster.get(NAMESPACE, name)
    }

    pub(crate) fn entry(&self, secret: &str, entry: &str) -> Option<Vec<u8>> {
        self.secret(secret)?.data?.remove(entry).map(|bytes| bytes.0)
    }

    /// The certificate in a Secret.
    pub(crate) fn leaf(&self, secret: &str) -> Option<Leaf> {
        let ders = pem::read_certificates(&self.entry(secret, "tls.crt")?).ok()?;
        Leaf::from_der(ders.first()?).ok()
    }

    /// Ready, key and certificate fit, status and Secret agree, and the signer counts this certificate as the live one.
    pub(crate) fn assert_good(&self, name: &str) {
        assert_eq!(self.ready(name), "True Issued", "{name}: {}", self.message(name));
        let cert = self.cert(name);
        let secret = &cert.spec.secret_name;
        let leaf = self.leaf(secret).expect("a certificate in the Secret");
        let key = PrivateKey::from_pem(&self.entry(secret, "tls.key").expect("tls.key")).expect("a key");
        assert_eq!(leaf.public_key(), key.public_key(), "{name}: key and certificate fit");
        let status = cert.status.clone().unwrap_or_default();
        assert_eq!(status.serial_number, Some(leaf.serial().to_string()), "{name}: status shows the Secret");
        let uid = cert.uid().unwrap_or_default();
        let ledger = self.signer.ledger();
        let entry = ledger.iter().find(|e| e.serial == leaf.serial().to_string()).expect("in the ledger");
        assert!(!entry.superseded, "{name}: published what the signer counts as superseded");
        assert_eq!(
            (entry.uid.clone(), Some(entry.step)),
            (uid.clone(), status.revision.map(i64::cast_unsigned))
        );
        for step in ledger.iter().filter(|e| e.uid == uid).map(|e| e.step) {
            let live = ledger.iter().filter(|e| e.uid == uid && e.step == step && !e.superseded).count();
            assert!(live <= 1, "{name}: {live} live certificates of step {step}");
        }
    }

    /// How many certificates left the signer for this Certificate.
    pub(crate) fn issued(&self, name: &str) -> usize {
        let uid = self.cert(name).uid();
        self.signer.ledger().iter().filter(|entry| Some(&entry.uid) == uid.as_ref()).count()
    }

    /// Writes since the `from`th, counted by kind and verb.
    pub(crate) fn count(&self, from: usize, kind: Kind, verb: Verb) -> usize {
        let writes: Vec<Write> = self.cluster.writes().split_off(from);
        writes.iter().filter(|w| w.kind == kind && w.verb == verb).count()
    }
}

impl Signer for Line {
    fn ensure_authority(
        &self,
        request: wire::EnsureAuthorityRequest,
    ) -> BoxFuture<'_, Result<wire::Authority, SignerError>> {
        Box::pin(async move {
            if self.cut.load(Ordering::SeqCst) {
                return std::future::pending().await;
            }
            self.signer.ensure_authority(request).await
        })
    }

    fn issue(
        &self,
        request: wire::IssueRequest,
        within: Option<SpanContext>,
    ) -> BoxFuture<'_, Result<wire::Issued, SignerError>> {
        Box::pin(async move {
            if self.cut.load(Ordering::SeqCst) {
                return std::future::pending().await;
            }
            self.signer.issue(request, within).await
        })
    }

    fn look_up(
        &self,
        request: wire::LookUpRequest,
    ) -> BoxFuture<'_, Result<wire::LookUpResponse, SignerError>> {
        Box::pin(async move {
            if self.cut.load(Ordering::SeqCst) {
                return std::future::pending().await;
            }
            self.signer.look_up(request).await
        })
    }

    fn log_ended_approval(
        &self,
        request: wire::LogEndedApprovalRequest,
    ) -> BoxFuture<'_, Result<EndReport, SignerError>> {
        Box::pin(async move {
            if self.cut.load(Ordering::SeqCst) {
                return std::future::pending().await;
            }
            self.signer.log_ended_approval(request).await
        })
    }
}
