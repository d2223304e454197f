//! What the engine signs, what it refuses, and what the log says of it, with real keys on a fixed clock.

use crate::support::{
    Bench, CHILD, LEAF, NOW, ROOT, child, common_name, leaf, new_key, request_key, root, uid,
};
use jiff::Timestamp;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::Certificate;
use keywright_pki::chain;
use keywright_signer::engine::Answer;
use keywright_signer::refusal::Reason;
use keywright_signer_protocol::v1alpha1 as wire;

fn parse(answer: &Answer) -> (Certificate, Vec<Certificate>) {
    let certificate = Certificate::from_der(&answer.certificate).unwrap();
    (certificate, answer.parents.iter().map(|der| Certificate::from_der(der).unwrap()).collect())
}

#[tokio::test]
async fn a_leaf_chains_to_its_root_and_every_step_of_it_is_in_the_log() {
    let bench = Bench::with_authorities().await;
    let key = new_key(KeyAlgorithm::EcdsaP256);
    let answer = bench.issue(&leaf(LEAF, &key)).await.unwrap();
    let (certificate, parents) = parse(&answer);
    let [intermediate, root] = parents.as_slice() else { panic!("two parents") };
    let at = Timestamp::from_second(NOW).unwrap();
    chain::verify(&certificate, std::slice::from_ref(intermediate), root, at).unwrap();
    assert_eq!(certificate.public_key(), key.public_key());
    assert_eq!(certificate.sans().dns.len(), 1);
    assert_eq!(certificate.validity().duration().as_secs(), 86_400);
    assert!(!certificate.is_ca());
    let entries = bench.published(8).await;
    assert_eq!(
        Bench::kinds(&entries),
        ["key", "intent", "signature", "key", "intent", "signature", "intent", "signature"]
    );
    let serial = certificate.serial().to_string();
    let index = usize::try_from(answer.log_index).unwrap();
    assert_eq!(entries[index]["serial"], serial);
    assert_eq!(entries[index]["kind"], "signature");
    let text = serde_json::to_string(&entries).unwrap();
    assert!(!text.contains("example") && !text.contains("Example"), "no name is in the log");
}

#[tokio::test]
async fn every_algorithm_works_as_authority_and_as_leaf() {
    for (n, algorithm) in (1_i32..).zip(KeyAlgorithm::ALL) {
        let bench = Bench::new();
        bench.ensure(&wire::EnsureAuthorityRequest { key_algorithm: n, ..root() }).await.unwrap();
        let request = wire::IssueRequest { authority_uid: ROOT.into(), ..leaf(LEAF, &new_key(algorithm)) };
        let (certificate, parents) = parse(&bench.issue(&request).await.unwrap());
        let at = Timestamp::from_second(NOW).unwrap();
        chain::verify(&certificate, &[], &parents[0], at)
            .unwrap_or_else(|error| panic!("{algorithm:?}: {error}"));
        assert_eq!(parents[0].public_key().algorithm(), algorithm);
    }
}

#[tokio::test]
async fn a_repeat_gets_the_stored_answer_and_signs_nothing() {
    let bench = Bench::with_authorities().await;
    let request = leaf(LEAF, &new_key(KeyAlgorithm::EcdsaP256));
    let first = bench.issue(&request).await.unwrap();
    let again = bench.issue(&request).await.unwrap();
    assert_eq!(again, Answer { repeated: true, ..first });
    assert_eq!(bench.published(8).await.len(), 8);
}

