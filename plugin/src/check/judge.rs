//! What is to be thought of what was seen. Pure.

use super::webhook::Webhook;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// Minor versions of Kubernetes 1 that Keywright is made for.
const KUBERNETES: std::ops::RangeInclusive<u32> = 34..=37;
/// Certificates are dated back by five minutes, and identities of the suite too: beyond that clocks begin to hurt.
const SKEW: SignedDuration = SignedDuration::from_mins(1);
/// After this the lease may be taken by another.
const LEASE: SignedDuration = SignedDuration::from_secs(15);

/// What came of one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Passed,
    Warning,
    Failed,
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) verdict: Verdict,
    pub(super) found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

impl Finding {
    pub(super) fn passed(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Passed, found: found.into(), fix: None }
    }
    pub(super) fn warning(check: &'static str, found: impl Into<String>, fix: &str) -> Self {
        Self { check, verdict: Verdict::Warning, found: found.into(), fix: Some(fix.to_owned()) }
    }
    pub(super) fn failed(check: &'static str, found: impl Into<String>, fix: &str) -> Self {
        Self { check, verdict: Verdict::Failed, found: found.into(), fix: Some(fix.to_owned()) }
    }
}

/// A Deployment or StatefulSet of the suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) state: WorkloadState,
}

/// Whether it is there and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WorkloadState {
    Missing,
    There { wanted: i32, ready: i32, version: Option<String> },
}

/// A resource definition that this version knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) state: DefinitionState,
}

/// Whether it is there and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DefinitionState {
    Missing,
    NotServed,
    /// Its versions or schemas are others than this program's: fields that it does not know are dropped without a word.
    OfAnotherVersion,
    Served,
}

/// The leader lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leader {
    pub(super) holder: String,
    pub(super) renewed: Option<Timestamp>,
}

/// All that was seen.
#[derive(Debug)]
pub(super) struct Observed {
    /// `major`, `minor` as the API server says them.
    pub(super) kubernetes: (String, String),
    /// The API server's clock, if it said it, and ours.
    pub(super) clocks: (Option<Timestamp>, Timestamp),
    pub(super) definitions: Vec<Definition>,
    pub(super) workloads: Vec<Workload>,
    pub(super) leader: Option<Leader>,
    pub(super) webhook: Webhook,
}

/// Each question in the order in which a mistake is best looked for.
pub(super) fn judge(seen: &Observed) -> Vec<Finding> {
    let mut findings = vec![kubernetes(&seen.kubernetes), clock(seen.clocks)];
    findings.extend(definitions(&seen.definitions));
    findings.extend(seen.workloads.iter().map(workload));
    findings.push(leader(seen));
    findings.push(seen.webhook.finding());
    findings
}

fn kubernetes((major, minor): &(String, String)) -> Finding {
    let check = "Kubernetes version";
    // Some platforms write 36+.
    let number = minor.trim_end_matches('+').parse::<u32>().ok();
    if major == "1" && number.is_some_and(|number| KUBERNETES.contains(&number)) {
        Finding::passed(check, format!("{major}.{minor}"))
    } else {
        let fix = "Keywright is made for 1.34 to 1.37";
        Finding::warning(check, format!("{major}.{minor}"), fix)
    }
}

fn clock((theirs, ours): (Option<Timestamp>, Timestamp)) -> Finding {
    let check = "clock of the API server";
    let Some(theirs) = theirs else {
        return Finding::warning(check, "it did not say the time", "compare the nodes' clocks by hand");
    };
    let apart = theirs.duration_since(ours);
    let found = format!("{} s apart from this machine's", apart.as_secs());
    if apart.abs() <= SKEW {
        Finding::passed(check, found)
    } else {
        let fix =
            "synchronise the clocks: certificates are not valid yet, or expire early, where one is wrong";
        Finding::failed(check, found, fix)
    }
}

fn definitions(all: &[Definition]) -> Vec<Finding> {
    let check = "resource definitions";
    let broken = all.iter().filter_map(|definition| match definition.state {
        DefinitionState::Served => None,
        DefinitionState::OfAnotherVersion => Some(Finding::warning(
            check,
            format!("{} is of another version than this plugin", definition.name),
            "fields that a definition does not know are dropped: upgrade the chart with crds.enabled=true, or use the plugin \
             of the same version",
        )),
        DefinitionState::NotServed => Some(Finding::failed(
            check,
            format!("{} is not served", definition.name),
            "kubectl describe crd says why",
        )),
        DefinitionState::Missing => Some(Finding::failed(
            check,
            format!("{} is missing", definition.name),
            "install the chart with crds.enabled=true",
        )),
    });
    let broken: Vec<Finding> = broken.collect();
    if broken.is_empty() {
        return vec![Finding::passed(check, format!("all {} are served", all.len()))];
    }
    broken
}

