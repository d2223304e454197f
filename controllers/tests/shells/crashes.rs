//! The process ends at every write in turn, before it is carried out and after.

use crate::rig::Rig;
use jiff::SignedDuration;
use keywright_crds::Certificate;
use keywright_testkit::Fault;
use keywright_testkit::objects::{NAMESPACE, certificate, cluster_issuer, issuer};
use kube::ResourceExt;
use std::time::Duration;

/// Something that makes the operator write.
#[derive(Debug, Clone, Copy)]
enum Story {
    /// Root, issuer and certificate come at once.
    New,
    /// The names of an issued certificate change.
    Changed,
    /// An issued certificate is due.
    Renewed,
}

impl Story {
    async fn before(self) -> Rig {
        match self {
            Self::New => {
                let mut rig = Rig::empty();
                rig.start().await;
                rig
            }
            Self::Changed | Self::Renewed => Rig::with_certificate(|_| {}).await,
        }
    }

    fn happens(self, rig: &Rig) {
        match self {
            Self::New => {
                rig.cluster.create(&cluster_issuer("root"));
                rig.cluster.create(&issuer("services"));
                rig.cluster.create(&certificate("web"));
            }
            Self::Changed => rig.cluster.edit::<Certificate>(NAMESPACE, "web", |web| {
                web.spec.dns_names.push("www.example.com".into());
            }),
            Self::Renewed => {
                rig.clock.shift(SignedDuration::from_hours(24 * 61));
                rig.nudge("web");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_every_write_ends_ready_with_one_live_certificate() {
    for story in [Story::New, Story::Changed, Story::Renewed] {
        // A reference run tells how many writes there are.
        let rig = story.before().await;
        let from = rig.cluster.writes().len();
        story.happens(&rig);
        rig.settle().await;
        let writes = rig.cluster.writes().split_off(from);
        assert!(writes.len() >= 3, "{story:?}: {writes:?}");

        for (n, write) in writes.iter().enumerate() {
            for fault in [Fault::Halt, Fault::HaltAfter] {
                let case = format!("{story:?}, {fault:?} at write {n} {write:?}");
                let mut rig = story.before().await;
                rig.cluster.fail_write(from + n, fault);
                story.happens(&rig);
                let halted = tokio::time::timeout(Duration::from_mins(30), rig.cluster.halted()).await;
                assert!(halted.is_ok(), "{case}: never came there");
                rig.crash();
                tokio::time::sleep(Duration::from_secs(20)).await;
                rig.start().await;
                rig.settle().await;
                rig.assert_good("web");
                let most = rig.cluster.writes().len() - from;
                assert!(most <= writes.len() + 2, "{case}: {:?}", rig.cluster.writes());
                rig.assert_quiet(Duration::from_hours(1)).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_signature_and_secret_supersedes_the_lost_certificate() {
    let mut rig = Rig::with_issuer().await;
    let next = rig.cluster.writes().len();
    rig.cluster.fail_write(next, Fault::Halt);
    rig.cluster.create(&certificate("web"));
    rig.cluster.halted().await;
    assert_eq!(rig.issued("web"), 1, "signed, and the key is in memory only");
    rig.crash();
    rig.start().await;
    rig.settle().await;
    rig.assert_good("web");
    let superseded: Vec<bool> = rig.signer.ledger().iter().map(|entry| entry.superseded).collect();
    assert_eq!(superseded, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn what_a_leader_of_before_published_too_late_is_found_superseded_and_replaced() {
    let mut rig = Rig::with_certificate(|_| {}).await;
    let (uid, secret) = (rig.cert("web").uid().unwrap(), rig.cert("web").spec.secret_name);
    let serial = |rig: &Rig| rig.leaf(&secret).map(|leaf| leaf.serial().to_string());
    rig.crash();
    // Its successor asked again, and ended before it published; Secret and status agree with each other.
    rig.signer.answered_another(&uid);
    let late = serial(&rig);
    assert!(late.is_some());
    rig.signer.down(true);
    rig.start().await;
    rig.settle().await;
    assert_eq!(serial(&rig), late, "nobody can be asked yet");
    rig.signer.down(false);
    rig.until("replaced", |rig| serial(rig) != late).await;
    rig.settle().await;
    rig.assert_good("web");
    rig.assert_quiet(Duration::from_hours(1)).await;
}