#[tokio::test]
async fn a_repeat_with_another_key_or_effect_supersedes_the_first_serial_before_it_signs() {
    let bench = Bench::with_authorities().await;
    let request = leaf(LEAF, &new_key(KeyAlgorithm::EcdsaP256));
    let first = parse(&bench.issue(&request).await.unwrap()).0;
    let other_key = leaf(LEAF, &new_key(KeyAlgorithm::EcdsaP256));
    let second = parse(&bench.issue(&other_key).await.unwrap()).0;
    let other_effect = wire::IssueRequest { duration_seconds: 7200, ..other_key };
    let third = parse(&bench.issue(&other_effect).await.unwrap()).0;
    let entries = bench.published(14).await;
    assert_eq!(
        Bench::kinds(&entries[6..]),
        ["intent", "signature", "superseded", "intent", "signature", "superseded", "intent", "signature"]
    );
    assert_eq!(entries[8]["serial"], first.serial().to_string());
    assert_eq!(entries[11]["serial"], second.serial().to_string());
    assert_ne!(third.serial(), second.serial());
}

#[tokio::test]
async fn an_expired_stored_answer_is_superseded_and_not_returned() {
    let bench = Bench::with_authorities().await;
    let request = leaf(LEAF, &new_key(KeyAlgorithm::Ed25519));
    let first = bench.issue(&request).await.unwrap();
    bench.clock.advance(86_401);
    let second = bench.issue(&request).await.unwrap();
    assert!(!second.repeated);
    assert_ne!(first.certificate, second.certificate);
    assert_eq!(bench.published(11).await[8]["why"], "expired");
}

#[tokio::test]
async fn an_earlier_step_is_refused_unless_it_is_an_identical_repeat() {
    let bench = Bench::with_authorities().await;
    let key = new_key(KeyAlgorithm::EcdsaP256);
    let one = leaf(LEAF, &key);
    let two = wire::IssueRequest { request_key: request_key(LEAF, 2), ..one.clone() };
    bench.issue(&one).await.unwrap();
    bench.issue(&two).await.unwrap();
    assert!(bench.issue(&one).await.unwrap().repeated);
    let other = wire::IssueRequest { duration_seconds: 60, ..one };
    let refusal = bench.issue(&other).await.unwrap_err();
    assert_eq!((refusal.reason, refusal.field.as_str()), (Reason::StaleStep, "requestKey.step"));
}

/// Edits one field of a request.
type Edit = fn(&mut wire::IssueRequest);
/// Edits one field of a request for an authority.
type AuthorityEdit = fn(&mut wire::EnsureAuthorityRequest);

#[tokio::test]
async fn every_request_outside_the_constraints_is_refused_by_field_and_logged() {
    let bench = Bench::with_authorities().await;
    let table: [(Edit, Reason, &str); 17] = [
        (|r| r.duration_seconds = 90 * 86_400 + 1, Reason::Constraint, "duration"),
        (|r| r.duration_seconds = 0, Reason::Malformed, "durationSeconds"),
        (|r| r.usages.push("code signing".into()), Reason::Constraint, "usages"),
        (|r| r.usages.push("flying".into()), Reason::Malformed, "usages"),
        (|r| r.usages.push("cert sign".into()), Reason::Malformed, "usages"),
        (|r| r.is_ca = true, Reason::Constraint, "isCA"),
        (|r| r.sans.as_mut().unwrap().dns_names.push("web.example.org".into()), Reason::Constraint, "names"),
        (
            |r| r.sans.as_mut().unwrap().dns_names.push("example.com.evil.org".into()),
            Reason::Constraint,
            "names",
        ),
        (|r| r.sans.as_mut().unwrap().dns_names.push("not a name".into()), Reason::Malformed, "dnsNames[1]"),
        (
            |r| r.sans.as_mut().unwrap().ip_addresses.push("10.0.0.300".into()),
            Reason::Malformed,
            "ipAddresses[0]",
        ),
        (|r| r.sans = None, Reason::Malformed, "subject"),
        (|r| r.authority_uid = ROOT.replace('1', "9"), Reason::UnknownAuthority, "authorityUid"),
        (|r| r.authority_uid = "root".into(), Reason::Malformed, "authorityUid"),
        (|r| r.request_key = None, Reason::Malformed, "requestKey"),
        (|r| r.request_key.as_mut().unwrap().step = 0, Reason::Malformed, "requestKey.step"),
        (|r| *r.pkcs10.last_mut().unwrap() ^= 1, Reason::ProofOfPossession, "pkcs10"),
        (|r| r.fencing_token = 0, Reason::StaleFencingToken, "fencingToken"),
    ];
    for (n, (edit, reason, field)) in table.into_iter().enumerate() {
        let mut request = leaf(&uid(n), &new_key(KeyAlgorithm::Ed25519));
        edit(&mut request);
        let refusal = bench.issue(&request).await.unwrap_err();
        assert_eq!((refusal.reason, refusal.field.as_str()), (reason, field), "case {n}: {refusal}");
        assert!(!refusal.rule.is_empty() && !refusal.fix.is_empty(), "case {n} names rule and fix");
    }
    let rsa = leaf(LEAF, &new_key(KeyAlgorithm::Rsa2048));
    assert_eq!(bench.issue(&rsa).await.unwrap_err().field, "privateKey.algorithm");
    let signed = bench.published(7).await.iter().filter(|entry| entry["kind"] == "intent").count();
    assert_eq!(signed, 2, "nothing but the two authorities was ever intended");
}