fn workload(workload: &Workload) -> Finding {
    let check = workload.name;
    match &workload.state {
        WorkloadState::Missing => Finding::failed(
            check,
            "is not there",
            "install the chart, or name its namespace with --system-namespace",
        ),
        WorkloadState::There { wanted, ready, .. } if ready < wanted || *wanted == 0 => Finding::failed(
            check,
            format!("{ready} of {wanted} are ready"),
            match check {
                "keywright-signer" => {
                    "nothing is issued until it is ready: it is so when its log has been verified and its disk takes writes; \
                     see its events and logs"
                }
                _ => "see its events and logs",
            },
        ),
        WorkloadState::There { wanted, ready, version } => {
            let found = format!("{ready} of {wanted} are ready");
            let ours = env!("CARGO_PKG_VERSION");
            match version {
                Some(version) if version != ours => Finding::warning(
                    check,
                    format!("{found}, of version {version}; this plugin is {ours}"),
                    "use the plugin of the same version",
                ),
                Some(_) | None => Finding::passed(check, found),
            }
        }
    }
}

fn leader(seen: &Observed) -> Finding {
    let check = "leader";
    let fix = "see the operator's logs: without a leader nothing is issued or renewed";
    let now = seen.clocks.0.unwrap_or(seen.clocks.1);
    match &seen.leader {
        None => Finding::failed(check, "no operator has ever led", fix),
        Some(leader) if leader.holder.is_empty() => Finding::failed(check, "nobody leads", fix),
        Some(leader) => match leader.renewed {
            // The renewal is dated by the leader's clock, and the answer's time has no fractions.
            Some(at) if now.duration_since(at) <= LEASE => {
                Finding::passed(check, format!("{} leads", leader.holder))
            }
            Some(at) => {
                let since = now.duration_since(at).as_secs();
                Finding::failed(
                    check,
                    format!("{} has not renewed its lease for {since} s", leader.holder),
                    fix,
                )
            }
            None => Finding::failed(check, format!("{} never renewed its lease", leader.holder), fix),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn good() -> Observed {
        let there = |name| Workload {
            name,
            state: WorkloadState::There {
                wanted: 1,
                ready: 1,
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            },
        };
        Observed {
            kubernetes: ("1".into(), "36".into()),
            clocks: (Some(at(1000)), at(1001)),
            definitions: vec![Definition {
                name: "issuers.keywright.dev".into(),
                state: DefinitionState::Served,
            }],
            workloads: vec![there("keywright-signer")],
            leader: Some(Leader { holder: "operator-0".into(), renewed: Some(at(999)) }),
            webhook: Webhook::Stamped,
        }
    }

    fn worst(seen: &Observed) -> Vec<(&'static str, Verdict)> {
        let findings = judge(seen);
        let bad = findings.iter().filter(|finding| finding.verdict != Verdict::Passed);
        bad.map(|finding| (finding.check, finding.verdict)).collect()
    }

    #[test]
    fn nothing_is_said_of_a_good_installation_and_each_fault_is_found() {
        type Spoil = fn(&mut Observed);
        assert_eq!(worst(&good()), []);
        let table: [(&str, Verdict, Spoil); 13] = [
            ("Kubernetes version", Verdict::Warning, |o| o.kubernetes.1 = "33".into()),
            ("clock of the API server", Verdict::Failed, |o| o.clocks.1 = at(1100)),
            ("clock of the API server", Verdict::Warning, |o| o.clocks.0 = None),
            ("resource definitions", Verdict::Failed, |o| o.definitions[0].state = DefinitionState::Missing),
            ("resource definitions", Verdict::Failed, |o| {
                o.definitions[0].state = DefinitionState::NotServed;
            }),
            ("resource definitions", Verdict::Warning, |o| {
                o.definitions[0].state = DefinitionState::OfAnotherVersion;
            }),
            ("keywright-signer", Verdict::Failed, |o| o.workloads[0].state = WorkloadState::Missing),
            ("keywright-signer", Verdict::Failed, |o| {
                o.workloads[0].state = WorkloadState::There { wanted: 1, ready: 0, version: None };
            }),
            ("keywright-signer", Verdict::Warning, |o| {
                o.workloads[0].state =
                    WorkloadState::There { wanted: 1, ready: 1, version: Some("9".into()) };
            }),
            ("leader", Verdict::Failed, |o| o.leader = None),
            ("leader", Verdict::Failed, |o| o.leader.as_mut().unwrap().renewed = Some(at(900))),
            ("admission webhook", Verdict::Warning, |o| o.webhook = Webhook::NotInstalled),
            ("admission webhook", Verdict::Failed, |o| o.webhook = Webhook::Failed("no endpoints".into())),
        ];
        for (check, verdict, spoil) in table {
            let mut seen = good();
            spoil(&mut seen);
            assert_eq!(worst(&seen), [(check, verdict)]);
        }
    }

    #[test]
    fn every_fault_says_what_to_do() {
        let mut seen = good();
        seen.workloads[0].state = WorkloadState::Missing;
        seen.leader = None;
        for finding in judge(&seen) {
            assert_eq!(finding.fix.is_some(), finding.verdict != Verdict::Passed, "{finding:?}");
        }
    }
}
