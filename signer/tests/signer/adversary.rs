//! A captured operator, and others with a pinned key: what the running signer gives them, and what its log says of it.

use crate::support::{CHILD, ROOT, child, common_name, foreign_log, leaf, new_key, request_key, root, uid};
use crate::world::World;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::Certificate;
use keywright_signer::refusal::Reason;
use keywright_signer_protocol::{refusal_of, v1alpha1 as wire};
use tonic::Status;

/// What a refusal says: the reason and the field.
fn told(status: &Status) -> (Reason, String) {
    let refusal = refusal_of(status).unwrap_or_else(|| panic!("no refusal: {status:?}"));
    assert!(!refusal.rule.is_empty() && !refusal.fix.is_empty(), "{refusal:?}");
    (refusal.reason(), refusal.field)
}

/// The log's entries after a clean stop.
fn entries(world: &mut World) -> Vec<serde_json::Value> {
    assert!(world.signal("-TERM").success());
    foreign_log(&world.path("state/log"))
}

fn refusals(entries: &[serde_json::Value], reason: Reason) -> usize {
    let is =
        |entry: &&serde_json::Value| entry["kind"] == "refusal" && entry["reason"] == reason.as_str_name();
    entries.iter().filter(is).count()
}

fn key(n: usize, purpose: wire::KeyPurpose) -> wire::EnsureKeyRequest {
    wire::EnsureKeyRequest {
        fencing_token: 1,
        key_uid: uid(n),
        purpose: purpose.into(),
        key_algorithm: if purpose == wire::KeyPurpose::Escrow { 5 } else { 1 },
        constraints: None,
    }
}