#[tokio::test]
async fn a_foreign_authority_is_certified_only_where_allowed_and_one_level_lower() {
    let bench = Bench::with_authorities().await;
    let key = new_key(KeyAlgorithm::EcdsaP256);
    let request = wire::IssueRequest {
        authority_uid: ROOT.into(),
        is_ca: true,
        sans: None,
        subject: common_name("Foreign"),
        usages: vec!["digital signature".into()],
        ..leaf(LEAF, &key)
    };
    let (certificate, _) = parse(&bench.issue(&request).await.unwrap());
    assert!(certificate.is_ca());
    assert_eq!(certificate.path_length(), Some(1));
    let from_child = wire::IssueRequest { authority_uid: CHILD.into(), ..request };
    assert_eq!(bench.issue(&from_child).await.unwrap_err().field, "isCA");
}

#[tokio::test]
async fn nothing_outlives_its_authority() {
    let bench = Bench::new();
    bench.ensure(&wire::EnsureAuthorityRequest { duration_seconds: 7200, ..root() }).await.unwrap();
    bench.clock.advance(3600);
    let child = parse(&bench.ensure(&child()).await.unwrap());
    let root = &child.1[0];
    assert_eq!(child.0.validity().not_after(), root.validity().not_after());
    let answer = bench.issue(&leaf(LEAF, &new_key(KeyAlgorithm::EcdsaP256))).await.unwrap();
    assert_eq!(parse(&answer).0.validity().not_after(), root.validity().not_after());
    bench.clock.advance(3600);
    let late = bench.issue(&leaf(&uid(1), &new_key(KeyAlgorithm::EcdsaP256))).await.unwrap_err();
    assert_eq!(late.reason, Reason::AuthorityExpired);
}

