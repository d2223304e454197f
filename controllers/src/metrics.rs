//! What the controllers count, under the names that dashboards of controller-runtime know, and ours beside them.
//!
//! Labels have few values each; what is said of single certificates is read from the caches when somebody asks.

use crate::caches::Caches;
use crate::signer::{EndReport, Signer, SignerError};
use futures::future::BoxFuture;
use jiff::SignedDuration;
use keywright_ambient::Clock;
use keywright_controllers_core::conditions::find;
use keywright_crds::{ApprovalPhase, ApprovalRequest, Certificate, NoticeForm};
use keywright_signer_protocol::v1alpha1::{
    Authority, EnsureAuthorityRequest, IssueRequest, Issued, LogEndedApprovalRequest, LookUpRequest,
    LookUpResponse,
};
use keywright_telemetry::SpanContext;
use kube::ResourceExt;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Seconds: from a look that finds nothing to do, to an authority with a large RSA key.
const LOOK: [f64; 10] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Seconds: from an answer at once to people who were asked and took their days.
const WAIT: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0, 21_600.0, 86_400.0, 604_800.0];

/// The counters of one process.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    looks: IntCounterVec,
    look_seconds: HistogramVec,
    depth: IntGaugeVec,
    queued: HistogramVec,
    signer: HistogramVec,
    issued: HistogramVec,
    leads: IntGauge,
    notices: IntCounterVec,
}

impl Metrics {
    /// New counters, all zero. Errors: a name given twice, which is a defect.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let histogram = |name: &str, help: &str, labels: &[&str]| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(LOOK.to_vec()), labels)
        };
        let metrics = Self {
            looks: IntCounterVec::new(
                Opts::new("controller_runtime_reconcile_total", "Looks at objects, by what came of them"),
                &["controller", "result"],
            )?,
            look_seconds: histogram(
                "controller_runtime_reconcile_time_seconds",
                "How long looks take",
                &["controller"],
            )?,
            depth: IntGaugeVec::new(Opts::new("workqueue_depth", "Objects that wait for a look"), &["name"])?,
            queued: histogram(
                "workqueue_queue_duration_seconds",
                "How long objects wait for a look",
                &["name"],
            )?,
            signer: histogram(
                "keywright_signer_request_duration_seconds",
                "How long the signer takes to answer, by request and what came of it",
                &["method", "result"],
            )?,
            issued: HistogramVec::new(
                HistogramOpts::new(
                    "keywright_certificate_issuance_delay_seconds",
                    "From when a certificate was wanted (creation, or due renewal) until it lies in its Secret",
                )
                .buckets(WAIT.to_vec()),
                &["issuance"],
            )?,
            leads: IntGauge::with_opts(
                Opts::new("leader_election_master_status", "1 while this process leads")
                    .const_label("name", "keywright-operator"),
            )?,
            notices: IntCounterVec::new(
                Opts::new(
                    "keywright_notices_total",
                    "Attempts to tell people of requests for approval, by what came of them",
                ),
                &["form", "result"],
            )?,
            registry,
        };
        let Self { registry, looks, look_seconds, depth, queued, signer, issued, leads, notices } = &metrics;
        registry.register(Box::new(looks.clone()))?;
        for histogram in [look_seconds, queued, signer, issued] {
            registry.register(Box::new(histogram.clone()))?;
        }
        registry.register(Box::new(depth.clone()))?;
        registry.register(Box::new(leads.clone()))?;
        registry.register(Box::new(notices.clone()))?;
        // From zero on, so that the first one is seen to be one more.
        for form in [NoticeForm::Slack, NoticeForm::MicrosoftTeams, NoticeForm::Webhook] {
            for result in ["delivered", "failed", "refused"] {
                notices.with_label_values(&[format!("{form:?}").as_str(), result]);
            }
        }
        Ok(metrics)
    }

    /// Tells a counter too that somebody else counts. Errors: a name given twice, which is a defect.
    pub fn also(&self, counter: IntCounterVec) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(counter))
    }

    /// This process begins or ends to lead.
    pub fn lead(&self, leads: bool) {
        self.leads.set(leads.into());
    }

    /// `waiting`: how many objects of this kind wait now.
    pub(crate) fn waiting(&self, controller: &str, waiting: usize) {
        self.depth.with_label_values(&[controller]).set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// One had its turn after waiting so long.
    pub(crate) fn waited(&self, controller: &str, waited: Duration) {
        self.queued.with_label_values(&[controller]).observe(waited.as_secs_f64());
    }

    /// A certificate lies in its Secret so long after it was wanted. Before it was due (somebody asked for a renewal, or the
    /// spec changed) there is nothing to measure from.
    pub(crate) fn issued(&self, first: bool, after: SignedDuration) {
        if !after.is_negative() {
            let issuance = if first { "first" } else { "renewal" };
            self.issued.with_label_values(&[issuance]).observe(after.as_secs_f64());
        }
    }

    /// A notice was `delivered`, `failed` and is tried again, or was `refused` until its Secret changes.
    pub(crate) fn notice(&self, form: NoticeForm, result: &str) {
        self.notices.with_label_values(&[&format!("{form:?}"), result]).inc();
    }

    /// A look ended.
    pub(crate) fn looked(&self, controller: &str, took: Duration, well: bool) {
        let result = if well { "success" } else { "error" };
        self.looks.with_label_values(&[controller, result]).inc();
        self.look_seconds.with_label_values(&[controller]).observe(took.as_secs_f64());
    }

    /// Everything in Prometheus' text format; of certificates only where this process leads, so that each is told once.
    pub fn text(&self, caches: &Caches) -> String {
        let mut text = Vec::new();
        // Fails only when memory cannot be written to.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        let mut text = String::from_utf8_lossy(&text).into_owned();
        breaks(&caches.breaks(), &mut text);
        if self.leads.get() == 1 {
            certificates(&caches.certificates.state(), &mut text);
            approvals(&caches.requests.state(), &mut text);
        }
        text
    }
}

