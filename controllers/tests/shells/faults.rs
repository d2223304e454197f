//! An API server that refuses, stumbles or is not there.

use crate::rig::Rig;
use keywright_crds::Certificate;
use keywright_testkit::objects::{NAMESPACE, certificate};
use keywright_testkit::{Fault, Kind, Verb};
use std::time::Duration;

const FAULTS: [Fault; 9] = [
    Fault::Refuse(403),
    Fault::Refuse(409),
    Fault::Refuse(429),
    Fault::Refuse(500),
    Fault::RefuseAfter(409),
    Fault::RefuseAfter(429),
    Fault::RefuseAfter(500),
    Fault::Break,
    Fault::BreakAfter,
];

#[tokio::test(start_paused = true)]
async fn any_one_write_may_fail_in_any_way_and_one_signature_is_enough() {
    for fault in FAULTS {
        for n in 0..3 {
            let case = format!("{fault:?} at write {n}");
            let rig = Rig::with_issuer().await;
            let from = rig.cluster.writes().len();
            rig.cluster.fail_write(from + n, fault);
            rig.cluster.create(&certificate("web"));
            rig.settle().await;
            rig.assert_good("web");
            assert_eq!(rig.issued("web"), 1, "{case}");
            let writes = rig.cluster.writes().split_off(from);
            assert!(writes.len() <= 6, "{case}: {writes:?}");
            rig.assert_quiet(Duration::from_mins(30)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_refusals_ends_ready_with_few_writes() {
    for fault in FAULTS {
        let rig = Rig::with_issuer().await;
        let from = rig.cluster.writes().len();
        for (kind, verb) in
            [(Kind::Secret, Verb::Apply), (Kind::Certificate, Verb::ApplyStatus), (Kind::Event, Verb::Create)]
        {
            rig.cluster.fail_next(kind, verb, 8, fault);
        }
        rig.cluster.create(&certificate("web"));
        tokio::time::sleep(Duration::from_mins(20)).await;
        rig.settle().await;
        rig.assert_good("web");
        assert_eq!(rig.issued("web"), 1, "{fault:?}");
        let writes = rig.cluster.writes().len() - from;
        assert!(writes <= 40, "{fault:?}: {writes} writes");
        rig.assert_quiet(Duration::from_mins(30)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_was_away_finds_everything_as_it_would_have_been() {
    let rig = Rig::with_certificate(|_| {}).await;
    rig.cluster.down(true);
    tokio::time::sleep(Duration::from_mins(10)).await;
    rig.cluster.down(false);
    rig.cluster
        .edit::<Certificate>(NAMESPACE, "web", |web| web.spec.dns_names = vec!["b.example.com".into()]);
    rig.cluster.create(&certificate("api"));
    rig.settle().await;
    rig.assert_good("web");
    rig.assert_good("api");
    assert_eq!((rig.issued("web"), rig.issued("api")), (2, 1));
    rig.assert_quiet(Duration::from_hours(1)).await;
}