#[tokio::test]
async fn an_authority_is_made_once_tightened_renewed_and_never_loosened() {
    let bench = Bench::new();
    let first = bench.ensure(&root()).await.unwrap();
    assert!(first.created);
    let again = bench.ensure(&root()).await.unwrap();
    assert_eq!(again, Answer { created: false, repeated: true, ..first.clone() });
    let mut tighter = root();
    tighter.constraints.as_mut().unwrap().max_leaf_seconds = Some(3600);
    assert_eq!(bench.ensure(&tighter).await.unwrap().certificate, first.certificate);
    let request =
        wire::IssueRequest { authority_uid: ROOT.into(), ..leaf(LEAF, &new_key(KeyAlgorithm::EcdsaP256)) };
    assert_eq!(bench.issue(&request).await.unwrap_err().field, "duration");
    let looser = bench.ensure(&root()).await.unwrap_err();
    assert_eq!((looser.reason, looser.field.as_str()), (Reason::Loosening, "maxLeafDuration"));
    bench.clock.advance(60);
    let renewal = wire::EnsureAuthorityRequest { request_key: request_key(ROOT, 2), ..tighter.clone() };
    let renewed = bench.ensure(&renewal).await.unwrap();
    assert_eq!((renewed.step, renewed.created), (2, false));
    assert_ne!(renewed.certificate, first.certificate);
    assert_eq!(parse(&renewed).0.public_key(), parse(&first).0.public_key());
    let edits: [(AuthorityEdit, &str); 3] = [
        (|r| r.subject = common_name("Other"), "subject"),
        (|r| r.key_algorithm = 2, "privateKey.algorithm"),
        (|r| r.parent_uid = CHILD.into(), "issuerRef"),
    ];
    bench
        .ensure(&wire::EnsureAuthorityRequest { request_key: request_key(CHILD, 1), ..tighter.clone() })
        .await
        .unwrap();
    for (edit, field) in edits {
        let mut changed = tighter.clone();
        edit(&mut changed);
        let refusal = bench.ensure(&changed).await.unwrap_err();
        assert_eq!((refusal.reason, refusal.field.as_str()), (Reason::Immutable, field));
    }
    let events: Vec<_> =
        bench.published(9).await.into_iter().filter(|entry| entry["kind"] == "key").collect();
    assert_eq!(events[0]["event"], "created");
    assert_eq!(events[1]["event"], "tightened");
}

#[tokio::test]
async fn a_parent_limits_who_may_be_its_child() {
    let bench = Bench::with_authorities().await;
    let grandchild = wire::EnsureAuthorityRequest {
        request_key: request_key(LEAF, 1),
        parent_uid: CHILD.into(),
        constraints: None,
        ..child()
    };
    let refusal = bench.ensure(&grandchild).await.unwrap_err();
    assert_eq!((refusal.reason, refusal.field.as_str()), (Reason::Constraint, "issuerRef"));
    let unknown = wire::EnsureAuthorityRequest { parent_uid: uid(1), ..grandchild };
    assert_eq!(bench.ensure(&unknown).await.unwrap_err().reason, Reason::UnknownAuthority);
}

#[tokio::test]
async fn a_deposed_leader_signs_nothing_even_after_a_restart() {
    let mut bench = Bench::with_authorities().await;
    let newer = wire::IssueRequest { fencing_token: 7, ..leaf(LEAF, &new_key(KeyAlgorithm::EcdsaP256)) };
    bench.issue(&newer).await.unwrap();
    bench.close();
    bench.open().unwrap();
    let older = wire::IssueRequest { fencing_token: 6, ..leaf(&uid(1), &new_key(KeyAlgorithm::EcdsaP256)) };
    assert_eq!(bench.issue(&older).await.unwrap_err().reason, Reason::StaleFencingToken);
    assert_eq!(bench.engine().status().fencing, 7);
}

#[tokio::test]
async fn what_waits_together_is_signed_once_each_and_all_of_it_is_in_the_log() {
    let bench = std::sync::Arc::new(Bench::with_authorities().await);
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let bench = std::sync::Arc::clone(&bench);
            tokio::spawn(async move {
                let request = leaf(&uid(n / 2), &new_key(KeyAlgorithm::EcdsaP256));
                parse(&bench.issue(&request).await.unwrap()).0.serial().to_string()
            })
        })
        .collect();
    let mut serials = std::collections::BTreeSet::new();
    for task in tasks {
        serials.insert(task.await.unwrap());
    }
    assert_eq!(serials.len(), 200);
    let entries = bench.published(6 + 500).await;
    let count = |kind: &str| entries.iter().filter(|entry| entry["kind"] == kind).count();
    assert_eq!((count("intent"), count("signature"), count("superseded")), (202, 202, 100));
    for serial in serials {
        assert!(
            entries.iter().any(|entry| entry["kind"] == "signature" && entry["serial"] == serial.as_str())
        );
    }
}