fn breaks(all: &BTreeMap<String, u64>, text: &mut String) {
    let name = "keywright_watch_breaks_total";
    let _ =
        writeln!(text, "# HELP {name} How often what fills the cache of a kind broke\n# TYPE {name} counter");
    for (kind, times) in all {
        let _ = writeln!(text, "{name}{{kind=\"{kind}\"}} {times}");
    }
}

/// How many requests are in which phase, and since when the oldest of each class waits for people.
fn approvals(all: &[Arc<ApprovalRequest>], text: &mut String) {
    let (mut phases, mut oldest) = (BTreeMap::new(), BTreeMap::new());
    for request in all {
        let phase = request.status.as_ref().and_then(|status| status.phase).unwrap_or_default();
        *phases.entry(format!("{phase:?}")).or_insert(0_u64) += 1;
        let since = request.metadata.creation_timestamp.as_ref().map(|at| at.0.as_second());
        if let (ApprovalPhase::Pending, Some(since)) = (phase, since) {
            let of_class = oldest.entry(request.spec.approval_class.as_str()).or_insert(since);
            *of_class = since.min(*of_class);
        }
    }
    let name = "keywright_approval_requests";
    let _ = writeln!(text, "# HELP {name} Requests for approval in a phase\n# TYPE {name} gauge");
    for (phase, count) in phases {
        let _ = writeln!(text, "{name}{{phase=\"{phase}\"}} {count}");
    }
    let name = "keywright_approval_oldest_pending_timestamp_seconds";
    let _ = writeln!(
        text,
        "# HELP {name} When the oldest request that still waits was made\n# TYPE {name} gauge"
    );
    for (class, since) in oldest {
        let _ = writeln!(text, "{name}{{class=\"{class}\"}} {since}");
    }
}

