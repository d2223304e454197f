//! What a certificate costs, and in which order things may come.

use crate::rig::Rig;
use keywright_crds::{ClusterIssuer, Issuer};
use keywright_testkit::objects::{NAMESPACE, certificate, cluster_issuer, issuer};
use keywright_testkit::{Kind, Verb};
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn a_new_certificate_costs_one_write_of_the_secret_one_of_the_status_and_one_event() {
    let rig = Rig::with_issuer().await;
    let before = rig.cluster.writes().len();
    rig.cluster.create(&certificate("web"));
    rig.settle().await;
    rig.assert_good("web");
    let counts =
        [(Kind::Secret, Verb::Apply), (Kind::Certificate, Verb::ApplyStatus), (Kind::Event, Verb::Create)]
            .map(|(kind, verb)| rig.count(before, kind, verb));
    assert_eq!(counts, [1, 1, 1]);
    assert_eq!(rig.cluster.writes().len(), before + 3, "and nothing else");
    rig.assert_quiet(HOUR * 12).await;
    assert_eq!(rig.issued("web"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_restart_writes_nothing_and_reads_no_secret() {
    let mut rig = Rig::with_certificate(|_| {}).await;
    rig.crash();
    rig.start().await;
    rig.settle().await;
    let reads = rig.cluster.reads();
    rig.assert_quiet(HOUR).await;
    assert_eq!(rig.cluster.reads(), reads, "an untouched Secret is not read");
    assert_eq!(rig.issued("web"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_before_its_issuer_and_an_issuer_before_its_parent_resolve_by_themselves() {
    let mut rig = Rig::empty();
    rig.start().await;
    rig.cluster.create(&certificate("web"));
    rig.settle().await;
    assert_eq!(rig.ready("web"), "Unknown IssuerNotFound");
    rig.cluster.create(&issuer("services"));
    rig.settle().await;
    assert_eq!(rig.ready("web"), "Unknown IssuerNotReady");
    assert_eq!(rig.issuer_ready::<Issuer>(NAMESPACE, "services"), "Unknown ParentNotFound");
    rig.cluster.create(&cluster_issuer("root"));
    rig.settle().await;
    assert_eq!(rig.issuer_ready::<ClusterIssuer>("", "root"), "True AuthorityReady");
    assert_eq!(rig.issuer_ready::<Issuer>(NAMESPACE, "services"), "True AuthorityReady");
    rig.assert_good("web");
    assert_eq!(rig.issued("web"), 1);
    rig.assert_quiet(HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_certificates_at_once_cost_three_writes_each() {
    let rig = Rig::with_issuer().await;
    let before = rig.cluster.writes().len();
    for n in 0..100 {
        rig.cluster.create(&certificate(&format!("web-{n}")));
    }
    rig.settle().await;
    for n in 0..100 {
        rig.assert_good(&format!("web-{n}"));
    }
    assert_eq!(rig.cluster.writes().len(), before + 300);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_costs_one_write_of_the_status_and_one_event() {
    let mut rig = Rig::empty();
    rig.start().await;
    rig.cluster.create(&cluster_issuer("root"));
    rig.settle().await;
    assert_eq!(rig.count(0, Kind::ClusterIssuer, Verb::ApplyStatus), 1);
    assert_eq!(rig.count(0, Kind::Event, Verb::Create), 1);
    assert_eq!(rig.cluster.writes().len(), 2);
    rig.assert_quiet(HOUR * 12).await;
}