const OTHERS: [wire::KeyPurpose; 5] = [
    wire::KeyPurpose::Crl,
    wire::KeyPurpose::Ocsp,
    wire::KeyPurpose::Jwt,
    wire::KeyPurpose::Ssh,
    wire::KeyPurpose::Escrow,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_purpose_refuses_every_other_and_the_log_says_so() {
    let mut world = World::new();
    world.start();
    let mut operator = world.client("operator-tls");
    operator.ensure_authority(root()).await.unwrap();
    for (n, purpose) in (1..).zip(OTHERS) {
        let made = operator.ensure_key(key(n, purpose)).await.unwrap().into_inner();
        assert_eq!((made.created, made.purpose(), made.state()), (true, purpose, wire::KeyState::Active));
        let again = operator.ensure_key(key(n, purpose)).await.unwrap().into_inner();
        assert_eq!(again, wire::Key { created: false, ..made });
        let as_issuer = wire::IssueRequest {
            authority_uid: uid(n),
            ..leaf(&uid(100 + n), &new_key(KeyAlgorithm::Ed25519))
        };
        let refused = operator.issue(as_issuer).await.unwrap_err();
        assert_eq!(told(&refused), (Reason::Forbidden, "authorityUid".into()), "{purpose:?} as issuer");
        let as_parent = wire::EnsureAuthorityRequest {
            request_key: request_key(&uid(200 + n), 1),
            parent_uid: uid(n),
            ..root()
        };
        let refused = operator.ensure_authority(as_parent).await.unwrap_err();
        assert_eq!(told(&refused), (Reason::Forbidden, "parentUid".into()), "{purpose:?} as parent");
        let as_authority = wire::EnsureAuthorityRequest { request_key: request_key(&uid(n), 1), ..root() };
        let refused = operator.ensure_authority(as_authority).await.unwrap_err();
        assert_eq!(told(&refused), (Reason::Forbidden, "requestKey".into()), "{purpose:?} as authority");
        for other in OTHERS.into_iter().filter(|other| *other != purpose) {
            let refused = operator.ensure_key(key(n, other)).await.unwrap_err();
            assert_eq!(told(&refused), (Reason::Forbidden, "purpose".into()), "{purpose:?} as {other:?}");
        }
    }
    let refused = operator
        .ensure_key(wire::EnsureKeyRequest { key_uid: ROOT.into(), ..key(0, wire::KeyPurpose::Jwt) })
        .await
        .unwrap_err();
    assert_eq!(told(&refused).0, Reason::Forbidden, "an authority as a key for tokens");
    for purpose in [0, 1, 7, -1] {
        let wrong = wire::EnsureKeyRequest { purpose, ..key(50, wire::KeyPurpose::Jwt) };
        let refused = operator.ensure_key(wrong).await.unwrap_err();
        assert_eq!(told(&refused), (Reason::Malformed, "purpose".into()));
    }
    assert!(world.signal("-KILL").code().is_none());
    world.start();
    let kept = operator.ensure_key(key(3, wire::KeyPurpose::Jwt)).await.unwrap().into_inner();
    assert!(!kept.created, "a restart keeps it");
    let entries = entries(&mut world);
    assert_eq!(refusals(&entries, Reason::Forbidden), 5 * 3 + 5 * 4 + 1);
    let purposes: Vec<_> = entries
        .iter()
        .filter(|entry| entry["kind"] == "key" && entry["event"] == "created")
        .map(|entry| entry["purpose"].as_str().unwrap())
        .collect();
    assert_eq!(purposes, ["x509-authority", "crl", "ocsp", "jwt", "ssh", "escrow"]);
    assert_eq!(entries.iter().filter(|entry| entry["kind"] == "intent").count(), 1, "the root, and no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_answers_its_callers_only_and_another_cannot_even_raise_the_fence() {
    let mut world = World::new();
    world.start();
    let mut operator = world.client("operator-tls");
    let mut second = world.client("second-tls");
    operator.ensure_authority(root()).await.unwrap();
    operator.ensure_authority(child()).await.unwrap();
    operator.ensure_key(key(1, wire::KeyPurpose::Ssh)).await.unwrap();
    let mine = leaf(&uid(2), &new_key(KeyAlgorithm::Ed25519));
    operator.issue(mine.clone()).await.unwrap();
    let high = (1 << 53) - 1;
    // The stored answer too: what was made for one caller is not handed to another.
    let refused = second.issue(wire::IssueRequest { fencing_token: high, ..mine }).await.unwrap_err();
    assert_eq!(told(&refused), (Reason::Forbidden, "authorityUid".into()));
    let refused = second
        .ensure_authority(wire::EnsureAuthorityRequest { fencing_token: high, ..root() })
        .await
        .unwrap_err();
    assert_eq!(told(&refused), (Reason::Forbidden, "requestKey".into()));
    let under = wire::EnsureAuthorityRequest {
        fencing_token: high,
        request_key: request_key(&uid(3), 1),
        parent_uid: ROOT.into(),
        ..child()
    };
    let refused = second.ensure_authority(under).await.unwrap_err();
    assert_eq!(told(&refused), (Reason::Forbidden, "parentUid".into()));
    let refused = second
        .ensure_key(wire::EnsureKeyRequest { fencing_token: high, ..key(1, wire::KeyPurpose::Ssh) })
        .await
        .unwrap_err();
    assert_eq!(told(&refused), (Reason::Forbidden, "keyUid".into()));
    // Nor may the owner let it in later: that would be looser.
    let mut wider = root();
    wider.constraints.as_mut().unwrap().allowed_callers =
        vec!["keywright-operator".into(), "second-operator".into()];
    let refused = operator.ensure_authority(wider).await.unwrap_err();
    assert_eq!(told(&refused), (Reason::Loosening, "allowed.callers".into()));
    // A key that was made for both serves both, until one is taken away.
    let mut shared = root();
    shared.request_key = request_key(&uid(4), 1);
    let both = vec!["keywright-operator".to_owned(), "second-operator".to_owned()];
    shared.constraints.as_mut().unwrap().allowed_callers = both;
    operator.ensure_authority(shared.clone()).await.unwrap();
    let of_shared =
        |n| wire::IssueRequest { authority_uid: uid(4), ..leaf(&uid(n), &new_key(KeyAlgorithm::Ed25519)) };
    second.issue(of_shared(5)).await.unwrap();
    shared.constraints.as_mut().unwrap().allowed_callers = vec!["keywright-operator".into()];
    operator.ensure_authority(shared).await.unwrap();
    assert_eq!(told(&second.issue(of_shared(6)).await.unwrap_err()).0, Reason::Forbidden);
    operator.issue(of_shared(7)).await.unwrap();
    let status = operator.get_status(wire::GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.highest_fencing_token, 1, "a caller that may not use a key does not depose who may");
    let entries = entries(&mut world);
    assert_eq!(refusals(&entries, Reason::Forbidden), 5);
    let by = |entry: &serde_json::Value| entry["kind"] == "refusal" && entry["caller"] == "second-operator";
    assert_eq!(entries.iter().filter(|entry| by(entry)).count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_open_to_the_callers_of_its_parent_and_falls_with_them() {
    let mut world = World::new();
    world.start();
    let mut operator = world.client("operator-tls");
    let mut second = world.client("second-tls");
    let mut shared = root();
    let both = vec!["keywright-operator".to_owned(), "second-operator".to_owned()];
    shared.constraints.as_mut().unwrap().allowed_callers.clone_from(&both);
    operator.ensure_authority(shared.clone()).await.unwrap();
    operator.ensure_authority(child()).await.unwrap();
    second.issue(leaf(&uid(1), &new_key(KeyAlgorithm::Ed25519))).await.unwrap();
    let mut stranger = child();
    stranger.request_key = request_key(&uid(2), 1);
    stranger.constraints.as_mut().unwrap().allowed_callers = vec!["somebody".into()];
    let refused = operator.ensure_authority(stranger).await.unwrap_err();
    assert_eq!(told(&refused), (Reason::Constraint, "allowed.callers".into()));
    shared.constraints.as_mut().unwrap().allowed_callers.pop();
    operator.ensure_authority(shared).await.unwrap();
    let refused = second.issue(leaf(&uid(3), &new_key(KeyAlgorithm::Ed25519))).await.unwrap_err();
    assert_eq!(told(&refused), (Reason::Forbidden, "authorityUid".into()), "through the parent");
    operator.ensure_authority(child()).await.unwrap();
    operator.issue(leaf(&uid(4), &new_key(KeyAlgorithm::Ed25519))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_has_its_rate_for_each_caller_and_a_flood_is_counted() {
    let mut world = World::new();
    world.start();
    let mut operator = world.client("operator-tls");
    let mut limited = root();
    let constraints = limited.constraints.as_mut().unwrap();
    constraints.allowed_callers = vec!["keywright-operator".into(), "second-operator".into()];
    (constraints.rate_per_second, constraints.burst) = (Some(1), Some(3));
    operator.ensure_authority(limited.clone()).await.unwrap();
    let request = |n| wire::IssueRequest {
        authority_uid: ROOT.into(),
        ..leaf(&uid(n), &new_key(KeyAlgorithm::Ed25519))
    };
    let batch = wire::IssueBatchRequest { requests: (0..200).map(request).collect() };
    let results = operator.issue_batch(batch).await.unwrap().into_inner().results;
    let made = results
        .iter()
        .filter(|one| matches!(one.result, Some(wire::issue_result::Result::Issued(_))))
        .count();
    assert!((3..20).contains(&made), "{made} of 200 passed a burst of 3 and a rate of 1");
    for n in 300..303 {
        world.client("second-tls").issue(request(n)).await.unwrap();
    }
    // A batch that repeats one item is no way around.
    let same = wire::IssueBatchRequest { requests: vec![request(400); 50] };
    let results = operator.issue_batch(same).await.unwrap().into_inner().results;
    let over = |one: &&wire::IssueResult| match &one.result {
        Some(wire::issue_result::Result::Refusal(refusal)) => refusal.reason() == Reason::Unavailable,
        Some(wire::issue_result::Result::Issued(_)) | None => false,
    };
    assert!(results.iter().filter(over).count() >= 40);
    for (rate, burst, field) in
        [(None, None, "ratePerSecond"), (Some(2), Some(3), "ratePerSecond"), (Some(1), Some(4), "burst")]
    {
        let mut looser = limited.clone();
        let constraints = looser.constraints.as_mut().unwrap();
        (constraints.rate_per_second, constraints.burst) = (rate, burst);
        for _ in 0..40 {
            let refused = told(&operator.ensure_authority(looser.clone()).await.unwrap_err());
            if refused.0 != Reason::Unavailable {
                assert_eq!(refused, (Reason::Loosening, field.into()));
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
    let entries = entries(&mut world);
    let told: Vec<u64> = entries
        .iter()
        .filter(|entry| entry["reason"] == Reason::Unavailable.as_str_name())
        .map(|entry| entry["count"].as_u64().unwrap_or(1))
        .collect();
    let most = *told.iter().max().unwrap();
    assert!(most >= 64 && told.len() < 100, "a row of refusals is told by its powers of two: {told:?}");
}

/// Edits one field of a request.
type Edit = fn(&mut wire::IssueRequest);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_outside_the_constraints_is_refused_on_the_wire_in_batches_too_and_each_is_logged() {
    let mut world = World::new();
    world.start();
    let mut operator = world.client("operator-tls");
    operator.ensure_authority(root()).await.unwrap();
    operator.ensure_authority(child()).await.unwrap();
    let edits: [Edit; 24] = [
        |r| r.sans.as_mut().unwrap().dns_names = vec!["example.org".into()],
        |r| r.sans.as_mut().unwrap().dns_names = vec!["notexample.com".into()],
        |r| r.sans.as_mut().unwrap().dns_names = vec!["*.org".into()],
        |r| r.sans.as_mut().unwrap().dns_names = vec!["web.example.com.".into(), "web.example.org".into()],
        |r| r.sans.as_mut().unwrap().dns_names = vec!["web.example.com\0.evil.org".into()],
        |r| r.sans.as_mut().unwrap().dns_names = vec!["xn--\u{e9}.example.com".into()],
        |r| {
            r.sans = None;
            r.subject = common_name("evil.example.org");
        },
        |r| r.subject = common_name("evil.example.org"),
        |r| r.subject = common_name("\u{feff}evil.example.org "),
        // More than headers hold: the reason has to arrive all the same.
        |r| r.sans.as_mut().unwrap().dns_names = vec!["x".repeat(900_000)],
        |r| r.usages = vec!["evil".repeat(100_000)],
        |r| r.fencing_token = u64::MAX,
        |r| r.duration_seconds = u64::MAX,
        |r| r.duration_seconds = i64::MAX as u64,
        |r| r.duration_seconds = 90 * 86_400 + 1,
        |r| r.usages = vec!["server auth".into(), "any".into()],
        |r| r.usages = vec!["crl sign".into()],
        |r| r.usages = vec!["ocsp signing".into()],
        |r| r.is_ca = true,
        |r| {
            r.is_ca = true;
            r.authority_uid = ROOT.into();
            r.usages = vec!["server auth".into()];
            r.sans = None;
        },
        |r| r.fencing_token = 0,
        |r| r.authority_uid = uid(999),
        |r| r.pkcs10.truncate(40),
        |r| r.pkcs10.push(0),
    ];
    let mut expected = 0;
    for (n, edit) in edits.into_iter().enumerate() {
        let mut request = leaf(&uid(n), &new_key(KeyAlgorithm::Ed25519));
        edit(&mut request);
        let alone = operator.issue(request.clone()).await;
        let refused = alone.err().unwrap_or_else(|| panic!("case {n} was signed"));
        told(&refused);
        let batch = wire::IssueBatchRequest { requests: vec![request] };
        let results = operator.issue_batch(batch).await.unwrap().into_inner().results;
        assert!(
            matches!(results[0].result, Some(wire::issue_result::Result::Refusal(_))),
            "case {n} was signed in a batch"
        );
        expected += 2;
    }
    for requests in [Vec::new(), vec![leaf(&uid(1), &new_key(KeyAlgorithm::Ed25519)); 257]] {
        let refused = operator.issue_batch(wire::IssueBatchRequest { requests }).await.unwrap_err();
        assert_eq!(told(&refused).0, Reason::Malformed);
        expected += 1;
    }
    let entries = entries(&mut world);
    assert_eq!(entries.iter().filter(|entry| entry["kind"] == "refusal").count(), expected);
    assert_eq!(entries.iter().filter(|entry| entry["kind"] == "intent").count(), 2, "the two authorities");
    let text = serde_json::to_string(&entries).unwrap();
    assert!(!text.contains("example") && !text.contains("evil"), "no name is in the log");
}

/// Edits one field of a request for an authority.
type EditOfAuthority = fn(&mut wire::EnsureAuthorityRequest);

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_could_never_sign_a_leaf_is_not_made() {
    let mut world = World::new();
    world.start();
    let mut operator = world.client("operator-tls");
    let edits: [(&str, EditOfAuthority); 5] = [
        ("crlDistributionPoints[1]", |r| {
            r.constraints.as_mut().unwrap().crl_distribution_points =
                vec!["http://a.example/crl".into(), "javascript:x".into()];
        }),
        ("ocspServers[0]", |r| r.constraints.as_mut().unwrap().ocsp_servers = vec![String::new()]),
        ("issuingCertificateURLs", |r| {
            r.constraints.as_mut().unwrap().issuing_certificate_urls = vec!["http://a.example/".into(); 9];
        }),
        ("requestKey.step", |r| r.request_key.as_mut().unwrap().step = 1 << 53),
        ("fencingToken", |r| r.fencing_token = 1 << 53),
    ];
    for (field, edit) in edits {
        let mut request = root();
        request.constraints.get_or_insert_default();
        edit(&mut request);
        let refused = operator.ensure_authority(request).await.unwrap_err();
        assert_eq!(told(&refused), (Reason::Malformed, field.to_owned()));
    }
    operator.ensure_authority(root()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_after_kill_and_restart_gets_the_stored_answer_and_a_changed_one_supersedes() {
    let mut world = World::new();
    world.start();
    let mut operator = world.client("operator-tls");
    operator.ensure_authority(root()).await.unwrap();
    operator.ensure_authority(child()).await.unwrap();
    let first = leaf(&uid(1), &new_key(KeyAlgorithm::EcdsaP256));
    let answer = operator.issue(first.clone()).await.unwrap().into_inner();
    for _ in 0..3 {
        world.signal("-KILL");
        world.start();
        let again = operator.issue(first.clone()).await.unwrap().into_inner();
        assert!(again.repeated_answer && again.certificate == answer.certificate);
    }
    let other = leaf(&uid(1), &new_key(KeyAlgorithm::EcdsaP256));
    let second = operator.issue(other.clone()).await.unwrap().into_inner();
    assert!(!second.repeated_answer);
    world.signal("-KILL");
    world.start();
    // The first key again: it is not the newest answer any more, so that one is superseded in its turn.
    let third = operator.issue(first).await.unwrap().into_inner();
    assert!(!third.repeated_answer && third.certificate != answer.certificate);
    let newer = wire::IssueRequest { request_key: request_key(&uid(1), 9), ..other.clone() };
    operator.issue(newer).await.unwrap();
    assert_eq!(
        told(&operator.issue(other).await.unwrap_err()),
        (Reason::StaleStep, "requestKey.step".into())
    );
    let serial = |der: &[u8]| Certificate::from_der(der).unwrap().serial().to_string();
    let superseded = [serial(&answer.certificate), serial(&second.certificate)];
    let entries = entries(&mut world);
    let told: Vec<_> = entries
        .iter()
        .filter(|entry| entry["kind"] == "superseded")
        .map(|entry| entry["serial"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, superseded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_root_stops_everything_below_it_renewals_too_and_comes_back_only_by_hand() {
    let mut world = World::new();
    world.start();
    let mut operator = world.client("operator-tls");
    operator.ensure_authority(root()).await.unwrap();
    let mut middle = child();
    middle.constraints.as_mut().unwrap().path_length = Some(1);
    operator.ensure_authority(middle).await.unwrap();
    let mut lowest = child();
    (lowest.request_key, lowest.parent_uid) = (request_key(&uid(1), 1), CHILD.into());
    lowest.constraints = None;
    operator.ensure_authority(lowest.clone()).await.unwrap();
    world.signal("-TERM");
    let (state, kek) = (world.path("state"), world.path("kek"));
    let by_hand = |what: &str| {
        let place = ["--state-dir", state.to_str().unwrap(), "--kek-file", kek.to_str().unwrap(), ROOT];
        assert!(World::command(&[&["key", what][..], &place].concat()).status.success(), "{what}");
    };
    by_hand("disable");
    world.start();
    lowest.request_key = request_key(&uid(1), 2);
    assert_eq!(told(&operator.ensure_authority(lowest.clone()).await.unwrap_err()).0, Reason::Forbidden);
    let of_lowest =
        wire::IssueRequest { authority_uid: uid(1), ..leaf(&uid(2), &new_key(KeyAlgorithm::Ed25519)) };
    assert_eq!(told(&operator.issue(of_lowest.clone()).await.unwrap_err()).0, Reason::Forbidden);
    world.signal("-TERM");
    by_hand("enable");
    world.start();
    operator.ensure_authority(lowest).await.unwrap();
    operator.issue(of_lowest).await.unwrap();
}