fn certificates(all: &[Arc<Certificate>], text: &mut String) {
    let labels = |cert: &Certificate| {
        format!(
            "namespace=\"{}\",name=\"{}\",issuer_kind=\"{:?}\",issuer_name=\"{}\"",
            cert.namespace().unwrap_or_default(),
            cert.name_any(),
            cert.spec.issuer_ref.kind,
            cert.spec.issuer_ref.name
        )
    };
    let mut times = |name: &str, help: &str, of: &dyn Fn(&Certificate) -> Option<i64>| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for cert in all {
            if let Some(at) = of(cert) {
                let _ = writeln!(text, "{name}{{{}}} {at}", labels(cert));
            }
        }
    };
    times(
        "keywright_certificate_expiration_timestamp_seconds",
        "When the certificate in the Secret ends",
        &|cert| Some(cert.status.as_ref()?.not_after.as_ref()?.0.as_second()),
    );
    times("keywright_certificate_renewal_timestamp_seconds", "When it is to be renewed", &|cert| {
        Some(cert.status.as_ref()?.renewal_time.as_ref()?.0.as_second())
    });
    let name = "keywright_certificate_ready_status";
    let _ = writeln!(text, "# HELP {name} 1 for the status that condition Ready has\n# TYPE {name} gauge");
    for cert in all {
        let ready = cert.status.as_ref().and_then(|status| find(&status.conditions, "Ready"));
        let is = ready.map_or("Unknown", |ready| ready.status.as_str());
        for condition in ["True", "False", "Unknown"] {
            let value = u8::from(condition == is);
            let _ = writeln!(text, "{name}{{{},condition=\"{condition}\"}} {value}", labels(cert));
        }
    }
}

/// A signer whose answers are timed.
pub struct Timed<S> {
    /// The signer.
    pub signer: S,
    /// Where it is counted.
    pub metrics: Metrics,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl<S: Signer> Timed<S> {
    fn observe<T>(&self, method: &str, from: Instant, answer: &Result<T, SignerError>) {
        let result = match answer {
            Ok(_) => "success",
            Err(SignerError::Unavailable(_) | SignerError::PolicyStale(_)) => "unavailable",
            Err(
                SignerError::KeyLost(_)
                | SignerError::Loosening(_)
                | SignerError::StaleStep { .. }
                | SignerError::ApprovalInvalid { .. }
                | SignerError::PolicyDenied(_)
                | SignerError::Refused(_),
            ) => "refused",
            // Nothing is wrong: people are asked next.
            Err(SignerError::ApprovalRequired { .. }) => "approval_required",
        };
        let took = self.clock.monotonic().saturating_duration_since(from);
        self.metrics.signer.with_label_values(&[method, result]).observe(took.as_secs_f64());
    }
}

impl<S: Signer> Signer for Timed<S> {
    fn ensure_authority(
        &self,
        request: EnsureAuthorityRequest,
    ) -> BoxFuture<'_, Result<Authority, SignerError>> {
        Box::pin(async move {
            let from = self.clock.monotonic();
            let answer = self.signer.ensure_authority(request).await;
            self.observe("EnsureAuthority", from, &answer);
            answer
        })
    }

