//! What the webhook counts, in Prometheus' text format. Labels are of closed lists: kinds, operations, rules; no object, no user.

use crate::attempt::Attempt;
use crate::review::{Retry, Review, Rule};
use crate::serve::handle::Half;
use crate::serve::readiness::{Readiness, Standing};
use crate::trust::presented::Presented;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};
use std::fmt::Write as _;
use std::time::Duration;

/// Seconds: from a stamp to an API server's patience with us, which the chart sets to five.
const REVIEW: [f64; 10] = [0.000_25, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 5.0];

/// What is said of what could not be read as a review of ours.
const UNKNOWN: &str = "Unknown";

/// The counters of one process.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    reviews: IntCounterVec,
    denials: IntCounterVec,
    took: HistogramVec,
    judged: Histogram,
}

impl Metrics {
    /// New counters, all zero. `requests`: those to the API server, which somebody else counts. Errors: a name given twice,
    /// which is a defect.
    pub fn new(requests: IntCounterVec) -> Result<Self, prometheus::Error> {
        let options = |name: &str, help: &str| HistogramOpts::new(name, help).buckets(REVIEW.to_vec());
        let metrics = Self {
            registry: Registry::new(),
            reviews: IntCounterVec::new(
                Opts::new(
                    "keywright_admission_reviews_total",
                    "Attempts to change our objects, by the answer of the validating half; unavailable: a fact was missing",
                ),
                &["kind", "operation", "outcome"],
            )?,
            denials: IntCounterVec::new(
                Opts::new("keywright_admission_denials_total", "Refused attempts, by the rule that refused"),
                &["rule"],
            )?,
            took: HistogramVec::new(
                options("keywright_admission_duration_seconds", "How long answers take, facts included"),
                &["half"],
            )?,
            judged: Histogram::with_opts(options(
                "keywright_admission_policy_duration_seconds",
                "How long the rules take where policies are asked: policies' time, but for microseconds",
            ))?,
        };
        let Self { registry, reviews, denials, took, judged } = &metrics;
        registry.register(Box::new(reviews.clone()))?;
        registry.register(Box::new(denials.clone()))?;
        registry.register(Box::new(took.clone()))?;
        registry.register(Box::new(judged.clone()))?;
        registry.register(Box::new(requests))?;
        // From zero on, so that the first one is seen to be one more.
        for rule in [Rule::RequestsWaiting, Rule::Policy, Rule::Unobserved] {
            denials.with_label_values(&[rule.name()]);
        }
        Ok(metrics)
    }

    /// A half has answered.
    pub(crate) fn answered(&self, half: Half, took: Duration) {
        self.took.with_label_values(&[half.name()]).observe(took.as_secs_f64());
    }

    /// Rules and policies have judged.
    pub(crate) fn judged(&self, took: Duration) {
        self.judged.observe(took.as_secs_f64());
    }

    /// What the validating half has answered; no attempt: it could not be read as one.
    pub(crate) fn reviewed(&self, attempt: Option<&Attempt<'_>>, review: &Review) {
        let kind = attempt.map_or(UNKNOWN, |attempt| attempt.kind.name());
        let operation = attempt.map_or(UNKNOWN, |attempt| attempt.action.name());
        let outcome = match review {
            Review::Allowed { .. } => "allowed",
            Review::Denied(denial) => {
                self.denials.with_label_values(&[denial.rule.name()]).inc();
                match denial.retry {
                    Retry::OnChange => "denied",
                    Retry::Later => "unavailable",
                }
            }
        };
        self.reviews.with_label_values(&[kind, operation, outcome]).inc();
    }

    /// Everything in Prometheus' text format.
    pub fn text(&self, presented: &Presented, readiness: &Readiness) -> String {
        let mut text = Vec::new();
        // Fails only when memory cannot be written to.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        let mut text = String::from_utf8_lossy(&text).into_owned();
        let mut gauge = |name: &str, help: &str, value: i64| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        };
        gauge(
            "keywright_webhook_ready",
            "1 while an admission through the API server comes back from here",
            (readiness.standing() == Standing::Ready).into(),
        );
        if let Some(served) = presented.certificate() {
            gauge(
                "keywright_webhook_certificate_start_timestamp_seconds",
                "Since when the certificate under which this process serves is valid",
                served.not_before.as_second(),
            );
            gauge(
                "keywright_webhook_certificate_expiration_timestamp_seconds",
                "When the certificate under which this process serves ends",
                served.not_after.as_second(),
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::Denial;
    use crate::trust::keys::Keys;
    use keywright_ambient::SystemEntropy;

    fn metrics() -> Metrics {
        Metrics::new(keywright_connection::requests().unwrap()).unwrap()
    }

    #[test]
    fn each_review_counts_once_by_its_answer_and_a_refusal_by_its_rule() {
        let metrics = metrics();
        let denial = |rule| Review::Denied(Denial::new(rule, String::new(), ""));
        metrics.reviewed(None, &denial(Rule::Unreadable));
        metrics.reviewed(None, &Review::Denied(Denial::unobserved("away")));
        metrics.reviewed(None, &Review::Allowed { warnings: Vec::new() });
        metrics.answered(Half::Validating, Duration::from_millis(2));
        metrics.judged(Duration::from_millis(1));
        let text = metrics.text(&Presented::default(), &Readiness::default());
        let reviews = "keywright_admission_reviews_total{kind=\"Unknown\",operation=\"Unknown\",outcome";
        for line in [
            format!("{reviews}=\"denied\"}} 1\n"),
            format!("{reviews}=\"unavailable\"}} 1\n"),
            format!("{reviews}=\"allowed\"}} 1\n"),
            "keywright_admission_denials_total{rule=\"unreadable\"} 1\n".to_owned(),
            "keywright_admission_denials_total{rule=\"unobserved\"} 1\n".to_owned(),
            "keywright_admission_denials_total{rule=\"requests-waiting\"} 0\n".to_owned(),
            "keywright_admission_duration_seconds_count{half=\"validate\"} 1\n".to_owned(),
            "keywright_admission_policy_duration_seconds_count 1\n".to_owned(),
            "keywright_webhook_ready 0\n".to_owned(),
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
        assert!(!text.contains("certificate_expiration"), "nothing is served yet");
    }

    #[test]
    fn the_life_of_what_is_served_is_told() {
        let (presented, readiness) = (Presented::default(), Readiness::default());
        let now = "2030-01-01T00:00:00Z".parse().unwrap();
        let served = Keys::make(&["127.0.0.1".to_owned()], &[], None, &SystemEntropy, now).unwrap();
        presented.adopt(&served).unwrap();
        readiness.set(Standing::Ready);
        let text = metrics().text(&presented, &readiness);
        let ends = served.leaf.certificate.not_after.as_second();
        assert!(
            text.contains(&format!("keywright_webhook_certificate_expiration_timestamp_seconds {ends}\n")),
            "{text}"
        );
        assert!(text.contains("keywright_webhook_ready 1\n"));
    }
}