    fn issue(
        &self,
        request: IssueRequest,
        within: Option<SpanContext>,
    ) -> BoxFuture<'_, Result<Issued, SignerError>> {
        Box::pin(async move {
            let from = self.clock.monotonic();
            let answer = self.signer.issue(request, within).await;
            self.observe("Issue", from, &answer);
            answer
        })
    }

    fn look_up(&self, request: LookUpRequest) -> BoxFuture<'_, Result<LookUpResponse, SignerError>> {
        Box::pin(async move {
            let from = self.clock.monotonic();
            let answer = self.signer.look_up(request).await;
            self.observe("LookUp", from, &answer);
            answer
        })
    }

    fn log_ended_approval(
        &self,
        request: LogEndedApprovalRequest,
    ) -> BoxFuture<'_, Result<EndReport, SignerError>> {
        Box::pin(async move {
            let from = self.clock.monotonic();
            let answer = self.signer.log_ended_approval(request).await;
            self.observe("LogEndedApproval", from, &answer);
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caches::caches;
    use crate::scope::Scope;

    #[test]
    fn what_happened_is_told_under_the_names_that_dashboards_know() {
        let metrics = Metrics::new().unwrap();
        metrics.looked("certificate", Duration::from_millis(20), true);
        metrics.looked("certificate", Duration::from_millis(20), false);
        metrics.waiting("certificate", 3);
        metrics.waited("certificate", Duration::from_secs(1));
        metrics.lead(true);
        metrics.notice(NoticeForm::Slack, "refused");
        metrics.issued(true, SignedDuration::from_secs(2));
        metrics.issued(false, SignedDuration::from_secs(-2));
        let caches = caches(Scope::Everywhere, "keywright-system").0;
        caches.broke("Certificate");
        let text = metrics.text(&caches);
        for line in [
            "controller_runtime_reconcile_total{controller=\"certificate\",result=\"error\"} 1",
            "controller_runtime_reconcile_time_seconds_bucket{controller=\"certificate\",le=\"0.025\"} 2",
            "workqueue_depth{name=\"certificate\"} 3",
            "workqueue_queue_duration_seconds_sum{name=\"certificate\"} 1",
            "leader_election_master_status{name=\"keywright-operator\"} 1",
            "keywright_certificate_issuance_delay_seconds_bucket{issuance=\"first\",le=\"5\"} 1",
            "keywright_watch_breaks_total{kind=\"Certificate\"} 1",
            "keywright_notices_total{form=\"Slack\",result=\"refused\"} 1",
            "keywright_notices_total{form=\"Webhook\",result=\"refused\"} 0",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_oldest_request_of_a_class_that_waits_is_told_and_what_is_over_is_only_counted() {
        let request = |class: &str, phase: &str, made: &str| -> Arc<ApprovalRequest> {
            let object = serde_json::json!({
                "apiVersion": "keywright.dev/v1alpha1", "kind": "ApprovalRequest",
                "metadata": {"name": "r", "namespace": "shop", "creationTimestamp": made},
                "spec": {"targetRef": {"kind": "Certificate", "name": "web", "uid": "u"}, "action": "IssueCertificate",
                    "effectDigest": "sha256:00", "effect": "{}", "approvalClass": class},
                "status": {"phase": phase},
            });
            Arc::new(serde_json::from_value(object).unwrap())
        };
        let all = [
            request("production", "Pending", "2030-01-01T00:00:10Z"),
            request("production", "Pending", "2030-01-01T00:00:00Z"),
            request("production", "Denied", "2029-01-01T00:00:00Z"),
        ];
        let mut text = String::new();
        approvals(&all, &mut text);
        for line in [
            "keywright_approval_requests{phase=\"Pending\"} 2\n",
            "keywright_approval_requests{phase=\"Denied\"} 1\n",
            "keywright_approval_oldest_pending_timestamp_seconds{class=\"production\"} 1893456000\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_certificate_is_told_by_name_with_its_times_and_its_one_status() {
        let cert: Certificate = serde_json::from_value(serde_json::json!({
            "apiVersion": "keywright.dev/v1alpha1", "kind": "Certificate",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"secretName": "web-tls", "issuerRef": {"name": "ca"}},
            "status": {"notAfter": "2030-01-01T00:00:00Z", "conditions": [{"type": "Ready", "status": "True",
                "reason": "Issued", "message": "", "lastTransitionTime": "2029-01-01T00:00:00Z"}]},
        }))
        .unwrap();
        let mut text = String::new();
        certificates(&[Arc::new(cert)], &mut text);
        let labels = "namespace=\"shop\",name=\"web\",issuer_kind=\"Issuer\",issuer_name=\"ca\"";
        let expiry = format!("keywright_certificate_expiration_timestamp_seconds{{{labels}}} 1893456000\n");
        assert!(text.contains(&expiry), "{text}");
        assert!(text.contains(&format!("ready_status{{{labels},condition=\"True\"}} 1\n")), "{text}");
        assert!(text.contains(&format!("ready_status{{{labels},condition=\"False\"}} 0\n")), "{text}");
        assert!(!text.contains("renewal_timestamp_seconds{"), "it says none");
    }
}
